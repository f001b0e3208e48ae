"""The base of the thumb of hands whose tracker does not tell it: where a hand of that size has it."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import BONES, WRIST, Side
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_shape import KNUCKLE_BONES, KNUCKLE_DIRECTIONS, PALM, best_rotations

Floats = npt.NDArray[np.float64]

THUMB_CMC = 1
DIRECTION = np.array([-20.0, -20.0, 9.0]) / np.linalg.norm([20.0, 20.0, 9.0])
"""From the wrist, in the axes of `KNUCKLE_DIRECTIONS`; the synthetic wearer's."""
LENGTH_M = float(ADULT_BONES_M[BONES.index((WRIST, THUMB_CMC))])
SIGMA_M = 0.010


def thumb_base(points_m: Floats, side: Side) -> Floats:
    """Where the base of the thumb is, (N, 3), of joints (N, 21, 3): it is fixed to the wrist, so where an adult's palm of this size has it.
    NaN where the palm is not known."""
    out = np.full((len(points_m), 3), np.nan)
    known = np.isfinite(points_m[:, list(PALM)]).all((1, 2))
    palm_m = points_m[known][:, list(PALM)]
    mirror = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    adult = np.concatenate([np.zeros((1, 3)), KNUCKLE_DIRECTIONS * ADULT_BONES_M[KNUCKLE_BONES, None]]) * mirror
    size = np.linalg.norm(palm_m[:, 1:] - palm_m[:, :1], axis=2).mean(1) / ADULT_BONES_M[KNUCKLE_BONES].mean()
    out[known] = palm_m[:, 0] + best_rotations(adult, palm_m) @ (DIRECTION * mirror) * (LENGTH_M * size)[:, None]
    return out
