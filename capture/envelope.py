"""The line under a cloud of one-way delays: transport only adds, so the lowest arrivals trace the true offset."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_DRIFT = 200e-6
"""No quartz is worse than 200 ppm; a steeper slope is noise."""
BIN_S = 0.25
"""Of the arrivals in each bin of device time only the lowest counts."""
MIN_BINS = 8
"""Fewer do not make a line."""


def lowest(x_s: Floats, delay_ns: Floats) -> tuple[Floats, Floats]:
    """The lowest point of each bin, in increasing x: shapes (B,). `x_s` shape (N,), in any order."""
    if np.any(np.diff(x_s) < 0):
        order = np.argsort(x_s, kind="stable")
        x_s, delay_ns = x_s[order], delay_ns[order]
    bins = np.floor(x_s / BIN_S)
    starts = np.flatnonzero(np.r_[True, bins[1:] != bins[:-1]])
    least = np.minimum.reduceat(delay_ns, starts)
    at = np.flatnonzero(delay_ns == np.repeat(least, np.diff(np.r_[starts, len(bins)])))
    first = at[np.searchsorted(at, starts)]  # of equals the first
    return x_s[first], delay_ns[first]


def line_under(x_s: Floats, delay_ns: Floats) -> tuple[float, float]:
    """Slope (ns/s) and intercept (ns) of the line under all points with the least total height; x increasing, two points or more.

    It is the edge of the lower convex hull (Andrew's monotone chain) under their mean x.
    """
    xs, ds = x_s.tolist(), delay_ns.tolist()  # plain floats: the chain is a loop
    hull_x: list[float] = []
    hull_d: list[float] = []
    for x, d in zip(xs, ds, strict=True):
        while len(hull_x) >= 2 and (hull_d[-1] - hull_d[-2]) * (x - hull_x[-2]) >= (d - hull_d[-2]) * (hull_x[-1] - hull_x[-2]):
            hull_x.pop()
            hull_d.pop()
        hull_x.append(x)
        hull_d.append(d)
    middle = sum(xs) / len(xs)
    right = next((k for k in range(1, len(hull_x)) if hull_x[k] >= middle), len(hull_x) - 1)
    slope = (hull_d[right] - hull_d[right - 1]) / (hull_x[right] - hull_x[right - 1])
    slope = float(np.clip(slope, -MAX_DRIFT * 1e9, MAX_DRIFT * 1e9))
    return slope, float(np.min(delay_ns - slope * x_s))
