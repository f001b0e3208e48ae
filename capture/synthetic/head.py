"""Where the wearer's head camera is: a person leaning over a table, never quite still."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.rotation import about, poses, rotation_vector

Floats = npt.NDArray[np.floating[Any]]

GRAVITY_M_S2 = 9.81
DOWN_DEG = 58.0
"""How far below the horizon the camera looks."""
R_WORLD_CAM: Floats = about(0, np.radians(-90 - DOWN_DEG))[0]
"""Resting orientation: world x to the right, y away from the wearer, z up; camera x right, y down, z forward."""
_REST_M = np.array([0.0, -0.16, 0.50])
_STEP_S = 1e-3


class Nod(NamedTuple):
    """The head turned somewhere and back."""

    start_s: float
    stop_s: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True)
class HeadMotion:
    """The head's path; `phase` makes takes differ."""

    phase: float = 0.0
    nods: tuple[Nod, ...] = ()
    roll_deg: float = 0.0
    """How the camera is mounted: 180 is upside down."""

    def T_world_cam(self, t_s: Floats) -> Floats:
        """Poses of the camera, shape (N, 4, 4)."""
        t, p = np.asarray(t_s, np.float64), self.phase
        place = _REST_M + np.stack([0.02 * np.sin(0.8 * t + p), 0.015 * np.sin(0.6 * t + 2 * p), 0.01 * np.sin(1.1 * t + 3 * p)], 1)
        yaw, pitch, roll = 3 * np.sin(0.5 * t + p), 3 * np.sin(0.7 * t + 2 * p), self.roll_deg + 2 * np.sin(0.9 * t + p)
        if self.nods:
            starts, stops, *turns = np.array(self.nods).T
            s = np.clip((t[:, None] - starts) / (stops - starts), 0, 1)
            more = 16 * s**2 * (1 - s) ** 2 @ np.stack(turns, 1)
            yaw, pitch, roll = yaw + more[:, 0], pitch + more[:, 1], roll + more[:, 2]
        R = about(2, np.radians(yaw)) @ R_WORLD_CAM @ about(0, np.radians(pitch)) @ about(2, np.radians(roll))
        return poses(R, place)

    def imu(self, t_s: Floats) -> Floats:
        """What an ideal IMU in the camera's axes reads, shape (N, 6): specific force (m/s^2), then rotation rate (rad/s).

        Central differences of the path: at 1 ms their error is far below any sensor's noise.
        """
        before, here, after = (self.T_world_cam(np.asarray(t_s) + dt) for dt in (-_STEP_S, 0.0, _STEP_S))
        acceleration = (before[:, :3, 3] - 2 * here[:, :3, 3] + after[:, :3, 3]) / _STEP_S**2
        force = np.einsum("nji,nj->ni", here[:, :3, :3], acceleration + np.array([0, 0, GRAVITY_M_S2]))
        turn = rotation_vector(np.einsum("nji,njk->nik", before[:, :3, :3], after[:, :3, :3]))
        return np.concatenate([force, turn / (2 * _STEP_S)], 1)
