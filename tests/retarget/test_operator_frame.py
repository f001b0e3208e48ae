"""Axes fixed to a hand."""

from types import SimpleNamespace

import numpy as np
from numpy.testing import assert_allclose

from firsthand.retarget.operator_frame import operator_frame

MIRROR = np.array([1.0, -1.0, 1.0])


def test_axes_are_orthonormal_and_lead_back_to_the_points(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    R, local = operator_frame(points, "right")
    assert_allclose(R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    assert_allclose(np.linalg.det(R), 1, atol=1e-12)
    assert_allclose(local @ R.transpose(0, 2, 1) + points[:, :1], points, atol=1e-12)


def test_local_points_do_not_depend_on_where_the_hand_is(motion: SimpleNamespace) -> None:
    still = motion.moving_hand()
    _, moved = operator_frame(motion.in_camera(still), "right")
    assert_allclose(moved, operator_frame(still, "right")[1], atol=1e-12)


def test_fingers_are_up_palm_is_forward_and_a_right_thumb_is_at_plus_y(motion: SimpleNamespace) -> None:
    _, local = operator_frame(motion.in_camera(motion.moving_hand()), "right")
    assert (local[:, 9, 2] > 0.09).all(), "the middle knuckle lies along +z"
    assert (local[:, 5, 1] > 0.02).all(), "the index knuckle lies towards the thumb"
    assert (local[:, 12, 0] > local[:, 9, 0]).all(), "fingers curl out of the palm, along +x"


def test_a_left_hand_is_the_mirror_image_of_a_right_one(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    _, right = operator_frame(points, "right")
    _, left = operator_frame(points * [-1, 1, 1], "left")
    assert_allclose(left, right * MIRROR, atol=1e-12)


def test_unseen_and_degenerate_frames_are_nan(motion: SimpleNamespace) -> None:
    points = motion.moving_hand(4)
    points[1, 3, 0] = np.nan
    points[2] = 0
    R, local = operator_frame(points, "right")
    assert np.isnan(R[1:3]).all() and np.isnan(local[1:3]).all()
    assert np.isfinite(R[[0, 3]]).all() and np.isfinite(local[[0, 3]]).all()


def test_no_frames_are_no_frames() -> None:
    R, local = operator_frame(np.zeros((0, 21, 3)), "left")
    assert R.shape == (0, 3, 3) and local.shape == (0, 21, 3)


def test_recorded_hands_are_in_the_operator_frame_already(real_hand: np.ndarray) -> None:
    R, local = operator_frame(real_hand, "right")
    assert_allclose(R, np.broadcast_to(np.eye(3), R.shape), atol=2e-6)  # the file is float32
    knuckles_mm = local[:, [5, 9, 17]].mean(0) * 1e3
    assert_allclose(knuckles_mm, [[0, 26, 96], [0, 0, 97], [17, -35, 75]], atol=1)
