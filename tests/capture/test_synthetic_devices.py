"""The synthetic devices: clocks that are off, transport that delays, samples that are lost, all as the truth says."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.driver import DRIVERS, Driver
from firsthand.capture.drivers.synthetic import open_wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample
from firsthand.capture.synthetic.devices import DeviceClock, Link, lost_samples
from firsthand.capture.synthetic.driver import SyntheticDriver
from firsthand.capture.synthetic.truth import Truth
from firsthand.capture.synthetic.wearer import Wearer

SMALL = (160, 120)
STREAMS = {"head", "head-depth", "glove-left", "glove-right", "imu", "head-pose"}


def small_wearer(seed: int = 5, **options: float) -> Wearer:
    return Wearer(seed=seed, duration_s=3.0, fps=10, size_px=SMALL, drop_rate=options.pop("drop_rate", 0.02), **options)  # type: ignore[arg-type]


def drain(driver: Driver) -> list[Sample]:
    samples = []
    with driver:
        while (more := driver.read(1.0)) is not None:
            samples += more
    return samples


@pytest.fixture(scope="module")
def take() -> tuple[Truth, dict[str, list[Sample]]]:
    """One small take: its truth, and what its drivers delivered, by stream."""
    wearer = small_wearer(burst=30)
    delivered: dict[str, list[Sample]] = {name: [] for name in STREAMS}
    for driver in wearer.drivers():
        for sample in drain(driver):
            delivered[sample.stream].append(sample)
    return wearer.truth(), delivered


def test_the_rig_has_a_camera_with_depth_two_gloves_an_imu_and_a_pose() -> None:
    drivers = find("drivers", DRIVERS, "synthetic")(duration_s=3.0)
    assert [driver.name for driver in drivers] == ["head", "glove-left", "glove-right", "imu", "head-pose"]
    specs = {spec.name: spec for driver in drivers for spec in driver.streams}
    assert set(specs) == STREAMS
    assert {name: spec.role for name, spec in specs.items()} == {
        "head": "camera", "head-depth": "depth", "glove-left": "glove", "glove-right": "glove", "imu": "imu", "head-pose": "pose"}
    assert specs["head-depth"].extra["depth_unit_m"] == 0.001
    assert all(specs[name].about == "head" for name in ("head-depth", "imu", "head-pose"))
    assert drivers[0].calibration.cameras["head"].source == "factory"


def test_the_same_seed_gives_the_same_bytes() -> None:
    def content(wearer: Wearer) -> list[tuple[object, ...]]:
        return [(s.stream, s.device_ns, s.host_ns, s.sequence, s.data if isinstance(s.data, bytes) else s.data.tobytes())
                for driver in wearer.drivers() for s in drain(driver)]

    first = content(small_wearer())
    assert content(small_wearer()) == first
    other = content(small_wearer(seed=6))
    assert {row[-1] for row in first}.isdisjoint(row[-1] for row in other)


def test_drivers_may_be_read_in_threads_of_their_own(take: tuple[Truth, dict[str, list[Sample]]]) -> None:
    drivers = small_wearer(burst=30).drivers()
    results: dict[str, list[Sample]] = {}
    threads = [threading.Thread(target=lambda d=d: results.update({d.name: drain(d)})) for d in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    frames = [s.data for s in results["head"] if s.stream == "head"]
    assert frames == [s.data for s in take[1]["head"]]
    assert [s.host_ns for s in results["imu"]] == [s.host_ns for s in take[1]["imu"]]


def test_what_was_dropped_is_what_is_missing(take: tuple[Truth, dict[str, list[Sample]]]) -> None:
    truth, delivered = take
    for name, stream in truth.streams.items():
        missing = np.setdiff1d(stream.sequence, [s.sequence for s in delivered[name]])
        np.testing.assert_array_equal(missing, stream.dropped)
        assert len(missing) > 0
    outage = np.diff(truth.streams["glove-right"].dropped) == 1
    assert np.convolve(outage, np.ones(29), "valid").max() == 29  # the burst of 30


def test_colour_and_depth_lose_frames_each_on_its_own() -> None:
    takes = [small_wearer(seed).timelines for seed in range(10)]
    assert sum(np.array_equal(lines["head"].lost, lines["head-depth"].lost) for lines in takes) < 5


def test_device_stamps_map_to_true_times_by_the_stated_offset_and_drift(take: tuple[Truth, dict[str, list[Sample]]]) -> None:
    truth, delivered = take
    for name, stream in truth.streams.items():
        device = np.array([s.device_ns for s in delivered[name]])
        session = device + stream.offset_ns + np.rint(stream.drift_ppm * 1e-6 * (device - stream.reference_device_ns)).astype(np.int64)
        error = session - stream.t_ns[[s.sequence for s in delivered[name]]]
        assert np.abs(error).max() < 60_000  # the jitter of the stamps
        assert abs(stream.offset_ns) > 1_000_000_000
        assert abs(stream.drift_ppm) <= 50
        assert np.all(np.diff(device) > 0)


def test_nothing_arrives_before_it_could(take: tuple[Truth, dict[str, list[Sample]]]) -> None:
    truth, delivered = take
    for name, stream in truth.streams.items():
        host = np.array([s.host_ns for s in delivered[name]])
        late = host - stream.t_ns[[s.sequence for s in delivered[name]]] - stream.min_latency_ns
        assert late.min() >= 0
        assert late.max() < 50_000_000
        assert np.all(np.diff(host) >= 0)


def test_colour_and_depth_of_a_frame_carry_one_stamp(take: tuple[Truth, dict[str, list[Sample]]]) -> None:
    colour, depth = ({s.sequence: s.device_ns for s in take[1][name]} for name in ("head", "head-depth"))
    both = colour.keys() & depth.keys()
    assert len(both) > 20
    assert all(colour[i] == depth[i] for i in both)


def test_a_recording_of_the_wearer_reads_back_on_the_true_clock(tmp_path: Path) -> None:
    wearer = small_wearer()
    drivers = wearer.drivers()
    path, calibration = tmp_path / "recording.h5", drivers[0].calibration
    with RecordingWriter(path, task=wearer.task.instruction, source="simulation", calibration=calibration) as writer:
        for driver in drivers:
            for spec in driver.streams:
                writer.add_stream(spec)
        running: list[SyntheticDriver] = list(drivers)
        while running:
            for driver in list(running):
                samples = driver.read(0.1)
                if samples is None:
                    running.remove(driver)
                for sample in samples or ():
                    writer.append(sample)
    truth = wearer.truth()
    with Recording(path) as recording:
        for name, true in truth.streams.items():
            stream = recording[name]
            np.testing.assert_array_equal(np.setdiff1d(true.sequence, true.dropped), stream.sequence)
            gaps = sum(event["missing"] for _, event in recording.gaps if event["stream"] == name)
            assert gaps == len(true.dropped)
            late = stream.t_ns - true.t_ns[stream.sequence] - true.min_latency_ns
            assert np.abs(late).max() < 2_000_000
            assert stream.damage() == []
        assert recording.camera().image(0).shape == (SMALL[1], SMALL[0], 3)
        assert np.nanmedian(recording["head-depth"].depth_m(0)) == pytest.approx(0.55, abs=0.15)
        np.testing.assert_allclose(np.linalg.norm(recording["head-pose"].values[:, 3:], axis=1), 1, atol=1e-12)


def test_in_real_time_samples_come_when_they_are_due() -> None:
    wearer = Wearer(duration_s=3.0, realtime=True)
    imu = next(driver for driver in wearer.drivers() if driver.name == "imu")
    with imu:
        began = time.monotonic()
        assert imu.read(0.0) == []
        samples: list[Sample] = []
        while len(samples) < 40:
            more = imu.read(0.02)
            assert more is not None
            assert all(s.host_ns <= time.monotonic_ns() for s in more)
            samples += more
        assert time.monotonic() - began >= 39 / 200


def test_a_lost_sample_is_never_the_first_or_the_last() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        lost = lost_samples(12, 0.3, rng, burst=4)
        assert 1 <= lost.sum() < 12
        assert not lost[0]
        assert not lost[-1]
    assert not lost_samples(100, 0.0, rng).any()


def test_a_clock_keeps_its_drift_after_days_of_uptime() -> None:
    clock, t_ns = DeviceClock(9 * 86_400_000_000_000, 37.0, 0.0), np.array([0, 10**12])
    device = clock.stamps_ns(t_ns, np.random.default_rng(0))
    assert device[0] == clock.reference_ns
    assert (10**12 - (device[1] - device[0])) / (device[1] - device[0]) == pytest.approx(37e-6, abs=1e-11)


def test_transport_never_overtakes_itself() -> None:
    sent = np.arange(5000) * 1_000_000
    arrived = Link(1_000_000, 2_000_000).arrivals_ns(sent, np.random.default_rng(0))
    assert np.all(np.diff(arrived) >= 0)
    assert (arrived - sent).min() >= 1_000_000
    assert (arrived - sent).min() < 1_200_000


@pytest.mark.parametrize(("options", "message"), [
    ({"task": "por"}, "no synthetic task called 'por'; did you mean 'pour'"),
    ({"duration_s": 1.0}, "a synthetic take of 1.0 s is too short"),
    ({"skin": 7}, "skin 7 is not one of the tones 0"),
])  # fmt: skip
def test_impossible_wishes_are_told_so(options: dict[str, object], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        open_wearer(**options)  # type: ignore[arg-type]


def test_a_stream_can_be_given_another_latency_and_the_truth_knows() -> None:
    plain, late = small_wearer(), small_wearer(latency_s={"imu": 0.031})  # type: ignore[arg-type]
    assert late.truth().streams["imu"].min_latency_ns == 31_000_000
    difference = late.timelines["imu"].arrival_ns - plain.timelines["imu"].arrival_ns
    assert (difference == 31_000_000 - plain.truth().streams["imu"].min_latency_ns).all()
    assert (late.timelines["head"].arrival_ns == plain.timelines["head"].arrival_ns).all()
    with pytest.raises(FirsthandError, match="no stream of the synthetic wearer called 'imo'"):
        small_wearer(latency_s={"imo": 0.1})  # type: ignore[arg-type]


def test_calibration_goes_on_to_the_end_of_the_take() -> None:
    wearer = Wearer(seed=1, task="calibrate", duration_s=20, size_px=SMALL)
    t_s = np.arange(0, 20, 0.05)
    for plan in wearer.task.hands.values():
        moved = np.abs(np.diff(plan.angles(t_s), axis=0)).sum(1)
        assert (moved[:380].reshape(-1, 19).max(1) > 0.05).all()
    turned = wearer.head.imu(t_s)[:, 3:]
    assert np.abs(turned[-60:]).max() > 0.2
