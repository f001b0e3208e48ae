"""From a tracker's axes to ours: right-handed, z up. One change of basis for places and rotations alike, also from left-handed axes.

With a matrix C a point p becomes C p, and a rotation R becomes C R C^T: what turns is seen in the new axes on both sides. So a hand's own
axes change names along with the world's.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FROM_UNITY: Floats = np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])
"""From Unity's axes (left-handed: x right, y up, z forward) to x right, y forward, z up."""
FROM_Y_UP: Floats = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""From OpenXR's and ARKit's axes (right-handed: x right, y up, z backward) to x right, y forward, z up."""
for _matrix in (FROM_UNITY, FROM_Y_UP):
    _matrix.setflags(write=False)

LEAST_NORM, MOST_NORM = 0.9, 1.1
"""A quaternion further from 1 is none."""


def in_axes(C: Floats, points_m: npt.NDArray[Any]) -> Floats:
    """Points (..., 3) in the axes that C leads to."""
    return np.asarray(points_m @ C.T, np.float64)


def quat_in_axes(C: Floats, quat_wxyz: npt.NDArray[Any]) -> Floats | None:
    """A unit quaternion, w first, shape (4,), in the axes that C leads to; None when it was not one. Rounding is made good."""
    norm = float(np.sqrt(quat_wxyz @ quat_wxyz))
    if not LEAST_NORM < norm < MOST_NORM:  # also where it is NaN
        return None
    mirror = float(np.sign(np.linalg.det(C)))
    return np.concatenate([quat_wxyz[:1], mirror * (C @ quat_wxyz[1:])]) / norm


def turned(quat_wxyz: Floats, points_m: Floats) -> Floats:
    """Points (N, 3) rotated by a unit quaternion, w first."""
    w, x, y, z = quat_wxyz
    R = np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                  [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                  [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])
    return np.asarray(points_m @ R.T)
