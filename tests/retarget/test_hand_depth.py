"""Depth at the hand: a made-up sensor image of a tilted palm, with what goes wrong in front of and behind it."""

import numpy as np

from firsthand.retarget.hand_depth import ANCHORS, SKIN_TO_JOINT_M, joint_depths, patch_depths, wrist_from_depth

F = 400.0


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A palm tilted away from a camera: joints (21, 3) in metres, their pixels (21, 2), and the depth image of its skin."""
    joints = np.zeros((21, 3))
    joints[list(ANCHORS)] = [(0, 0, 0), (-0.025, -0.085, 0.03), (-0.003, -0.09, 0.03), (0.017, -0.085, 0.03), (0.034, -0.075, 0.03)]
    joints += (0.02, 0.05, 0.45)
    pixels = joints[:, :2] / joints[:, 2:] * F + (319.5, 239.5)
    depth = np.full((480, 640), 1.5)
    for joint in ANCHORS:
        u, v = np.round(pixels[joint]).astype(int)
        depth[v - 9 : v + 10, u - 9 : u + 10] = joints[joint, 2] - SKIN_TO_JOINT_M
    return joints, pixels, depth


def solve(depth: np.ndarray, joints: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Anchor depths (5,) and wrist (3,) as the stage finds them."""
    local = (joints - joints[9])[None]
    depths = joint_depths(patch_depths(depth, pixels[list(ANCHORS)], 5)[None], local)
    return depths[0], wrist_from_depth(depths, local, (pixels[None] - (319.5, 239.5)) / F)[0]


def test_the_wrist_is_where_the_sensor_sees_it() -> None:
    joints, pixels, depth = scene()
    noisy = depth + np.random.default_rng(0).normal(0, 0.003, depth.shape)
    _, wrist = solve(noisy, joints, pixels)
    assert np.linalg.norm(wrist - joints[0]) < 0.003


def test_holes_in_a_patch_do_not_matter() -> None:
    joints, pixels, depth = scene()
    depth[np.random.default_rng(0).random(depth.shape) < 0.4] = np.nan
    _, wrist = solve(depth, joints, pixels)
    np.testing.assert_allclose(wrist, joints[0], atol=1e-9)


def test_a_patch_on_a_held_object_is_rejected() -> None:
    joints, pixels, depth = scene()
    u, v = np.round(pixels[0]).astype(int)
    depth[v - 9 : v + 10, u - 9 : u + 10] -= 0.06  # something in front of the wrist
    depths, wrist = solve(depth, joints, pixels)
    assert np.isnan(depths[0]) and np.isfinite(depths[1:]).all()
    np.testing.assert_allclose(wrist, joints[0], atol=1e-9)  # told by the knuckles and the hand's shape


def test_two_good_patches_are_too_few() -> None:
    joints, pixels, depth = scene()
    for joint, off in ((0, 0.3), (5, -0.1), (9, 0.6)):
        u, v = np.round(pixels[joint]).astype(int)
        depth[v - 9 : v + 10, u - 9 : u + 10] += off
    depths, wrist = solve(depth, joints, pixels)
    assert np.isnan(depths).all() and np.isnan(wrist).all()


def test_anchors_outside_the_picture_or_unseen_have_no_depth() -> None:
    depth = np.full((48, 64), 0.5)
    depth[20:30, 20:30] = np.nan
    points = np.array([(-1.0, 10.0), (25.0, 25.0), (1e6, 10.0), (10.0, 48.0), (np.nan, 3.0), (40.0, 10.0)])
    np.testing.assert_array_equal(patch_depths(depth, points, 3), [np.nan, np.nan, np.nan, np.nan, np.nan, 0.5])
