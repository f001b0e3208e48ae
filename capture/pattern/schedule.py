"""When one stream of a pattern device takes its samples, what it stamps on them, and when they reach the host."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from firsthand.capture.pattern.faults import Boot, Faults
from firsthand.capture.synthetic.devices import DeviceClock, Link

BLOCK = 256


@dataclass(frozen=True, slots=True)
class Taken:
    """One sample the device took."""

    boot: int
    """Which run of the counter, from 0."""
    sequence: int
    """From 0 in each run."""
    device_ns: int
    arrival_ns: int
    """When it reaches the host, from the start of the device's life."""
    lost: bool
    """Transport loses it."""


class Schedule:
    """Samples in the order they arrive, for ever or for some seconds; made a few at a time, the same ones for the same seed."""

    def __init__(self, rate_hz: float, link: Link, faults: Faults, seed: tuple[int, ...], *, drift_ppm: float | None = None,
                 jitter_ns: float = 0.0, seconds: float | None = None) -> None:
        self.drift_ppm = float(np.random.default_rng([*seed, 0]).uniform(-50, 50)) if drift_ppm is None else drift_ppm
        self._rate_hz, self._link, self._faults, self._seed, self._jitter_ns = rate_hz, link, faults, seed, jitter_ns
        self._stop_ns = None if seconds is None else round(seconds * 1e9)
        self._blocks = self._all()
        self._ready: deque[Taken] = deque()

    def clock(self, boot: int) -> DeviceClock:
        """The device's clock in one run: switched on at another time, the same quartz."""
        rng = np.random.default_rng([*self._seed, 1, boot])
        # After a restart it counts from almost nothing.
        reference_ns = int(rng.integers(2 * 10**8, 10**9)) if boot else int(rng.integers(5 * 10**9, 9 * 10**13))
        return DeviceClock(reference_ns, self.drift_ppm, self._jitter_ns)

    def next_ns(self) -> int | None:
        """When the next sample arrives; None when there will be none."""
        while not self._ready:
            block = next(self._blocks, None)
            if block is None:
                return None
            self._ready.extend(block)
        return self._ready[0].arrival_ns

    def due(self, now_ns: int) -> list[Taken]:
        """Take out every sample that has arrived by now."""
        found = []
        while (at := self.next_ns()) is not None and at <= now_ns:
            found.append(self._ready.popleft())
        return found

    def _all(self) -> Iterator[list[Taken]]:
        arrived_ns = 0
        for number, boot in enumerate(self._faults.boots()):
            for block in self._run(number, boot, arrived_ns):
                yield block
                arrived_ns = block[-1].arrival_ns

    def _run(self, number: int, boot: Boot, arrived_ns: int) -> Iterator[list[Taken]]:
        clock = self.clock(number)
        ends = [end for end in (boot.stop_ns, self._stop_ns) if end is not None]
        first_s = float(np.random.default_rng([*self._seed, 2, number]).uniform(0, 0.5 / self._rate_hz))
        for start in range(0, 1 << 62, BLOCK):
            rng = np.random.default_rng([*self._seed, 3, number, start])
            ticks = np.arange(start, start + BLOCK) / self._rate_hz
            since_ns = np.rint((first_s + ticks * (1 + self.drift_ppm * 1e-6)) * 1e9).astype(np.int64)
            stamps = clock.stamps_ns(since_ns, rng)
            arrivals = np.maximum(self._link.arrivals_ns(boot.start_ns + since_ns, rng), arrived_ns)
            lost = rng.random(BLOCK) < self._faults.drop_rate
            lost[0] &= start > 0  # the first shows where a run begins
            n = int(np.searchsorted(boot.start_ns + since_ns, min(ends))) if ends else BLOCK
            rows = zip(range(start, start + n), stamps.tolist(), arrivals.tolist(), lost.tolist(), strict=False)
            if n:
                yield [Taken(number, *row) for row in rows]
                arrived_ns = int(arrivals[n - 1])
            if n < BLOCK:
                return
