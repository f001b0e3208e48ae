"""What a depth image aligned with the camera, or a second camera, says of a hand's joints, checked against the hand itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.skeleton import KNUCKLES, WRIST
from firsthand.retarget.hand_track import METRIC

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
SENSOR_SIGMA_M = 0.004
"""Of a joint's depth as a sensor gives it, the thickness of the flesh included."""
FITTED_SIGMA_M = 0.020
"""Of a joint's depth as the fitted hand has it: bent as the tracker says, flatter than it is."""
SURE_WITHIN = 2.0
"""A depth may be off by so many of its own standard deviations more than a sensor's."""


@dataclass(frozen=True, eq=False)
class JointDepths:
    """How far joints are along the optical axis, as something other than the hand's size says."""

    z_m: Floats
    """Shape (N, 21); NaN where not known."""
    sigma_m: Floats
    """One standard deviation of each, shape (N, 21)."""
    metric: int
    """Code of `METRIC`."""

    def __post_init__(self) -> None:
        set_frozen(self, "z_m", np.float64, (None, 21))
        set_frozen(self, "sigma_m", np.float64, (len(self.z_m), 21))

    def at(self, rows: npt.NDArray[np.integer[Any]]) -> "JointDepths":
        """Those of some frames."""
        return JointDepths(self.z_m[rows], self.sigma_m[rows], self.metric)


def sensor_depths(patches_m: Floats) -> JointDepths:
    """Depths of the joints themselves from those of the skin, (N, 21), that `patch_depths` found."""
    return JointDepths(patches_m + SKIN_TO_JOINT_M, np.full(patches_m.shape, SENSOR_SIGMA_M), METRIC.index("depth"))


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


def plausible(depths: JointDepths, by_size_z_m: Floats) -> JointDepths:
    """Without what cannot be the hand's. `by_size_z_m` (N,): the distance that the hand's size suggests."""
    far = by_size_z_m[:, None]
    z = depths.z_m
    return JointDepths(np.where((z < far * FARTHEST_FACTOR) & (z > far / FARTHEST_FACTOR), z, np.nan), depths.sigma_m, depths.metric)


def agreeing(depths: JointDepths, points_m: Floats) -> npt.NDArray[np.bool_]:
    """Which joint depths (N, 21) lie on the fitted hand (N, 21, 3); none of a frame with fewer than `FEWEST_ANCHORS` good anchors."""
    off = depths.z_m - points_m[..., 2]
    more = SURE_WITHIN * np.maximum(depths.sigma_m - SENSOR_SIGMA_M, 0)
    good = (off < BEHIND_M + more) & (off > -FRONT_M - more)  # NaN is not good
    anchors = list(ANCHORS)
    good[:, anchors] = np.abs(off[:, anchors]) <= ANCHOR_GATE_M + more[:, anchors]
    return np.asarray(good & (good[:, anchors].sum(1) >= FEWEST_ANCHORS)[:, None])


def settle(points_m: Floats, depths: JointDepths, good: npt.NDArray[np.bool_]) -> Floats:
    """Depths of a fitted hand's joints, shape (N, 21), moved to the `good` ones that were measured, as far as these are the surer."""
    z, share = points_m[..., 2], 1 / (1 + (depths.sigma_m / FITTED_SIGMA_M) ** 2)
    return np.where(good, z + share * (np.where(good, depths.z_m, 0) - z), z)
