"""The fisheye of Project Aria's cameras (FisheyeRadTanThinPrism, "Fisheye624") at another size, and for a picture turned upright."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration

Floats = npt.NDArray[np.float64]


def at_size(params: Floats, full: tuple[int, int], width_px: int, height_px: int) -> Floats | None:
    """``f, cx, cy, k0..k5, p0, p1, s0..s3`` (15,) where the sensor's `full` picture is cropped evenly and binned; None for no whole
    factor."""
    factor = min(full[0] // width_px, full[1] // height_px)
    crop = np.array([full[0] - factor * width_px, full[1] - factor * height_px]) / 2 if factor else np.zeros(2)
    if factor < 1 or np.any(crop > np.array(full) * 0.05):
        return None
    out = params.copy()
    out[0] /= factor
    out[1:3] = (out[1:3] - crop + 0.5) / factor - 0.5
    return out


def upright(params: Floats, width_px: int, height_px: int, T_rig_cam: Floats, turns: int, readout_s: float = 0.0) -> CameraCalibration:
    """The camera of a stored picture of this size, for the picture turned `turns` quarter turns clockwise. Exact: every term of the model
    is a vector of the picture's plane. `readout_s`: from the first to the last row of the picture as it is stored."""
    center, size = params[1:3], (width_px, height_px)
    sides = [params[9:11], params[[11, 13]], params[[12, 14]], np.array([0.0, readout_s / height_px])]
    for _ in range(turns % 4):  # a quarter turn clockwise: the picture's new x is its old -y
        center, size = np.array([size[1] - 1 - center[1], center[0]]), (size[1], size[0])
        sides = [np.array([-v[1], v[0]]) for v in sides]
    p, prism_2, prism_4, rolling = sides
    K = np.array([[params[0], 0, center[0]], [0, params[0], center[1]], [0, 0, 1]])
    coefficients = np.r_[params[3:9], p, prism_2[0], prism_4[0], prism_2[1], prism_4[1]]
    return CameraCalibration(K, *size, coefficients, turned(T_rig_cam, turns), "factory", "fisheye624", rolling)


def turned(T_rig_cam: Floats, turns: int) -> Floats:
    """The pose of a camera whose picture is shown turned by quarter turns clockwise."""
    quarter = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return np.asarray(T_rig_cam @ np.linalg.matrix_power(quarter, turns % 4), np.float64)


def rotation_of(quat_wxyz: Sequence[float]) -> Floats:
    """A unit quaternion as a matrix (3, 3)."""
    w, x, y, z = np.asarray(quat_wxyz, np.float64) / np.linalg.norm(quat_wxyz)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])
