"""What the solver minimises: which points of a robot go where, how much each counts, and the box its joints may move in."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.retarget.kinematics import FIXED, PRISMATIC, Chain, moving_joints

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
WRIST = -1
"""As an origin: where the chain's axes have their zero."""


@dataclass(frozen=True, eq=False)
class Problem:
    """m targets over N frames for a chain with J active joints.

    A frame's data cost is D(q) = sum_i w_i h(task_i(q) - origin_i(q) - d_i), with h Huber's (`objective.py`).
    """

    chain: Chain
    lower: Floats
    """Limits of the active joints, shape (J,), those of the joints that follow them included."""
    upper: Floats
    task: Integers
    """The link each target is for, shape (m,)."""
    origin: Integers
    """The link it is measured from, shape (m,); WRIST for the zero of the chain's axes."""
    d_m: Floats
    """Where it should be, from there, in the chain's axes, shape (N, m, 3); a frame with a NaN has no solution."""
    weight: Floats
    """Shape (N, m)."""
    knee_m: float
    """Where Huber's cost turns from square to straight."""
    per_axis: bool = False
    """Whether Huber's cost is taken of a residual's components by themselves instead of its length."""

    def __post_init__(self) -> None:
        n, m, j = len(self.d_m), len(self.task), len(self.lower)
        set_frozen(self, "lower", np.float64, (j,))
        set_frozen(self, "upper", np.float64, (j,))
        set_frozen(self, "task", np.int64, (m,))
        set_frozen(self, "origin", np.int64, (m,))
        set_frozen(self, "d_m", np.float64, (n, m, 3))
        set_frozen(self, "weight", np.float64, (n, m))
        if not (np.isfinite(self.lower).all() and np.isfinite(self.upper).all() and (self.lower <= self.upper).all()):
            raise ValueError("Problem needs finite limits, the lower one first")

    def part(self, rows: Any) -> "Problem":
        """The same for some of the frames."""
        return replace(self, d_m=self.d_m[rows], weight=self.weight[rows])

    @cached_property
    def model(self) -> tuple[Any, ...]:
        """Robot and rows as the compiled functions take them; frames and knee apart."""
        return flat_model(self)


def flat_model(problem: Problem) -> tuple[Any, ...]:
    """Chain and rows as flat arrays: joints that move, with their z along the axis and fixed ones folded in, and points on them."""
    chain = problem.chain
    points = sorted({int(link) for link in (*problem.task, *problem.origin) if link != WRIST})
    path = {link: _path(chain, link) for link in points}
    used = sorted({link for links in path.values() for link in links})
    number = {link: i for i, link in enumerate(used)}
    turned = {link: _to_axis(chain.axis[link]) for link in used}
    placed = {link: _folded(chain, int(chain.parent[link]), chain.R0[link], chain.p0[link], turned) for link in used}
    parent = np.array([number.get(placed[link][0], -1) for link in used], np.int64)
    R0 = np.array([placed[link][1] @ turned[link] for link in used])
    p0 = np.array([placed[link][2] for link in used])
    source, gain, shift = (np.array([array[link] for link in used]) for array in (chain.source, chain.multiplier, chain.offset))
    hung = {link: _hung(chain, link, turned) for link in points}
    columns = {link: sorted(moving_joints(chain, link)) for link in points}
    joint = _padded([[number[j] for j in path[link]] for link in points])
    slot = _padded([[columns[link].index(int(chain.source[j])) for j in path[link]] for link in points])
    at = {link: i for i, link in enumerate(points)} | {WRIST: -1}
    task, origin = (np.array([at[int(link)] for link in links], np.int64) for links in (problem.task, problem.origin))
    pairs = sorted({(t, o) for t, o in zip(task.tolist(), origin.tolist(), strict=True) if o >= 0})
    pair = np.array([pairs.index((t, o)) if o >= 0 else -1 for t, o in zip(task.tolist(), origin.tolist(), strict=True)], np.int64)
    first = np.arange(len(problem.lower))
    for links in ([link] for link in points), ([points[t], points[o]] for t, o in pairs):
        for group in links:
            together = sorted({column for link in group for column in columns[link]})
            first[together] = np.minimum(first[together], min(together, default=0))
    return (parent, np.array([chain.kind[link] == PRISMATIC for link in used]), R0, p0, source, gain,
            np.array([number.get(hung[link][0], -1) for link in points], np.int64), np.array([hung[link][1] for link in points]),
            joint, slot, np.array([len(path[link]) for link in points]), _padded([columns[link] for link in points]),
            np.array([len(columns[link]) for link in points]), task, origin, pair, np.array(pairs, np.int64).reshape(-1, 2),
            problem.per_axis, shift, first, problem.lower, problem.upper)  # fmt: skip


def _path(chain: Chain, link: int) -> list[int]:
    """The joints that move a link, from the root outwards."""
    found = []
    while link >= 0:
        if chain.kind[link] != FIXED:
            found.append(link)
        link = int(chain.parent[link])
    return found[::-1]


def _to_axis(axis: Floats) -> Floats:
    """A rotation whose third column is `axis`."""
    other = np.eye(3)[np.argmin(np.abs(axis))]
    x = np.cross(other, axis)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], 1)


def _folded(chain: Chain, link: int, R: Floats, p: Floats, turned: dict[int, Floats]) -> tuple[int, Floats, Floats]:
    """A pose given in a link, in the joint that moves it (in that joint's turned axes), or in the chain's axes: (-1, R, p)."""
    while link >= 0 and chain.kind[link] == FIXED:
        R, p = chain.R0[link] @ R, chain.R0[link] @ p + chain.p0[link]
        link = int(chain.parent[link])
    if link < 0:
        return -1, chain.T_base_root[:3, :3] @ R, chain.T_base_root[:3, :3] @ p + chain.T_base_root[:3, 3]
    return link, turned[link].T @ R, turned[link].T @ p


def _hung(chain: Chain, link: int, turned: dict[int, Floats]) -> tuple[int, Floats]:
    """The joint that moves a link and the link's origin in it."""
    joint, _, p = _folded(chain, link, np.eye(3), np.zeros(3), turned)
    return joint, p


def _padded(rows: list[list[int]]) -> Integers:
    """Rows of unequal length as one array."""
    out = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out
