"""From a device's own counter to the session clock (the host's monotonic nanoseconds)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Nanoseconds = npt.NDArray[np.int64]
NO_FLOOR = np.iinfo(np.int64).min
"""In `Clock.not_before_ns`: the segment may begin at any time."""


def _one_segment() -> Nanoseconds:
    return np.zeros(1, np.int64)


@dataclass(frozen=True, eq=False)
class Clock:
    """Device time plus an offset, linear between knots. Stored beside the raw stamps, never in place of them.

    A device that restarts, jumps back or loses seconds begins a new *segment* with knots of its own. A counter that wraps begins
    a segment too, which keeps the knots and adds what was lost to the stamps. Stamps can repeat from one segment to the next, so
    that a sample is told by its row, counted in the order of arrival.
    """

    device_ns: Nanoseconds
    """Knots on the device clock, unwrapped, shape (K,); increasing among the knots of a segment."""
    offset_ns: Nanoseconds
    """Session minus device time at each knot, shape (K,)."""
    residual_ns: float = 0.0
    """Median height of the arrivals above the mapping: what transport added to the fastest delivery."""
    error_ns: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(1, np.nan))
    """Half the width of the offset's 95 % interval at each knot, shape (K,), the fastest delivery's own delay left out; NaN: not known."""
    residual_p99_ns: float = 0.0
    """99th percentile of that height."""
    first_row: Nanoseconds = field(default_factory=_one_segment)
    """Where each segment begins, shape (S,): rows as they arrived."""
    first_knot: Nanoseconds = field(default_factory=_one_segment)
    """First of each segment's knots, shape (S,); the last stands before the next segment's that is greater."""
    unwrap_ns: Nanoseconds = field(default_factory=_one_segment)
    """What to add to a segment's raw stamps first, shape (S,): the range of the counter, as often as it has wrapped."""
    not_before_ns: Nanoseconds = field(default_factory=lambda: np.full(1, NO_FLOOR))
    """Session time at which the segment before ended, shape (S,): no sample is placed before it."""

    def __post_init__(self) -> None:
        set_frozen(self, "device_ns", np.int64, (None,))
        set_frozen(self, "offset_ns", np.int64, (len(self.device_ns),))
        if len(self.error_ns) == 1 != len(self.device_ns):
            object.__setattr__(self, "error_ns", np.full(len(self.device_ns), self.error_ns[0]))
        set_frozen(self, "error_ns", np.float64, (len(self.device_ns),))
        set_frozen(self, "first_row", np.int64, (None,))
        for name in ("first_knot", "unwrap_ns", "not_before_ns"):
            set_frozen(self, name, np.int64, (len(self.first_row),))
        inside = np.ones(max(len(self.device_ns) - 1, 0), bool)
        inside[self.first_knot[self.first_knot > 0] - 1] = False
        if len(self.device_ns) == 0 or np.any(np.diff(self.device_ns)[inside] <= 0):
            raise ValueError("a Clock needs at least one knot, in increasing device time within a segment")
        rows, firsts = np.diff(self.first_row), np.diff(self.first_knot)
        if len(self.first_row) == 0 or self.first_row[0] != 0 or np.any(rows <= 0) or np.any(firsts < 0):
            raise ValueError("a Clock's segments begin at row 0 and go on in increasing rows and knots")

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Knots of each fit, half-open: one more than the clock was cut; a wrap is no cut."""
        starts = sorted({int(k) for k in self.first_knot})
        return list(zip(starts, [*starts[1:], len(self.device_ns)], strict=True))

    @property
    def drift_ppm(self) -> float:
        """How much faster the session clock runs than the device's, in parts per million, over the longest fit."""
        a, b = self._longest()
        return float((self.offset_ns[b] - self.offset_ns[a]) / (self.device_ns[b] - self.device_ns[a]) * 1e6) if b > a else 0.0

    @property
    def drift_error_ppm(self) -> float:
        """Half the width of the drift's interval; NaN where it is not known, as it is from a single knot."""
        a, b = self._longest()
        return float((self.error_ns[a] + self.error_ns[b]) / (self.device_ns[b] - self.device_ns[a]) * 1e6) if b > a else float("nan")

    def _longest(self) -> tuple[int, int]:
        """First and last knot of the fit over the longest time."""
        return max(((a, b - 1) for a, b in self.spans), key=lambda ends: int(self.device_ns[ends[1]] - self.device_ns[ends[0]]))

    def to_session(self, device_ns: npt.ArrayLike, rows: npt.ArrayLike | None = None) -> Nanoseconds:
        """Session times of raw device stamps, same shape, int64; the outer slopes continue beyond a segment's knots.

        `rows` says which sample each stamp is from; without it the clock must be of one segment, else `ValueError`.
        """
        stamps = np.asarray(device_ns, np.int64)
        if len(self.first_row) == 1:
            return np.asarray(np.maximum(self._map(stamps, *self.spans[0]), self.not_before_ns[0]), np.int64)
        if rows is None:
            raise ValueError(f"this clock has {len(self.first_row)} segments, in which stamps may repeat; say which rows they are from")
        segment = np.searchsorted(self.first_row, np.asarray(rows, np.int64), side="right") - 1
        raised, out = stamps + self.unwrap_ns[segment], np.empty_like(stamps)
        knot = self.first_knot[segment].ravel()
        order = np.argsort(knot, kind="stable")
        edges = np.searchsorted(knot[order], [a for a, _ in self.spans])
        for (a, b), mine in zip(self.spans, np.split(order, edges[1:]), strict=True):
            out.flat[mine] = self._map(raised.ravel()[mine], a, b)
        return np.asarray(np.maximum(out, self.not_before_ns[segment]), np.int64)

    def _map(self, stamps: Nanoseconds, a: int, b: int) -> Nanoseconds:
        """Stamps through the knots from `a` up to `b`."""
        first, base = self.device_ns[a], self.offset_ns[a]
        if b - a == 1:
            return np.asarray(stamps + base, np.int64)
        # Differences first: nanoseconds since 1970 do not fit a float64 exactly.
        x = (stamps - first).astype(np.float64)
        knots, offset = (self.device_ns[a:b] - first).astype(np.float64), (self.offset_ns[a:b] - base).astype(np.float64)
        piece = np.clip(np.searchsorted(knots, x) - 1, 0, len(knots) - 2)
        slope = np.diff(offset) / np.diff(knots)
        return np.asarray(stamps + base + np.rint(offset[piece] + slope[piece] * (x - knots[piece])).astype(np.int64), np.int64)

    def write(self, group: Any) -> None:
        """Put this into an open HDF5 group."""
        for name in ("device_ns", "offset_ns", "error_ns", "first_row", "first_knot", "unwrap_ns", "not_before_ns"):
            group.create_dataset(name, data=getattr(self, name))
        group.attrs.update(residual_ns=self.residual_ns, residual_p99_ns=self.residual_p99_ns, drift_ppm=self.drift_ppm)

    @classmethod
    def read(cls, group: Any) -> "Clock":
        """The clock an HDF5 group holds; one from before there were segments and intervals has one segment and no interval."""
        there = [name for name in ("error_ns", "first_row", "first_knot", "unwrap_ns", "not_before_ns") if name in group]
        return cls(group["device_ns"][()], group["offset_ns"][()], float(group.attrs["residual_ns"]),
                   residual_p99_ns=float(group.attrs.get("residual_p99_ns", 0.0)), **{name: group[name][()] for name in there})
