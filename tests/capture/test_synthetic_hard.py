"""Scenes that are hard to track: each shows what its name says, and the truth knows what the camera could see."""

import cv2
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.visibility import shown_joints
from firsthand.capture.synthetic.wearer import Wearer


def sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.CV_64F).var())


def test_fast_hands_are_fast() -> None:
    hand = Wearer(task="fast", seed=2, fps=60).truth().hands["right"]
    speed = np.linalg.norm(np.diff(hand.points_m[:, 0], axis=0), axis=1) * 60
    assert 0.9 < speed.max() < 2.5 and np.median(speed) < 0.2  # darts, with rests between
    assert hand.visible.mean() > 0.9


def test_hands_leave_and_come_back() -> None:
    hands = Wearer(task="leave", seed=1, duration_s=10).truth().hands
    for side in SIDES:
        turns = np.abs(np.diff(hands[side].visible.astype(int))).sum()
        assert turns >= 3 and 0.2 < hands[side].visible.mean() < 0.9


def test_crossing_hands_change_places_and_hide_each_other() -> None:
    wearer = Wearer(task="cross", seed=1)
    hands, shown = wearer.truth().hands, shown_joints(wearer)
    order = np.sign(hands["right"].points_px[:, 9, 0] - hands["left"].points_px[:, 9, 0])
    assert {-1, 1} <= set(order)
    assert min(shown[side].min() for side in SIDES) < 0.5
    assert all(hands[side].visible.mean() > 0.9 for side in SIDES)  # the picture's edge hides none of it


def test_one_hand_works_alone_and_nobody_is_nobody() -> None:
    hands = Wearer(task="alone", seed=1).truth().hands
    assert sorted(hands[side].visible.mean() > 0.9 for side in SIDES) == [False, True]
    assert not any(hand.visible.any() for hand in Wearer(task="nobody").truth().hands.values())


def test_a_box_hides_a_hand_that_is_in_the_picture() -> None:
    wearer = Wearer(task="hidden", seed=1)
    shown, truth = shown_joints(wearer), wearer.truth()
    assert truth.hands["left"].visible.all() and 0.2 < (shown["left"] < 0.7).mean() < 0.8
    assert shown["right"].min() == 1
    deepest = int(shown["left"].argmin())
    image, depth = wearer.frame(deepest)
    x, y = np.rint(truth.hands["left"].points_px[deepest, 12]).astype(int)
    z = np.linalg.inv(truth.T_world_cam[deepest])[2] @ [*truth.hands["left"].points_m[deepest, 12], 1]
    assert depth[y, x] < z - 0.03  # the box, not the skin, is what the picture shows there
    assert image[y, x, 2] > image[y, x, 0]


def test_somebody_elses_hands_are_in_the_picture_and_not_in_the_truth() -> None:
    wearer = Wearer(task="visitor", seed=1)
    (other, _), at = wearer.task.others, wearer.seconds("head")
    i = int(0.45 * len(at))
    points = other.points_m(at[i : i + 1])[0]
    T, K = np.linalg.inv(wearer.truth().T_world_cam[i]), wearer.camera.K
    inside = points @ T[:3, :3].T + T[:3, 3]
    x, y = np.rint((inside @ K.T)[9, :2] / inside[9, 2]).astype(int)
    _, depth = wearer.frame(i)
    assert 0 < inside[9, 2] - depth[y, x] < 0.03  # their knuckle, just under the skin
    assert points[12, 1] < points[0, 1]  # fingers towards the wearer
    assert set(wearer.truth().hands) == set(SIDES)


def test_an_open_shutter_blurs_what_moves_and_only_that() -> None:
    quick, slow = Wearer(task="fast", seed=2), Wearer(task="fast", seed=2, shutter_s=0.016)
    hand = quick.truth().hands["right"].points_px[:, 9]
    step = np.linalg.norm(np.diff(hand, axis=0), axis=1)
    for i, blurred in ((int(step.argmax()), True), (int(step.argmin()), False)):
        x, y = np.clip(np.rint(hand[i]).astype(int), 50, (589, 429))
        box = np.s_[y - 50 : y + 50, x - 50 : x + 50]
        share = sharpness(slow.frame(i)[0][box]) / sharpness(quick.frame(i)[0][box])
        assert share < 0.6 if blurred else share > 0.85


def test_little_light_is_dark_and_noisy() -> None:
    bright, dim = (Wearer(task="alone", seed=2, light=light) for light in (1.0, 0.2))
    frames = [cv2.imdecode(np.frombuffer(w.sensor.jpeg(3, w.frame(3)[0]), np.uint8), cv2.IMREAD_COLOR) for w in (bright, dim)]
    assert frames[1].mean() == pytest.approx(0.45 * frames[0].mean(), rel=0.1)
    flat = np.full((480, 640, 3), 128, np.uint8)
    noise = [float(np.std(cv2.imdecode(np.frombuffer(w.sensor.jpeg(0, flat), np.uint8), cv2.IMREAD_COLOR))) for w in (bright, dim)]
    assert noise[1] > 3 * noise[0]
    assert bright.looks != dim.looks


def test_a_grey_camera_and_one_upside_down_see_the_same_scene() -> None:
    usual, grey, turned = (Wearer(seed=2, **how) for how in ({}, {"grey": True}, {"roll_deg": 180.0}))
    seen = cv2.imdecode(np.frombuffer(grey.sensor.jpeg(0, grey.frame(0)[0]), np.uint8), cv2.IMREAD_COLOR)
    assert np.ptp(seen.astype(int), axis=2).max() <= 4
    difference = np.abs(turned.frame(0)[0][::-1, ::-1].astype(int) - usual.frame(0)[0])
    assert np.median(difference) <= 1
    for side in SIDES:
        upside_down = np.array([639, 479]) - turned.truth().hands[side].points_px
        np.testing.assert_allclose(upside_down, usual.truth().hands[side].points_px, atol=1e-6)


def test_light_and_shutter_that_cannot_be_are_refused() -> None:
    for wrong in ({"light": 0.0}, {"shutter_s": 0.2}):
        with pytest.raises(FirsthandError, match=r"a light of 0\.02 to 1"):
            Wearer(**wrong)
