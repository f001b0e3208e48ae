"""The numeric columns all episodes of one export share, and what each episode puts into them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import Side
from firsthand.datasets.rows import IDENTITY, POSE_NAMES, UNKNOWN_SIGMA_M, Rows

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Columns:
    """The numeric columns all episodes of an export share."""

    joints: Mapping[Side, tuple[str, ...]]
    """Joint names by side, right before left; only sides that occur."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides, right before left."""
        return tuple(self.joints)

    @property
    def state_names(self) -> tuple[str, ...]:
        """One name per column of state and action, such as ``right.x_m``."""
        return tuple(f"{side}.{name}" for side, joints in self.joints.items() for name in (*POSE_NAMES, *joints))

    def state(self, rows: Rows) -> Floats32:
        """State of every row, shape (N, D); a side the episode lacks is the identity pose and zero joints."""
        parts = [rows.sides[side].state if side in rows.sides else np.tile((*IDENTITY, *[0.0] * len(joints)), (len(rows), 1))
                 for side, joints in self.joints.items()]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def valid(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Where the state of each side was known, shape (N, S)."""
        return np.stack([rows.sides[s].valid if s in rows.sides else np.zeros(len(rows), bool) for s in self.joints], axis=1)

    def sigma_m(self, rows: Rows) -> Floats32:
        """Doubt about each side's wrist, shape (N, S)."""
        return np.stack([rows.sides[s].sigma_m if s in rows.sides else np.full(len(rows), UNKNOWN_SIGMA_M) for s in self.joints],
                        axis=1).astype(np.float32)
