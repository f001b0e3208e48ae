"""The operator frame: axes fixed to a hand, the same for every hand, in which robots copy fingers.

Wrist at 0, +z from wrist to fingers, +x out of the palm, +y towards the thumb on a right hand and away from it on a left one,
so that a left hand is the mirror image (y -> -y) of a right one.
"""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_MCP, MIDDLE_MCP, WRIST, Side

Floats = npt.NDArray[np.float64]

# Columns of [a n s] (knuckle to wrist, palm normal, sideways) -> operator axes.
_AXES = {
    "right": np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    "left": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}


def operator_frame(points_m: npt.ArrayLike, side: Side) -> tuple[Floats, Floats]:
    """The orientation of a hand and its joints in its own axes.

    `points_m` has shape (N, 21, 3), in any right-handed frame. Returns ``R`` (N, 3, 3), which takes operator axes to that frame,
    and the joints in operator axes, wrist at 0, shape (N, 21, 3): ``points == local @ R.T + wrist``. Both are NaN where a joint
    is missing or where wrist, index knuckle and middle knuckle lie on one line.
    """
    points = np.asarray(points_m, np.float64)
    wrist, index, middle = points[:, WRIST], points[:, INDEX_MCP], points[:, MIDDLE_MCP]
    with np.errstate(invalid="ignore", divide="ignore"):
        along = _unit(wrist - middle)
        normal = _unit(np.cross(index - wrist, middle - wrist))  # perpendicular to `along` by construction
        across = np.cross(along, normal)
        flip = np.where(np.einsum("ni,ni->n", across, index - middle) < 0, -1.0, 1.0)[:, None]
        R = np.stack([along, normal * flip, across * flip], axis=2) @ _AXES[side]
        R[~np.isfinite(points).all(axis=(1, 2))] = np.nan
        return R, np.asarray((points - wrist[:, None]) @ R, np.float64)


def _unit(vectors: Floats) -> Floats:
    """Each row divided by its length; NaN where there is none to speak of (below a square nanometre)."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / length, np.nan)
