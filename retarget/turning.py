"""Orientations that never turn faster than allowed."""

import numpy as np
import numpy.typing as npt

from firsthand.retarget.kinematics import axis_rotation

Floats = npt.NDArray[np.float64]


def turn_angles(R: Floats) -> Floats:
    """The angle from each orientation (N, 3, 3) to the next in radians, shape (N - 1,)."""
    trace = np.einsum("nij,nij->n", R[:-1], R[1:])
    return np.asarray(np.arccos(np.clip((trace - 1) / 2, -1, 1)), np.float64)


def limit_turning(R: Floats, t_ns: npt.NDArray[np.int64], run: npt.NDArray[np.int64], fastest_rad_s: float) -> Floats:
    """Orientations (N, 3, 3) that follow R but turn at most so fast between frames of a run (its numbers, -1 for none).

    Unchanged where R is slow enough; after a faster turn they catch up along the shortest way.
    """
    reach = np.r_[np.inf, np.maximum(np.diff(t_ns), 0) * 1e-9 * fastest_rad_s]
    reach[np.r_[True, run[1:] != run[:-1]]] = np.inf
    out = R.copy()
    t = 0
    for start in np.flatnonzero(turn_angles(R) > reach[1:]) + 1:
        t = max(t, int(start))
        while t < len(R) and (angle := float(turn_angles(out[t - 1 : t + 1])[0])) > reach[t]:
            out[t] = out[t - 1] @ axis_rotation(_axis(out[t - 1].T @ out[t], angle), reach[t : t + 1])[0]
            t += 1
    return out


def _axis(R: Floats, angle: float) -> Floats:
    """The unit axis of one rotation by a known angle; near a half turn, where the skew part vanishes, from the symmetric part."""
    if angle < 3.1:
        axis = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    else:
        columns = R + R.T + (1 - np.trace(R)) * np.eye(3)  # a a^T times 2 (1 - cos)
        axis = columns[:, np.argmax(np.linalg.norm(columns, axis=0))]
        skew = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
        axis = -axis if axis @ skew < 0 else axis
    return np.asarray(axis / np.linalg.norm(axis), np.float64)
