"""The live clock: the same mapping while samples arrive, in bounded memory."""

import numpy as np
import pytest

from firsthand.capture.clock_live import LiveClock

LEAST_NS = 500_000


def stream(seconds: float, rate_hz: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True times, device stamps 40 ppm slow, and arrivals 0.5 ms late at best."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(round(seconds * rate_hz)) * round(1e9 / rate_hz)
    true = 10**15 + np.rint(ticks * (1 + 40e-6)).astype(np.int64)
    return true, ticks + 10**12, np.maximum.accumulate(true + LEAST_NS + rng.exponential(400_000, len(true)).astype(np.int64))


def follow(device: np.ndarray, host: np.ndarray, **options: int) -> tuple[LiveClock, np.ndarray]:
    clock = LiveClock(**options)
    return clock, np.array([clock.add(d, h) for d, h in zip(device.tolist(), host.tolist(), strict=True)])


def test_it_finds_drift_and_offset_as_it_goes() -> None:
    true, device, host = stream(90, 120, 0)
    clock, t_ns = follow(device, host)
    late = np.abs(t_ns - true - LEAST_NS)
    assert late[20 * 120 :].max() < 50_000
    assert np.quantile(late, 0.99) < 500_000
    assert clock.drift_ppm == pytest.approx(40, abs=1)
    assert clock.cuts == 0


def test_times_never_go_back_and_never_lie_after_the_arrival() -> None:
    _, device, host = stream(60, 120, 1)
    device[3000:] -= device[3000] - 10**7
    _, t_ns = follow(device, host)
    assert (np.diff(t_ns) >= 0).all()
    assert (t_ns <= host).all()


def test_restarts_jumps_and_stalls_are_counted_and_forgotten() -> None:
    true, device, host = stream(120, 120, 2)
    device[4000:] -= device[4000] - 10**7
    device[9000:] -= 200_000_000
    clock, t_ns = follow(device, host)
    assert clock.cuts == 2
    late = np.abs(t_ns - true - LEAST_NS)
    assert np.concatenate([late[2400:4000], late[6400:9000], late[11_400:]]).max() < 60_000


@pytest.mark.parametrize("wrap", [{}, {"wrap_ns": 2**32}])
def test_a_counter_that_wraps_is_one_that_does_not(wrap: dict[str, int]) -> None:
    _, device, host = stream(30, 120, 3)
    device = device - device[0]
    assert (follow(device, host)[1] == follow(device % 2**32, host, **wrap)[1]).all()


def test_an_overtaken_sample_is_no_restart() -> None:
    _, device, host = stream(30, 120, 4)
    held = np.arange(100, 3500, 50)  # each arrives just after the next one
    host[held] = host[held + 1] + 1000
    for array in (device, host):
        array[held], array[held + 1] = array[held + 1].copy(), array[held].copy()
    assert follow(device, host)[0].cuts == 0


def test_memory_stays_bounded() -> None:
    _, device, host = stream(300, 30, 5)
    clock, _ = follow(device, host)
    assert len(clock._low) <= 122
