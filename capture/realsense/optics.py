"""Optics and mounting of RealSense cameras, as the SDK tells them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration

Floats = npt.NDArray[np.float64]

HONEST_PX = 0.1
"""A lens of another model than ours is given as OpenCV's when that is nowhere in the picture further off."""
_GRID = 33
_WIDER = 1.3
_SAME = 1e-5
"""Pixels, and metres."""


def intrinsics_to_json(intrinsics: Any) -> dict[str, Any]:
    """A lens in the SDK's words, whatever its model."""
    return {"model": str(intrinsics.model).rpartition(".")[2], "coeffs": list(intrinsics.coeffs), "fx": intrinsics.fx, "fy": intrinsics.fy,
            "ppx": intrinsics.ppx, "ppy": intrinsics.ppy}


def calibration(rs: Any, cameras: Mapping[str, tuple[Any, Floats]]) -> Calibration:
    """From intrinsics and mounting by stream name; without those of which nobody told, or that no model of ours comes near enough."""
    found = {name: camera(rs, intrinsics, T_rig_cam) for name, (intrinsics, T_rig_cam) in cameras.items()}
    return Calibration({name: one for name, one in found.items() if one})


def same_view(one: CameraCalibration, other: CameraCalibration) -> bool:
    """Whether a pixel of one picture shows what the same pixel of the other does, at every depth."""
    return (one.width_px, one.height_px, one.model) == (other.width_px, other.height_px, other.model) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=_SAME)
        for a, b in ((one.K, other.K), (one.distortion, other.distortion), (one.T_rig_cam, other.T_rig_cam)))


def camera(rs: Any, intrinsics: Any, T_rig_cam: Floats) -> CameraCalibration | None:
    """A lens as a calibration; None for one that no model of ours comes near enough, or that nobody told of.

    ``brown_conrady`` is OpenCV's own and ``kannala_brandt4`` its fisheye. For the others OpenCV's five coefficients are laid through where
    the SDK itself puts points (`rs2_project_point_to_pixel`): with K as it is, they follow from linear equations.
    """
    if not (intrinsics.fx and intrinsics.fy and intrinsics.width and intrinsics.height):
        return None
    K = np.array([[intrinsics.fx, 0, intrinsics.ppx], [0, intrinsics.fy, intrinsics.ppy], [0, 0, 1]])
    given = np.array(intrinsics.coeffs, np.float64)

    def made(distortion: Floats, **more: Any) -> CameraCalibration:
        return CameraCalibration(K, intrinsics.width, intrinsics.height, distortion, T_rig_cam, "factory", **more)

    if not given.any() or intrinsics.model == rs.distortion.none:
        return made(np.zeros(0))
    if intrinsics.model == rs.distortion.brown_conrady:
        return made(given)
    if intrinsics.model == rs.distortion.kannala_brandt4:
        return made(given[:4], model="kannala-brandt")
    coefficients, off_px = _nearest_opencv(rs, intrinsics)
    return made(coefficients) if off_px <= HONEST_PX else None


def _nearest_opencv(rs: Any, intrinsics: Any) -> tuple[Floats, float]:
    """OpenCV's k1 k2 p1 p2 k3 for a lens, and by how many pixels they are off at worst."""
    size, f, c = (np.array(pair) for pair in ((intrinsics.width, intrinsics.height), (intrinsics.fx, intrinsics.fy),
                                              (intrinsics.ppx, intrinsics.ppy)))
    low, high = -c / f * _WIDER, (size - 1 - c) / f * _WIDER
    at = np.stack(np.meshgrid(*(np.linspace(a, b, _GRID) for a, b in zip(low, high, strict=True))), -1).reshape(-1, 2)
    pixels = np.array([rs.rs2_project_point_to_pixel(intrinsics, [float(x), float(y), 1.0]) for x, y in at])
    seen = ((pixels > -0.5) & (pixels < size - 0.5)).all(1)
    (x, y), moved = at[seen].T, ((pixels[seen] - c) / f - at[seen]).T
    r2 = x * x + y * y
    rows = [np.stack([x * r2, x * r2**2, 2 * x * y, r2 + 2 * x * x, x * r2**3], 1),
            np.stack([y * r2, y * r2**2, r2 + 2 * y * y, 2 * x * y, y * r2**3], 1)]
    coefficients = np.linalg.lstsq(np.concatenate(rows), moved.ravel(), rcond=None)[0]
    off = np.stack([row @ coefficients - way for row, way in zip(rows, moved, strict=True)], 1) * f
    return coefficients, float(np.abs(off).max(initial=0))


def T_rig(rs: Any, profile: Any, sensors: list[Any]) -> Floats:
    """Where a camera or motion sensor is on the rig, which is the colour camera (or the first camera): takes its points there, (4, 4).

    The identity where nobody wrote it down. Profiles of two openings of a file crash the SDK.
    """
    pictures = [p for sensor in sensors for p in sensor.get_stream_profiles() if p.is_video_stream_profile()]
    colour = [p for p in pictures if p.stream_type() == rs.stream.color]
    T = np.eye(4)
    with suppress(RuntimeError, IndexError):
        extrinsics = profile.get_extrinsics_to((colour or pictures)[0])
        T[:3, :3], T[:3, 3] = np.array(extrinsics.rotation).reshape(3, 3).T, extrinsics.translation  # stored column by column
    return T
