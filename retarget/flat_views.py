"""A curved picture as one or more flat ones, for trackers that know no others; and what they find there, put back on the curved."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.metric import facing, rays
from firsthand.retarget.tracker import Detection

Floats = npt.NDArray[np.float64]

CURVED_SHARE = 0.02
"""A picture is curved when its lens moves something by more than this share of the picture's width."""
WIDEST_RAD, OVERLAP_RAD = np.radians(110), np.radians(25)
"""A flat picture shows no more, or what is far from its middle is stretched; two show this much in common: a hand 0.4 m away."""
LONGEST_SIDE_PX = 1280
"""Trackers look at less than that."""
GRID = 33


@dataclass(frozen=True, eq=False)
class FlatView:
    """A pinhole camera without distortion in the place of the real one, turned to a part of its picture."""

    camera: CameraCalibration
    """The real one."""
    flat: CameraCalibration
    R_cam_view: Floats
    """Takes directions in the view to the camera, shape (3, 3)."""

    @cached_property
    def _maps(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        y, x = np.mgrid[: self.flat.height_px, : self.flat.width_px].astype(np.float64)
        seen = self.camera.project(self.flat.unproject(np.stack([x, y], -1)) @ self.R_cam_view.T)
        seen = np.nan_to_num(seen, nan=-1e4)
        return seen[..., 0].astype(np.float32), seen[..., 1].astype(np.float32)

    def flatten(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The view of a picture (H, W, 3); black where the camera sees nothing."""
        import cv2

        return np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR), np.uint8)

    def in_picture(self, found: Detection) -> Detection | None:
        """A hand found in the view, as it is in the picture; None where the camera cannot have seen it."""
        ahead = self.flat.unproject(found.points_px)
        points_px = self.camera.project(ahead @ self.R_cam_view.T)
        xy = rays(points_px, self.camera)
        if not np.isfinite(xy).all():
            return None
        # A tracker's joints are turned as though the hand were in the middle of the picture: of the view here, of the camera there.
        turn = facing(xy[None])[0].T @ self.R_cam_view @ facing(rays(found.points_px, self.flat)[None])[0]
        return Detection(points_px, found.local_m @ turn.T, found.rightness, found.score)


def flat_views(camera: CameraCalibration) -> list[FlatView]:
    """Views that together show a picture whose lens bends it; none for a picture that is flat enough as it is."""
    if camera.model == "opencv" and not camera.distortion.any():
        return []
    y, x = np.mgrid[0 : camera.height_px - 1 : GRID * 1j, 0 : camera.width_px - 1 : GRID * 1j]
    grid = np.stack([x, y], -1)
    seen = camera.unproject(grid)
    with np.errstate(divide="ignore", invalid="ignore"):
        pinhole = (seen / seen[..., 2:]) @ camera.K.T
    off = np.linalg.norm(pinhole[..., :2] - grid, axis=-1)
    if (off <= CURVED_SHARE * camera.width_px).all():  # NaN is not
        return []
    middle = GRID // 2
    yaws = _spread(np.arctan2(seen[middle, :, 0], seen[middle, :, 2]))
    pitches = _spread(np.arctan2(seen[:, middle, 1], seen[:, middle, 2]))
    return [_view(camera, yaw, pitch) for pitch in pitches for yaw in yaws]


def middle_view(camera: CameraCalibration) -> FlatView | None:
    """One flat view of the middle of a curved picture, as wide as may be; None for a picture that is flat enough as it is."""
    views = flat_views(camera)
    if len(views) <= 1:
        return views[0] if views else None
    return _view(camera, (0.0, float(WIDEST_RAD)), (0.0, float(WIDEST_RAD)))


def _spread(angles: Floats) -> list[tuple[float, float]]:
    """Middle and width (rad) of each view along one side of the picture."""
    low, high = float(np.nanmin(angles)), float(np.nanmax(angles))
    count = max(int(np.ceil((high - low - OVERLAP_RAD) / (WIDEST_RAD - OVERLAP_RAD))), 1)
    width = (high - low + (count - 1) * OVERLAP_RAD) / count
    return [(low + width / 2 + k * (width - OVERLAP_RAD), width) for k in range(count)]


def _view(camera: CameraCalibration, yaw: tuple[float, float], pitch: tuple[float, float]) -> FlatView:
    half = np.tan(np.array([yaw[1], pitch[1]]) / 2)
    f = min(float(camera.K[0, 0]), LONGEST_SIDE_PX / (2 * float(half.max())))
    width, height = (int(2 * f * side) for side in half)
    K = np.array([[f, 0, (width - 1) / 2], [0, f, (height - 1) / 2], [0, 0, 1]])
    about_y, about_x = rotations(np.array([[0, yaw[0], 0], [-pitch[0], 0, 0]]))
    return FlatView(camera, CameraCalibration(K, width, height, source=camera.source), about_y @ about_x)
