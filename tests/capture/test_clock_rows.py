"""The clock of a recording too long to hold: from one arrival in many it comes to the same as from all."""

from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.clock import Clock
from firsthand.capture.clock_fit import fit_clock
from firsthand.capture.clock_rows import clock_of_rows
from firsthand.capture.layout import NUMERIC_ROW
from firsthand.capture.segment import Place

RATE_HZ = 120


def arrivals(n: int, *, restart: int = 0, wrap_ns: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Stamps and arrivals of a device 40 ppm off, with stalls; it restarts at a row, or its counter wraps."""
    rng = np.random.default_rng(5)
    ticks = np.arange(n) * 8_333_000
    host = 10**12 + np.rint(ticks * (1 + 40e-6)).astype(np.int64) + 500_000 + rng.exponential(400_000, n).astype(np.int64)
    host = np.maximum.accumulate(host + np.where(rng.random(n) < 0.001, 3 * 10**8, 0))
    device = ticks - np.where(np.arange(n) >= restart, ticks[restart], 0) if restart else ticks + 10**9
    return device % wrap_ns if wrap_ns else device, host


def from_file(path: Path, device: np.ndarray, host: np.ndarray, whole_rows: int) -> Clock:
    rows = np.zeros(len(device), NUMERIC_ROW)
    rows["device_ns"], rows["host_ns"] = device, host
    path.write_bytes(bytes(128) + rows.tobytes())
    with path.open("rb") as file:
        return clock_of_rows(file.fileno(), Place("numeric", 128, len(rows), 0, 0, 8), "device", whole_rows=whole_rows)


@pytest.mark.parametrize("how", [{}, {"restart": 33_333}, {"wrap_ns": 2**32 * 10}], ids=["steady", "restart", "wraps"])
def test_one_arrival_in_many_tells_the_same_clock(tmp_path: Path, how: dict[str, int]) -> None:
    device, host = arrivals(90_000, **how)
    whole, few = fit_clock(device, host), from_file(tmp_path / "index", device, host, 3000)  # one of thirty
    rows = np.arange(len(device))
    np.testing.assert_array_equal(few.first_row, whole.first_row)
    np.testing.assert_array_equal(few.unwrap_ns, whole.unwrap_ns)
    apart_ns = np.abs(few.to_session(device, rows) - whole.to_session(device, rows))
    assert apart_ns.max() < 20_000
    assert few.drift_ppm == pytest.approx(whole.drift_ppm, abs=0.5) and few.error_ns.max() < 3 * whole.error_ns.max() + 20_000
    assert few.residual_ns == pytest.approx(whole.residual_ns, rel=0.1)
    assert few.residual_p99_ns == pytest.approx(whole.residual_p99_ns, rel=0.5)


def test_as_few_rows_as_that_are_all_used(tmp_path: Path) -> None:
    device, host = arrivals(3000, restart=1000)
    whole, all_rows = fit_clock(device, host), from_file(tmp_path / "index", device, host, 3000)
    for name in ("device_ns", "offset_ns", "error_ns", "first_row", "first_knot", "unwrap_ns", "not_before_ns"):
        np.testing.assert_array_equal(getattr(all_rows, name), getattr(whole, name))
    assert (all_rows.residual_ns, all_rows.residual_p99_ns) == (whole.residual_ns, whole.residual_p99_ns)
