"""Clocks: drift and offset found from one-way stamps."""

import numpy as np
import pytest

from firsthand.capture.clock import Clock, fit_clock


def transport(seconds: float, rate_hz: float, drift_ppm: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True times, device stamps and arrivals of a USB-like link: 0.5 ms at best, exponential delays, a few stalls."""
    rng = np.random.default_rng(seed)
    true = 3 * 10**12 + np.arange(round(seconds * rate_hz)) * round(1e9 / rate_hz)
    device = np.rint((true - true[0]) * (1 + drift_ppm * 1e-6)).astype(np.int64) + 10**18
    delay = 500_000 + rng.exponential(400_000, len(true)) + np.where(rng.random(len(true)) < 0.005, 2e8, 0)
    return true, device, true + delay.astype(np.int64)


@pytest.mark.parametrize("drift_ppm", [-50, 0, 37])
@pytest.mark.parametrize("seconds", [20, 180])
def test_envelope_finds_drift_and_offset_up_to_the_fastest_delivery(drift_ppm: float, seconds: float) -> None:
    true, device, host = transport(seconds, 120, drift_ppm, seed=3)
    clock = fit_clock(device, host)
    error_ms = (clock.to_session(device) - true) * 1e-6 - 0.5  # 0.5 ms cannot be seen from one-way stamps
    assert np.quantile(np.abs(error_ms), 0.99) < 0.1
    assert clock.drift_ppm == pytest.approx(-drift_ppm, abs=8 if seconds == 20 else 2)


def test_late_arrivals_move_nothing() -> None:
    _, device, host = transport(20, 120, 20, seed=1)
    late = host.copy()
    late[::7] += 50_000_000
    assert np.abs(fit_clock(device, late).to_session(device) - fit_clock(device, host).to_session(device)).max() < 100_000


def test_one_sample_gives_its_offset() -> None:
    clock = fit_clock([5], [105])
    assert clock.to_session([5, 6]).tolist() == [105, 106]
    assert clock.drift_ppm == 0


def test_the_mapping_goes_on_beyond_its_knots() -> None:
    clock = Clock(np.array([0, 1_000_000]), np.array([10, 20]))
    assert clock.to_session([-1_000_000, 500_000, 3_000_000]).tolist() == [-1_000_000, 500_015, 3_000_040]


def test_the_mapping_keeps_order() -> None:
    _, device, host = transport(60, 200, -40, seed=5)
    assert (np.diff(fit_clock(device, host).to_session(device)) > 0).all()
