"""Hands and grippers drawn into a picture, for people to look at."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import BONES, Side
from firsthand.retarget.hand_track import INTERPOLATED

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

COLOUR_BGR: dict[Side, tuple[int, int, int]] = {"left": (235, 160, 60), "right": (60, 150, 250)}
"""Blue for the left hand, orange for the right: apart for colour-blind eyes too."""
GRIPPER_BGR = (90, 230, 120)
JAW_M, REACH_M = 0.022, 0.03
SUBPIXEL = 4


def draw_hand(image: Image, points_px: Floats, side: Side, provenance: int) -> None:
    """Draw 21 joints and 20 bones, shape (21, 2), in place; thin where the joints are interpolated. NaN draws nothing."""
    import cv2

    if not np.isfinite(points_px).all():
        return
    width = 1 if provenance == INTERPOLATED else max(2, image.shape[1] // 320)
    at = [_fixed(p) for p in points_px]
    for colour, thick in (((25, 25, 25), width + 2), (COLOUR_BGR[side], width)):
        for a, b in BONES:
            cv2.line(image, at[a], at[b], colour, thick, cv2.LINE_AA, SUBPIXEL)
    for point in at:
        cv2.circle(image, point, (width + 1) << SUBPIXEL, (250, 250, 250), -1, cv2.LINE_AA, SUBPIXEL)


def draw_gripper(image: Image, camera: CameraCalibration, T_cam_tcp: Floats, width_m: float) -> None:
    """Draw a parallel gripper at a TCP (x across the palm's normal, y along the closing direction, z to the tips) in place."""
    import cv2

    if not np.isfinite(T_cam_tcp).all() or not np.isfinite(width_m):
        return
    half = width_m / 2
    outline = np.array([[0, half, 0], [0, half, -JAW_M], [0, -half, -JAW_M], [0, -half, 0], [0, 0, -JAW_M], [0, 0, -JAW_M - REACH_M]])
    points = outline @ T_cam_tcp[:3, :3].T + T_cam_tcp[:3, 3]
    seen = camera.project(points)
    if (points[:, 2] < 0.05).any() or np.isnan(seen).any():  # behind or in the lens, or outside of what it sees
        return
    pixels = [_fixed(p) for p in seen]
    for colour, thick in (((25, 25, 25), 5), (GRIPPER_BGR, 3)):
        for a, b in ((0, 1), (1, 2), (2, 3), (4, 5)):
            cv2.line(image, pixels[a], pixels[b], colour, thick, cv2.LINE_AA, SUBPIXEL)


def _fixed(point: Any) -> tuple[int, int]:
    x, y = np.clip(np.rint(np.asarray(point) * (1 << SUBPIXEL)), -(2**24), 2**24).astype(int)
    return int(x), int(y)
