"""Claps and flashes: sharp events in two streams, matched one to one."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.lag import LAG_S, RIVAL_S, Lag
from firsthand.capture.motion import Floats

Nanoseconds = npt.NDArray[np.int64]

LEAST_EVENTS = 3
"""Fewer leave open whether they belong together."""
NEAR_S = 0.06
"""Two events are one where they are this near, once the lag is taken off."""
APART_S = 0.2
"""Of several peaks within this time only the highest is an event."""
STRONG = 8.0
"""An event stands this many sigmas above what is usual, and at least a third as high as the third highest."""
_T_975 = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def spikes(t_ns: Nanoseconds, level: Floats) -> Nanoseconds:
    """When a signal (N,) shoots up for a moment: the acceleration at a clap. NaN does not count. Times between samples, shape (E,)."""
    known = np.isfinite(level)
    at, value = t_ns[known], level[known]
    if len(at) < 16:
        return np.zeros(0, np.int64)
    height = value - np.median(value)
    found = _strongest(at, height)
    inner = found[(found > 0) & (found < len(at) - 1)]
    before, top, after = height[inner - 1], height[inner], height[inner + 1]
    bend = before - 2 * top + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0)
    step = np.where(shift > 0, at[inner + 1] - at[inner], at[inner] - at[inner - 1])
    return np.asarray(at[inner] + np.rint(shift * step).astype(np.int64), np.int64)


def steps(t_ns: Nanoseconds, level: Floats) -> Nanoseconds:
    """When a signal (N,) jumps up between two samples: the brightness at a flash. The middle of the two, shape (E,)."""
    known = np.isfinite(level)
    at, value = t_ns[known], level[known]
    if len(at) < 16:
        return np.zeros(0, np.int64)
    rise = np.diff(value)
    found = _strongest(at[1:], rise - np.median(rise))
    return np.asarray(at[found] + (at[found + 1] - at[found]) // 2, np.int64)


def _strongest(t_ns: Nanoseconds, height: Floats) -> npt.NDArray[np.int64]:
    """Rows of the events, in order of time."""
    usual = 1.4826 * float(np.median(np.abs(height)))
    left = np.flatnonzero(height > STRONG * max(usual, 1e-12))
    found: list[int] = []
    for row in left[np.argsort(-height[left])]:
        if all(abs(int(t_ns[row] - t_ns[other])) > APART_S * 1e9 for other in found):
            found.append(int(row))
    found = [row for row in found if len(found) < LEAST_EVENTS or height[row] >= height[found[LEAST_EVENTS - 1]] / 3]
    return np.array(sorted(found), np.int64)


def match_events(a_ns: Nanoseconds, b_ns: Nanoseconds, *, grain_s: float, what: str = "events") -> Lag:
    """How much later `b` has the same events than `a`, shapes (A,) and (B,). `grain_s`: how finely both streams tell time, together.

    The lag is the one at which the most events find a partner of their own; refused where another one does as well.
    """
    few = min(len(a_ns), len(b_ns))
    if few < LEAST_EVENTS:
        return Lag(None, None, 0.0, 0.0, f"there are {len(a_ns)} and {len(b_ns)} {what}; make {LEAST_EVENTS} or more, at uneven intervals")
    between = b_ns[None, :] - a_ns[:, None]
    trials = between[np.abs(between) <= LAG_S * 1e9]
    if len(trials) == 0:
        return Lag(None, None, 0.0, 0.0, f"no two {what} are within {LAG_S:g} s of each other")
    found = [_partners(between, int(trial)) for trial in trials]
    # Of lags with as many partners the one at which they fit closest.
    best = max(range(len(trials)), key=lambda k: (len(found[k]), -float(np.std(found[k]))))
    lag_ns, matched = float(np.mean(found[best])), len(found[best])
    rival = max((len(f) for f in found if abs(float(np.mean(f)) - lag_ns) > RIVAL_S * 1e9), default=0)
    share, confidence = matched / few, (matched - rival) / few
    spread = float(np.std(found[best], ddof=1)) if matched > 1 else 0.0
    error_ns = _T_975.get(matched, 2.2) * max(spread, grain_s * 1e9 / np.sqrt(12)) / np.sqrt(matched)
    problem = ""
    if matched < LEAST_EVENTS or share < 0.6:
        problem = f"only {matched} of {few} {what} have a partner; make them one at a time, at uneven intervals"
    elif rival >= matched - 1 and rival >= LEAST_EVENTS:
        problem = f"the {what} come so evenly that they match at several lags; make them at uneven intervals"
    return Lag(round(lag_ns), round(error_ns), share, confidence, problem)


def _partners(between: Nanoseconds, lag_ns: int) -> Floats:
    """The differences of the pairs that belong together at a lag, nearest first, each event once."""
    off = np.abs(between - lag_ns)
    rows, columns = np.nonzero(off <= NEAR_S * 1e9)
    order = np.argsort(off[rows, columns], kind="stable")
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    out = []
    for i, k in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i not in taken_a and k not in taken_b:
            taken_a.add(i)
            taken_b.add(k)
            out.append(between[i, k])
    return np.array(out, np.float64)
