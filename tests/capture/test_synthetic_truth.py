"""The truth about a synthetic take: consistent in itself, with the pictures, and with the depth."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from firsthand.capture.decode import decode_depth
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import KNUCKLES, SIDES
from firsthand.capture.synthetic.flesh import JOINT_RADII_M
from firsthand.capture.synthetic.sensor import DEPTH_NOISE_M, Sensor
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.capture.synthetic.wearer import Wearer


@pytest.fixture(scope="module", params=["pick-and-place", "pour", "fold", "calibrate"])
def wearer(request: pytest.FixtureRequest) -> Wearer:
    return Wearer(seed=4, task=request.param)


@pytest.fixture(scope="module")
def truth(wearer: Wearer) -> Truth:
    return wearer.truth()


def in_camera(truth: Truth, side: str) -> np.ndarray:
    R, t = truth.T_world_cam[:, :3, :3], truth.T_world_cam[:, None, :3, 3]
    return np.einsum("nji,nkj->nki", R, truth.hands[side].points_m - t)  # type: ignore[index]


def test_projecting_the_joints_gives_their_pixels(wearer: Wearer, truth: Truth) -> None:
    for side in SIDES:
        ahead = in_camera(truth, side) @ wearer.camera.K.T
        assert np.abs(ahead[..., :2] / ahead[..., 2:] - truth.hands[side].points_px).max() < 0.01


def test_both_hands_stay_in_the_picture_and_apart(truth: Truth) -> None:
    for side in SIDES:
        assert truth.hands[side].visible.all()
    left, right = (truth.hands[side].points_px[..., 0] for side in ("left", "right"))
    assert (right.min(1) - left.max(1)).min() > 40


def test_a_take_begins_with_an_open_hand_and_carries_with_a_closed_pinch(truth: Truth) -> None:
    if truth.task == "calibrate":
        pytest.skip("nothing is carried")
    assert all(truth.hands[side].aperture_m[0] > 0.05 for side in SIDES)
    carry = next(s for s in truth.segments if s.label == "carry")
    assert truth.hands["right"].aperture_m[carry.a : carry.b].max() < 0.020
    assert truth.hands["right"].aperture_m[-1] > 0.05


def test_segments_are_ordered_frames_that_tell_the_whole_task(truth: Truth) -> None:
    if truth.task == "calibrate":
        pytest.skip("it has no parts")
    labels = [segment.label for segment in truth.segments]
    assert labels[:3] == ["reach", "grasp", "carry"]
    assert "release" in labels
    ends = [0, *(edge for segment in truth.segments for edge in (segment.a, segment.b)), len(truth.t_ns)]
    assert np.all(np.diff(ends) >= 0)
    assert all(segment.text for segment in truth.segments)
    assert truth.instruction[0].islower()
    assert not truth.instruction.endswith(".")


def test_the_depth_at_a_visible_knuckle_is_the_skin_in_front_of_it(wearer: Wearer, truth: Truth) -> None:
    for i in (2, 70):
        _, depth = wearer.frame(i)
        sensed = decode_depth(Sensor.make(0, *wearer.size_px).depth_png(i, depth), 0.001)
        for side in SIDES:
            z = in_camera(truth, side)[i, :, 2]
            for finger, joint in enumerate(KNUCKLES, 1):
                x, y = np.rint(truth.hands[side].points_px[i, joint]).astype(int)
                flesh = z[joint] - depth[y, x]
                assert 0.9 * JOINT_RADII_M[finger, 0] < flesh < 2 * JOINT_RADII_M[finger, 0], (i, side, joint)
                assert abs(np.nanmedian(sensed[y - 2 : y + 3, x - 2 : x + 3]) - depth[y, x]) < 0.006


def test_the_depth_of_the_empty_table_is_its_plane(wearer: Wearer, truth: Truth) -> None:
    _, depth = wearer.frame(0)
    x, y = 320, 470  # near the wearer, between the arms
    ray = np.linalg.solve(wearer.camera.K, (x, y, 1.0))
    T = truth.T_world_cam[0]
    assert (T[:3, :3] @ ray * depth[y, x] + T[:3, 3])[2] == pytest.approx(0, abs=1e-4)


def test_depth_noise_grows_with_distance_and_outlines_are_holes() -> None:
    sensor = Sensor.make(3, 200, 100)
    spread = []
    for distance in (0.5, 1.0):
        flat = decode_depth(sensor.depth_png(0, np.full((100, 200), distance, np.float32)), 0.001)
        spread.append(np.nanstd(flat))
        assert np.nanmean(flat) == pytest.approx(distance, abs=0.001)
    assert spread[0] == pytest.approx(DEPTH_NOISE_M, rel=0.2)
    assert spread[1] / spread[0] == pytest.approx(4, rel=0.1)
    step = np.full((100, 200), 0.5, np.float32)
    step[:, 100:] = 0.8
    step[:, 150:] = np.inf
    seen = np.isfinite(decode_depth(sensor.depth_png(1, step), 0.001)).all(0)
    assert not seen[99:101].any()
    assert not seen[150:].any()
    assert seen[:99].all()


def test_the_picture_shows_skin_where_the_hands_are(wearer: Wearer, truth: Truth) -> None:
    image = cv2.imdecode(np.frombuffer(Sensor.make(0, *wearer.size_px).jpeg(0, wearer.frame(0)[0]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    for side in SIDES:
        x, y = np.rint(truth.hands[side].points_px[0, 9]).astype(int)
        b, g, r = image[y - 3 : y + 4, x - 3 : x + 4].reshape(-1, 3).mean(0)
        assert r > g > b


def test_truth_is_read_as_it_was_written(tmp_path: Path, truth: Truth) -> None:
    truth.write(tmp_path / "truth.h5")
    read = read_truth(tmp_path / "truth.h5")
    assert (read.task, read.instruction, read.seed, read.segments) == (truth.task, truth.instruction, truth.seed, truth.segments)
    np.testing.assert_array_equal(read.T_world_cam, truth.T_world_cam)
    for name, stream in truth.streams.items():
        for field, value in vars(stream).items():
            np.testing.assert_array_equal(getattr(read.streams[name], field), value)
    np.testing.assert_array_equal(read.hands["left"].points_m, truth.hands["left"].points_m)
    with pytest.raises(ValueError, match="read-only"):
        read.hands["left"].points_m[0] = 0


def test_truth_of_every_driver_is_the_truth_of_the_take(tmp_path: Path) -> None:
    drivers = Wearer(duration_s=3.0, fps=5, size_px=(64, 48)).drivers()
    for driver in (drivers[0], drivers[-1]):
        driver.write_truth(tmp_path / f"{driver.name}.h5")
    first, last = (read_truth(tmp_path / f"{d.name}.h5") for d in (drivers[0], drivers[-1]))
    np.testing.assert_array_equal(first.t_ns, last.t_ns)


def test_what_is_no_truth_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="no such file; only a take of the synthetic wearer has one"):
        read_truth(tmp_path / "truth.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "firsthand.hands"
    with pytest.raises(FirsthandError, match="not the truth of a take"):
        read_truth(tmp_path / "other.h5")
