"""RealSense recordings: a real one, and some made by the SDK's own recorder from a device that is software."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.importer import import_file
from firsthand.capture.realsense.frame import WRAP_NS
from firsthand.capture.realsense.sdk import load_sdk
from firsthand.capture.summary import check_recording

WIDTH, HEIGHT, FPS, IMU_HZ = 64, 48, 30, 180
START_MS = 4_000_000.0


@pytest.fixture(scope="session")
def rs() -> Any:
    try:
        return load_sdk()
    except FirsthandError as error:
        pytest.skip(str(error))


def depth_picture(n: int) -> np.ndarray:
    return (np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 3 + n * 7).astype(np.uint16)


def colour_picture(n: int) -> np.ndarray:
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def _record(rs: Any, path: Path, frames: int, *, start_ms: float = START_MS, skip: int = -1, colour_late: int = 0) -> None:
    """Have the SDK record depth, colour, accelerometer and gyroscope of a software device; every value is known."""
    device = rs.software_device()
    device.register_info(rs.camera_info.name, "pretender")
    device.register_info(rs.camera_info.serial_number, "12345")
    sensors = {name: device.add_sensor(name) for name in ("Depth", "Color", "Motion")}
    sensors["Depth"].add_read_only_option(rs.option.depth_units, 0.001)
    profiles: dict[str, Any] = {}
    pictures = (("Depth", rs.stream.depth, rs.format.z16, 2), ("Color", rs.stream.color, rs.format.bgr8, 3))
    for uid, (name, kind, form, size) in enumerate(pictures):
        video = rs.video_stream()
        video.type, video.index, video.uid, video.width, video.height, video.fps, video.bpp, video.fmt = (
            kind, 0, uid + 1, WIDTH, HEIGHT, FPS, size, form)
        optics = rs.intrinsics()
        optics.width, optics.height, optics.fx, optics.fy, optics.ppx, optics.ppy = WIDTH, HEIGHT, 60.0 + uid, 61.0, 31.5, 23.5
        optics.model, optics.coeffs = rs.distortion.brown_conrady, [0.0] * 5
        video.intrinsics = optics
        profiles[name] = sensors[name].add_video_stream(video)
    for uid, (name, kind) in enumerate((("Accel", rs.stream.accel), ("Gyro", rs.stream.gyro))):
        motion = rs.motion_stream()
        motion.type, motion.index, motion.uid, motion.fps, motion.fmt = kind, 0, uid + 5, IMU_HZ, rs.format.motion_xyz32f
        profiles[name] = sensors["Motion"].add_motion_stream(motion)
    device.create_matcher(rs.matchers.default)
    recorder = rs.recorder(str(path), device)
    outs = list(recorder.query_sensors())
    queues = []
    for out in outs:
        queues.append(rs.frame_queue(16))
        out.open(out.get_stream_profiles())
        out.start(queues[-1])

    def video_frame(name: str, n: int, pixels: np.ndarray, size: int, t_ms: float) -> None:
        frame = rs.software_video_frame()
        frame.stride, frame.bpp, frame.timestamp, frame.domain, frame.frame_number = (
            WIDTH * size, size, t_ms, rs.timestamp_domain.hardware_clock, n + 1)
        frame.profile, frame.pixels = profiles[name].as_video_stream_profile(), pixels
        if name == "Depth":
            frame.depth_units = 0.001
        sensors[name].set_metadata(rs.frame_metadata_value.actual_exposure, 8000 + n)
        sensors[name].on_video_frame(frame)

    for n in range(frames):
        t_ms = start_ms + n * 1000 / FPS
        if n != skip:
            video_frame("Depth", n, depth_picture(n), 2, t_ms)
        if n >= colour_late:
            video_frame("Color", n, colour_picture(n), 3, t_ms + 1.5)
        for k in range(IMU_HZ // FPS):
            for name in ("Accel", "Gyro"):
                motion = rs.software_motion_frame()
                number = n * (IMU_HZ // FPS) + k
                data = rs.vector()
                data.x, data.y, data.z = float(number), 1.0 if name == "Accel" else 2.0, 9.0
                motion.data, motion.timestamp, motion.domain, motion.frame_number = (
                    data, t_ms + k * 1000 / IMU_HZ, rs.timestamp_domain.hardware_clock, number + 1)
                motion.profile = profiles[name].as_motion_stream_profile()
                sensors["Motion"].on_motion_frame(motion)
    for out in outs:
        out.stop()
        out.close()
    outs.clear()
    queues.clear()


def record(rs: Any, path: Path, frames: int, **how: Any) -> None:
    """The same; the file is finished when nobody holds the recorder any more."""
    _record(rs, path, frames, **how)
    gc.collect()


def test_what_the_sdk_recorded_comes_in_value_for_value(rs: Any, tmp_path: Path) -> None:
    record(rs, tmp_path / "take.db3", 90)
    episode, _ = import_file(tmp_path / "take.db3", tmp_path / "library")
    with episode.recording() as recording:
        counts = {name: len(stream) for name, stream in recording.streams.items() if len(stream)}
        assert counts == {"head": 90, "head-metadata": 90, "depth": 90, "depth-metadata": 90, "accel": 540, "accel-metadata": 540,
                          "gyro": 540, "gyro-metadata": 540}
        head, depth, accel = recording["head"], recording["depth"], recording["accel"]
        np.testing.assert_allclose(depth.t_ns, START_MS * 1e6 + np.arange(90) * 1e9 / FPS, atol=2)
        np.testing.assert_allclose(head.t_ns - depth.t_ns, 1.5e6, atol=2)
        for n in (0, 44, 89):
            np.testing.assert_array_equal(head.image(n), colour_picture(n))
            np.testing.assert_allclose(np.nan_to_num(depth.depth_m(n)), depth_picture(n) * 0.001, rtol=1e-6)
        np.testing.assert_array_equal(accel.values, np.stack([np.arange(540), np.ones(540), np.full(540, 9)], 1))
        assert accel.spec.units == ("m/s^2",) * 3 and recording["gyro"].spec.units == ("rad/s",) * 3
        told = recording["depth-metadata"]
        np.testing.assert_array_equal(told.values[:, told.spec.names.index("actual_exposure")], 8000 + np.arange(90))
        assert recording.calibration.cameras["head"].K[0, 0] == 61.0 and recording.calibration.cameras["depth"].K[0, 0] == 60.0
        assert head.spec.extra["timestamp_domain"] == "hardware_clock" and not recording.gaps
    assert check_recording(episode.recording_path) == []
    assert b"12345" not in episode.recording_path.read_bytes()  # a serial number says whose it is


def test_a_frame_that_is_missing_is_a_gap(rs: Any, tmp_path: Path) -> None:
    record(rs, tmp_path / "take.db3", 30, skip=12)
    episode, _ = import_file(tmp_path / "take.db3", tmp_path / "library")
    with episode.recording() as recording:
        assert len(recording["depth"]) == 29
        assert {(gap["stream"], gap["missing"]) for _, gap in recording.gaps} == {("depth", 1), ("depth-metadata", 1)}


def test_a_stream_may_begin_long_after_the_others(rs: Any, tmp_path: Path) -> None:
    record(rs, tmp_path / "take.db3", 60, colour_late=50)
    episode, _ = import_file(tmp_path / "take.db3", tmp_path / "library")
    with episode.recording() as recording:
        assert len(recording["head"]) == 10 and len(recording["depth"]) == 60


def test_the_counter_of_the_camera_may_wrap(rs: Any, tmp_path: Path) -> None:
    """Only what is before the wrap can be made with a software device that refuses to go back; the sum is tested here."""
    from firsthand.capture.importers.realsense import _samples, _Source
    from firsthand.capture.stream import StreamSpec

    class Frame:
        frame_timestamp_domain = "timestamp_domain.hardware_clock"

        def __init__(self, timestamp: float, frame_number: int) -> None:
            self.timestamp, self.frame_number = timestamp, frame_number

    one = _Source(None, StreamSpec("head", "encoded", "camera", encoding="png"), ())
    last_ms = WRAP_NS / 1e6
    times = [next(_samples(Frame(t, n), one, b"x")).device_ns for n, t in enumerate((last_ms - 33, last_ms - 1, 32.0, 65.0))]
    assert np.diff(times).tolist() == [32_000_000, 33_000_000, 33_000_000]


@pytest.mark.parametrize("keep", [0.05, 0.5])
def test_a_recording_that_is_cut_off_is_refused(rs: Any, tmp_path: Path, keep: float) -> None:
    record(rs, tmp_path / "take.db3", 30)
    data = (tmp_path / "take.db3").read_bytes()
    (tmp_path / "take.db3").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FirsthandError, match=r"take\.db3"):
        import_file(tmp_path / "take.db3", tmp_path / "library")
    assert not list((tmp_path / "library").glob("*"))


def test_other_bags_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a.bag").write_bytes(b"#ROSBAG V2.0\n" + bytes(5000))
    (tmp_path / "b.db3").write_bytes(b"SQLite format 3\0" + bytes(100))
    for name, words in (("a.bag", "no kind of file"), ("b.db3", "no RealSense recording")):
        with pytest.raises(FirsthandError, match=words):
            import_file(tmp_path / name, tmp_path / "library")


def test_a_real_recording_comes_in(rs: Any, shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "media" / "realsense" / "single_depth_color_640x480.bag"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    episode, _ = import_file(source, tmp_path / "library")
    with episode.recording() as recording:
        assert recording["head"].t_ns.tolist() == [360713523000] and recording["depth"].t_ns.tolist() == [360815089000, 360981765000]
        depth, colour = recording["depth"].depth_m(0), recording["head"].image(0)
        assert depth.shape == (480, 640) and 0.2 < float(np.nanmedian(depth)) < 5 and colour.shape == (480, 640, 3)
        mounted = recording.calibration.cameras["depth"].T_rig_cam
        assert mounted[0, 3] == pytest.approx(0.0143, abs=1e-4)
        np.testing.assert_array_equal(recording.calibration.cameras["head"].T_rig_cam, np.eye(4))
        np.testing.assert_allclose(mounted[:3, :3] @ mounted[:3, :3].T, np.eye(3), atol=1e-5)
    assert check_recording(episode.recording_path) == []
