"""Head poses at frame times."""

import numpy as np

from firsthand.retarget.head_pose import poses_at, rotations, slerp

MS = 1_000_000


def steady_turn(t_ns: np.ndarray) -> np.ndarray:
    """A head moving along x at 0.2 m/s and turning about z at 1 rad/s: (N, 7)."""
    s = t_ns * 1e-9
    zero = np.zeros_like(s)
    return np.stack([0.2 * s, zero, zero + 1.5, np.cos(s / 2), zero, zero, np.sin(s / 2)], 1)


def test_a_steady_motion_is_followed_exactly_between_the_samples() -> None:
    at = np.arange(0, 1000, 10) * MS
    t = np.arange(3, 900, 33) * MS
    poses = poses_at(t, at, steady_turn(at))
    s = t * 1e-9
    np.testing.assert_allclose(poses[:, 0, 3], 0.2 * s, atol=1e-12)
    np.testing.assert_allclose(poses[:, :2, 0], np.stack([np.cos(s), np.sin(s)], 1), atol=1e-9)
    R = poses[:, :3, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (len(t), 1, 1)), atol=1e-12)


def test_the_sign_of_a_quaternion_does_not_matter() -> None:
    at = np.arange(0, 1000, 10) * MS
    poses = steady_turn(at)
    flipped = poses.copy()
    flipped[::2, 3:] *= -1
    t = np.arange(3, 900, 33) * MS
    np.testing.assert_allclose(poses_at(t, at, flipped), poses_at(t, at, poses), atol=1e-12)


def test_a_gap_is_not_bridged_and_the_edges_are_held_for_a_moment_only() -> None:
    at = np.r_[np.arange(0, 300, 10), np.arange(500, 800, 10)] * MS
    t = np.array([-60, -40, 150, 290, 400, 500, 830, 850]) * MS
    known = np.isfinite(poses_at(t, at, steady_turn(at))).all((1, 2))
    np.testing.assert_array_equal(known, [False, True, True, True, False, True, True, False])


def test_lost_tracking_is_a_gap() -> None:
    at = np.arange(0, 600, 10) * MS
    poses = steady_turn(at)
    poses[20:40] = np.nan
    known = np.isfinite(poses_at(np.array([100, 300, 500]) * MS, at, poses)).all((1, 2))
    np.testing.assert_array_equal(known, [True, False, True])
    assert np.isnan(poses_at(at, at, np.full_like(poses, np.nan))).all()


def test_one_pose_serves_the_frames_beside_it() -> None:
    one = np.zeros(1, np.int64)
    known = np.isfinite(poses_at(np.array([-20, 0, 20, 70]) * MS, one, steady_turn(one))).all((1, 2))
    np.testing.assert_array_equal(known, [True, True, True, False])


def test_half_way_between_two_rotations_is_half_the_angle() -> None:
    a, b = np.array([[1.0, 0, 0, 0]]), np.array([[np.cos(0.6), np.sin(0.6), 0, 0]])
    np.testing.assert_allclose(slerp(a, b, np.array([[0.5]])), [[np.cos(0.3), np.sin(0.3), 0, 0]])
    np.testing.assert_allclose(rotations(b)[0, 1:, 1], [np.cos(1.2), np.sin(1.2)])
