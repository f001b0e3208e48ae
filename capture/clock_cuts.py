"""Where a device's counter breaks off: wraps, which are undone, and restarts, jumps and stalls, across which nothing is fitted."""

import numpy as np
import numpy.typing as npt

Nanoseconds = npt.NDArray[np.int64]

CUT_NS = 2_000_000_000
"""Device and arrivals that disagree by more than this about one step are not one run of the clock."""
LATE_NS = 500_000_000
"""A sample overtaken by others is not older than this; what is further back is a restart."""
NEAR = 50
"""How many samples on either side say whether an offset is still the same: more than a short stall holds back."""
_TICKS_HZ = (1e9, 1e6, 1e5, 1e4, 1e3, 90_000.0, 48_000.0, 32_768.0)
RANGES_NS = tuple(sorted(r for bits in (16, 24, 32) for hz in _TICKS_HZ if (r := round(2**bits / hz * 1e9)) >= 2 * CUT_NS))
"""Ranges of the counters that devices have; of shorter ones a stall could not be told from a wrap."""


def guess_range_ns(back_ns: int, host_step_ns: int) -> int | None:
    """The range of a counter that stepped back by `back_ns` while the host went on by `host_step_ns`; None: it did not wrap.

    Had it wrapped, it would have gone on as the host did, so its range would be the sum of the two.
    """
    for wide in RANGES_NS:
        if abs(back_ns + host_step_ns - wide) < min(CUT_NS // 8, wide // 256):
            return wide
    return None


def turns(step_ns: Nanoseconds, host_step_ns: Nanoseconds, wrap_ns: int) -> Nanoseconds:
    """How often a counter of range `wrap_ns` went round in each step, shape (N,): once where it fell by more than half its range.

    Where a long silence agrees with several turns to half a second, it was several.
    """
    once: Nanoseconds = (step_ns < -wrap_ns / 2).astype(np.int64)
    if wrap_ns < 2 * CUT_NS:
        return once
    fit = (host_step_ns - step_ns) / wrap_ns
    whole = np.maximum(np.rint(fit), 0).astype(np.int64)
    return np.asarray(np.where(np.abs(fit - whole) * wrap_ns < CUT_NS / 4, whole, once), np.int64)


def unwrap(device_ns: Nanoseconds, host_ns: Nanoseconds, wrap_ns: int | None = None) -> Nanoseconds:
    """What to add to each stamp so that a counter that wraps goes on, shape (N,). None: recognise the usual counters."""
    step, host_step = np.diff(device_ns), np.diff(host_ns)
    if wrap_ns is None:
        spread = int(device_ns.max() - device_ns.min())
        guesses = (guess_range_ns(-int(step[i]), int(host_step[i])) for i in np.flatnonzero(step < -LATE_NS)[:64])
        wrap_ns = next((wide for wide in guesses if wide is not None and spread < wide), None)
        if wrap_ns is None:
            return np.zeros(len(device_ns), np.int64)
    return np.concatenate([[0], np.cumsum(turns(step, host_step, wrap_ns) * wrap_ns)])


def find_cuts(device_ns: Nanoseconds, host_ns: Nanoseconds) -> Nanoseconds:
    """First row of each run of an unwrapped clock, shape (S,), row 0 among them.

    A sample that the network let others overtake is no cut: after it the offset is what it was before.
    """
    step, host_step = np.diff(device_ns), np.diff(host_ns)
    cut = np.abs(step - host_step) > CUT_NS
    back = np.flatnonzero((step < 0) & ~cut) + 1
    if len(back):
        delay, last = host_ns - device_ns, len(device_ns) - 1
        before = delay[np.maximum(back[:, None] - np.arange(1, NEAR + 1), 0)].min(1)
        after = delay[np.minimum(back[:, None] + np.arange(1, NEAR + 1), last)].min(1)
        by = -step[back - 1]
        cut[back - 1] = (by > LATE_NS) | (after - before > by / 2)
    return np.concatenate([[0], np.flatnonzero(cut) + 1])
