"""Joints of a hand that lies flat on a printed board: where its rays meet the board, the thickness of the flesh above it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from firsthand.retarget.anchor_pose import solve_pose
from firsthand.retarget.anchor_sight import Sight
from firsthand.retarget.hand_depth import SKIN_TO_JOINT_M

Floats = npt.NDArray[np.float64]

LEAST_SLOPE = 0.3
"""Seen flatter than this (the sine of the angle to the board) a ray meets it nowhere in particular: 17 degrees."""


def joints_on_boards(xy: Floats, sights: Sequence[Sequence[Sight]]) -> Floats:
    """Joints in the camera, shape (N, 21, 3), whose rays are `xy` (N, 21, 2), on what was seen of boards; NaN without any."""
    out = np.full((*xy.shape[:2], 3), np.nan)
    for i, seen in enumerate(sights):
        if not seen or not np.isfinite(xy[i]).all():
            continue
        T = solve_pose([seen[0].points_m], [seen[0].xy])
        if T is None:
            continue
        into, corner = T[:3, 2], T[:3, 3]  # the board's z is into it
        rays = np.concatenate([xy[i], np.ones((21, 1))], 1)
        slope = rays @ into
        if (slope > LEAST_SLOPE * np.linalg.norm(rays, axis=1)).all():
            out[i] = rays * ((into @ corner - SKIN_TO_JOINT_M) / slope)[:, None]
    return out
