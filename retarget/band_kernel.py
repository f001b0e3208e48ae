"""Compiled parts of solving a whole course at once: a banded system over all frames, and the cheapest path through candidates."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.retarget.compiled import compiled

Floats = npt.NDArray[np.float64]


@compiled
def course_step(H: Floats, next_one: Floats, next_two: Floats, held: Any, damping: float, g: Floats, band: Floats, x: Floats) -> bool:
    """x (N, n) = -A^-1 g by banded LDL^T; False where A is not positive definite.

    A has blocks H (N, n, n; lower triangles) on its diagonal, grown by `damping` of it, and diagonal blocks `next_one` (N, n) between a
    frame and the next, `next_two` (N, n) between it and the one after; hence its half-bandwidth is 2n, or n where `band` (Nn, n + 1)
    has no room for the second. Variables that are `held` (N, n) do not move.
    """
    N, n = g.shape
    b = band.shape[1] - 1
    for t in range(N):
        for i in range(n):
            row = band[t * n + i]
            row[:] = 0.0
            x[t, i] = 0.0 if held[t, i] else -g[t, i]
            if held[t, i]:
                row[0] = 1.0
                continue
            row[0] = H[t, i, i] * (1 + damping)
            for k in range(i + 1, n):
                if not held[t, k]:
                    row[k - i] = H[t, k, i]
            if t + 1 < N and not held[t + 1, i]:
                row[n] += next_one[t, i]
            if b > n and t + 2 < N and not held[t + 2, i]:
                row[2 * n] += next_two[t, i]
    flat = x.reshape(N * n)
    for i in range(N * n):
        pivot = band[i, 0]
        if not pivot > 1e-10:
            return False
        last = min(b, N * n - 1 - i)
        for k in range(1, last + 1):
            if band[i, k] != 0.0:
                share = band[i, k] / pivot
                for j in range(k, last + 1):
                    band[i + k, j - k] -= share * band[i, j]
                flat[i + k] -= share * flat[i]
    for i in range(N * n - 1, -1, -1):
        v = flat[i]
        for k in range(1, min(b, N * n - 1 - i) + 1):
            v -= band[i, k] * flat[i + k]
        flat[i] = v / band[i, 0]
    return True


@compiled
def cheapest_path(D: Floats, q: Floats, mu: Floats, path: Any) -> None:
    """Fill path (N,): the candidate of each frame for which sum D + mu |step|^2 is least (Viterbi), from D (N, k) and q (N, k, n).

    Candidates that cost infinitely much do not count; each frame needs one that does not.
    """
    N, k, n = q.shape
    came = np.zeros((N, k), np.int64)
    total = D[0].copy()
    for t in range(1, N):
        new = np.full(k, np.inf)
        for a in range(k):
            if D[t, a] == np.inf:
                continue
            for b in range(k):
                if total[b] == np.inf:
                    continue
                step = 0.0
                for j in range(n):
                    step += (q[t, a, j] - q[t - 1, b, j]) ** 2
                cost = total[b] + mu[t] * step + D[t, a]
                if cost < new[a]:
                    new[a] = cost
                    came[t, a] = b
        total = new
    path[N - 1] = np.argmin(total)
    for t in range(N - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
