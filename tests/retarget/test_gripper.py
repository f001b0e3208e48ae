"""A gripper in place of thumb and index finger."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP
from firsthand.retarget.gripper import PARAMETERS, follow_with_gripper, grasp_poses
from firsthand.retarget.robot import load_robot
from firsthand.retarget.turning import turn_angles

PANDA = load_robot("panda_gripper")


def aperture(points: np.ndarray) -> np.ndarray:
    """Distance between the two tips, (N,)."""
    return np.asarray(np.linalg.norm(points[:, INDEX_TIP] - points[:, THUMB_TIP], axis=1))


def test_tool_centre_is_the_midpoint_of_the_tips_and_axes_are_right_handed(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    track = follow_with_gripper(motion.hand_track(points), PANDA)
    assert track.valid.all()
    assert_allclose(track.T_frame_ee[:, :3, 3], (points[:, THUMB_TIP] + points[:, INDEX_TIP]) / 2, atol=1e-12)
    R = track.T_frame_ee[:, :3, :3]
    assert_allclose(R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    assert_allclose(np.linalg.det(R), 1, atol=1e-12)
    assert_array_equal(track.T_frame_ee[:, 3], np.tile([0.0, 0, 0, 1], (len(points), 1)))


def test_width_is_the_aperture_clipped_to_the_gripper_and_clipping_is_marked(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    track = follow_with_gripper(motion.hand_track(points), PANDA)
    gap = aperture(points)
    assert gap.min() < 0.02 and gap.max() > 0.08, "the motion must pinch and open wide for this test to tell anything"
    assert_allclose(track.joints[:, 0], np.clip(gap, 0, 0.08), atol=1e-15)
    assert_array_equal(track.saturated, gap > 0.08)
    assert track.joint_names == ("width",) and track.joint_units == ("m",)


def test_an_open_hand_held_still_gives_y_from_thumb_to_index_and_z_away_from_the_wrist(motion: SimpleNamespace) -> None:
    points = np.repeat(motion.moving_hand(1), 20, axis=0)
    T = grasp_poses(points, np.arange(20) * 33_333_333, "right")
    across = points[:, INDEX_TIP] - points[:, THUMB_TIP]
    assert_allclose(T[:, :3, 1], across / np.linalg.norm(across, axis=1, keepdims=True), atol=1e-9)
    assert (np.einsum("ni,ni->n", T[:, :3, 2], T[:, :3, 3] - points[:, 0]) > 0.05).all()


def test_residual_is_half_of_what_the_gripper_cannot_open(motion: SimpleNamespace) -> None:
    points = np.repeat(1.5 * motion.moving_hand(1), 5, axis=0)
    track = follow_with_gripper(motion.hand_track(points), PANDA)
    assert aperture(points)[0] > 0.08
    assert_allclose(track.residual_m, (aperture(points) - 0.08) / 2, atol=1e-9)


def test_the_frame_turns_smoothly_through_a_pinch_however_noisy_the_line_between_touching_tips(motion: SimpleNamespace) -> None:
    local = motion.moving_hand(120)
    closed = aperture(local) < 0.02
    assert 3 < closed.sum() < 60
    rng = np.random.default_rng(0)
    local[closed, THUMB_TIP] = local[closed, INDEX_TIP] + rng.normal(0, 0.002, (int(closed.sum()), 3))
    line = local[:, INDEX_TIP] - local[:, THUMB_TIP]
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    assert np.einsum("ni,ni->n", line[1:], line[:-1]).min() < 0, "the raw line must jump for this test to tell anything"
    T = grasp_poses(motion.in_camera(local), np.arange(120) * 33_333_333, "right")
    assert np.isfinite(T).all()
    assert np.degrees(turn_angles(T[:, :3, :3]).max()) < 26


def test_tips_at_the_very_same_point_are_a_closed_gripper(motion: SimpleNamespace) -> None:
    points = motion.moving_hand(30)
    points[:, THUMB_TIP] = points[:, INDEX_TIP]
    track = follow_with_gripper(motion.hand_track(points), PANDA)
    assert track.valid.all() and np.isfinite(track.T_frame_ee).all()
    assert_array_equal(track.joints, 0.0)


def test_a_left_hand_mirrored_gives_the_mirrored_grasp(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    t_ns = np.arange(len(points)) * 33_333_333
    right, left = grasp_poses(points, t_ns, "right"), grasp_poses(points * [-1, 1, 1], t_ns, "left")
    mirror = np.diag([-1.0, 1, 1])
    assert_allclose(left[:, :3, 3], right[:, :3, 3] @ mirror, atol=1e-12)
    assert_allclose(left[:, :3, 1:3], mirror @ right[:, :3, 1:3], atol=1e-9)  # y and z; x is their product, hence turned round
    assert_allclose(np.linalg.det(left[:, :3, :3]), 1, atol=1e-12)


def test_where_the_hand_was_not_seen_there_is_no_action(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand(30))
    points[10:14] = np.nan
    points[20] = 0.0  # a tracker's idea of nothing
    track = follow_with_gripper(motion.hand_track(points), PANDA)
    away = np.isin(np.arange(30), [10, 11, 12, 13, 20])
    assert_array_equal(track.valid, ~away)
    for values in (track.T_frame_ee, track.joints, track.residual_m):
        assert np.isnan(values[away]).all() and np.isfinite(values[~away]).all()
    assert not track.saturated[away].any()


def test_frames_beyond_a_gap_say_nothing_about_those_before_it(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand(40))
    points[20] = np.nan
    whole = grasp_poses(points, np.arange(40) * 33_333_333, "right")
    assert_array_equal(whole[:20], grasp_poses(points[:20], np.arange(20) * 33_333_333, "right"))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_recordings(motion: SimpleNamespace, frames: int) -> None:
    track = follow_with_gripper(motion.hand_track(motion.moving_hand(frames)), PANDA)
    assert track.joints.shape == (frames, 1) and track.valid.all()


def test_frames_with_the_same_time_do_not_break_anything(motion: SimpleNamespace) -> None:
    points = motion.moving_hand(30)
    t_ns = np.arange(30) // 2 * 66_666_666
    track = follow_with_gripper(motion.hand_track(points, t_ns=t_ns), PANDA)
    assert track.valid.all() and np.isfinite(track.T_frame_ee).all()


def test_on_recorded_hands_nothing_jumps_even_when_the_thumb_crosses_the_finger(motion: SimpleNamespace, real_hand: np.ndarray) -> None:
    track = follow_with_gripper(motion.hand_track(real_hand), PANDA)
    assert track.valid.all()
    assert turn_angles(track.T_frame_ee[:, :3, :3]).max() <= PARAMETERS["turn_rad_s"] / 30 + 1e-6
    across = real_hand[:, INDEX_TIP] - real_hand[:, THUMB_TIP]
    off = np.degrees(np.arccos(np.clip(np.einsum("ni,ni->n", track.T_frame_ee[:, :3, 1], across) / aperture(real_hand), -1, 1)))
    assert np.median(off) < 2, "most of the time y is the line between the tips"
