"""Rotations and poses of the synthetic world, a whole take at once."""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


def about(axis: int, angle_rad: npt.ArrayLike) -> Floats:
    """Rotation matrices about x (0), y (1) or z (2), shape (N, 3, 3) for N angles."""
    angle = np.atleast_1d(np.asarray(angle_rad, np.float64))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R = np.zeros((len(angle), 3, 3))
    R[:, axis, axis] = 1
    R[:, i, i] = R[:, j, j] = np.cos(angle)
    R[:, j, i] = np.sin(angle)
    R[:, i, j] = -R[:, j, i]
    return R


def poses(R: Floats, t_m: Floats) -> Floats:
    """Homogeneous poses (N, 4, 4) from rotations (N, 3, 3) and positions (N, 3)."""
    T = np.zeros((len(R), 4, 4))
    T[:, :3, :3], T[:, :3, 3], T[:, 3, 3] = R, t_m, 1
    return T


def inverse(T: Floats) -> Floats:
    """The inverse of rigid poses, shape (..., 4, 4)."""
    result = np.zeros_like(T)
    result[..., :3, :3] = np.swapaxes(T[..., :3, :3], -1, -2)
    result[..., :3, 3] = -np.einsum("...ij,...j->...i", result[..., :3, :3], T[..., :3, 3])
    result[..., 3, 3] = 1
    return result


def rotation_vector(R: Floats) -> Floats:
    """Axis times angle of small or moderate rotations (below 180 deg), shape (N, 3) for (N, 3, 3)."""
    twice_sine = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], 1)
    sine = np.linalg.norm(twice_sine, axis=1) / 2
    angle = np.arctan2(sine, (np.trace(R, axis1=1, axis2=2) - 1) / 2)
    return np.asarray(twice_sine / 2 * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 1.0)[:, None])


def from_rotation_vector(vectors: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) of axis-times-angle vectors (N, 3) (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.maximum(angle, 1e-12)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return np.asarray(np.eye(3) + s * cross + (1 - c) * cross @ cross)


def quat_wxyz(R: Floats) -> Floats:
    """Unit quaternions (N, 4), w first and not negative, of rotations (N, 3, 3)."""
    # Four ways to divide; the one with the largest component is safe (Shepperd).
    diagonal = np.stack([np.trace(R, axis1=1, axis2=2), R[:, 0, 0], R[:, 1, 1], R[:, 2, 2]], 1)
    a, b, c = R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]
    d, e, f = R[:, 0, 1] + R[:, 1, 0], R[:, 0, 2] + R[:, 2, 0], R[:, 1, 2] + R[:, 2, 1]
    x, y, z = (1 + 2 * diagonal[:, i] - diagonal[:, 0] for i in (1, 2, 3))
    ways = np.stack([np.stack(row, 1) for row in ((1 + diagonal[:, 0], a, b, c), (a, x, d, e), (b, d, y, f), (c, e, f, z))], 1)
    q = ways[np.arange(len(R)), np.argmax(diagonal, 1)]
    q = q / np.linalg.norm(q, axis=1, keepdims=True)
    return np.asarray(np.where(q[:, :1] < 0, -q, q))
