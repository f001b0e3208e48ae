"""The compiled solver: joint positions that bring points of a robot, or vectors between them, to their targets, frame by frame.

A frame's cost is F(q) = sum_i w_i h(r_i) + mu |q - q_prev|^2 with residuals r_i = f_task(i) - f_origin(i) - d_i; h is Huber's with
knee B, e^2/(2B) below it and e - B/2 above, of a residual's length, or of its components by themselves (`per_axis`). It is minimised
by Newton steps with Levenberg-Marquardt damping and an active set, so that limits hold exactly. `model` is `flat_model` of a
`Problem`; `objective.py` says the same in NumPy.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.retarget.compiled import compiled

Floats = npt.NDArray[np.float64]
LONGEST_STEP = 0.3
"""Joints move at most this far in one step, rad: a longer one may leap out of the basin that the frame before was in."""


@compiled
def workspace(model: Any) -> Any:
    """The arrays that the functions below fill: kept, since making them anew would cost more than they do."""
    K, F, A, P, m, n = len(model[0]), len(model[6]), model[8].shape[1], len(model[16]), len(model[13]), len(model[19])
    return (np.empty((K, 3, 3)), np.empty((K, 3)), np.empty((F, 3)), np.empty((m, 3)), np.empty(m),  # R, p, f, r, e
            np.empty((F, A, 3)), np.empty((F, A, 3)), np.empty((F, 3, 3)), np.empty((P, 3, 3)), np.empty((F, 3)),  # raw, J, W, X, s
            np.empty(n), np.zeros((n, n)), np.zeros((n, n)), np.empty((n, n)), np.empty(n), np.empty(n))  # g, H, S, L, x, q


@compiled
def data_cost(model: Any, q: Floats, d: Floats, w: Floats, knee: float, work: Any) -> float:
    """Place the joints (their z is their axis) and points at q, fill the residuals, and return their cost."""
    parent, slide, R0, p0, source, gain, shift = model[0], model[1], model[2], model[3], model[4], model[5], model[18]
    hangs, local, task, origin, per_axis = model[6], model[7], model[13], model[14], model[17]
    R, p, f, r, e = work[0], work[1], work[2], work[3], work[4]
    for i in range(len(parent)):
        k = parent[i]
        v = gain[i] * q[source[i]] + shift[i]
        co, si = (1.0, 0.0) if slide[i] else (np.cos(v), np.sin(v))
        for a in range(3):
            if k >= 0:
                x = R[k, a, 0] * R0[i, 0, 0] + R[k, a, 1] * R0[i, 1, 0] + R[k, a, 2] * R0[i, 2, 0]
                y = R[k, a, 0] * R0[i, 0, 1] + R[k, a, 1] * R0[i, 1, 1] + R[k, a, 2] * R0[i, 2, 1]
                z = R[k, a, 0] * R0[i, 0, 2] + R[k, a, 1] * R0[i, 1, 2] + R[k, a, 2] * R0[i, 2, 2]
                p[i, a] = p[k, a] + R[k, a, 0] * p0[i, 0] + R[k, a, 1] * p0[i, 1] + R[k, a, 2] * p0[i, 2]
            else:
                x, y, z = R0[i, a, 0], R0[i, a, 1], R0[i, a, 2]
                p[i, a] = p0[i, a]
            R[i, a, 0], R[i, a, 1], R[i, a, 2] = co * x + si * y, co * y - si * x, z
            if slide[i]:
                p[i, a] += v * z
    for i in range(len(hangs)):
        k = hangs[i]
        for a in range(3):
            f[i, a] = local[i, a]
            if k >= 0:
                f[i, a] = p[k, a] + R[k, a, 0] * local[i, 0] + R[k, a, 1] * local[i, 1] + R[k, a, 2] * local[i, 2]
    total = 0.0
    for i in range(len(task)):
        square = 0.0
        for a in range(3):
            r[i, a] = f[task[i], a] - d[i, a]
            if origin[i] >= 0:
                r[i, a] -= f[origin[i], a]
            square += r[i, a] * r[i, a]
            if per_axis:
                size = abs(r[i, a])
                total += w[i] * (size * size / (2 * knee) if size < knee else size - knee / 2)
        if not per_axis:
            e[i] = np.sqrt(square)
            total += w[i] * (square / (2 * knee) if e[i] < knee else e[i] - knee / 2)
    return total


@compiled
def curvature(model: Any, w: Floats, knee: float, bend: float, work: Any) -> None:
    """From what `data_cost` left: gradient g, Gauss-Newton matrix H and what the true Hessian has beyond it, S (lower triangles)."""
    slide, gain = model[1], model[5]
    joint, slot, chain, columns, width = model[8], model[9], model[10], model[11], model[12]
    task, origin, pair, pairs, per_axis = model[13], model[14], model[15], model[16], model[17]
    R, p, f, r, e, raw, J, W, X, s, g, H, S = work[:13]
    W[:] = 0.0
    X[:] = 0.0
    s[:] = 0.0
    for i in range(len(task)):
        t, o = task[i], origin[i]
        for a in range(3):
            for b in range(a + 1):
                if per_axis:
                    size = abs(r[i, a])
                    v = (w[i] / knee if size < knee else w[i] * (1 - bend) / size) if a == b else 0.0
                else:
                    c = w[i] / max(e[i], knee)
                    v = (c if a == b else 0.0) - (c * bend * r[i, a] * r[i, b] / (e[i] * e[i]) if e[i] > knee else 0.0)
                W[t, a, b] += v
                if o >= 0:
                    W[o, a, b] += v
                    X[pair[i], a, b] += v
            force = w[i] / max(abs(r[i, a]) if per_axis else e[i], knee) * r[i, a]
            s[t, a] += force
            if o >= 0:
                s[o, a] -= force
    g[:] = 0.0
    H[:] = 0.0
    S[:] = 0.0
    for i in range(len(f)):
        for k in range(width[i]):
            J[i, k, 0] = J[i, k, 1] = J[i, k, 2] = 0.0
        for k in range(chain[i]):
            j, at, m = joint[i, k], slot[i, k], gain[joint[i, k]]
            u, v, z = R[j, 0, 2], R[j, 1, 2], R[j, 2, 2]
            if slide[j]:
                raw[i, k, 0], raw[i, k, 1], raw[i, k, 2] = m * u, m * v, m * z
            else:
                a, b, c = f[i, 0] - p[j, 0], f[i, 1] - p[j, 1], f[i, 2] - p[j, 2]
                raw[i, k, 0], raw[i, k, 1], raw[i, k, 2] = m * (v * c - z * b), m * (z * a - u * c), m * (u * b - v * a)
            for a in range(3):
                J[i, at, a] += raw[i, k, a]
        for k in range(chain[i]):  # what a joint does to the motion by those further out: s . (axis_k x J_o)
            j = joint[i, k]
            if slide[j]:
                continue
            u, v, z = gain[j] * R[j, 0, 2], gain[j] * R[j, 1, 2], gain[j] * R[j, 2, 2]
            a, b, c = s[i, 1] * z - s[i, 2] * v, s[i, 2] * u - s[i, 0] * z, s[i, 0] * v - s[i, 1] * u
            for o in range(k, chain[i]):
                x, y = columns[i, slot[i, k]], columns[i, slot[i, o]]
                S[max(x, y), min(x, y)] += (2.0 if x == y and o != k else 1.0) * (a * raw[i, o, 0] + b * raw[i, o, 1] + c * raw[i, o, 2])
        for k in range(width[i]):
            a, b, c = J[i, k, 0], J[i, k, 1], J[i, k, 2]
            g[columns[i, k]] += a * s[i, 0] + b * s[i, 1] + c * s[i, 2]
            u = W[i, 0, 0] * a + W[i, 1, 0] * b + W[i, 2, 0] * c
            v = W[i, 1, 0] * a + W[i, 1, 1] * b + W[i, 2, 1] * c
            z = W[i, 2, 0] * a + W[i, 2, 1] * b + W[i, 2, 2] * c
            for o in range(k + 1):  # columns of a point ascend
                H[columns[i, k], columns[i, o]] += u * J[i, o, 0] + v * J[i, o, 1] + z * J[i, o, 2]
    for i in range(len(pairs)):
        t, o = pairs[i, 0], pairs[i, 1]
        for k in range(width[t]):
            a, b, c = J[t, k, 0], J[t, k, 1], J[t, k, 2]
            u = X[i, 0, 0] * a + X[i, 1, 0] * b + X[i, 2, 0] * c
            v = X[i, 1, 0] * a + X[i, 1, 1] * b + X[i, 2, 1] * c
            z = X[i, 2, 0] * a + X[i, 2, 1] * b + X[i, 2, 2] * c
            for q in range(width[o]):
                x, y = columns[t, k], columns[o, q]
                H[max(x, y), min(x, y)] -= (2.0 if x == y else 1.0) * (u * J[o, q, 0] + v * J[o, q, 1] + z * J[o, q, 2])


@compiled
def newton_step(H: Floats, S: Floats, share: float, damping: float, g: Floats, first: Any, L: Floats, x: Floats) -> bool:
    """x = -(H + share S + damping diag H)^-1 g by Cholesky within the envelope `first`; False where that is not positive definite."""
    n = len(g)
    for i in range(n):
        for j in range(first[i], i + 1):
            v = H[i, j] + share * S[i, j]
            if i == j:
                v += damping * H[i, i]
            for k in range(max(first[i], first[j]), j):
                v -= L[i, k] * L[j, k]
            if i == j:
                if v <= 1e-10:
                    return False
                L[i, i] = 1 / np.sqrt(v)
            else:
                L[i, j] = v * L[j, j]
    for i in range(n):
        v = -g[i]
        for k in range(first[i], i):
            v -= L[i, k] * x[k]
        x[i] = v * L[i, i]
    for i in range(n - 1, -1, -1):
        x[i] *= L[i, i]
        for k in range(first[i], i):
            x[k] -= L[i, k] * x[i]
    return True


@compiled
def hold_at_limits(q: Floats, lower: Floats, upper: Floats, first: Any, g: Floats, H: Floats, S: Floats) -> None:
    """Take joints that are on a limit and pushed outwards out of the system."""
    n = len(q)
    for j in range(n):
        if (q[j] <= lower[j] + 1e-9 and g[j] > 0) or (q[j] >= upper[j] - 1e-9 and g[j] < 0):
            for k in range(first[j], j):
                H[j, k] = S[j, k] = 0.0
            for k in range(j + 1, n):
                H[k, j] = S[k, j] = 0.0
            H[j, j], S[j, j], g[j] = 1.0, 0.0, 0.0


@compiled
def solve_frame(model: Any, d: Floats, w: Floats, knee: float, mu: float, q_prev: Floats, q: Floats,
                iterations: int, tolerance: float, work: Any) -> float:
    """Minimise F from q, in place; returns F. q stays within the limits exactly."""
    first, lower, upper = model[19], model[20], model[21]
    g, H, S, L, x, trial = work[10:]
    n = len(q)
    F = 0.0
    for j in range(n):
        q[j] = min(max(q[j], lower[j]), upper[j])
        F += mu * (q[j] - q_prev[j]) ** 2
    F += data_cost(model, q, d, w, knee, work)
    damping = 0.0
    for _ in range(iterations):
        curvature(model, w, knee, 0.9, work)  # a bend of 1 would be the true one, singular along r
        for j in range(n):
            g[j] += 2 * mu * (q[j] - q_prev[j])
            H[j, j] += 2 * mu + 1e-9
        hold_at_limits(q, lower, upper, first, g, H, S)
        gain, share = -1.0, 1.0
        for _ in range(9):
            if newton_step(H, S, share, damping, g, first, L, x):
                lowered, most = 0.0, LONGEST_STEP
                for j in range(n):
                    most = max(most, abs(x[j]))
                for j in range(n):
                    trial[j] = min(max(q[j] + x[j] * (LONGEST_STEP / most), lower[j]), upper[j])
                    lowered += mu * (trial[j] - q_prev[j]) ** 2
                lowered += data_cost(model, trial, d, w, knee, work)
                if lowered <= F:
                    gain, F = F - lowered, lowered
                    q[:] = trial
                    damping = damping * 0.2 if damping * 0.2 >= 1e-3 else 0.0
                    break
            if share == 1.0:
                share = 0.0  # the true Hessian did not help: Gauss-Newton
            else:
                damping = max(6 * damping, 0.05)
        if gain < tolerance:
            break
    return F


@compiled
def solve_run(model: Any, d: Floats, w: Floats, knee: float, mu: Floats, seeds: Floats, tolerance: float, q: Floats, D: Floats) -> None:
    """Fill q (N, n) and its data cost D (N,) for targets d (N, m, 3), weights w (N, m); each frame starts from the one before.

    `mu` (N,) weighs the step to each frame. The first starts from each of `seeds` and keeps the best.
    """
    work = workspace(model)
    lowest = np.inf
    trial = np.empty(q.shape[1])
    for k in range(len(seeds)):
        trial[:] = seeds[k]
        F = solve_frame(model, d[0], w[0], knee, 1e-4, seeds[k], trial, 60, 1e-8, work)
        if lowest > F:
            lowest = F
            q[0] = trial
    D[0] = data_cost(model, q[0], d[0], w[0], knee, work)
    for t in range(1, len(q)):
        q[t] = q[t - 1]
        D[t] = solve_frame(model, d[t], w[t], knee, mu[t], q[t - 1], q[t], 60, tolerance, work)
        for j in range(q.shape[1]):
            D[t] -= mu[t] * (q[t, j] - q[t - 1, j]) ** 2


@compiled
def solve_seeds(model: Any, d: Floats, w: Floats, knee: float, seeds: Floats, q: Floats, D: Floats) -> None:
    """Fill q (N, k, n) and its data cost D (N, k): each frame from each of k seeds (N, k, n) by itself, roughly."""
    work = workspace(model)
    for t in range(len(q)):
        for k in range(q.shape[1]):
            q[t, k] = seeds[t, k]
            solve_frame(model, d[t], w[t], knee, 1e-4, seeds[t, k], q[t, k], 25, 1e-6, work)
            D[t, k] = data_cost(model, q[t, k], d[t], w[t], knee, work)


@compiled
def cost_run(model: Any, d: Floats, w: Floats, knee: float, q: Floats, D: Floats) -> None:
    """Fill the data cost D (N,) of q (N, n)."""
    work = workspace(model)
    for t in range(len(q)):
        D[t] = data_cost(model, q[t], d[t], w[t], knee, work)


@compiled
def curvature_run(model: Any, d: Floats, w: Floats, knee: float, mu: Floats, q: Floats, g: Floats, H: Floats) -> None:
    """Fill the data cost's gradient g (N, n) and curvature H (N, n, n), lower triangle, at q (N, n).

    The true Hessian (with its kinks rounded) where that is positive definite after adding 2 mu (N,) to its diagonal, else Gauss-Newton's.
    """
    work = workspace(model)
    first, g_t, H_t, S_t, L, x = model[19], work[10], work[11], work[12], work[13], work[14]
    for t in range(len(q)):
        data_cost(model, q[t], d[t], w[t], knee, work)
        curvature(model, w[t], knee, 0.9, work)
        g[t] = g_t
        H[t] = H_t
        for j in range(len(x)):
            H_t[j, j] += 2 * mu[t]
        if newton_step(H_t, S_t, 1.0, 0.0, g_t, first, L, x):
            H[t] += S_t
