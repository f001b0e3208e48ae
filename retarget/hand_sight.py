"""How well the joints of a seen hand are known, each along the line of sight and across it; and poses of whole hands.

A camera sees the back of a working hand. A finger bent away from it hides behind its own first bone, and what a tracker then says of its
other joints is a guess, too near by 20 to 30 mm on the synthetic wearer. So a joint counts by how the fitted hand itself is turned to the
camera, not by what the tracker thinks of it.
"""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import PARENTS
from firsthand.retarget.glove_model import PALM

Floats = npt.NDArray[np.float64]

ACROSS_M = np.array([8, 13, 5, 4, 4, *(4, 8, 8, 10) * 2, 8, 10, 8, 10, 10, 12, 10, 12]) * 1e-3
"""One sigma of a seen joint across the line of sight, of a hand in the open."""
ALONG_M = np.array([10, 14, 8, 9, 12, *(10, 20, 30, 40) * 4]) * 1e-3
"""The same along it, beside what the whole hand is off by."""
_BESIDE_M = np.array([12, 13, 6, 5, 5, *(3, 3, 3, 4) * 2, 7, 4, 5, 5, 10, 6, 6, 6]) * 1e-3
BESIDE_SIGMA_M = np.stack([_BESIDE_M, _BESIDE_M, np.minimum(_BESIDE_M, 0.004)], 1)
"""How far the place a tracker means by a joint is from the joint itself, in hand axes, shape (21, 3): it slides along the back of the hand,
whose height is measured. All three from the synthetic wearer, rounded."""
HIDDEN_ACROSS_M, HIDDEN_ALONG_M = 0.05, 0.2
"""Added for a joint that its own finger hides."""
HIDDEN_COS, HIDDEN_WIDTH = 0.65, 0.05
"""A bone that points away from the camera by less than about acos 0.65 = 50 degrees hides what follows; not all at once."""
_PARENTS = np.maximum(PARENTS, 0)


def hidden(points_m: Floats, eye_m: Floats) -> Floats:
    """How surely the joints of hands (N, 21, 3) are hidden by their own finger from `eye_m` (N, 3), 0 to 1, shape (N, 21)."""
    ray = _unit(points_m - eye_m[:, None])
    away = (_unit(points_m - points_m[:, _PARENTS]) * ray).sum(-1)
    away[:, PALM] = -1
    fingers = away[:, 1:].reshape(-1, 5, 4)
    fingers[...] = np.maximum.accumulate(fingers, 2)
    return np.asarray(1 / (1 + np.exp((HIDDEN_COS - away) / HIDDEN_WIDTH)), np.float64)


def root(points_m: Floats, eye_m: Floats) -> Floats:
    """Square roots of the inverse covariances of the joints, shape (N, 21, 3, 3), of hands at about `points_m` seen from `eye_m` (N, 3)."""
    guess, ray = hidden(points_m, eye_m), _unit(points_m - eye_m[:, None])
    across, along = ACROSS_M + HIDDEN_ACROSS_M * guess, ALONG_M + HIDDEN_ALONG_M * guess
    outer = ray[..., :, None] * ray[..., None, :]
    return np.asarray((np.eye(3) - outer) / across[..., None, None] + outer / along[..., None, None], np.float64)


def best_pose(local_m: Floats, points_m: Floats) -> tuple[Floats, Floats]:
    """Rotations (N, 3, 3) and translations (N, 3) that bring joints (N, J, 3) nearest to others of the same shape (Kabsch 1976)."""
    a, b = local_m - local_m.mean(1, keepdims=True), points_m - points_m.mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nji,njk->nik", b, a))
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    R = u @ vt
    return R, points_m.mean(1) - np.einsum("nij,nj->ni", R, local_m.mean(1))


def nearest_rotation(M: Floats) -> Floats:
    """The rotation (3, 3) nearest to a sum of rotations."""
    u, _, vt = np.linalg.svd(M)
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return np.asarray(u @ vt, np.float64)


def turn_between(a: Floats, b: Floats) -> Floats:
    """Rotation vectors (N, 3) of b a^T: what turns `a` (N, 3, 3) into `b`, in the axes that both are told in."""
    R = b @ a.swapaxes(-1, -2)
    sine = np.stack([R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]], -1) / 2
    size = np.linalg.norm(sine, axis=-1)
    angle = np.arctan2(size, (np.trace(R, axis1=-2, axis2=-1) - 1) / 2)
    return np.asarray(sine * np.where(size > 1e-9, angle / np.maximum(size, 1e-12), 1.0)[..., None], np.float64)


def cross(v: Floats) -> Floats:
    """Matrices (..., 3, 3) of the cross product with `v` (..., 3)."""
    x, y, z = np.moveaxis(v, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*v.shape[:-1], 3, 3)


def _unit(v: Floats) -> Floats:
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12), np.float64)
