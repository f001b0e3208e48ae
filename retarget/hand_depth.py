"""The distance to a hand from a depth image aligned with the camera: at the wrist and the four knuckles, checked against each other."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import KNUCKLES, WRIST

Floats = npt.NDArray[np.float64]

ANCHORS = (WRIST, *KNUCKLES)
"""The joints with broad, nearly rigid skin in front of them."""
PATCH_M = 0.006
"""Radius of the patch around an anchor, on the hand."""
SMALLEST_PATCH_PX = 3
SKIN_TO_JOINT_M = 0.010
"""A joint lies about this far behind the skin that the sensor sees."""
AGREE_M = 0.040
"""A patch further than this from where the others put it is a held object, the background or a neighbouring hand."""
FEWEST_PATCHES = 3


def patch_depths(depth_m: npt.NDArray[np.floating], points_px: Floats, radius_px: float) -> Floats:
    """Median depth around each point (P, 2) of the depth image (H, W): shape (P,), metres; NaN where under a third of it was seen."""
    height, width = depth_m.shape
    r = max(SMALLEST_PATCH_PX, round(radius_px))
    out = np.full(len(points_px), np.nan)
    for i, (x, y) in enumerate(points_px):
        if not np.isfinite(x + y):
            continue
        u, v = round(float(x)), round(float(y))
        patch = depth_m[max(v - r, 0) : max(v + r + 1, 0), max(u - r, 0) : max(u + r + 1, 0)]
        seen = patch[np.isfinite(patch)]
        if 0 <= u < width and 0 <= v < height and len(seen) * 3 >= (2 * r + 1) ** 2:
            out[i] = np.median(seen)
    return out


def joint_depths(patches_m: Floats, local_m: Floats) -> Floats:
    """Depths of the anchor joints, shape (N, 5), from `patch_depths` (N, 5) and the joints' shape in camera axes (N, 21, 3).

    Each patch says how far away the hand's origin would be; those that disagree with their median by more than `AGREE_M`
    become NaN, and with fewer than `FEWEST_PATCHES` left, all of the frame's do.
    """
    depths = patches_m + SKIN_TO_JOINT_M
    origins = depths - local_m[:, ANCHORS, 2]
    good = np.abs(origins - _median(origins)[:, None]) <= AGREE_M  # NaN is not good
    good &= (good.sum(1) >= FEWEST_PATCHES)[:, None]
    return np.where(good, depths, np.nan)


def wrist_from_depth(depths_m: Floats, local_m: Floats, xy: Floats) -> Floats:
    """The wrist in the camera, shape (N, 3), metres: on its ray, at its own depth, else at what the knuckles say; NaN with no depth."""
    origin = _median(depths_m - local_m[:, ANCHORS, 2])
    z = np.where(np.isnan(depths_m[:, 0]), origin + local_m[:, WRIST, 2], depths_m[:, 0])
    return np.concatenate([xy[:, WRIST] * z[:, None], z[:, None]], 1)


def _median(values: Floats) -> Floats:
    """Median of each row's known values; NaN where there are none."""
    out = np.full(len(values), np.nan)
    some = np.isfinite(values).any(1)
    out[some] = np.nanmedian(values[some], axis=1)
    return out
