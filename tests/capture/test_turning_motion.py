"""How far the head has turned: a gyroscope, a pose tracker and the pictures agree."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.lag import find_lag
from firsthand.capture.motion import Motion
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.synthetic.head import HeadMotion
from firsthand.capture.synthetic.rotation import quat_wxyz
from firsthand.capture.synthetic.task import make_task
from firsthand.capture.turning_motion import gyro_columns, pose_columns, turned_by_gyro, turned_by_pictures, turned_by_pose

SECONDS, FPS = 12.0, 30
CAMERA = CameraCalibration.from_hfov(320, 240, 70)


def ns(seconds: np.ndarray) -> np.ndarray:
    return np.rint(seconds * 1e9).astype(np.int64)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that nods and shakes before a far wall, with a blank patch that goes its own way, as a hand does. All clocks are true."""
    head = HeadMotion(1.0, make_task("calibrate", np.random.default_rng(3), SECONDS).nods)
    path = tmp_path_factory.mktemp("turning") / "recording.h5"
    specs = (StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=FPS, width_px=320, height_px=240),
             StreamSpec("imu", "numeric", "imu", names=("ax", "ay", "az", "gx", "gy", "gz"), units=("m/s^2",) * 3 + ("rad/s",) * 3),
             StreamSpec("pose", "numeric", "pose", names=("x", "y", "z", "qw", "qx", "qy", "qz"), units=("m",) * 3 + ("1",) * 4))
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.integers(0, 256, (900, 1200), np.uint8), (0, 0), 2)
    wall = cv2.normalize(wall, None, 20, 235, cv2.NORM_MINMAX)
    K_wall = np.array([[CAMERA.K[0, 0], 0, 600], [0, CAMERA.K[1, 1], 450], [0, 0, 1]])
    with RecordingWriter(path) as writer:
        for spec in specs:
            writer.add_stream(spec)
        for i, t in enumerate(np.arange(0, SECONDS, 1 / FPS)):
            R = head.T_world_cam(np.array([0.0, t]))[:, :3, :3]
            H = CAMERA.K @ R[1].T @ R[0] @ np.linalg.inv(K_wall)
            image = cv2.warpPerspective(wall, H, (320, 240), borderMode=cv2.BORDER_REFLECT)
            x = int(160 + 90 * np.sin(2.3 * t))
            cv2.rectangle(image, (x - 40, 120), (x + 40, 240), 90, -1)
            at = int(ns(t) + 10**12)
            writer.append(Sample("head", at, at, i, cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))[1].tobytes()))
        t = np.arange(0, SECONDS, 0.005)
        for i, (at, row) in enumerate(zip((ns(t) + 10**12).tolist(), head.imu(t), strict=True)):
            writer.append(Sample("imu", at, at, i, row))
        t = np.arange(0, SECONDS, 0.01)
        T = head.T_world_cam(t)
        rows = np.concatenate([T[:, :3, 3], quat_wxyz(T[:, :3, :3]) * rng.choice([-1, 1], (len(t), 1))], 1)
        for i, (at, row) in enumerate(zip((ns(t) + 10**12).tolist(), rows, strict=True)):
            writer.append(Sample("pose", at, at, i, row))
    return path


def motions(path: Path) -> dict[str, Motion]:
    with Recording(path) as recording:
        return {"pictures": turned_by_pictures(recording["head"], CAMERA), "gyro": turned_by_gyro(recording["imu"]),
                "pose": turned_by_pose(recording["pose"])}


def test_all_three_tell_the_same_angles(recording: Path) -> None:
    found = motions(recording)
    base = found["gyro"]
    for name in ("pose", "pictures"):
        m = found[name]
        there = np.stack([np.interp(m.t_ns, base.t_ns, base.values[:, k]) for k in range(3)], 1)
        off = np.degrees(m.values - there)
        assert np.nanstd(off) < (0.1 if name == "pose" else 0.5), (name, np.nanstd(off, axis=0))
        assert m.seen.mean() > 0.98


@pytest.mark.parametrize(("a", "b", "within_ms"), [("gyro", "pose", 0.3), ("pictures", "gyro", 1.0), ("pictures", "pose", 1.0)])
def test_their_lag_is_none(recording: Path, a: str, b: str, within_ms: float) -> None:
    found = motions(recording)
    lag = find_lag(found[a], found[b], pairing="rotation")
    assert lag.observable and lag.lag_ns is not None, lag.problem
    assert abs(lag.lag_ns) * 1e-6 < within_ms


def test_pictures_that_show_nothing_are_missing_and_not_zero(tmp_path: Path) -> None:
    blank = cv2.imencode(".jpg", np.full((240, 320, 3), 128, np.uint8))[1].tobytes()
    with RecordingWriter(tmp_path / "recording.h5") as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=FPS, width_px=320, height_px=240))
        for i in range(20):
            writer.append(Sample("head", i * 33_000_000, i * 33_000_000, i, blank))
    with Recording(tmp_path / "recording.h5") as recording:
        found = turned_by_pictures(recording["head"], None)
    assert "no values" in find_lag(found, found).problem or np.nanmax(np.abs(np.nan_to_num(found.values))) == 0


def test_streams_without_the_columns_are_passed_over(recording: Path) -> None:
    with Recording(recording) as opened:
        assert gyro_columns(opened["imu"]) == [3, 4, 5] and pose_columns(opened["pose"]) == [3, 4, 5, 6]
        assert gyro_columns(opened["pose"]) == [] and pose_columns(opened["imu"]) == []
