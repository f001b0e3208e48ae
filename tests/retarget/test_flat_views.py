"""Curved pictures shown flat to the tracker, and its hands put back."""

import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.flat_views import WIDEST_RAD, flat_views
from firsthand.retarget.metric import face_ray, facing, rays
from firsthand.retarget.tracker import Detection

ARIA = np.array([-0.0306, 0.0204, 0.1211, -0.2203, 0.1344, -0.0290, -9e-4, 1e-4, 5e-4, 7e-4, -5e-4, 2e-4])


def fisheye(width: int = 400, height: int = 300, f: float = 175.0) -> CameraCalibration:
    K = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
    return CameraCalibration(K, width, height, ARIA, model="fisheye624")


def hand_at(direction: np.ndarray) -> np.ndarray:
    """Joints (21, 3) of something like a hand 0.4 m away in a direction."""
    return direction / np.linalg.norm(direction) * 0.4 + np.random.default_rng(0).uniform(-0.05, 0.05, (21, 3))


def test_a_flat_picture_is_left_alone() -> None:
    pinhole = CameraCalibration.from_hfov(640, 480, 120)
    assert flat_views(pinhole) == []
    assert flat_views(CameraCalibration(pinhole.K, 640, 480, np.array([0.001, 0, 0, 0]))) == []  # a little bent


def test_views_together_show_what_the_fisheye_sees_and_none_is_too_wide() -> None:
    camera = fisheye()
    views = flat_views(camera)
    assert 2 <= len(views) <= 4
    spots = camera.unproject(np.stack(np.meshgrid(np.linspace(20, 380, 19), [150.0]), -1).reshape(-1, 2))
    shown = np.zeros(len(spots), bool)
    for view in views:
        assert 2 * np.arctan(view.flat.width_px / 2 / view.flat.K[0, 0]) <= WIDEST_RAD + 1e-6
        px = view.flat.project(spots @ view.R_cam_view)
        shown |= ((px >= 0) & (px <= [view.flat.width_px, view.flat.height_px])).all(1)
    assert shown.all()


def test_what_is_straight_in_the_world_is_straight_in_the_view() -> None:
    camera = fisheye(f=300.0)
    view = flat_views(camera)[0]
    image = np.zeros((300, 400, 3), np.uint8)
    line = camera.project(np.stack([np.linspace(-0.5, 0.5, 4000), np.full(4000, -0.3), np.ones(4000)], 1))
    line = np.rint(line[((line >= 0) & (line < [399, 299])).all(1)]).astype(int)
    image[line[:, 1], line[:, 0]] = 255
    y, x = np.nonzero(view.flatten(image)[..., 0] > 60)
    assert len(x) > 100
    slope = np.polyfit(x, y, 1)
    assert np.abs(y - np.polyval(slope, x)).max() < 2.0


@pytest.mark.parametrize("direction", [(0.0, 0.0, 1.0), (0.7, 0.1, 1.0), (-0.8, -0.3, 1.0)])
def test_a_hand_found_in_a_view_is_the_same_hand_in_the_picture(direction: tuple[float, float, float]) -> None:
    camera, joints = fisheye(), hand_at(np.array(direction))
    for view in flat_views(camera):
        seen = joints @ view.R_cam_view
        px = view.flat.project(seen)
        if not ((px >= 0) & (px <= [view.flat.width_px, view.flat.height_px])).all():
            continue
        turned = facing(rays(px, view.flat)[None])[0]
        found = view.in_picture(Detection(px, (seen - seen[0]) @ turned, 0.9, 0.8))  # as though it were in the middle of the view
        assert found is not None and (found.rightness, found.score) == (0.9, 0.8)
        np.testing.assert_allclose(found.points_px, camera.project(joints), atol=1e-6)
        placed = face_ray(found.local_m[None], rays(found.points_px, camera)[None])[0]
        np.testing.assert_allclose(placed, joints - joints[0], atol=1e-9)
        return
    pytest.fail("no view shows the hand")


def test_a_hand_where_the_camera_sees_nothing_is_none() -> None:
    view = flat_views(fisheye())[0]
    assert view.in_picture(Detection(np.full((21, 2), -3000.0), np.zeros((21, 3)), 1.0, 0.5)) is None
