"""When a small device takes its samples, on a counter and a clock that start when it is switched on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from firsthand.capture.synthetic.devices import DeviceClock

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

DRIFT_PPM = 50.0


class Tick(NamedTuple):
    """One sample that is sent."""

    due_ns: int
    """After the start, on the host's clock."""
    t_s: float
    """The same in seconds."""
    device_us: int
    """On the device's clock."""
    sequence: int


def ticks(emulation: "Emulation", rate_hz: float) -> Iterator[Tick]:
    """The samples of an emulation at its rate, or `rate_hz`; those dropped are left out, but counted."""
    rng = np.random.default_rng([emulation.seed, 41])
    clock = DeviceClock(int(rng.integers(2 * 10**8, 10**9)), float(rng.uniform(-DRIFT_PPM, DRIFT_PPM)), 0.0)
    rate = emulation.rate_hz or rate_hz
    sequence = 0
    while True:
        t_s = sequence / rate * (1 + clock.drift_ppm * 1e-6)
        if emulation.seconds is not None and t_s >= emulation.seconds:
            return
        due_ns = round(t_s * 1e9)
        if sequence == 0 or rng.random() >= emulation.drop_rate:
            yield Tick(due_ns, t_s, clock.after_ns(clock.reference_ns, due_ns) // 1000, sequence)
        sequence += 1
