"""From the camera's own times to rows at a constant rate: which frame each row shows, and how old it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError

GAP_FRAMES = 1.5
"""A row whose nearest frame is further away than this many frame periods lies in a gap."""


@dataclass(frozen=True, eq=False)
class Grid:
    """N rows at a constant rate from the first frame on, each showing the frame nearest in time."""

    fps: int
    source: npt.NDArray[np.int64]
    """The frame each row shows, shape (N,), never decreasing; frames may be repeated or skipped."""
    age_s: npt.NDArray[np.float64]
    """Time of the row minus time of its frame, shape (N,); positive where the picture is older than the row."""
    covered: npt.NDArray[np.bool_]
    """False for rows in a gap of the camera, shape (N,)."""

    def __post_init__(self) -> None:
        n = len(self.source)
        set_frozen(self, "source", np.int64, (n,))
        set_frozen(self, "age_s", np.float64, (n,))
        set_frozen(self, "covered", np.bool_, (n,))


def whole_rate(t_ns: npt.NDArray[np.int64]) -> int:
    """The median rate of N >= 2 times that never decrease in frames a second, rounded to a whole number, at least 1."""
    return max(1, round(1e9 / float(np.median(np.diff(np.unique(t_ns)))))) if t_ns[-1] > t_ns[0] else 1


def constant_rate(t_ns: npt.NDArray[Any], fps: int) -> Grid:
    """Lay rows ``k / fps`` from the first to the last of N >= 1 times; each takes the nearest frame.

    Times a little off the grid, such as milliseconds rounded, give exactly one row a frame.
    Raises `FirsthandError` when times run backwards.
    """
    t = np.asarray(t_ns, np.int64)
    back = np.flatnonzero(np.diff(t) < 0)
    if len(back):
        raise FirsthandError(f"the camera's times run backwards at frame {back[0] + 1}; leave this episode out of the export")
    rows = round((int(t[-1]) - int(t[0])) * fps / 1e9) + 1
    at = t[0] + (np.arange(rows, dtype=np.int64) * 1_000_000_000 + fps // 2) // fps
    right = np.minimum(np.searchsorted(t, at), len(t) - 1)
    left = np.maximum(right - 1, 0)
    source = np.where(at - t[left] <= t[right] - at, left, right)
    age_s = (at - t[source]) * 1e-9
    return Grid(fps, source, age_s, np.abs(age_s) <= GAP_FRAMES / fps)
