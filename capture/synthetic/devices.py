"""How time goes wrong on the way to the host: clocks that are off and drift, transport that delays, samples that are lost."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Floats = npt.NDArray[np.floating[Any]]
Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DeviceClock:
    """A device's free-running counter: its value when the take starts, and how much faster the session clock runs."""

    reference_ns: int
    """The counter at the start of the take."""
    drift_ppm: float
    jitter_ns: float
    """One sigma of the noise on each stamp."""

    def stamps_ns(self, since_start_ns: Nanoseconds, rng: np.random.Generator) -> Nanoseconds:
        """What the device writes on samples taken at these times, shape (N,)."""
        # Only the small differences go through floating point: nanoseconds of an uptime do not fit it exactly.
        lag = since_start_ns * (self.drift_ppm * 1e-6 / (1 + self.drift_ppm * 1e-6))
        noise = rng.normal(0, self.jitter_ns, len(since_start_ns))
        return np.asarray(self.reference_ns + since_start_ns - np.rint(lag - noise).astype(np.int64), np.int64)

    def after_ns(self, device_ns: int, elapsed_ns: int) -> int:
        """What the counter shows `elapsed_ns` of the session clock after it showed `device_ns`."""
        return device_ns + elapsed_ns - round(elapsed_ns * (self.drift_ppm * 1e-6 / (1 + self.drift_ppm * 1e-6)))


@dataclass(frozen=True)
class Link:
    """A one-way connection: a fastest delivery, and a delay on top that is never negative."""

    min_latency_ns: int
    mean_delay_ns: float
    shape: float = 1.5
    """Of the gamma distribution: 1 is exponential."""

    def arrivals_ns(self, sent_ns: Nanoseconds, rng: np.random.Generator) -> Nanoseconds:
        """When samples reach the host, in the order they were sent, shape (N,)."""
        delay = rng.gamma(self.shape, self.mean_delay_ns / self.shape, len(sent_ns)).astype(np.int64)
        return np.maximum.accumulate(sent_ns + self.min_latency_ns + delay)


@dataclass(frozen=True, eq=False)
class Timeline:
    """One stream's samples, delivered or not: the row is the sequence number. Times count from the start of the take."""

    t_ns: Nanoseconds
    """When each sample was really taken, shape (N,)."""
    device_ns: Nanoseconds
    """What the device stamped, on its own clock, shape (N,)."""
    arrival_ns: Nanoseconds
    """When it reached the host, shape (N,)."""
    lost: npt.NDArray[np.bool_]
    """Samples that were never delivered, shape (N,)."""
    clock: DeviceClock
    link: Link

    def __post_init__(self) -> None:
        n = len(self.t_ns)
        for field in ("t_ns", "device_ns", "arrival_ns"):
            set_frozen(self, field, np.int64, (n,))
        set_frozen(self, "lost", np.bool_, (n,))


def sample_times_ns(rate_hz: float, duration_s: float, clock: DeviceClock, first_s: float) -> Nanoseconds:
    """When a device that counts `rate_hz` on its own clock takes samples, from the start of the take, shape (N,)."""
    ticks = np.arange(round(rate_hz * duration_s)) / rate_hz
    return np.rint((first_s + ticks * (1 + clock.drift_ppm * 1e-6)) * 1e9).astype(np.int64)


def lost_samples(count: int, rate: float, rng: np.random.Generator, *, burst: int = 0) -> npt.NDArray[np.bool_]:
    """Which of `count` samples are lost: about a share `rate`, at least one, never the first or last; and `burst` in a row."""
    lost = np.zeros(count, bool)
    if rate > 0 and count > 4:
        wanted = max(1, int(rng.binomial(count, rate)))
        lost[1 + rng.choice(count - 2, min(wanted, count - 2), replace=False)] = True
    if 0 < burst < count - 2:
        start = int(rng.integers(1, count - 1 - burst))
        lost[start : start + burst] = True
    return lost


def run_device(t_ns: Nanoseconds, clock: DeviceClock, link: Link, rng: np.random.Generator, *, drop_rate: float, burst: int = 0,
               device_ns: Nanoseconds | None = None) -> Timeline:
    """Everything that happens to samples taken at `t_ns`; `device_ns` where another stream of the device has the same stamps."""
    stamps = clock.stamps_ns(t_ns, rng) if device_ns is None else device_ns
    return Timeline(t_ns, stamps, link.arrivals_ns(t_ns, rng), lost_samples(len(t_ns), drop_rate, rng, burst=burst), clock, link)
