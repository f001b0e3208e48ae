"""Which way is up, from the accelerometer beside a camera whose orientation is known. The world's z is up, gravity along -z."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.retarget.gyro import GAP_S, Gyro

Floats = npt.NDArray[np.float64]

GRAVITY_M_S2 = 9.81
TOLERANCE_M_S2 = 1.0
"""A mean force that differs more from gravity's is that of a sensor in other units, or badly wrong."""
BLOCK_S = 1.0
"""Means over so long are about independent: a head's own accelerations cancel out."""
FEWEST_BLOCKS = 3
SENSOR_SIGMA_RAD = 0.01
"""Of an accelerometer that nobody calibrated: 0.1 m/s^2 across gravity."""


@dataclass(frozen=True, eq=False)
class Up:
    """The direction away from the ground."""

    direction: Floats
    """Unit vector in the world that was asked about, shape (3,)."""
    sigma_rad: float
    """One standard deviation."""

    @property
    def tilt_rad(self) -> float:
        """By how much that world's z is off."""
        return float(np.arccos(np.clip(self.direction[2], -1, 1)))


def up_from(imu_t_ns: npt.NDArray[np.int64], force_m_s2: Floats, gyro: Gyro, t_ns: npt.NDArray[np.int64], R_world_cam: Floats) -> Up | None:
    """Up in the world in which the camera was turned as `R_world_cam` (N, 3, 3), NaN where not known, from specific forces (S, 3).

    The mean of the force in the world is that of gravity, whatever the head did. None when too little was seen, or it is no gravity.
    """
    known = np.flatnonzero(np.isfinite(R_world_cam[:, 0, 0]))
    rows = np.flatnonzero(np.isfinite(force_m_s2).all(1))
    if len(known) == 0 or len(rows) == 0:
        return None
    at = imu_t_ns[rows]
    nearest = known[np.clip(np.searchsorted(t_ns[known], at), 0, len(known) - 1)]
    turned, there = gyro.turned(at), gyro.turned(t_ns[nearest])
    use = (np.abs(t_ns[nearest] - at) < GAP_S * 2e9) & np.isfinite(turned[:, 0, 0]) & np.isfinite(there[:, 0, 0])
    R = R_world_cam[nearest] @ np.swapaxes(there, 1, 2) @ turned
    world = np.einsum("nij,jk,nk->ni", R[use], gyro.R_cam_imu, force_m_s2[rows][use])
    block = ((at[use] - at[0]) * 1e-9 / BLOCK_S).astype(np.int64)
    numbers, counts = np.unique(block, return_counts=True)
    numbers = numbers[counts > 0.5 * counts.max(initial=0)]
    if len(numbers) < FEWEST_BLOCKS:
        return None
    means = np.stack([world[block == number].mean(0) for number in numbers])
    middle = means.mean(0)
    size = float(np.linalg.norm(middle))
    if abs(size - GRAVITY_M_S2) > TOLERANCE_M_S2:
        return None
    spread = np.linalg.norm(means - middle, axis=1)
    chance = np.sqrt((spread**2).sum() / 2 / len(means) / (len(means) - 1)) / size
    return Up(middle / size, float(np.sqrt(chance**2 + SENSOR_SIGMA_RAD**2 + gyro.mount_sigma_rad**2)))


def upright(up: Up) -> Floats:
    """The least rotation (3, 3) that takes `up` to z."""
    x, y, z = up.direction
    if z < -0.999:
        return np.diag([1.0, -1.0, -1.0])
    v = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])  # of the axis up x z
    return np.asarray(np.eye(3) + v + v @ v / (1 + z))
