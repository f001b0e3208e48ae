"""Clocks: drift and offset found from one-way stamps, through restarts, wraps, jumps and stalls, with an honest interval."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.capture.clock import Clock
from firsthand.capture.clock_cuts import find_cuts, guess_range_ns
from firsthand.capture.clock_fit import fit_clock

LEAST_NS = 500_000
"""The fastest delivery of the modelled link, which one-way stamps cannot show."""
Stamps = tuple[np.ndarray, np.ndarray, np.ndarray]


def transport(seconds: float, rate_hz: float, drift_ppm: float, seed: int, *, mean_ns: float = 400_000, wander_ppm: float = 0) -> Stamps:
    """True times, device stamps and arrivals of a USB-like link: 0.5 ms at best, exponential delays, a few stalls."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(round(seconds * rate_hz)) * round(1e9 / rate_hz)
    slow = wander_ppm * 1e-6 * 300e9 / (2 * np.pi) * np.sin(ticks / 300e9 * 2 * np.pi + seed)
    true = 3 * 10**12 + np.rint(ticks * (1 - drift_ppm * 1e-6) + slow).astype(np.int64)
    delay = LEAST_NS + rng.exponential(mean_ns, len(true)) + np.where(rng.random(len(true)) < 0.005, 2e8, 0)
    return true, ticks + 10**18, np.maximum.accumulate(true + delay.astype(np.int64))


def rows(stamps: np.ndarray) -> np.ndarray:
    return np.arange(len(stamps))


def mapped(device: np.ndarray, host: np.ndarray, wrap_ns: int | None = None) -> np.ndarray:
    return fit_clock(device, host, wrap_ns=wrap_ns).to_session(device, rows(device))


@pytest.mark.parametrize("drift_ppm", [-50, 0, 37])
@pytest.mark.parametrize("seconds", [20, 180])
def test_envelope_finds_drift_and_offset_up_to_the_fastest_delivery(drift_ppm: float, seconds: float) -> None:
    true, device, host = transport(seconds, 120, drift_ppm, seed=3)
    clock = fit_clock(device, host)
    error_ms = (clock.to_session(device) - true - LEAST_NS) * 1e-6
    assert np.quantile(np.abs(error_ms), 0.99) < 0.1
    assert clock.drift_ppm == pytest.approx(-drift_ppm, abs=2 if seconds == 20 else 0.3)


def test_late_arrivals_move_nothing() -> None:
    _, device, host = transport(20, 120, 20, seed=1)
    late = host.copy()
    late[::7] += 50_000_000
    assert np.abs(fit_clock(device, late).to_session(device) - fit_clock(device, host).to_session(device)).max() < 100_000


def test_shifting_device_time_shifts_nothing_in_session_time() -> None:
    _, device, host = transport(90, 60, 20, seed=2)
    assert np.abs(mapped(device, host) - mapped(device - 123_456_789_012_345, host)).max() <= 1


@pytest.mark.parametrize("ppm", [-80, -5, 60])
def test_a_faster_device_clock_is_found_by_as_much(ppm: float) -> None:
    _, device, host = transport(120, 100, 0, seed=4)
    faster = device[0] + np.rint((device - device[0]) * (1 + ppm * 1e-6)).astype(np.int64)
    change = fit_clock(faster, host).drift_ppm - fit_clock(device, host).drift_ppm
    assert change == pytest.approx(-ppm, abs=0.3)


def test_one_sample_gives_its_offset() -> None:
    clock = fit_clock([5], [105])
    assert clock.to_session([5, 6]).tolist() == [105, 106]
    assert clock.drift_ppm == 0
    assert clock.error_ns.tolist() == [50e6]


def test_the_mapping_goes_on_beyond_its_knots() -> None:
    clock = Clock(np.array([0, 1_000_000]), np.array([10, 20]))
    assert clock.to_session([-1_000_000, 500_000, 3_000_000]).tolist() == [-1_000_000, 500_015, 3_000_040]


def test_the_mapping_keeps_order() -> None:
    _, device, host = transport(60, 200, -40, seed=5)
    assert (np.diff(fit_clock(device, host).to_session(device)) > 0).all()


# --- Cuts


def restarted(seed: int, *, boot_ns: int = 3_000_000_000) -> tuple[Stamps, list[int]]:
    """A device that restarts twice in 90 s, counting from its boot, and the rows at which it did."""
    true, device, host = transport(90, 120, 30, seed)
    device, keep, cuts = device.copy(), np.ones(len(true), bool), []
    for at in (2500, 7000):
        device[at:] -= device[at] - 50_000_000
        gone = (true >= true[at]) & (true < true[at] + boot_ns)
        keep &= ~gone
        cuts.append(at - int(np.count_nonzero(~keep[:at])))
    return (true[keep], device[keep], host[keep]), cuts


@pytest.mark.parametrize("boot_ns", [0, 3_000_000_000])
def test_restarts_are_found_where_they_are_and_cost_no_accuracy(boot_ns: int) -> None:
    (true, device, host), cuts = restarted(1, boot_ns=boot_ns)
    clock = fit_clock(device, host)
    assert clock.first_row.tolist() == [0, *cuts]
    assert len(clock.spans) == 3
    assert np.abs(clock.to_session(device, rows(device)) - true - LEAST_NS).max() < 100_000


def test_session_time_never_goes_back_across_a_restart() -> None:
    for seed in range(10):
        (_, device, host), _ = restarted(seed, boot_ns=0)
        assert (np.diff(mapped(device, host)) >= 0).all()


def test_one_mad_stamp_on_a_late_sample_puts_nothing_out_of_order() -> None:
    true, device, host = transport(60, 120, 0, seed=13)
    device[3000] += 50 * 365 * 86_400 * 10**9
    host[3000] += 20_000_000
    host = np.maximum.accumulate(host)
    clock = fit_clock(device, host)
    t_ns = clock.to_session(device, rows(device))
    assert clock.first_row.tolist() == [0, 3000, 3001]
    assert (np.diff(t_ns) >= 0).all()
    assert np.abs(np.delete(t_ns - true, slice(3000, 3004)) - LEAST_NS).max() < 100_000


def test_stamps_of_a_clock_with_segments_need_their_rows() -> None:
    (_, device, host), cuts = restarted(2)
    clock = fit_clock(device, host)
    whole = clock.to_session(device, rows(device))
    some = np.array([9, cuts[0], 3, len(device) - 1, cuts[0] - 1])
    np.testing.assert_array_equal(clock.to_session(device[some], some), whole[some])
    with pytest.raises(ValueError, match="3 segments"):
        clock.to_session(device)


@pytest.mark.parametrize("back_ns", [30_000_000, 1_000_000_000])
def test_a_jump_back_begins_a_segment(back_ns: int) -> None:
    true, device, host = transport(60, 120, 0, seed=6)
    device[3000:] -= back_ns
    clock = fit_clock(device, host)
    assert clock.first_row.tolist() == [0, 3000]
    assert np.abs(clock.to_session(device, rows(device)) - true - LEAST_NS).max() < 100_000


@pytest.mark.parametrize("seconds", [-3, 50 * 365 * 86_400])
def test_a_device_that_loses_or_gains_seconds_begins_a_segment(seconds: int) -> None:
    true, device, host = transport(60, 120, 0, seed=7)
    device[3000:] += seconds * 10**9 + 10**9 * (seconds < 0)  # loses two, on top of the second that passes:
    true[3000:], host[3000:] = true[3000:] + 10**9 * (seconds < 0), host[3000:] + 10**9 * (seconds < 0)
    assert fit_clock(device, host).first_row.tolist() == [0, 3000]
    assert np.abs(mapped(device, host) - true - LEAST_NS).max() < 100_000


def test_samples_that_the_network_let_others_overtake_are_no_cut() -> None:
    true, device, host = transport(60, 100, 10, seed=8, mean_ns=2_000_000)
    held = np.arange(50, 5900, 97)  # each arrives just after the next one
    host[held] = host[held + 1] + 1000
    for array in (true, device, host):
        array[held], array[held + 1] = array[held + 1].copy(), array[held].copy()
    assert find_cuts(device, host).tolist() == [0]
    assert np.abs(mapped(device, host) - true - LEAST_NS).max() < 150_000


def test_a_host_that_stalls_is_no_cut_below_two_seconds() -> None:
    true, device, host = transport(60, 120, 10, seed=9)
    for at, stall_ns in ((1000, 400_000_000), (4000, 1_900_000_000)):
        host = np.where((host > host[at]) & (host < host[at] + stall_ns), host[at] + stall_ns, host)
    clock = fit_clock(device, host)
    assert len(clock.spans) == 1
    assert np.abs(clock.to_session(device) - true - LEAST_NS).max() < 100_000


# --- Wraps


@pytest.mark.parametrize(("bits", "tick_ns", "known"), [(16, 1_000_000, False), (32, 1, False), (24, 1_000, False), (32, 1_000, False),
                                                        (16, 1_000, True), (13, 1_000_000, True)])
def test_a_counter_that_wraps_is_one_that_does_not(bits: int, tick_ns: int, known: bool) -> None:
    _, device, host = transport(90, 120, 25, seed=10)
    device = device - device[0] + 2**bits * tick_ns * 7 // 10
    if 2**bits * tick_ns > 10**12:
        device += 2**bits * tick_ns * 3 // 10 - 40 * 10**9
    device = device // tick_ns * tick_ns
    wrapped = device % (2**bits * tick_ns)
    assert wrapped.max() < device.max()
    clock = fit_clock(wrapped, host, wrap_ns=2**bits * tick_ns if known else None)
    assert len(clock.spans) == 1
    np.testing.assert_array_equal(clock.to_session(wrapped, rows(wrapped)), mapped(device, host))


def test_silence_over_several_wraps_is_bridged() -> None:
    _, device, host = transport(90, 120, 25, seed=11)
    keep = (rows(device) < 2000) | (rows(device) > 2000 + 120 * 20)  # 20 s of silence, a counter of 4.3 s
    device, host = (device - device[0])[keep], host[keep]
    np.testing.assert_array_equal(mapped(device % 2**32, host), mapped(device, host))


def test_a_restart_is_not_taken_for_a_wrap() -> None:
    assert guess_range_ns(3_600 * 10**9, 8_000_000) is None
    assert guess_range_ns(2**32 - 8_000_000, 8_100_000) == 2**32
    assert guess_range_ns(65_536_000_000 - 8_000_000, 8_100_000) == 65_536_000_000


# --- The interval


@pytest.mark.parametrize(("rate_hz", "mean_ns", "seconds"), [(120, 350_000, 240), (30, 2_000_000, 40), (100, 1_600_000, 8)])
def test_the_truth_lies_in_the_interval_in_95_of_100_runs(rate_hz: float, mean_ns: float, seconds: float) -> None:
    inside, narrow = 0, []
    for seed in range(40):
        true, device, host = transport(seconds, rate_hz, 50, seed, mean_ns=mean_ns, wander_ppm=5)
        keep = np.random.default_rng(seed).random(len(true)) > 0.01
        true, device, host = true[keep], device[keep], host[keep]
        clock = fit_clock(device, host)
        error = np.abs(clock.to_session(device) - true - LEAST_NS)
        inside += bool(np.all(error <= np.interp(device, clock.device_ns, clock.error_ns)))
        narrow.append(float(clock.error_ns.max()))
        assert abs(clock.drift_ppm + 50) < 5.5 + clock.drift_error_ppm
    assert inside >= 38
    assert np.median(narrow) < (300_000 if rate_hz > 30 else 500_000)


def test_batches_leave_the_age_of_the_newest_sample_open() -> None:
    true = 10**12 + np.arange(4000) * 5_000_000
    host = -(-(true + 3_500_000) // 15_000_000) * 15_000_000 + 1_000_000
    clock = fit_clock(true - 10**11, host)
    assert 5e6 <= clock.error_ns.max() < 6e6


@pytest.mark.parametrize("tick_ns", [100_000, 1_000_000])
def test_coarse_stamps_widen_the_interval_by_their_tick(tick_ns: int) -> None:
    true, device, host = transport(60, 30, 20, seed=14)
    coarse = device // tick_ns * tick_ns
    clock, fine = fit_clock(coarse, host), fit_clock(device, host)
    assert tick_ns <= clock.error_ns.max() < 2 * tick_ns + fine.error_ns.max()
    assert np.all(np.abs(clock.to_session(coarse) - true - LEAST_NS) <= np.interp(coarse, clock.device_ns, clock.error_ns))


# --- Whatever comes


@pytest.mark.parametrize("device", [[7], [7, 7], [7] * 500, [0, 10**9], list(range(0, 10**9, 10**8)), [5, 4, 3, 2, 1],
                                    [0, 10**18, 0, 10**18, 0], list(range(0, 10**12, 10**10))], ids=lambda d: f"{len(d)} from {d[0]}")
def test_any_stamps_give_a_finite_mapping_in_order(device: list[int]) -> None:
    host = 10**15 + np.arange(len(device)) * 10**7
    clock = fit_clock(device, host)
    t_ns = clock.to_session(device, rows(host))
    assert np.isfinite([*clock.error_ns, clock.residual_ns, clock.residual_p99_ns, clock.drift_ppm]).all()
    assert (np.diff(t_ns) >= 0).all()


def test_stamps_at_random_give_a_finite_mapping_that_no_sample_arrives_before() -> None:
    rng = np.random.default_rng(0)
    device, host = rng.integers(0, 10**11, 3000), np.sort(rng.integers(0, 10**11, 3000))
    clock = fit_clock(device, host)
    assert np.isfinite(clock.error_ns).all()
    assert (clock.to_session(device, rows(device)) <= host + 1).all()


def test_a_device_without_a_clock_keeps_its_arrivals() -> None:
    host = transport(60, 120, 0, seed=12)[2]
    clock = fit_clock(host, host)
    assert np.abs(clock.to_session(host) - host).max() <= 1
    assert clock.drift_ppm == 0


def test_a_fit_needs_as_many_arrivals_as_stamps() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_clock([], [])
    with pytest.raises(ValueError, match="as many arrivals"):
        fit_clock([1, 2], [1])


# --- On disk


def test_a_clock_reads_back_as_it_was_written(tmp_path: Path) -> None:
    (_, device, host), _ = restarted(3)
    clock = fit_clock(device, host)
    with h5py.File(tmp_path / "clock.h5", "w") as file:
        clock.write(file.create_group("clock"))
        again = Clock.read(file["clock"])
    np.testing.assert_array_equal(again.to_session(device, rows(device)), clock.to_session(device, rows(device)))
    np.testing.assert_array_equal(again.error_ns, clock.error_ns)
    assert (again.residual_ns, again.residual_p99_ns) == (clock.residual_ns, clock.residual_p99_ns)


def test_a_clock_from_before_there_were_segments_still_reads(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file["device_ns"], file["offset_ns"] = np.array([0, 1_000_000]), np.array([10, 20])
        file.attrs.update(residual_ns=3.0, drift_ppm=10.0)
        clock = Clock.read(file)
    assert clock.to_session([500_000], [77]).tolist() == [500_015]
    assert np.isnan(clock.error_ns).all() and clock.residual_ns == 3.0


@pytest.mark.parametrize(("fields", "message"), [
    ({"device_ns": [5, 5], "offset_ns": [0, 0]}, "increasing device time"), ({"device_ns": [], "offset_ns": []}, "at least one knot"),
    ({"device_ns": [1], "offset_ns": [0, 0]}, "offset_ns must have shape"), ({"first_row": [1]}, "begin at row 0"),
])  # fmt: skip
def test_a_clock_that_makes_no_sense_is_refused(fields: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Clock(**{"device_ns": [1], "offset_ns": [0], **fields})  # type: ignore[arg-type]


# --- Batches


def adrift(seconds: float, seed: int, ppm: float = 50) -> Stamps:
    """A device at 200 Hz of which the host asks for all there is every 15 ms by its own clock; the answer takes 1.5 ms and more."""
    rng = np.random.default_rng(seed)
    ticks = np.arange(round(seconds * 200)) * 5_000_000
    true = 3 * 10**12 + np.rint(ticks * (1 + ppm * 1e-6) + rng.uniform(0, 5e6)).astype(np.int64)
    asked = -(-true // 15_000_000) * 15_000_000
    arrival = asked + 1_500_000 + np.repeat(rng.exponential(2e5, len(true) // 3 + 1), 3)[: len(true)].astype(np.int64)
    keep = rng.random(len(true)) > 0.01
    return true[keep], ticks[keep] + 10**15, np.maximum.accumulate(arrival)[keep]


@pytest.mark.parametrize("ppm", [50, -80])
@pytest.mark.parametrize("seed", range(4))
def test_batches_that_slide_against_the_sampling_are_seen_through(ppm: float, seed: int) -> None:
    """The least delay climbs through a whole sample period and falls back; its corners tell the offset all the same."""
    true, device, host = adrift(400, seed, ppm)
    clock = fit_clock(device, host)
    error_ms = (clock.to_session(device) - true - 1_500_000) * 1e-6
    assert np.quantile(np.abs(error_ms), 0.99) < 0.15
    assert clock.error_ns.max() * 1e-6 < 2
    assert (np.abs(error_ms) <= np.interp(device, clock.device_ns, clock.error_ns) * 1e-6).all()


def test_batches_in_step_keep_what_they_do_not_tell_in_the_interval() -> None:
    true, device, host = adrift(100, 0, ppm=0)
    clock = fit_clock(device, host)
    assert clock.error_ns.min() >= 5e6
    assert np.abs(clock.to_session(device) - true - 1_500_000).max() <= clock.error_ns.max()
