"""The timing certificate: what a recording's stamps prove, and what speaks against them."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.capture.certificate import EpisodeTiming, TimingCertificate, certify, store_certificate
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording, summarise

Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def glove(seconds: float = 20, rate_hz: float = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stamps, arrivals and sequence of a sound glove whose clock is 30 ppm slow."""
    rng = np.random.default_rng(0)
    ticks = np.arange(round(seconds * rate_hz)) * round(1e9 / rate_hz)
    true = 5 * 10**12 + np.rint(ticks * (1 + 30e-6)).astype(np.int64)
    arrival = np.maximum.accumulate(true + 500_000 + rng.exponential(400_000, len(true)).astype(np.int64))
    return ticks + 10**9, arrival, np.arange(len(ticks))


def record(path: Path, device: np.ndarray, host: np.ndarray, sequence: np.ndarray, *, clock: str = "device") -> Path:
    spec = StreamSpec("glove", "numeric", "glove", names=("bend",), units=("rad",), rate_hz=120, side="left", clock=clock)  # type: ignore[arg-type]
    with RecordingWriter(path, task="wave") as writer:
        writer.add_stream(spec)
        for d, h, n in zip(device.tolist(), host.tolist(), sequence.tolist(), strict=True):
            writer.append(Sample("glove", d, h, n, np.zeros(1)))
    return path


def certificate(path: Path) -> TimingCertificate:
    with Recording(path) as recording:
        return certify(recording).streams[0]


def test_a_sound_stream_is_certified_in_figures(tmp_path: Path) -> None:
    c = certificate(record(tmp_path / "recording.h5", *glove()))
    assert (c.verdict, c.reasons, c.samples, c.segments, c.gaps, c.missing) == ("sound", (), 2400, 1, 0, 0)
    assert c.measured_hz == pytest.approx(120, abs=0.01)
    assert c.drift_interval_ppm is not None and c.drift_interval_ppm[0] < 30 < c.drift_interval_ppm[1]
    assert c.offset_interval_ms is not None and 0 < c.offset_interval_ms < 0.1
    assert c.delay_p50_ms == pytest.approx(0.4 * np.log(2), abs=0.05) and c.delay_p99_ms == pytest.approx(1.85, abs=0.3)
    assert c.jitter_p99_ms is not None and c.jitter_p99_ms < 0.01
    assert c.calibration_residual_ms is None


def drops(device: np.ndarray, host: np.ndarray, share: float) -> tuple[np.ndarray, ...]:
    keep = np.random.default_rng(1).random(len(device)) >= share
    return device[keep], host[keep], np.flatnonzero(keep)


def restart(device: np.ndarray, host: np.ndarray) -> tuple[np.ndarray, ...]:
    device[1200:] -= device[1200]
    return device, host, np.arange(len(device))


def outage(device: np.ndarray, host: np.ndarray, samples: int) -> tuple[np.ndarray, ...]:
    keep = np.ones(len(device), bool)
    keep[1000 : 1000 + samples] = False
    return device[keep], host[keep], np.flatnonzero(keep)


@pytest.mark.parametrize(("change", "verdict", "reason"), [
    (lambda d, h: drops(d, h, 0.08), "degraded", r"of 2400 samples are missing \("),
    (lambda d, h: drops(d, h, 0.4), "unusable", "samples are missing"),
    (lambda d, h: outage(d, h, 100), "degraded", "0.84 s passed without a sample"),
    (restart, "degraded", "broke off 1 time "),
    (lambda d, h: (h, h, np.arange(len(h))), "degraded", "no clock of its own"),
    (lambda d, h: (d * 0, h, np.arange(len(h))), "unusable", "all the same"),
    (lambda d, h: (d // 25_000_000 * 25_000_000, h, np.arange(len(h))), "unusable", "carry the time of the one before"),
    (lambda d, h: (d[:1], h[:1], np.arange(1)), "unusable", "1 sample, which"),
    (lambda d, h: (d + (d - d[0]) * 150 // 1_000_000, h, np.arange(len(h))), "degraded", "120 ppm off"),
    (lambda d, h: (d, 5 * 10**12 + (d - d[0]) * 3 // 2, np.arange(len(h))), "unusable", "only known to ±"),
    (lambda d, h: (d[::2], h[::2], np.arange(len(h[::2]))), "degraded", "at 60.0 Hz instead of 120"),
    (lambda d, h: (d + np.arange(len(d)) % 2 * 5_000_000, h + 10**7, np.arange(len(h))), "degraded", "one interval in a hundred"),
], ids=["some drops", "many drops", "outage", "restart", "no clock", "dead clock", "repeats", "one sample", "poor quartz", "not a quartz",
        "slow", "uneven"])  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, change: Change, verdict: str, reason: str) -> None:
    device, host, _ = glove()
    c = certificate(record(tmp_path / "recording.h5", *change(device.copy(), host)))
    assert c.verdict == verdict, c
    assert any(re.search(reason, sentence) for sentence in c.reasons), c.reasons
    json.dumps(c.to_json(), allow_nan=False)


def test_a_restarted_device_reads_back_in_one_time(tmp_path: Path) -> None:
    device, host, sequence = glove()
    whole = record(tmp_path / "a" / "recording.h5", device, host, sequence)
    broken = record(tmp_path / "b" / "recording.h5", *restart(device.copy(), host))
    with Recording(whole) as one, Recording(broken) as two:
        assert np.abs(one["glove"].t_ns - two["glove"].t_ns).max() < 100_000
        assert one["glove"].clock.first_row.tolist() == [0] and two["glove"].clock.first_row.tolist() == [0, 1200]


def test_presentation_times_are_judged_by_their_gaps_alone(tmp_path: Path) -> None:
    t_ns = np.cumsum(np.r_[0, np.random.default_rng(0).integers(10**7, 10**8, 99)])
    c = certificate(record(tmp_path / "recording.h5", t_ns, t_ns, np.arange(100), clock="media"))
    assert (c.verdict, c.drift_ppm, c.offset_interval_ms, c.delay_p50_ms) == ("sound", None, None, None)


def test_a_slow_sensor_is_not_blamed_for_being_slow(tmp_path: Path) -> None:
    t_ns = np.arange(20) * 1_000_000_000
    assert certificate(record(tmp_path / "a" / "recording.h5", t_ns, t_ns, np.arange(20), clock="media")).verdict == "sound"
    t_ns[10:] += 4_000_000_000
    assert certificate(record(tmp_path / "b" / "recording.h5", t_ns, t_ns, np.arange(20), clock="media")).verdict == "degraded"


def test_a_stream_without_samples_is_unusable(tmp_path: Path) -> None:
    c = certificate(record(tmp_path / "recording.h5", *(np.zeros(0, np.int64),) * 3))
    assert (c.verdict, c.measured_hz, c.longest_gap_s) == ("unusable", None, None)


def test_an_old_recording_without_an_interval_says_so(tmp_path: Path) -> None:
    path = record(tmp_path / "recording.h5", *glove())
    with h5py.File(path, "r+") as file:
        clock = file["streams/glove/clock"]
        for name in ("error_ns", "first_row", "first_knot", "unwrap_ns", "not_before_ns"):
            del clock[name]
        del clock.attrs["residual_p99_ns"]
    c = certificate(path)
    assert (c.verdict, c.offset_interval_ms, c.drift_interval_ppm) == ("degraded", None, None)
    assert "without an interval" in c.reasons[0]
    assert c.drift_ppm == pytest.approx(30, abs=2)


def test_the_certificate_lies_in_the_file_and_reads_back(tmp_path: Path) -> None:
    path = record(tmp_path / "recording.h5", *restart(*glove()[:2]))
    with h5py.File(path) as file:
        stored = EpisodeTiming.read(file["certificate"])
        assert file["certificate"].attrs["verdict"] == "degraded"
    assert EpisodeTiming.from_json(json.loads(json.dumps(stored.to_json()))) == stored
    assert store_certificate(path) == stored and check_recording(path) == []
    with Recording(path) as recording:
        assert summarise(recording)["timing"] == json.loads(json.dumps(stored.to_json()))


def test_an_episode_is_as_sound_as_its_worst_stream() -> None:
    assert EpisodeTiming(()).verdict == "unusable"


def test_stamps_of_the_hosts_own_kernel_are_session_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    t_ns = 7 * 10**12 + np.arange(600) * 8_333_333
    host = t_ns + 20_000_000 + rng.exponential(2e6, 600).astype(np.int64)  # the kernel stamps a picture's first packet, we get its last
    path = record(tmp_path / "recording.h5", t_ns, host, np.arange(600), clock="host")
    c = certificate(path)
    assert (c.verdict, c.drift_ppm, c.offset_interval_ms, c.segments) == ("sound", 0.0, 0.0, 1)
    assert c.delay_p50_ms == pytest.approx(20 + 2 * np.log(2), abs=0.2) and c.delay_p99_ms == pytest.approx(20 + 2 * np.log(100), abs=3)
    with Recording(path) as recording:
        assert np.array_equal(recording["glove"].t_ns, t_ns)
