"""Estimating a device's clock from one-way stamps, after the recording: the lower envelope of the delays."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.clock import NO_FLOOR, Clock, Nanoseconds
from firsthand.capture.clock_batches import corners, through
from firsthand.capture.clock_cuts import find_cuts, unwrap
from firsthand.capture.envelope import MIN_BINS, line_under, lowest

Floats = npt.NDArray[np.float64]

WINDOW_S = 30.0
"""Knots stand this far apart, each on the line under the arrivals within as much on either side."""
WANDER_PER_S = 1.3e-7
"""How fast a clock's drift is taken to change where the fit does not show it: 5 ppm up and down in four minutes."""
SUPPORT = 8
"""The envelope is known to the height of its eighth lowest bin: as many came nearly as fast as the fastest."""
CORNER = 0.004
"""How far a corner may be missed, as a share of a sample's period."""
FEW_NS = 50e6
"""What is assumed of the transport where fewer than that arrived."""
SPOTS = 64
"""So many times a very long recording is looked into, for how high arrivals lie above the mapping."""

Stamps = Callable[[int, int], tuple[Nanoseconds, Nanoseconds]]
"""Device and host stamps of the rows from the first up to the second."""


def fit_clock(device_ns: npt.ArrayLike, host_ns: npt.ArrayLike, *, wrap_ns: int | None = None) -> Clock:
    """Estimate a device's offset and drift, each run of its counter for itself. Shapes (N,), N >= 1, in the order of arrival.

    `wrap_ns` is the range of the device's counter; without it the usual ones (16, 24 and 32 bits of common ticks) are recognised.
    The offset is found up to the fastest delivery, a constant that one-way stamps cannot show. docs/timing.md tells the method.
    """
    raw, host = np.asarray(device_ns, np.int64), np.asarray(host_ns, np.int64)
    if len(raw) == 0 or raw.shape != host.shape:
        raise ValueError(f"a clock is fitted to as many arrivals as stamps, at least one; got {raw.shape} stamps, {host.shape} arrivals")
    return fit_arrivals(np.arange(len(raw)), raw, host, lambda first, past: (raw[first:past], host[first:past]), len(raw), wrap_ns)


def fit_arrivals(rows: Nanoseconds, raw: Nanoseconds, host: Nanoseconds, stamps: Stamps, every: int, wrap_ns: int | None = None) -> Clock:
    """The clock of a stream from some of its arrivals, given with their rows; those that come soonest and those at breaks among them.

    Shapes (N,). `stamps(first, past)` gives those of all rows in between; it is asked for no more than `every` at a time.
    """
    added = unwrap(raw, host, wrap_ns)
    device = raw + added
    cuts = find_cuts(device, host)
    ends = [*cuts[1:], len(device)]
    grains = (_grain(*stamps(int(rows[a]), min(int(rows[b - 1]) + 1, int(rows[a]) + every))) for a, b in zip(cuts, ends, strict=True))
    fits = [_fit(device[a:b], host[a:b], grain) for a, b, grain in zip(cuts, ends, grains, strict=True)]
    knots, offsets, errors = (np.concatenate(part) for part in zip(*fits, strict=True))
    knot_of_fit = np.cumsum([0] + [len(fit[0]) for fit in fits[:-1]])

    starts = np.union1d(cuts, np.flatnonzero(np.diff(added)) + 1)
    fit_of_segment = np.searchsorted(cuts, starts, side="right") - 1
    first_row, first_knot, unwrap_ns = rows[starts], knot_of_fit[fit_of_segment], added[starts]
    free = Clock(knots, offsets, error_ns=errors, first_row=first_row, first_knot=first_knot, unwrap_ns=unwrap_ns,
                 not_before_ns=np.full(len(first_row), NO_FLOOR))
    floors = _floors(free.to_session(raw, rows), host, cuts)[fit_of_segment]
    clock = Clock(knots, offsets, 0.0, errors, 0.0, first_row, first_knot, unwrap_ns, floors)
    above = []
    for first in range(0, int(rows[-1]) + 1, max(every, (int(rows[-1]) + 1) // SPOTS)):  # all of them, or spots along the recording
        device_ns, host_ns = stamps(first, min(first + every, int(rows[-1]) + 1))
        above.append(host_ns - clock.to_session(device_ns, np.arange(first, first + len(device_ns))))
    middle, high = np.quantile(np.concatenate(above), [0.5, 0.99])
    return replace(clock, residual_ns=float(middle), residual_p99_ns=float(high))


def clock_of(kind: str, rows: npt.NDArray[np.void], wrap_ns: int | None = None) -> Clock:
    """The clock of a stream from its index rows, at least one: fitted for ``device``; ``host`` and ``media`` have the session's."""
    if kind == "device":
        return fit_clock(rows["device_ns"], rows["host_ns"], wrap_ns=wrap_ns)
    middle, high = np.quantile(rows["host_ns"] - rows["device_ns"], [0.5, 0.99]) if kind == "host" else (0.0, 0.0)
    return Clock(rows["device_ns"][:1], np.zeros(1, np.int64), float(middle), np.zeros(1), float(high))


def _floors(t_ns: Nanoseconds, host_ns: Nanoseconds, cuts: Nanoseconds) -> Nanoseconds:
    """The session time that each fit may not fall behind, shape (S,): where the one before ended, unless arrivals went back too."""
    floors = np.full(len(cuts), NO_FLOOR)
    ends = np.maximum.reduceat(t_ns, cuts)
    for i in range(1, len(cuts)):
        if host_ns[cuts[i]] >= host_ns[cuts[i] - 1]:
            floors[i] = max(floors[i - 1], ends[i - 1])
    return floors


def _fit(device: Nanoseconds, host: Nanoseconds, grain: tuple[float, float]) -> tuple[Nanoseconds, Nanoseconds, Floats]:
    """Knots, offsets and half intervals of one run of the counter, shapes (K,)."""
    if len(device) == 1:  # stamps that jump to and fro make as many runs as samples: keep that quick
        return device, host - device, np.array([FEW_NS])
    phase, resolution = grain
    delay, start = host - device, int(device.min())
    base = int(delay.min())
    x, d = (device - start).astype(np.float64) * 1e-9, (delay - base).astype(np.float64)
    x_low, d_low = lowest(x, d)
    span = float(x.max())
    if len(x_low) < MIN_BINS:
        error = _support(d) if len(d) > SUPPORT else FEW_NS + float(d.max())
        return device[:1], np.array([base]), np.array([error + phase + resolution])

    if phase and (found := corners(x_low, d_low, phase)):
        at, low, errors = through(*found, span, WANDER_PER_S)
        errors = np.minimum(errors + CORNER * phase, phase) + _support_near(x_low, d_low, *found) + resolution
        return _knots(start + np.rint(at * 1e9).astype(np.int64), base + np.rint(low).astype(np.int64), errors)

    count = max(2, round(span / WINDOW_S) + 1)
    centres = np.linspace(0, span, count) if span > WINDOW_S else np.array([span / 2])
    windows = ((centre, *np.searchsorted(x_low, [centre - WINDOW_S, centre + WINDOW_S]).tolist()) for centre in centres.tolist())
    lines = [_line(centre, x_low[a:b], d_low[a:b]) for centre, a, b in windows if b - a >= MIN_BINS]
    if not lines:  # samples so far apart that no window holds enough: one line under all
        lines = [_line(span / 2, x_low, d_low)]
    at, slope, intercept, support = np.array(lines).T
    bend = np.full(len(at), WANDER_PER_S)
    if len(at) > 1:
        bend = np.maximum(bend, np.abs(np.gradient(slope * 1e-9, at)))
    reach = min(WINDOW_S, span / 2)
    support[[0, -1]] *= 2  # a line reaches its ends with arrivals on one side only
    errors = support + bend * reach**2 / 2 * 1e9 + phase + resolution
    low = slope * at + intercept
    if len(at) == 1:  # one line: put both knots on it, so that its slope reaches the ends
        at, low, errors = np.array([0.0, span]), intercept + slope * np.array([0.0, span]), np.repeat(errors, 2)
    return _knots(start + np.rint(at * 1e9).astype(np.int64), base + np.rint(low).astype(np.int64), errors)


def _knots(knots: Nanoseconds, offsets: Nanoseconds, errors: Floats) -> tuple[Nanoseconds, Nanoseconds, Floats]:
    """As they are, but that session time may stand still and not go back, whatever the stamps were."""
    return knots, np.maximum.accumulate(knots + offsets) - knots, errors


def _line(centre_s: float, x_s: Floats, delay_ns: Floats) -> tuple[float, float, float, float]:
    """A window's centre, the slope and intercept of the line under it, and how well that is known."""
    slope, intercept = line_under(x_s, delay_ns)
    return centre_s, slope, intercept, _support(delay_ns - slope * x_s - intercept)


def _support(heights_ns: Floats) -> float:
    """How well the fastest delivery is known where arrivals lie this high above the line, in ns."""
    k = min(SUPPORT, len(heights_ns) - 1)
    return float(np.partition(heights_ns, k)[k])


def _support_near(x_s: Floats, low_ns: Floats, corner_x: Floats, corner_low: Floats) -> float:
    """How well the corners of a staircase are known: as the eighth lowest delay is above each, on the worst of them."""
    near = (np.sort(np.abs(low_ns[np.abs(x_s - x) < 2] - low))[: SUPPORT // 2] for x, low in zip(corner_x, corner_low, strict=True))
    return float(max(part[-1] for part in near))


def _grain(device: Nanoseconds, host: Nanoseconds) -> tuple[float, float]:
    """What neither more samples nor a better fit would tell, in ns: a batch's phase, and the resolution of the stamps."""
    return (_phase(device, host), _resolution(device)) if len(device) > 1 else (0.0, 0.0)


def _phase(device: Nanoseconds, host: Nanoseconds) -> float:
    """What batches leave unknown, in ns: the age of the newest sample of a batch can be anything up to a sample's period."""
    if len(device) < MIN_BINS:
        return 0.0
    period = float(np.median(np.diff(device)))
    return period if np.mean(np.diff(host) < 0.2 * period) > 0.3 else 0.0


def _resolution(device: Nanoseconds) -> float:
    """What coarse stamps leave unknown, in ns: the largest tick that all steps are multiples of. 0 where that is the period itself."""
    steps = np.diff(device)
    steps = steps[steps >= 0]  # where a counter wraps, it says nothing of ticks
    tick = int(np.gcd.reduce(steps)) if len(steps) else 0
    return float(tick) if tick and tick < np.median(steps) else 0.0
