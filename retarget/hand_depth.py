"""What a depth image aligned with the camera says of a hand's joints, checked against the hand itself."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import KNUCKLES, WRIST

Floats = npt.NDArray[np.float64]

ANCHORS = (WRIST, *KNUCKLES)
"""The joints with broad skin in front of them, seldom hidden by the hand itself."""
PATCH_M = 0.005
"""Radius of the patch around a joint, on the hand."""
SMALLEST_PATCH_PX = 3
SKIN_TO_JOINT_M = np.array([13, 12, 11, 10, 8, *(12, 10, 9, 7) * 4]) * 1e-3
"""How far each joint lies behind the skin: half an adult hand's thickness there, roughly."""
ANCHOR_GATE_M = 0.040
"""An anchor's depth further than this from the fitted hand is that of a held object or of the background."""
BEHIND_M, FRONT_M = 0.025, 0.020
"""The same for other joints, behind and in front of the fitted hand; in front there is often another finger."""
FEWEST_ANCHORS = 3
FARTHEST_FACTOR = 2.0
"""A depth beyond twice, or within half of, the distance that the hand's size suggests is not of the hand."""
MEASURED_SHARE = 0.86
"""How far a joint's depth moves from the fitted hand to what the sensor measured: 1 / (1 + (4 mm / 10 mm)^2)."""


def patch_depths(depth_m: npt.NDArray[np.floating[Any]], points_px: Floats, radius_px: float) -> Floats:
    """Median depth around each point (P, 2) of the depth image (H, W): shape (P,), metres; NaN where under a third of it was seen."""
    height, width = depth_m.shape
    r = max(SMALLEST_PATCH_PX, round(radius_px))
    out = np.full(len(points_px), np.nan)
    for i, (x, y) in enumerate(points_px):
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            continue
        u, v = round(float(x)), round(float(y))
        patch = depth_m[max(v - r, 0) : v + r + 1, max(u - r, 0) : u + r + 1]
        seen = patch[np.isfinite(patch)]
        if len(seen) * 3 >= (2 * r + 1) ** 2:
            out[i] = np.median(seen)
    return out


def joint_depths(patches_m: Floats, by_size_z_m: Floats) -> Floats:
    """Depths of the joints themselves, shape (N, 21), from those of the skin (N, 21); NaN where they cannot be the hand's.

    `by_size_z_m` (N,): the distance that the hand's size suggests.
    """
    far = by_size_z_m[:, None]
    return np.where((patches_m < far * FARTHEST_FACTOR) & (patches_m > far / FARTHEST_FACTOR), patches_m + SKIN_TO_JOINT_M, np.nan)


def agreeing(depths_m: Floats, points_m: Floats) -> npt.NDArray[np.bool_]:
    """Which joint depths (N, 21) lie on the fitted hand (N, 21, 3); none of a frame with fewer than `FEWEST_ANCHORS` good anchors."""
    off = depths_m - points_m[..., 2]
    good = (off < BEHIND_M) & (off > -FRONT_M)  # NaN is not good
    anchors = list(ANCHORS)
    good[:, anchors] = np.abs(off[:, anchors]) <= ANCHOR_GATE_M
    return np.asarray(good & (good[:, anchors].sum(1) >= FEWEST_ANCHORS)[:, None])


def settle(points_m: Floats, depths_m: Floats, good: npt.NDArray[np.bool_]) -> Floats:
    """Depths of a fitted hand's joints, shape (N, 21), moved to the `good` ones that were measured."""
    z = points_m[..., 2]
    return np.where(good, z + MEASURED_SHARE * (np.where(good, depths_m, 0) - z), z)
