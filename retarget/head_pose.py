"""The camera's pose at the times of its frames, from the pose stream beside it."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.rotation import quat_wxyz

Floats = npt.NDArray[np.float64]

COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz")
"""Of a pose stream: position in metres and unit quaternion of ``T_world_cam``."""
LONGEST_GAP_S = 0.1
"""Poses further apart are not joined by a line."""
EDGE_S = 0.05
"""A frame this close to the first or last pose takes that one."""


def poses_at(t_ns: npt.NDArray[np.int64], pose_t_ns: npt.NDArray[np.int64], poses: Floats) -> Floats:
    """``T_world_cam`` at `t_ns` (N,), shape (N, 4, 4), from poses (P, 7), columns `COLUMNS`, at `pose_t_ns` (P,).

    Positions linearly, rotations along the great arc. NaN outside the stream's span and in its gaps.
    """
    out = np.full((len(t_ns), 4, 4), np.nan)
    order = np.argsort(pose_t_ns, kind="stable")
    order = order[np.isfinite(poses[order]).all(1)]
    if len(order) == 0:
        return out
    at, poses = pose_t_ns[order], poses[order]
    after = np.clip(np.searchsorted(at, t_ns), 1, len(at) - 1) if len(at) > 1 else np.zeros(len(t_ns), np.int64)
    before = np.maximum(after - 1, 0)
    span_s = (at[after] - at[before]) * 1e-9
    share = np.where(span_s > 0, (t_ns - at[before]) * 1e-9 / np.where(span_s > 0, span_s, 1), 0.0)
    outside_s = np.maximum((at[before] - t_ns) * 1e-9, (t_ns - at[after]) * 1e-9)
    held = (outside_s > 0) & (outside_s <= EDGE_S)
    known = held | ((outside_s <= 0) & ((span_s <= LONGEST_GAP_S) | (share == 0) | (share == 1)))
    a, b, w = poses[before[known]], poses[after[known]], np.clip(share[known], 0, 1)[:, None]
    out[known] = 0.0
    out[known, 3, 3] = 1.0
    out[known, :3, 3] = a[:, :3] * (1 - w) + b[:, :3] * w
    out[known, :3, :3] = rotations(slerp(a[:, 3:], b[:, 3:], w))
    return out


def pose_rows(T: Floats) -> Floats:
    """Poses (N, 4, 4) as rows of `COLUMNS`, shape (N, 7); NaN stays NaN."""
    known = np.isfinite(T[:, 0, 0])
    out = np.full((len(T), 7), np.nan)
    out[known, :3], out[known, 3:] = T[known, :3, 3], quat_wxyz(T[known, :3, :3])
    return out


def slerp(a_wxyz: Floats, b_wxyz: Floats, share: Floats) -> Floats:
    """From one quaternion to another along the shorter arc: shapes (N, 4), `share` (N, 1) in 0..1."""
    a = a_wxyz / np.linalg.norm(a_wxyz, axis=1, keepdims=True)
    b = b_wxyz / np.linalg.norm(b_wxyz, axis=1, keepdims=True)
    dot = (a * b).sum(1, keepdims=True)
    b, dot = np.where(dot < 0, -b, b), np.abs(dot)
    angle = np.arccos(np.clip(dot, -1, 1))
    small = angle < 1e-6  # the arc is a line
    sine = np.where(small, 1, np.sin(angle))
    mixed = np.where(small, (1 - share) * a + share * b, (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / sine)
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def rotations(quat_wxyz: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) of unit quaternions (N, 4)."""
    w, x, y, z = quat_wxyz.T
    return np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                     2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                     2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1).reshape(-1, 3, 3)  # fmt: skip
