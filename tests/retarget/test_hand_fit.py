"""Turning and placing a hand to meet the picture."""

import numpy as np

from firsthand.retarget.hand_fit import ADULT_BONES_M, fit_hand, rotations
from firsthand.retarget.metric import bone_lengths, scale_bones


def hands(n: int = 30) -> np.ndarray:
    """Adult hands of random pose before a camera, (n, 21, 3)."""
    random = np.random.default_rng(4)
    shapes = scale_bones(random.normal(0, 0.05, (n, 21, 3)), ADULT_BONES_M)
    return shapes + np.stack([random.uniform(-0.2, 0.2, n), random.uniform(-0.2, 0.2, n), random.uniform(0.35, 0.8, n)], 1)[:, None]


def turned(points: np.ndarray, angle_rad: float) -> np.ndarray:
    """Each hand turned about a random axis through its middle."""
    axis = np.random.default_rng(5).normal(0, 1, (len(points), 3))
    middle = points.mean(1, keepdims=True)
    R = rotations(axis / np.linalg.norm(axis, axis=1, keepdims=True) * angle_rad)
    return np.einsum("nij,nkj->nki", R, points - middle) + middle


def test_exact_joints_are_met_exactly() -> None:
    points = hands()
    xy = points[..., :2] / points[..., 2:]
    np.testing.assert_allclose(fit_hand(points - points[:, :1], xy), points, atol=1e-9)


def test_the_picture_corrects_the_trackers_tilt() -> None:
    points = hands()
    xy = points[..., :2] / points[..., 2:]
    start = turned(points, 0.35)
    fitted = fit_hand(start - start[:, :1], xy)
    left = np.linalg.norm(fitted - points, axis=-1).mean(1) / np.linalg.norm(start - points, axis=-1).mean(1)
    assert np.median(left) < 0.2


def test_a_hand_is_never_bent() -> None:
    points = hands()
    xy = points[..., :2] / points[..., 2:] + np.random.default_rng(6).normal(0, 0.02, (len(points), 21, 2))
    depths = points[..., 2] + np.random.default_rng(7).normal(0, 0.02, points.shape[:2])
    for fitted in (fit_hand(points, xy), fit_hand(points, xy, depths)):
        np.testing.assert_allclose(bone_lengths(fitted), np.broadcast_to(ADULT_BONES_M, (len(points), 20)), atol=1e-9)


def test_one_depth_in_five_may_be_the_wall() -> None:
    points = hands()
    xy, depths = points[..., :2] / points[..., 2:], points[..., 2].copy()
    depths[:, ::5] += 0.5
    fitted = fit_hand(points - points[:, :1], xy, depths)
    assert np.linalg.norm(fitted - points, axis=-1).max() < 0.012


def test_frames_with_and_without_depth_are_fitted_as_one_by_one() -> None:
    points = hands(8)
    xy = points[..., :2] / points[..., 2:] + np.random.default_rng(8).normal(0, 0.01, (8, 21, 2))
    depths = points[..., 2].copy()
    depths[::2] = np.nan
    together = fit_hand(points, xy, depths)
    for i in range(8):
        alone = fit_hand(points[i : i + 1], xy[i : i + 1], depths[i : i + 1] if i % 2 else None)
        np.testing.assert_allclose(together[i], alone[0], atol=1e-12)


def test_turning_by_a_vector_is_turning_about_it() -> None:
    R = rotations(np.array([[0.0, 0, 0], [0, 0, np.pi / 2], [1e-12, 0, 0], [0.3, -0.2, 0.5]]))
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(R[1] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(R[3] @ [0.3, -0.2, 0.5], [0.3, -0.2, 0.5], atol=1e-12)
