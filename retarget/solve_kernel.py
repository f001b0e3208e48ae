"""The compiled solver: joint positions that bring vectors between a robot's links to their targets, within limits, frame by frame.

A frame's cost is F(q) = sum_i w_i h(|r_i|) + mu |q - q_prev|^2 with residuals r_i = f_task(i) - f_origin(i) - d_i and Huber's
h(e) = e^2/(2B) below the knee B, e - B/2 above. It is minimised by Gauss-Newton steps with Levenberg-Marquardt damping and an
active set, so that limits hold exactly. `chain` is `flat(Chain)`; `rows` is (task links, origin links, columns, column counts).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.retarget.compiled import compiled
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, Chain

Floats = npt.NDArray[np.float64]
WRIST = -1
"""As an origin: the robot's own wrist, where operator axes have their zero."""


def flat(chain: Chain) -> tuple[Any, ...]:
    """A chain as the compiled functions take it."""
    return (chain.parent, chain.kind, chain.R0, chain.p0, chain.axis, chain.source, chain.multiplier, chain.offset, chain.T_base_root)


@compiled
def place_links(chain: Any, q: Floats, R: Floats, p: Floats, a: Floats) -> None:
    """Fill orientation R (L, 3, 3), origin p (L, 3) and joint axis a (L, 3) of every link."""
    parent, kind, R0, p0, axis, source, multiplier, offset, T_base = chain
    J = np.empty((3, 3))
    for i in range(len(parent)):
        k = parent[i]
        Rp, pp = (R[k], p[k]) if k >= 0 else (T_base[:3, :3], T_base[:3, 3])
        for r in range(3):
            p[i, r] = pp[r] + Rp[r, 0] * p0[i, 0] + Rp[r, 1] * p0[i, 1] + Rp[r, 2] * p0[i, 2]
            for c in range(3):
                J[r, c] = Rp[r, 0] * R0[i, 0, c] + Rp[r, 1] * R0[i, 1, c] + Rp[r, 2] * R0[i, 2, c]
            a[i, r] = J[r, 0] * axis[i, 0] + J[r, 1] * axis[i, 1] + J[r, 2] * axis[i, 2]
        if kind[i] == REVOLUTE:
            angle = multiplier[i] * q[source[i]] + offset[i]
            s, v = np.sin(angle), 1 - np.cos(angle)
            x, y, z = axis[i]
            for r in range(3):
                j0, j1, j2 = J[r]
                R[i, r, 0] = j0 * (1 - v * (y * y + z * z)) + j1 * (v * x * y + s * z) + j2 * (v * x * z - s * y)
                R[i, r, 1] = j0 * (v * x * y - s * z) + j1 * (1 - v * (x * x + z * z)) + j2 * (v * y * z + s * x)
                R[i, r, 2] = j0 * (v * x * z + s * y) + j1 * (v * y * z - s * x) + j2 * (1 - v * (x * x + y * y))
        else:
            R[i] = J
            if kind[i] == PRISMATIC:
                for r in range(3):
                    p[i, r] += (multiplier[i] * q[source[i]] + offset[i]) * a[i, r]


@compiled
def add_jacobian(chain: Any, link: int, sign: float, p: Floats, a: Floats, J: Floats) -> None:
    """Add sign times the derivative of a link's origin by the active joints to J (3, n)."""
    parent, kind, source, multiplier = chain[0], chain[1], chain[5], chain[6]
    i = link
    while i >= 0:
        if kind[i] != FIXED:
            m = sign * multiplier[i]
            j = source[i]
            if kind[i] == REVOLUTE:
                x, y, z = p[link, 0] - p[i, 0], p[link, 1] - p[i, 1], p[link, 2] - p[i, 2]
                J[0, j] += m * (a[i, 1] * z - a[i, 2] * y)
                J[1, j] += m * (a[i, 2] * x - a[i, 0] * z)
                J[2, j] += m * (a[i, 0] * y - a[i, 1] * x)
            else:
                J[0, j] += m * a[i, 0]
                J[1, j] += m * a[i, 1]
                J[2, j] += m * a[i, 2]
        i = parent[i]


@compiled
def residuals(rows: Any, p: Floats, d: Floats, r: Floats, e: Floats) -> None:
    """Fill residual vectors r (m, 3) and their lengths e (m,)."""
    task, origin = rows[0], rows[1]
    for i in range(len(task)):
        for c in range(3):
            r[i, c] = p[task[i], c] - (p[origin[i], c] if origin[i] >= 0 else 0.0) - d[i, c]
        e[i] = np.sqrt(r[i, 0] ** 2 + r[i, 1] ** 2 + r[i, 2] ** 2)


@compiled
def cost(w: Floats, e: Floats, knee: float, mu: float, q: Floats, q_prev: Floats) -> float:
    """F(q) from the residuals' lengths."""
    total = 0.0
    for i in range(len(e)):
        total += w[i] * (e[i] * e[i] / (2 * knee) if e[i] < knee else e[i] - knee / 2)
    for j in range(len(q)):
        total += mu * (q[j] - q_prev[j]) ** 2
    return total


@compiled
def normal_equations(chain: Any, rows: Any, p: Floats, a: Floats, r: Floats, e: Floats, w: Floats, knee: float,
                     g: Floats, H: Floats) -> None:
    """Add the targets' part of gradient g (n,) and Gauss-Newton matrix H (n, n)."""
    task, origin, columns, counts = rows
    J = np.empty((3, len(g)))
    b = np.empty(len(g))
    for i in range(len(task)):
        n = counts[i]
        for k in range(n):
            J[0, columns[i, k]] = J[1, columns[i, k]] = J[2, columns[i, k]] = 0.0
        add_jacobian(chain, task[i], 1.0, p, a, J)
        add_jacobian(chain, origin[i], -1.0, p, a, J)
        c = w[i] / max(e[i], knee)
        bend = 0.9 / (e[i] * e[i]) if e[i] > knee else 0.0  # 1 would be the true curvature, singular along r
        for k in range(n):
            x = columns[i, k]
            b[k] = J[0, x] * r[i, 0] + J[1, x] * r[i, 1] + J[2, x] * r[i, 2]
            g[x] += c * b[k]
            for o in range(k + 1):
                y = columns[i, o]
                h = c * (J[0, x] * J[0, y] + J[1, x] * J[1, y] + J[2, x] * J[2, y] - bend * b[k] * b[o])
                H[x, y] += h
                if o != k:
                    H[y, x] += h


@compiled
def cholesky_solve(A: Floats, g: Floats, x: Floats) -> bool:
    """x = -A^-1 g, overwriting the lower triangle of A; False when A is not positive definite."""
    n = len(g)
    for i in range(n):
        for j in range(i + 1):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            if i == j:
                if s <= 0:
                    return False
                A[i, i] = np.sqrt(s)
            else:
                A[i, j] = s / A[j, j]
    for i in range(n):
        s = -g[i]
        for k in range(i):
            s -= A[i, k] * x[k]
        x[i] = s / A[i, i]
    for i in range(n - 1, -1, -1):
        s = x[i]
        for k in range(i + 1, n):
            s -= A[k, i] * x[k]
        x[i] = s / A[i, i]
    return True


@compiled
def solve_frame(chain: Any, rows: Any, lower: Floats, upper: Floats, d: Floats, w: Floats, knee: float, mu: float,
                q_prev: Floats, q: Floats, iterations: int, tolerance: float) -> float:
    """Minimise F from q, in place; returns F. q stays within [lower, upper] exactly."""
    n, m, links = len(q), len(w), len(chain[0])
    R, p, a = np.empty((links, 3, 3)), np.empty((links, 3)), np.empty((links, 3))
    r, e = np.empty((m, 3)), np.empty(m)
    g, H, A, step, trial = np.empty(n), np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(n)
    q[:] = np.minimum(np.maximum(q, lower), upper)
    place_links(chain, q, R, p, a)
    residuals(rows, p, d, r, e)
    F = cost(w, e, knee, mu, q, q_prev)
    damping = 0.0
    for _ in range(iterations):
        g[:] = 2 * mu * (q - q_prev)
        H[:] = 0.0
        for j in range(n):
            H[j, j] = 2 * mu + 1e-9
        normal_equations(chain, rows, p, a, r, e, w, knee, g, H)
        for j in range(n):
            if (q[j] <= lower[j] + 1e-9 and g[j] > 0) or (q[j] >= upper[j] - 1e-9 and g[j] < 0):
                H[j, :] = 0.0
                H[:, j] = 0.0
                H[j, j], g[j] = 1.0, 0.0
        gain = -1.0
        for _ in range(8):
            A[:] = H
            for j in range(n):
                A[j, j] += damping * H[j, j]
            if cholesky_solve(A, g, step):
                trial[:] = np.minimum(np.maximum(q + step, lower), upper)
                place_links(chain, trial, R, p, a)
                residuals(rows, p, d, r, e)
                lowered = cost(w, e, knee, mu, trial, q_prev)
                if lowered <= F:
                    gain = F - lowered
                    F = lowered
                    q[:] = trial
                    damping = damping * 0.2 if damping * 0.2 >= 1e-3 else 0.0
                    break
            damping = max(6 * damping, 0.05)
        if gain < tolerance:
            break
    return F


@compiled
def solve_run(chain: Any, rows: Any, lower: Floats, upper: Floats, d: Floats, w: Floats, knee: float, mu: float, q: Floats) -> None:
    """Fill q (N, n) for targets d (N, m, 3) with weights w (N, m), each frame starting from the one before.

    The first frame starts from several places in the box and keeps the best.
    """
    lowest = np.inf
    trial = np.empty(q.shape[1])
    for share in (0.5, 0.1, 0.3, 0.7, 0.9):
        seed = lower + share * (upper - lower)
        trial[:] = seed
        F = solve_frame(chain, rows, lower, upper, d[0], w[0], knee, 1e-4, seed, trial, 60, 1e-8)
        if lowest > F:
            lowest = F
            q[0] = trial
    for t in range(1, len(q)):
        q[t] = q[t - 1]
        solve_frame(chain, rows, lower, upper, d[t], w[t], knee, mu, q[t - 1], q[t], 60, 1e-8)
