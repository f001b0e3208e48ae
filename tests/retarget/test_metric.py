"""Placing hands in metres: exact where the points are exact."""

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.metric import bone_lengths, face_ray, rays, scale_bones, solve_translation

CAMERA = CameraCalibration(np.array([[410.0, 0, 319.5], [0, 405.0, 239.5], [0, 0, 1]]), 640, 480)
BARREL = CameraCalibration(CAMERA.K, 640, 480, np.array([-0.28, 0.09, 0.001, -0.0006, -0.01]))


def made_up_hands(n: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Hands of random shape in front of a camera: local joints (n, 21, 3) and their translations (n, 3)."""
    random = np.random.default_rng(seed)
    local = random.normal(0, 0.05, (n, 21, 3))
    return local, np.stack([random.uniform(-0.25, 0.25, n), random.uniform(-0.2, 0.2, n), random.uniform(0.3, 0.9, n)], 1)


def project(points: np.ndarray) -> np.ndarray:
    return points[..., :2] / points[..., 2:]


def test_the_translation_is_exact_on_exact_points() -> None:
    local, t = made_up_hands()
    np.testing.assert_allclose(solve_translation(local, project(local + t[:, None])), t, atol=1e-12)


def test_many_frames_are_solved_as_one_by_one() -> None:
    local, t = made_up_hands()
    xy = project(local + t[:, None]) + np.random.default_rng(1).normal(0, 0.01, (len(t), 21, 2))
    one_by_one = np.concatenate([solve_translation(local[i : i + 1], xy[i : i + 1]) for i in range(len(t))])
    np.testing.assert_array_equal(solve_translation(local, xy), one_by_one)


def test_the_translation_is_the_least_squares_one() -> None:
    local, t = made_up_hands(5)
    xy = project(local + t[:, None]) + np.random.default_rng(1).normal(0, 0.01, (5, 21, 2))
    for i, solved in enumerate(solve_translation(local, xy)):
        rows, right = [], []
        for (x, y), (X, Y, Z) in zip(xy[i], local[i], strict=True):
            rows += [(1, 0, -x), (0, 1, -y)]
            right += [x * Z - X, y * Z - Y]
        np.testing.assert_allclose(solved, np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0], atol=1e-12)


def test_an_unseen_frame_stays_unseen_and_spoils_no_other() -> None:
    local, t = made_up_hands(3)
    xy = project(local + t[:, None])
    local[1] = xy[1] = np.nan
    solved = solve_translation(face_ray(local, xy), xy)
    assert np.isnan(solved[1]).all() and np.isfinite(solved[[0, 2]]).all()


@pytest.mark.parametrize("camera", [CAMERA, BARREL], ids=["pinhole", "distorted"])
def test_pixels_become_the_rays_they_came_from(camera: CameraCalibration) -> None:
    local, t = made_up_hands(8)
    points = local + t[:, None]
    points[:, :, 2] = np.maximum(points[:, :, 2], 0.3)
    pixels = cv2.projectPoints(points.reshape(-1, 3), np.zeros(3), np.zeros(3), camera.K, camera.distortion)[0].reshape(8, 21, 2)
    wide = np.abs(project(points)).max(-1) > 0.7  # beyond the picture's edge the lens model folds over
    pixels[2] = np.nan
    found = rays(pixels, camera)
    assert np.isnan(found[2]).all()
    keep = ~wide
    keep[2] = False
    np.testing.assert_allclose(found[keep], project(points)[keep], atol=2e-3)


def test_a_hand_on_the_axis_is_not_turned() -> None:
    local, _ = made_up_hands(1)
    np.testing.assert_allclose(face_ray(local, np.zeros((1, 21, 2))), local, atol=1e-15)


def test_facing_the_ray_takes_the_axis_there_without_bending_the_hand() -> None:
    local, _ = made_up_hands(6)
    local[:, 0], local[:, 1] = 0, (0, 0, 1)  # wrist at 0, one joint on the optical axis
    xy = np.broadcast_to(np.random.default_rng(2).uniform(-0.8, 0.8, (6, 1, 2)), (6, 21, 2))
    turned = face_ray(local, xy)
    np.testing.assert_allclose(project(turned[:, 1]), xy[:, 0], atol=1e-12)
    np.testing.assert_allclose(bone_lengths(turned), bone_lengths(local), atol=1e-12)
    assert (np.linalg.det(face_ray(np.tile(np.eye(3), (6, 7, 1)), xy)[:, :3]) > 0.999).all()  # no mirror image


def test_calibrated_bones_keep_their_directions() -> None:
    local, _ = made_up_hands(4)
    lengths = np.linspace(0.02, 0.09, 20)
    scaled = scale_bones(local, lengths)
    np.testing.assert_allclose(bone_lengths(scaled), np.broadcast_to(lengths, (4, 20)))
    np.testing.assert_allclose(scale_bones(scaled, bone_lengths(local[:1])[0])[0], local[0], atol=1e-12)
