"""The solver's passes over a course: frame by frame, with other starts, and all frames at once within speeds and accelerations."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from firsthand.retarget.multi_start import greedy, multi_start
from firsthand.retarget.problem import Problem
from firsthand.retarget.rate_limits import RateLimits
from firsthand.retarget.runs import run_numbers
from firsthand.retarget.whole_course import refine

Floats = npt.NDArray[np.float64]
Passes = Literal["greedy", "multi-start", "trajectory"]
MU = 4e-3
"""What a step of one radian in a frame of 1/30 s costs while the first passes look for a basin."""
FRAME_S, SOONEST_S = 1 / 30, 1 / 300


@dataclass(frozen=True, eq=False)
class Course:
    """Joints over time that solve a `Problem`."""

    q: Floats
    """Shape (N, J); NaN where not valid. Within limits exactly."""
    valid: npt.NDArray[np.bool_]
    """Frames whose targets are all known, shape (N,)."""
    held_back: npt.NDArray[np.bool_]
    """Frames in which speed or acceleration, kept exactly, moved a joint from where the solver had it; shape (N,)."""


def step_weights(t_ns: npt.NDArray[np.int64], mu: float) -> Floats:
    """What the square of each step costs, shape (N,), by the real time it takes, so that a course does not depend on the frame rate."""
    dt = np.maximum(np.diff(t_ns, prepend=t_ns[:1] - int(FRAME_S * 1e9)) * 1e-9, SOONEST_S)
    return np.asarray(mu * (FRAME_S / dt) ** 2, np.float64)


def solve_course(problem: Problem, t_ns: npt.NDArray[np.int64], *, passes: Passes = "trajectory", mu: float = MU,
                 velocity: Floats | None = None, acceleration: Floats | None = None) -> Course:
    """Joints (N, J) for targets at times t_ns (N,). Each run of frames with known targets is solved by itself.

    ``greedy`` follows each frame from the one before, ``multi-start`` looks for better basins where that may be caught, and ``trajectory``
    then takes all frames together, where `mu` weighs smoothness, and keeps `velocity` and `acceleration` (J,), per second and per second
    squared. The first two passes know neither of these.
    """
    n, joints = len(problem.d_m), len(problem.lower)
    valid = np.asarray(np.isfinite(problem.d_m).all((1, 2)) & np.isfinite(problem.weight).all(1))
    q, held_back = np.full((n, joints), np.nan), np.zeros(n, np.bool_)
    run = run_numbers(valid)
    for number in range(int(run.max(initial=-1)) + 1):
        rows = np.flatnonzero(run == number)
        part, t = problem.part(slice(rows[0], rows[-1] + 1)), t_ns[rows]
        if passes == "trajectory":
            found, _ = multi_start(part, step_weights(t, MU))
            limits = RateLimits(t, *(np.full(joints, np.inf) if most is None else most for most in (velocity, acceleration)))
            found = refine(part, found, step_weights(t, mu), limits=limits)
            kept = limits.keep(found)
            held_back[rows] = (np.abs(kept - found) > 1e-6).any(1)
            q[rows] = kept
        else:
            q[rows] = (greedy if passes == "greedy" else multi_start)(part, step_weights(t, mu))[0]
    return Course(q, valid, held_back)
