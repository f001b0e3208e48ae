"""Devices that send in batches on the host's schedule: where the envelope slides with it, and the moments at which it does not.

The newest sample of a batch is some time old when the batch goes, and by that time all arrivals are late. Where the schedule and the
sampling do not keep step, that age shrinks (or grows) slowly through a whole sample period and then jumps: the lowest delays make a
staircase, which touches the true offset at one corner of every step. Through these corners the offset is drawn.
"""

import numpy as np
import numpy.typing as npt

from firsthand.capture.envelope import MAX_DRIFT, line_under

Floats = npt.NDArray[np.float64]

SIDE = 8
"""Bins on either side of a jump that must agree on its height."""
STEP_BINS = 48
"""So much of a step, next to its corner, says how high it is."""
LEAST_CORNERS = 3
KNOT_S = 10.0


def corners(x_s: Floats, low_ns: Floats, period_ns: float) -> tuple[Floats, Floats] | None:
    """Where the lowest delays (B,) touch the true offset, shapes (T,): None where they make no staircase of a sample's period.

    A step up was touched at its end, a step down at its beginning.
    """
    if len(x_s) < 4 * SIDE:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(low_ns, SIDE)
    level = np.median(windows, axis=1)  # of bins i to i + SIDE
    jump = level[SIDE:] - level[:-SIDE]  # at bin i + SIDE
    high = np.abs(np.abs(jump) / period_ns - 1) < 0.4
    at_x: list[float] = []
    at_low: list[float] = []
    signs: list[float] = []
    for run in np.split(np.flatnonzero(high), np.flatnonzero(np.diff(np.flatnonzero(high)) > 1) + 1):
        if len(run) == 0:
            continue
        sign = float(np.sign(jump[run[len(run) // 2]]))
        a, b = int(run[0]), min(int(run[-1]) + 2 * SIDE, len(low_ns))
        middle = (level[a] + level[min(int(run[-1]) + SIDE, len(level) - 1)]) / 2
        above = (low_ns[a:b] - middle) * sign > 0
        # The bin before which most lie on one side and after which most on the other; single late bins do not count.
        edge = a + int(np.argmax(np.r_[0, np.cumsum(np.where(above, -1, 1))]))
        step = slice(max(edge - STEP_BINS, 0), edge) if sign > 0 else slice(edge, edge + STEP_BINS)
        if len(x_s[step]) >= SIDE:
            slope, height = line_under(x_s[step], low_ns[step])
            at_x.append(float(x_s[step][-1 if sign > 0 else 0]))
            at_low.append(slope * at_x[-1] + height)
            signs.append(sign)
    if len(at_x) < LEAST_CORNERS or abs(sum(signs)) != len(signs):
        return None
    x, low = np.array(at_x), np.array(at_low)
    apart = np.diff(x)
    if np.any(np.abs(np.diff(low) / apart) > MAX_DRIFT * 1e9) or np.any(np.abs(apart / np.median(apart) - 1) > 0.5):
        return None
    return x, low


def through(x_s: Floats, low_ns: Floats, span_s: float, wander_per_s: float) -> tuple[Floats, Floats, Floats]:
    """A curve through corners (T,) from 0 to `span_s`: where it is given, its height, and what a drift that wanders leaves open, (K,).

    Between corners the cubic through the four nearest, beyond them a straight line.
    """
    at = np.unique(np.concatenate([x_s, np.linspace(0, span_s, max(2, round(span_s / KNOT_S) + 1))]))
    first = np.clip(np.searchsorted(x_s, at) - 2, 0, max(len(x_s) - 4, 0))
    height = np.empty(len(at))
    for start in np.unique(first):
        mine = (first == start) & (at >= x_s[0]) & (at <= x_s[-1])
        near = slice(start, start + 4)
        height[mine] = _lagrange(at[mine], x_s[near], low_ns[near])
    for end, near, beyond in ((0, slice(0, 4), at < x_s[0]), (-1, slice(-4, None), at > x_s[-1])):
        step = 1e-3 * (1 if end == 0 else -1)
        slope = (_lagrange(x_s[end : end + 1 or None] + step, x_s[near], low_ns[near])[0] - low_ns[end]) / step
        height[beyond] = low_ns[end] + slope * (at[beyond] - x_s[end])
    apart = float(np.median(np.diff(x_s)))
    inside = np.min(np.abs(at[:, None] - x_s), axis=1)
    outside = np.maximum(np.maximum(x_s[0] - at, at - x_s[-1]), 0)
    open_ns = np.where(outside > 0, outside * (outside + apart) / 2, inside * np.maximum(apart - inside, 0) / 2) * wander_per_s * 1e9
    return at, height, open_ns


def _lagrange(at: Floats, x: Floats, y: Floats) -> Floats:
    """The polynomial through points (P,) at other places (N,)."""
    out = np.zeros(len(at))
    for k in range(len(x)):
        others = np.delete(x, k)
        out += y[k] * np.prod((at[:, None] - others) / (x[k] - others), axis=1)
    return out
