"""Depth at the hand: a made-up sensor image of a tilted hand, with what goes wrong in front of and behind it."""

import numpy as np

from firsthand.retarget.hand_depth import ANCHORS, SKIN_TO_JOINT_M, agreeing, patch_depths, plausible, sensor_depths, settle
from firsthand.retarget.hand_fit import fit_hand

F, CENTRE = 600.0, np.array([319.5, 239.5])


def tilted_hand() -> np.ndarray:
    """Joints (21, 3) of an open hand before a camera, the fingers 40 degrees away from it."""
    joints = np.zeros((21, 3))
    for finger, x in enumerate((-0.03, -0.022, -0.003, 0.017, 0.034)):
        for k, y in enumerate((0.03, 0.06, 0.085, 0.105) if finger == 0 else (0.087, 0.13, 0.155, 0.175)):
            joints[1 + 4 * finger + k] = (x * (1 + 0.2 * k), -y * np.cos(0.7), y * np.sin(0.7))
    return joints + np.array([0.02, 0.05, 0.45])


def skin(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The joints' pixels (21, 2), and the depth image of the skin before them with a wall behind."""
    pixels = joints[:, :2] / joints[:, 2:] * F + CENTRE
    depth = np.full((480, 640), 1.5)
    for joint in np.argsort(-joints[:, 2]):
        patch(depth, pixels[joint])[:] = joints[joint, 2] - SKIN_TO_JOINT_M[joint]
    return pixels, depth


def patch(depth: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """The pixels around a joint."""
    u, v = np.round(pixel).astype(int)
    return depth[v - 9 : v + 10, u - 9 : u + 10]


def placed(depth: np.ndarray, joints: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fitted joints (21, 3), their settled depths (21,) and which were measured (21,), from a shape that lies too flat."""
    xy = (pixels[None] - CENTRE) / F
    c, s = np.cos(0.35), np.sin(0.35)
    flat = (joints - joints[0])[None] @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T
    depths = plausible(sensor_depths(patch_depths(depth, pixels, 4)[None]), np.array([0.5]))
    fitted = fit_hand(flat, xy, depths.z_m)
    good = agreeing(depths, fitted)
    return fitted[0], settle(fitted, depths, good)[0], good[0]


def test_a_tilted_hand_lies_as_the_sensor_sees_it() -> None:
    joints = tilted_hand()
    pixels, depth = skin(joints)
    noisy = depth + np.random.default_rng(0).normal(0, 0.003, depth.shape)
    fitted, z, good = placed(noisy, joints, pixels)
    assert good.all()
    assert np.linalg.norm(fitted - joints, axis=1).max() < 0.006
    np.testing.assert_allclose(z, joints[:, 2], atol=0.004)


def test_holes_in_a_patch_do_not_matter() -> None:
    joints = tilted_hand()
    pixels, depth = skin(joints)
    depth[np.random.default_rng(0).random(depth.shape) < 0.4] = np.nan
    _, z, _ = placed(depth, joints, pixels)
    np.testing.assert_allclose(z, joints[:, 2], atol=0.003)


def test_patches_on_a_held_object_are_not_the_hands() -> None:
    joints = tilted_hand()
    pixels, depth = skin(joints)
    hidden = [0, 8, 12]
    for joint, off in zip(hidden, (-0.09, -0.06, 0.3), strict=True):
        patch(depth, pixels[joint])[:] += off
    _, z, good = placed(depth, joints, pixels)
    assert not good[hidden].any() and np.delete(good, hidden).sum() >= 15
    np.testing.assert_allclose(z, joints[:, 2], atol=0.015)


def test_two_good_anchors_are_too_few() -> None:
    joints = tilted_hand()
    pixels, depth = skin(joints)
    for joint in ANCHORS[:3]:
        patch(depth, pixels[joint])[:] = 0.9
    _, _, good = placed(depth, joints, pixels)
    assert not good.any()


def test_a_distance_no_hand_of_that_size_could_have_is_not_used() -> None:
    depths = sensor_depths(np.array([[0.18, 0.3, 0.5, 0.78, 0.80, *[np.nan] * 16]]))
    np.testing.assert_array_equal(np.isfinite(plausible(depths, np.array([0.4])).z_m)[0, :5], [False, True, True, True, False])


def test_joints_outside_the_picture_or_unseen_have_no_depth() -> None:
    depth = np.full((48, 64), 0.5)
    depth[20:30, 20:30] = np.nan
    points = np.array([(-1.0, 10.0), (25.0, 25.0), (1e6, 10.0), (10.0, 48.0), (np.nan, 3.0), (40.0, 10.0), (1.0, 1.0)])
    np.testing.assert_array_equal(patch_depths(depth, points, 2), [np.nan, np.nan, np.nan, np.nan, np.nan, 0.5, 0.5])
