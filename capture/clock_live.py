"""Estimating a device's clock while it runs: sample by sample, in bounded memory."""

from collections import deque

import numpy as np

from firsthand.capture.clock_cuts import CUT_NS, LATE_NS, guess_range_ns, turns
from firsthand.capture.envelope import BIN_S, MIN_BINS, line_under

TRAIL_S = 30.0
"""The line for the next second lies under the arrivals of this much time."""
REFIT_S = 1.0
SETTLE_S = 5.0
"""So long after a cut a slope is not to be trusted; the least delay so far is used."""
BEHIND = 3
"""As many samples in a row, older than the newest, were overtaken by others; one more, and the clock has jumped back."""


class LiveClock:
    """Session time of each sample as it arrives, from what arrived before it.

    Only for looking: the recording's own clock is fitted to all of it (`fit_clock`). Times never go back and never lie after the
    arrival. `cuts` counts restarts, jumps and stalls; wraps are undone, as in `fit_clock`.
    """

    def __init__(self, *, wrap_ns: int | None = None) -> None:
        self.cuts = -1
        self._wrap_ns = wrap_ns
        self._added = 0
        self._last: tuple[int, int] | None = None
        self._told_ns = -(2**63)
        self._slope = self._intercept = 0.0
        self._newest = self._start = self._base = self._behind = 0
        self._low: deque[tuple[float, float]] = deque()
        self._refit_s = SETTLE_S

    @property
    def drift_ppm(self) -> float:
        """How much faster the session clock runs than the device's, by the newest line."""
        return self._slope * 1e-3

    def add(self, device_ns: int, host_ns: int) -> int:
        """The session time of the sample that just arrived."""
        device = device_ns + self._added
        if self._last is None:
            self._begin(device, host_ns)
        else:
            step, host_step = device - self._last[0], host_ns - self._last[1]
            gone = self._turns(step, host_step) if step < 0 or host_step - step > CUT_NS else 0
            self._added += gone
            device, step = device + gone, step + gone
            self._behind = self._behind + 1 if device < self._newest else 0
            if abs(step - host_step) > CUT_NS or device < self._newest - LATE_NS or self._behind > BEHIND:
                self._begin(device, host_ns)
        self._last = device, host_ns
        x, delay = (device - self._start) * 1e-9, float(host_ns - device - self._base)
        if device >= self._newest:
            self._newest = device
            self._gather(x, delay)
        line = self._intercept + self._slope * x
        if delay < line:  # faster than the line allows, so the line is too high
            self._intercept += delay - line
            line = delay
        self._told_ns = max(self._told_ns, device + self._base + round(line))
        return self._told_ns

    def _turns(self, step: int, host_step: int) -> int:
        """What a wrap adds; 0 where the step is none."""
        if self._wrap_ns is None and step < -LATE_NS:
            self._wrap_ns = guess_range_ns(-step, host_step)
        if self._wrap_ns is None:
            return 0
        return int(turns(np.array([step]), np.array([host_step]), self._wrap_ns)[0]) * self._wrap_ns

    def _begin(self, device: int, host_ns: int) -> None:
        """Start anew at this sample."""
        self.cuts += 1
        self._start, self._base = device, host_ns - device
        self._newest, self._behind = device, 0
        self._slope = self._intercept = 0.0
        self._low.clear()
        self._refit_s = SETTLE_S

    def _gather(self, x: float, delay: float) -> None:
        """Keep the lowest of each bin of the trail, and fit the line anew each second."""
        if self._low and x // BIN_S == self._low[-1][0] // BIN_S:
            if delay < self._low[-1][1]:
                self._low[-1] = x, delay
        else:
            if x >= self._refit_s and len(self._low) >= MIN_BINS:  # before this bin is counted: the line is of what came before
                xs, ds = np.array(self._low).T
                self._slope, self._intercept = line_under(xs, ds)
                self._refit_s = x + REFIT_S
            self._low.append((x, delay))
        while self._low[0][0] < x - TRAIL_S:
            self._low.popleft()
