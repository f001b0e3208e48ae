"""A whole course of joints at once: the data cost of all frames and their steps, within limits of position, speed and acceleration.

Newton steps on sum_t D_t(q_t) + mu_t |q_t - q_{t-1}|^2 over all frames at once: the frames couple only to their neighbours, so that a
step is a banded solve. Limits of position hold by an active set, those of speed and acceleration by an augmented Lagrangian
(Nocedal and Wright 2006, 17.3): no filter, hence no lag.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.retarget.band_kernel import course_step
from firsthand.retarget.frame_kernel import cost_run, curvature_run
from firsthand.retarget.problem import Problem
from firsthand.retarget.rate_limits import RateLimits, Rows

Floats = npt.NDArray[np.float64]
WINDOW, OVERLAP = 512, 48
"""Long runs are solved this many frames at a time, each with so many of the next: farther frames hardly matter to one another."""
_UPDATES, _STEPS = 8, 12


@dataclass(frozen=True, eq=False)
class _Part:
    """Some frames of a course, the first few of which are settled already."""

    problem: Problem
    mu: Floats
    settled: int
    rows: tuple[Rows, ...]


def refine(problem: Problem, q: Floats, mu: Floats, *, limits: RateLimits | None = None, iterations: int = 25, tolerance: float = 1e-6,
           window: int = WINDOW) -> Floats:
    """The course near q (N, J) that costs least; `mu` (N,) weighs the step to each frame. Position limits hold exactly.

    Those of `limits` hold to about a thousandth: `RateLimits.keep` makes them exact. Ends where the cost shrinks by less than `tolerance`
    per frame.
    """
    out = np.clip(q, problem.lower, problem.upper)
    for start in range(0, len(q), window):
        settled = min(start, 2)
        span = slice(start - settled, start + window + (OVERLAP if start + window < len(q) else 0))
        part = _Part(problem.part(span), mu[span], settled, limits.rows(span) if limits else ())
        out[span] = _refine_part(part, out[span], iterations, tolerance)
    return out


def _refine_part(part: _Part, q: Floats, iterations: int, tolerance: float) -> Floats:
    q = _minimise(part, q, (), iterations, tolerance)
    violated = max((rows.violation(q) for rows in part.rows), default=0.0)
    if violated <= 0:
        return q
    pushed = tuple(rows.started() for rows in part.rows)
    for _ in range(_UPDATES):
        q = _minimise(part, q, pushed, _STEPS, tolerance)
        now = max(rows.violation(q) for rows in pushed)
        if now <= 0:
            break
        pushed = tuple(rows.updated(q, harder=now > violated / 4) for rows in pushed)
        violated = now
    return q


def _minimise(part: _Part, q: Floats, rows: tuple[Rows, ...], iterations: int, tolerance: float) -> Floats:
    """Levenberg-Marquardt on the cost of all frames of a part together."""
    problem, (n, joints) = part.problem, q.shape
    model, d, w, knee = problem.model, problem.d_m, problem.weight, problem.knee_m
    mu = part.mu[1:, None]
    D, g, H, x = np.empty(n), np.empty((n, joints)), np.empty((n, joints, joints)), np.empty((n, joints))
    band = np.empty((n * joints, 1 + joints * (2 if any(r.reach == 2 for r in rows) else 1)))
    diagonal = np.arange(joints)

    def total(q: Floats) -> float:
        cost_run(model, d, w, knee, q, D)
        return float(D.sum() + (mu * np.diff(q, axis=0) ** 2).sum() + sum(r.cost(q) for r in rows))

    F, damping = total(q), 0.0
    for _ in range(iterations):
        curvature_run(model, d, w, knee, 0.25 * part.mu, q, g, H)
        one, two = np.zeros_like(q), np.zeros_like(q)
        push = 2 * mu * np.diff(q, axis=0)
        g[1:] += push
        g[:-1] -= push
        H[1:, diagonal, diagonal] += 2 * mu
        H[:-1, diagonal, diagonal] += 2 * mu
        H[:, diagonal, diagonal] += 1e-9
        one[:-1] -= 2 * mu
        for r in rows:
            r.add(q, g, H, one, two)
        held = ((q <= problem.lower + 1e-9) & (g > 0)) | ((q >= problem.upper - 1e-9) & (g < 0))
        held[: part.settled] = True
        gain = -1.0
        for _ in range(8):
            if course_step(H, one, two, held, damping, g, band, x):
                trial = np.clip(q + x, problem.lower, problem.upper)
                lowered = total(trial)
                if lowered <= F:
                    gain, F, q = F - lowered, lowered, trial
                    damping = damping * 0.2 if damping * 0.2 >= 1e-3 else 0.0
                    break
            damping = max(6 * damping, 0.05)
        if gain < tolerance * n:
            break
    return q
