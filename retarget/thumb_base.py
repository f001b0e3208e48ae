"""The base of the thumb of hands whose tracker does not tell it: where a hand of that size has it."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import BONES, KNUCKLES, WRIST, Side
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_shape import KNUCKLE_BONES, KNUCKLE_DIRECTIONS, PALM, best_rotations

Floats = npt.NDArray[np.float64]

THUMB_CMC, THUMB_MCP = 1, 2
DIRECTION = np.array([-20.0, -20.0, 9.0]) / np.linalg.norm([20.0, 20.0, 9.0])
"""From the wrist, in the axes of `KNUCKLE_DIRECTIONS`; the synthetic wearer's."""
SIGMA_M = 0.010
TO_WRIST_M, TO_MCP_M = (float(ADULT_BONES_M[BONES.index(bone)]) for bone in ((WRIST, THUMB_CMC), (THUMB_CMC, THUMB_MCP)))


def thumb_base(points_m: Floats, side: Side) -> Floats:
    """Where the base of the thumb is, (N, 3), of joints (N, 21, 3): as far from wrist and thumb knuckle as on an adult's hand with such a
    palm, and of these places the one nearest to where that hand has it. NaN without palm or thumb."""
    out = np.full((len(points_m), 3), np.nan)
    known = np.isfinite(points_m[:, [*PALM, THUMB_MCP]]).all((1, 2))
    points = points_m[known]
    wrist, mcp = points[:, WRIST], points[:, THUMB_MCP]
    mirror = np.array([1.0 if side == "right" else -1.0, 1.0, 1.0])
    palm = np.concatenate([np.zeros((1, 3)), KNUCKLE_DIRECTIONS * ADULT_BONES_M[KNUCKLE_BONES, None]]) * mirror
    size = np.linalg.norm(points[:, list(KNUCKLES)] - wrist[:, None], axis=2).mean(1) / ADULT_BONES_M[KNUCKLE_BONES].mean()
    guess = best_rotations(palm, points[:, list(PALM)]) @ (DIRECTION * mirror) * (TO_WRIST_M * size)[:, None]
    line = mcp - wrist
    far = np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-9)
    line = line / far
    r1, r2 = TO_WRIST_M * size[:, None], TO_MCP_M * size[:, None]
    along = np.where(far < r1 + r2, np.clip((far**2 + r1**2 - r2**2) / (2 * far), -r1, r1), far * r1 / (r1 + r2))
    radius = np.sqrt(np.maximum(r1**2 - along**2, 0)) * (far < r1 + r2)
    aside = guess - (guess * line).sum(1, keepdims=True) * line
    out[known] = wrist + along * line + radius * aside / np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    return out
