"""Two cameras of a rig: what is triangulated is where it was, and hands are told apart by geometry."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_frames import HandFrames
from firsthand.retarget.hand_measure import size_for
from firsthand.retarget.hand_place import place
from firsthand.retarget.hand_shape import shaped
from firsthand.retarget.hand_size import ADULT
from firsthand.retarget.hand_track import METRIC
from firsthand.retarget.stereo import second_view, stereo_depths, triangulate

K = np.array([[420.0, 0, 319.5], [0, 420, 239.5], [0, 0, 1]])
T_RIG = np.eye(4)
T_RIG[:3, :3], T_RIG[:3, 3] = rotations(np.array([[0.02, -0.12, 0.01]]))[0], (0.065, 0.003, 0.001)
LEFT, RIGHT = CameraCalibration(K, 640, 480), CameraCalibration(K, 640, 480, np.array([-0.05, 0.01, 0, 0]), T_RIG)
T_NS = (np.arange(40) / 30 * 1e9).astype(np.int64)


def hands(x_m: float) -> np.ndarray:
    """A large hand that moves, in the first camera, (40, 21, 3)."""
    local = shaped(np.random.default_rng(5).uniform(-0.04, 0.04, (1, 21, 3)), "right", ADULT.bones_m * 1.15)[0]
    s = T_NS * 1e-9
    return local + np.stack([x_m + 0.05 * np.sin(3 * s), 0.02 * s, 0.45 + 0.06 * np.sin(2 * s)], 1)[:, None]


def seen(points: np.ndarray, camera: CameraCalibration, noise_px: float = 0.0) -> HandFrames:
    back = np.linalg.inv(camera.T_rig_cam)
    px = camera.project(points @ back[:3, :3].T + back[:3, 3]) + np.random.default_rng(int(noise_px * 10)).normal(0, noise_px, (40, 21, 2))
    every = np.ones(40, np.bool_)
    return HandFrames(px, points - points[:, :1], np.full(40, 0.9), every, ~every)


def test_what_is_triangulated_is_where_it_was_and_noise_is_told() -> None:
    points = hands(0.0)
    exact = stereo_depths(T_NS, {"right": seen(points, LEFT)}, LEFT, T_NS, {"right": seen(points, RIGHT)}, RIGHT)["right"]
    np.testing.assert_allclose(exact.z_m, points[..., 2], atol=1e-9)
    noisy = stereo_depths(T_NS, {"right": seen(points, LEFT, 2.0)}, LEFT, T_NS, {"right": seen(points, RIGHT, 2.1)}, RIGHT)["right"]
    off = (noisy.z_m - points[..., 2]) / noisy.sigma_m
    palm_px = 0.05 * 420 * 0.18 / 2.2 / 0.45 / 2  # the sigma assumed, against 2 px
    assert 0.3 * palm_px < np.nanstd(off) < 3


def test_hands_are_matched_by_their_epipolar_lines_not_by_their_sides() -> None:
    one, two = hands(-0.12), hands(0.12) + np.array([0, 0.06, 0])
    found = stereo_depths(T_NS, {"left": seen(one, LEFT), "right": seen(two, LEFT)}, LEFT, T_NS,
                          {"left": seen(two, RIGHT), "right": seen(one, RIGHT)}, RIGHT)
    np.testing.assert_allclose(found["left"].z_m, one[..., 2], atol=1e-9)
    np.testing.assert_allclose(found["right"].z_m, two[..., 2], atol=1e-9)


def test_a_hand_that_only_one_camera_sees_has_no_depth() -> None:
    mine, others = hands(-0.1), hands(-0.1) + np.array([0, 0.1, 0])
    found = stereo_depths(T_NS, {"left": seen(mine, LEFT)}, LEFT, T_NS, {"left": seen(others, RIGHT)}, RIGHT)
    assert np.isnan(found["left"].z_m).all()


def test_cameras_that_are_not_exposed_at_once_are_joined_by_lines() -> None:
    points, later = hands(0.0), hands(0.0)
    between = stereo_depths(T_NS, {"right": seen(points, LEFT)}, LEFT, T_NS + 12_000_000, {"right": seen(later, RIGHT)}, RIGHT)["right"]
    assert np.isnan(between.z_m[0]).all() and np.isfinite(between.z_m[1:]).all()
    shift = np.linalg.norm(np.diff(points[:, 0], axis=0), axis=1).max() * 12 / 33
    assert np.abs(between.z_m[1:] - points[1:, :, 2]).max() > 1e-4 and shift < 0.01  # the line is to where it was 12 ms before


def test_the_hand_is_placed_by_it_whatever_its_size() -> None:
    points = hands(0.0)
    frames = seen(points, LEFT, 2.0)
    depths = stereo_depths(T_NS, {"right": frames}, LEFT, T_NS, {"right": seen(points, RIGHT, 2.1)}, RIGHT)["right"]
    size = size_for("right", {}, frames, LEFT, depths, "any")
    assert size.method == "stereo" and abs(np.median(size.bones_m / ADULT.bones_m) - 1.15) < 0.03
    track = place("right", T_NS, frames, LEFT, depths, None, size)
    assert (track.metric == METRIC.index("stereo")).mean() > 0.9
    error = np.linalg.norm(track.points_m[:, 0] - points[:, 0], axis=1)
    alone = np.linalg.norm(place("right", T_NS, frames, LEFT, None, None).points_m[:, 0] - points[:, 0], axis=1)
    assert np.median(error) < 0.015 < 0.04 < np.median(alone)


def test_triangulating_nothing_gives_nothing() -> None:
    z, per_ray, off = triangulate(np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2)), T_RIG)
    assert np.isnan(z).all() and np.isnan(per_ray).all() and np.isnan(off).all()


@pytest.mark.parametrize(("other", "paired"), [
    (RIGHT, True), (CameraCalibration(K, 640, 480), False), (CameraCalibration(K, 320, 240, T_rig_cam=T_RIG), False),
    (CameraCalibration(K, 640, 480, T_rig_cam=T_RIG, source="assumed"), False),
])
def test_only_a_calibrated_camera_of_its_kind_beside_it_makes_a_pair(other: CameraCalibration, paired: bool, tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "recording.h5", calibration=Calibration({"head": LEFT, "head-2": other})) as writer:
        for name in ("head", "head-2"):
            writer.add_stream(StreamSpec(name, "encoded", "camera", encoding="jpeg", clock="media"))
        for name in ("head", "head-2"):
            writer.append(Sample(name, 0, 0, 0, cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()))
    with Recording(tmp_path / "recording.h5") as recording:
        found = second_view(recording, recording.camera(), LEFT)
        assert (found is not None) == paired
