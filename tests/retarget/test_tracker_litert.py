"""The LiteRT tracker on real pictures of hands, and the geometry it looks with."""

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.hand_model import VARIABLE, hand_model
from firsthand.retarget.hand_region import Region, region_of_hand, region_of_palm
from firsthand.retarget.palm_detection import anchors, blend
from firsthand.retarget.tracker import Detection, Tracker, WholeTracker, open_tracker

EVERY = 1_000_000_000 // 30
OURS = ("litert", "litert-float32")


@pytest.fixture(scope="module")
def clip(shared: Path) -> list[np.ndarray]:
    """The first frames of a video of one real right hand, at half size."""
    video = cv2.VideoCapture(str(shared / "data/media/hands/human_hand_video.mp4"))
    return [cv2.resize(video.read()[1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for _ in range(24)]


def detect(tracker: Tracker, images: list[np.ndarray]) -> list[list[Detection]]:
    with tracker:
        return [tracker.detect(5 + i * EVERY, image) for i, image in enumerate(images)]


def palm_px(hand: Detection) -> float:
    return float(np.linalg.norm(hand.points_px[9] - hand.points_px[0]))


@pytest.mark.parametrize("name", OURS)
def test_a_real_right_hand_is_right_and_its_mirror_image_left(clip: list[np.ndarray], name: str) -> None:
    right = detect(open_tracker(name), clip)
    left = detect(open_tracker(name), [np.ascontiguousarray(image[:, ::-1]) for image in clip])
    assert [len(found) for found in right + left] == [1] * 48
    assert all(found[0].rightness > 0.5 for found in right) and all(found[0].rightness < -0.5 for found in left)
    np.testing.assert_allclose(right[-1][0].points_px[:, 0] + left[-1][0].points_px[:, 0], clip[0].shape[1] - 1, atol=8)


def test_joints_are_those_of_mediapipes_own_tracker(clip: list[np.ndarray]) -> None:
    """To a fraction of a percent of the palm in single precision, to half a percent in integers; local joints to 1 mm."""
    theirs = detect(open_tracker("mediapipe"), clip)
    for name, percent, local_mm in (("litert-float32", 0.15, 0.3), ("litert", 1.0, 1.5)):
        pairs = [(a, b) for (a,), (b,) in zip(detect(open_tracker(name), clip), theirs, strict=True)]
        apart = [np.linalg.norm(a.points_px - b.points_px, axis=1) / palm_px(b) for a, b in pairs]
        assert 100 * np.median(apart) < percent
        assert 1000 * np.median([np.linalg.norm(a.local_m - b.local_m, axis=1) for a, b in pairs]) < local_mm


def test_a_hand_found_late_is_followed_back_to_where_it_came_into_sight(clip: list[np.ndarray]) -> None:
    """The palm network looks four times a second: live a hand is found up to seven frames late, afterwards in all of them."""
    frames = [np.full_like(clip[0], 120)] * 2 + clip[:12]
    tracker = open_tracker("litert")
    assert isinstance(tracker, WholeTracker)
    assert [len(found) for found in detect(tracker, frames)] == [0] * 8 + [1] * 6
    with tracker:
        whole = tracker.detect_all([(5 + i * EVERY, image) for i, image in enumerate(frames)])
    assert [len(found) for found in whole] == [0] * 2 + [1] * 12


def test_entered_again_it_knows_nothing_of_before(clip: list[np.ndarray]) -> None:
    tracker = open_tracker("litert")
    first, second = (detect(tracker, clip[:4]) for _ in range(2))
    for (a,), (b,) in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.points_px, b.points_px)


def test_where_there_is_no_hand_none_is_made_up(clip: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    empty = [rng.integers(0, 255, (240, 320, 3), np.uint8), np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 255, np.uint8),
             np.zeros((1, 1, 3), np.uint8), np.zeros((300, 7, 3), np.uint8), clip[0][:, :200]]
    for image in empty:
        assert detect(open_tracker("litert"), [image]) == [[]]


def test_a_grey_hand_is_a_hand(clip: list[np.ndarray]) -> None:
    grey = [cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) for image in clip[:3]]
    assert all(found[0].rightness > 0.5 for found in detect(open_tracker("litert"), grey))


def test_parameters_say_all_that_decides_the_result() -> None:
    ours, single = (dict(open_tracker(name).parameters) for name in OURS)
    assert json.loads(json.dumps(ours)) == ours
    assert ours.pop("precision") == "int8" and single.pop("precision") == "float32"
    assert ours == single and len(ours["model_sha256"]) == 64


def test_another_model_runs_in_single_precision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clip: list[np.ndarray]) -> None:
    """Integers are made for the published network alone."""
    with zipfile.ZipFile(hand_model()) as given, zipfile.ZipFile(tmp_path / "own.task", "w") as own:
        for name in reversed(given.namelist()):
            own.writestr(name, given.read(name))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own.task"))
    assert open_tracker("litert").parameters["precision"] == "float32"
    assert len(detect(open_tracker("litert"), clip[:1])[0]) == 1


@pytest.mark.parametrize("content", ["not a zip", "no parts", "no network"])
def test_a_file_that_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    path = tmp_path / "own.task"
    if content == "not a zip":
        path.write_bytes(b"not a model")
    else:
        with zipfile.ZipFile(path, "w") as file:
            for name in ("hand_detector.tflite", "hand_landmarks_detector.tflite") if content == "no network" else ("other",):
                file.writestr(name, b"not a network")
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(FirsthandError, match=r"own\.task is not a hand model that LiteRT can load"), open_tracker("litert"):
        pass


def test_a_region_turns_and_grows_with_its_hand() -> None:
    hand = np.random.default_rng(1).normal(0, 30, (21, 2)) + (0, -40) * np.arange(21)[:, None] ** 0.5 + (300, 200)
    before = region_of_hand(hand)
    turn, scale, shift = 0.7, 1.5, np.array([40.0, -25.0])
    R = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    after = region_of_hand(scale * hand @ R.T + shift)
    np.testing.assert_allclose((after.x_px, after.y_px), scale * R @ (before.x_px, before.y_px) + shift)
    assert after.side_px == pytest.approx(scale * before.side_px) and after.turn_rad == pytest.approx(before.turn_rad + turn)


def test_a_cut_out_has_its_fingers_up() -> None:
    """The middle of a region is the middle of the cut-out, and what lies towards the fingers lies above it."""
    region = region_of_palm(np.array([100.0, 100.0, 160.0, 140.0]), np.array([100.0, 120.0]), np.array([160.0, 120.0]))  # pointing right
    affine = region.affine(224)
    np.testing.assert_allclose(affine @ (112, 112, 1), (region.x_px, region.y_px))
    np.testing.assert_allclose(affine @ (112, 0, 1), (region.x_px + region.side_px / 2, region.y_px))
    assert (region.x_px, region.y_px, region.side_px) == pytest.approx((130 + 20, 120, 2.6 * 60))


def test_overlap_is_a_share() -> None:
    a = Region(10, 10, 4, 0.3)
    assert a.overlap(a) == 1 and a.overlap(Region(20, 10, 4, 0)) == 0
    assert a.overlap(Region(12, 10, 4, 0)) == pytest.approx(8 / 24) and a.overlap(Region(10, 10, 2, 0)) == pytest.approx(0.25)


def test_boxes_of_one_palm_become_their_weighted_mean() -> None:
    boxes = np.array([[[0, 0], [10, 10], [5, 5]], [[1, 0], [11, 10], [6, 5]], [[50, 50], [60, 60], [55, 55]]], float)
    (one, surest), (other, _) = blend(boxes, np.array([0.9, 0.3, 0.5]))
    np.testing.assert_allclose(one, boxes[0] * 0.75 + boxes[1] * 0.25)
    np.testing.assert_allclose(other, boxes[2])
    assert surest == 0.9 and blend(boxes[:0], np.zeros(0)) == []


def test_anchors_are_the_middles_of_their_cells() -> None:
    found = anchors()
    assert found.shape == (2016, 2)
    cells = np.array([(0.5, 0.5), (0.5, 0.5), (1.5, 0.5), (0.5, 1.5)]) / 24
    np.testing.assert_allclose(found[[0, 1, 2, 48, -1]], [*cells, (11.5 / 12, 11.5 / 12)])
