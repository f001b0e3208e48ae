"""A course of joints frame by frame, and the same with other starts where a single one may have been caught in a wrong basin."""

import numpy as np
import numpy.typing as npt

from firsthand.retarget.band_kernel import cheapest_path
from firsthand.retarget.frame_kernel import solve_run, solve_seeds
from firsthand.retarget.problem import Problem

Floats = npt.NDArray[np.float64]
SEEDS = (0.1, 0.5, 0.9)
"""Cold starts, as shares of each joint's range."""
MOST_FLAGGED = 0.3
"""At most this share of the frames is started anew."""
_UNLIKE, _POOR, _JUMP_RAD = 0.02, 2.0, 0.5
_TOLERANCE = 1e-7


def greedy(problem: Problem, mu: Floats, *, first: Floats | None = None) -> tuple[Floats, Floats]:
    """Joints (N, J) and their data cost (N,): each frame from the one before it, whose distance costs mu (N,) times its square.

    The first frame starts from the middle of the joints' ranges, or from the best of `first` (k, J).
    """
    q, D = np.empty((len(problem.d_m), len(problem.lower))), np.empty(len(problem.d_m))
    if len(q):
        seeds = _shares(problem, (0.5,)) if first is None else first
        solve_run(problem.model, problem.d_m, problem.weight, problem.knee_m, mu, seeds, _TOLERANCE, q, D)
    return q, D


def multi_start(problem: Problem, mu: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Joints (N, J) of the cheapest course through several starts, and the frames that were started anew (N,).

    The course is followed forwards and backwards in time. Frames where the two disagree, cost much, or jump are solved from cold starts as
    well, the worst of them up to `MOST_FLAGGED`; the cheapest path through all candidates of all frames (Viterbi) is the result.
    """
    n = len(problem.d_m)
    flagged = np.zeros(n, np.bool_)
    if n == 0:
        return np.empty((0, len(problem.lower))), flagged
    cold = _shares(problem, (0.5, 0.1, 0.3, 0.7, 0.9))
    ahead, D_ahead = greedy(problem, mu, first=cold)
    turned = problem.part(slice(None, None, -1))
    back, D_back = greedy(turned, np.r_[mu[:1], mu[:0:-1]], first=cold)
    back, D_back = back[::-1], D_back[::-1]
    base = np.minimum(D_ahead, D_back)
    jump = np.r_[0.0, np.abs(np.diff(ahead, axis=0)).max(1)]
    doubt = np.max([np.abs(D_ahead - D_back) / (_UNLIKE * base + 1e-4), base / (_POOR * np.median(base) + 1e-12), jump / _JUMP_RAD], axis=0)
    worst = np.argsort(-doubt, kind="stable")[: int(np.ceil(MOST_FLAGGED * n))]
    flagged[worst] = doubt[worst] > 1
    q = np.empty((n, 2 + len(SEEDS), len(problem.lower)))
    D = np.full(q.shape[:2], np.inf)
    q[:, 0], q[:, 1], D[:, 0], D[:, 1] = ahead, back, D_ahead, D_back
    q[:, 2:] = ahead[:, None]
    if flagged.any():
        some = problem.part(flagged)
        seeds = np.tile(_shares(problem, SEEDS), (len(some.d_m), 1, 1))
        found, D_found = np.empty_like(seeds), np.empty(seeds.shape[:2])
        solve_seeds(some.model, some.d_m, some.weight, some.knee_m, seeds, found, D_found)
        q[flagged, 2:], D[flagged, 2:] = found, D_found
    path = np.empty(n, np.int64)
    cheapest_path(D, q, mu, path)
    return q[np.arange(n), path], flagged


def _shares(problem: Problem, shares: tuple[float, ...]) -> Floats:
    return np.asarray(problem.lower + np.array(shares)[:, None] * (problem.upper - problem.lower), np.float64)
