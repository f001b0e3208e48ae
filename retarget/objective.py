"""The cost that the compiled solver minimises, in NumPy: what tests and benches hold it against."""

import numpy as np
import numpy.typing as npt

from firsthand.retarget.kinematics import link_jacobians, link_positions
from firsthand.retarget.problem import WRIST, Problem

Floats = npt.NDArray[np.float64]


def residuals(problem: Problem, q: npt.ArrayLike) -> Floats:
    """What is missing of each target, shape (N, m, 3), at joints q (N, J)."""
    away = problem.origin == WRIST
    task, origin = (link_positions(problem.chain, q, links.tolist()) for links in (problem.task, problem.origin))
    origin[:, away] = 0.0
    return task - origin - problem.d_m


def data_cost(problem: Problem, q: npt.ArrayLike) -> Floats:
    """D(q) of each frame, shape (N,)."""
    r, B = residuals(problem, q), problem.knee_m
    size = np.abs(r) if problem.per_axis else np.linalg.norm(r, axis=2, keepdims=True)
    huber = np.where(size < B, size**2 / (2 * B), size - B / 2).sum(2)
    return np.asarray((problem.weight * huber).sum(1), np.float64)


def data_gradient(problem: Problem, q: npt.ArrayLike) -> Floats:
    """dD/dq of each frame, shape (N, J)."""
    r = residuals(problem, q)
    size = np.abs(r) if problem.per_axis else np.linalg.norm(r, axis=2, keepdims=True)
    force = problem.weight[..., None] * r / np.maximum(size, problem.knee_m)
    task, origin = (link_jacobians(problem.chain, q, links.tolist()) for links in (problem.task, problem.origin))
    origin[:, problem.origin == WRIST] = 0.0
    return np.asarray(np.einsum("nmc,nmcj->nj", force, task - origin), np.float64)


def course_cost(problem: Problem, q: npt.ArrayLike, mu: float) -> float:
    """Mean of F_t = D_t + mu |q_t - q_{t-1}|^2 along a course, the first frame's step not counted."""
    q = np.asarray(q, np.float64)
    return float(data_cost(problem, q).mean() + mu * (np.diff(q, axis=0) ** 2).sum() / max(len(q), 1))
