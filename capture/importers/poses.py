"""Poses of data sets as rows of numbers, and what their columns are called."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.hand_stream import POSE_COLUMNS, POSE_UNITS
from firsthand.capture.synthetic.rotation import quat_wxyz

__all__ = ["POSE", "POSE_UNITS", "as_pose", "columns"]

POSE = POSE_COLUMNS
RIGID = 1e-2
"""How far a rotation may be from orthonormal; beyond, the row is missing."""


def as_pose(T: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rigid transforms (N, 4, 4) as rows of `POSE`, shape (N, 7); NaN where one is not rigid."""
    R = np.asarray(T[:, :3, :3], np.float64)
    rigid = np.isfinite(T).all((1, 2)) & (np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)).max((1, 2)) < RIGID)
    rigid &= np.linalg.det(np.where(rigid[:, None, None], R, np.eye(3))) > 0
    out = np.full((len(T), 7), np.nan)
    out[rigid, :3] = T[rigid, :3, 3]
    if rigid.any():
        out[rigid, 3:] = quat_wxyz(R[rigid])
    return out


def columns(joints: Sequence[str], axes: Sequence[str]) -> list[str]:
    """Names of the columns of several joints, such as ``index_tip.x``; joints we have too are called as in `skeleton.JOINTS`."""
    return [f"{joint}.{axis}" for joint in joints for axis in axes]
