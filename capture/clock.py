"""From a device's own counter to the session clock (the host's monotonic nanoseconds)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Nanoseconds = npt.NDArray[np.int64]
MAX_DRIFT = 200e-6
"""No quartz is worse than 200 ppm; a steeper slope is noise."""


@dataclass(frozen=True, eq=False)
class Clock:
    """Device time plus an offset, linear between knots. Stored beside the raw stamps, never in place of them."""

    device_ns: Nanoseconds
    """Knots on the device clock, shape (K,), increasing."""
    offset_ns: Nanoseconds
    """Session minus device time at each knot, shape (K,)."""
    residual_ns: float = 0.0
    """Median height of the arrivals above the mapping: what transport added to the fastest delivery."""

    def __post_init__(self) -> None:
        set_frozen(self, "device_ns", np.int64, (None,))
        set_frozen(self, "offset_ns", np.int64, (None,))
        if len(self.device_ns) == 0 or len(self.device_ns) != len(self.offset_ns) or np.any(np.diff(self.device_ns) <= 0):
            raise ValueError("a Clock needs at least one knot, one offset each, in increasing device time")

    @property
    def drift_ppm(self) -> float:
        """How much faster the session clock runs than the device's, in parts per million."""
        if len(self.device_ns) < 2:
            return 0.0
        return float((self.offset_ns[-1] - self.offset_ns[0]) / (self.device_ns[-1] - self.device_ns[0]) * 1e6)

    def to_session(self, device_ns: npt.ArrayLike) -> Nanoseconds:
        """Session times of device stamps, same shape, int64; the outer segments' slopes continue beyond the knots."""
        stamps = np.asarray(device_ns, np.int64)
        # Differences first: nanoseconds since 1970 do not fit a float64 exactly.
        x = (stamps - self.device_ns[0]).astype(np.float64)
        knots = (self.device_ns - self.device_ns[0]).astype(np.float64)
        offset = (self.offset_ns - self.offset_ns[0]).astype(np.float64)
        if len(knots) == 1:
            return np.asarray(stamps + self.offset_ns[0], np.int64)
        segment = np.clip(np.searchsorted(knots, x) - 1, 0, len(knots) - 2)
        slope = np.diff(offset) / np.diff(knots)
        offset_ns = np.rint(offset[segment] + slope[segment] * (x - knots[segment])).astype(np.int64)
        return np.asarray(stamps + self.offset_ns[0] + offset_ns, np.int64)

    def write(self, group: Any) -> None:
        """Put this into an open HDF5 group."""
        group.create_dataset("device_ns", data=self.device_ns)
        group.create_dataset("offset_ns", data=self.offset_ns)
        group.attrs.update(residual_ns=self.residual_ns, drift_ppm=self.drift_ppm)

    @classmethod
    def read(cls, group: Any) -> "Clock":
        """The clock an HDF5 group holds."""
        return cls(group["device_ns"][()], group["offset_ns"][()], float(group.attrs["residual_ns"]))


def fit_clock(device_ns: npt.ArrayLike, host_ns: npt.ArrayLike, *, bin_s: float = 0.25, window_s: float = 30.0) -> Clock:
    """Estimate a device's offset and drift from one-way stamps by their lower envelope.

    Transport only ever adds delay, so the lowest arrivals trace the true offset up to the fastest delivery, a constant that
    one-way stamps cannot show. Every `window_s` the lower convex hull of the arrivals within `window_s` gives a line
    (the hull edge under their middle); knots on these lines are joined. Shapes (N,), N >= 1.
    """
    device = np.asarray(device_ns, np.int64)
    delay_ns = np.asarray(host_ns, np.int64) - device
    if len(device) == 0:
        raise ValueError("a clock cannot be fitted to no stamps")
    base = int(delay_ns.min())
    x = (device - device[0]) * 1e-9
    d = (delay_ns - base).astype(np.float64)

    # The lowest arrival of each bin is all the hull can use.
    bins = np.floor(x / bin_s).astype(np.int64)
    order = np.lexsort((d, bins))
    first = order[np.r_[True, np.diff(bins[order]) != 0]]
    x_low, d_low = x[first], d[first]

    span = float(x.max())
    centres = np.linspace(0, span, max(2, round(span / window_s) + 1))
    lines = []
    for centre in centres:
        near = np.abs(x_low - centre) <= window_s
        if np.count_nonzero(near) >= 8:
            lines.append((centre, *_under(x_low[near], d_low[near])))
    if not lines or span <= 0:
        return Clock(device[:1], np.array([base]), float(np.median(d)))
    if span <= window_s:  # one line: put both knots on it, so that its slope reaches the ends
        _, slope, intercept = lines[len(lines) // 2]
        lines = [(0.0, slope, intercept), (span, slope, intercept)]
    at = np.array([line[0] for line in lines])
    low = np.array([slope * centre + intercept for centre, slope, intercept in lines])
    knots, offsets = device[0] + np.rint(at * 1e9).astype(np.int64), base + np.rint(low).astype(np.int64)
    fitted = Clock(knots, offsets)
    above = np.asarray(host_ns, np.int64) - fitted.to_session(device)
    return Clock(knots, offsets, float(np.median(above)))


def clock_of(kind: str, rows: npt.NDArray[np.void]) -> Clock:
    """The clock of a stream from its index rows, at least one: fitted for ``device``, and none between ``media`` and the session."""
    if kind == "device":
        return fit_clock(rows["device_ns"], rows["host_ns"])
    return Clock(rows["device_ns"][:1], np.zeros(1, np.int64))


def _under(x: npt.NDArray[np.float64], d: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of the line under all points (x in s, d in ns) with the least total height above it."""
    hull: list[int] = []
    for i in range(len(x)):  # monotone chain; x is increasing
        while len(hull) >= 2 and (d[hull[-1]] - d[hull[-2]]) * (x[i] - x[hull[-2]]) >= (d[i] - d[hull[-2]]) * (x[hull[-1]] - x[hull[-2]]):
            hull.pop()
        hull.append(i)
    middle = float(x.mean())
    right = next((k for k in range(1, len(hull)) if x[hull[k]] >= middle), len(hull) - 1)
    a, b = hull[right - 1], hull[right]
    slope = float(np.clip((d[b] - d[a]) / (x[b] - x[a]), -MAX_DRIFT * 1e9, MAX_DRIFT * 1e9))
    return slope, float(np.min(d - slope * x))
