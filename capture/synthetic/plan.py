"""What one hand does in a take: keyframes of place, turn and grip, joined as people move."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP, Side
from firsthand.capture.synthetic.hand import N_ANGLES, joints_m
from firsthand.capture.synthetic.head import R_WORLD_CAM
from firsthand.capture.synthetic.rotation import about, poses

Floats = npt.NDArray[np.floating[Any]]


Four = tuple[float, float, float, float]


def _articulation(mcp: Four, pip: Four, dip: Four, spread: float, thumb: tuple[float, float, float]) -> Floats:
    return np.array([*mcp, *pip, *dip, spread, *thumb])


GRIPS = {
    "open": _articulation((0.12, 0.12, 0.13, 0.14), (0.15, 0.17, 0.18, 0.16), (0.08, 0.08, 0.08, 0.08), 1.15, (0.35, 0.15, 0.10)),
    "relaxed": _articulation((0.26, 0.28, 0.30, 0.32), (0.34, 0.38, 0.40, 0.38), (0.18, 0.18, 0.18, 0.18), 0.95, (0.45, 0.24, 0.18)),
    "ready": _articulation((0.34, 0.18, 0.14, 0.12), (0.50, 0.28, 0.25, 0.24), (0.25, 0.15, 0.14, 0.14), 1.10, (0.60, 0.30, 0.20)),
    # Thumb and index tip joints 16.5 mm apart: pads touching. Found by minimising that distance near a natural posture.
    "pinch": _articulation((0.624, 0.20, 0.14, 0.12), (1.053, 0.32, 0.27, 0.26), (0.547, 0.18, 0.15, 0.15), 1.10, (0.836, 0.699, 0.347)),
}
"""Named articulations, each shape (16,)."""

_FREE = np.ones(N_ANGLES)
_FREE[[0, 4, 8, 12, 13, 14, 15]] = 0.15
"""How much each angle wanders: the pinching fingers hardly, the others freely."""


def glide(t_s: Floats, at_s: Floats, values: Floats) -> Floats:
    """Values (N, C) at times (N,) between keys (K,), (K, C): minimum jerk from key to key, held before and after."""
    k = np.clip(np.searchsorted(at_s, t_s, side="right") - 1, 0, len(at_s) - 2)
    s = np.clip((t_s - at_s[k]) / (at_s[k + 1] - at_s[k]), 0, 1)[:, None]
    return np.asarray(values[k] + (values[k + 1] - values[k]) * s**3 * (10 - 15 * s + 6 * s * s))


class Press(NamedTuple):
    """One finger bent and straightened again, as on a piano."""

    start_s: float
    stop_s: float
    finger: int
    """0 (thumb) to 4 (little)."""
    bend_rad: float
    """Of the knuckle, at the deepest."""


_PRESSED = np.zeros((5, N_ANGLES))
_PRESSED[0, [14, 15]] = 0.7, 0.9
for _finger in range(4):
    _PRESSED[1 + _finger, [_finger, 4 + _finger, 8 + _finger]] = 1.0, 0.8, 0.5
"""How much each angle takes part when a finger is pressed."""


def bumps(t_s: Floats, starts_s: Floats, stops_s: Floats) -> Floats:
    """Smooth rises from 0 to 1 and back between each start and stop (K,), shape (N, K)."""
    s = np.clip((t_s[:, None] - starts_s) / (stops_s - starts_s), 0, 1)
    return np.asarray(16 * s**2 * (1 - s) ** 2)


class Key(NamedTuple):
    """Where a hand is at one moment, at rest for an instant."""

    t_s: float
    place_m: tuple[float, float, float]
    """World position of the pinch: the middle between the tips of thumb and index."""
    turn_deg: tuple[float, float, float]
    """Yaw, pitch, roll against the resting camera's axes, as a right hand has them; mirrored for the left."""
    grip: str
    """A name of `GRIPS`."""


@dataclass(frozen=True, eq=False)
class HandPlan:
    """One hand's keyframes. Pure functions of time give everything else."""

    side: Side
    keys: tuple[Key, ...]
    """In order of time; the hand stays at the first before it and at the last after it."""
    arcs: tuple[tuple[float, float, float], ...] = ()
    """(from s, to s, height m): raise the path between two times in a smooth arc."""
    phase: float = 0.0
    """Makes one take's small movements differ from another's."""
    presses: tuple[Press, ...] = ()
    scale: float = 1.0
    """How many times as large as usual the hand is, in its bones; its flesh is as thick."""

    def _glide(self, t_s: Floats, values: Sequence[npt.ArrayLike]) -> Floats:
        return glide(t_s, np.array([key.t_s for key in self.keys]), np.asarray(values, np.float64))

    def angles(self, t_s: Floats) -> Floats:
        """Articulations, shape (N, 16)."""
        t_s = np.asarray(t_s, np.float64)
        k = np.arange(N_ANGLES)
        wander = 1 + 0.09 * np.sin(t_s[:, None] * (1.1 + 0.13 * (k % 5)) + self.phase + 2.4 * k)
        angles = self._glide(t_s, [GRIPS[key.grip] for key in self.keys]) * (1 + (wander - 1) * _FREE)
        if self.presses:
            starts, stops, fingers, bends = np.array(self.presses).T
            angles = angles + bumps(t_s, starts, stops) @ (bends[:, None] * _PRESSED[fingers.astype(np.int64)])
        return np.asarray(angles)

    def pinch_m(self, t_s: Floats) -> Floats:
        """World position of the pinch, shape (N, 3)."""
        t_s = np.asarray(t_s, np.float64)
        place = self._glide(t_s, [key.place_m for key in self.keys])
        for start, stop, height in self.arcs:
            s = np.clip((t_s - start) / (stop - start), 0, 1)
            place[:, 2] += height * 16 * s**2 * (1 - s) ** 2
        sway = np.stack([np.sin(1.3 * t_s + self.phase), np.sin(1.1 * t_s + 2 * self.phase), np.zeros(len(t_s))], 1)
        return np.asarray(place + 0.002 * sway)

    def R_world_hand(self, t_s: Floats) -> Floats:
        """Orientation of the hand's axes, shape (N, 3, 3)."""
        t_s = np.asarray(t_s, np.float64)
        sway = np.sin(t_s[:, None] * (0.6, 0.8, 0.7) + (self.phase, self.phase, self.phase + 1))
        deg = self._glide(t_s, [key.turn_deg for key in self.keys]) + 2.0 * sway
        yaw, pitch, roll = np.radians(deg).T
        R = about(2, yaw) @ about(0, pitch) @ about(1, roll)
        return np.asarray(R_WORLD_CAM @ (R if self.side == "right" else self._mirror @ R @ self._mirror))

    @cached_property
    def _mirror(self) -> Floats:
        return np.diag([1.0 if self.side == "right" else -1.0, 1.0, 1.0])

    def local_m(self, t_s: Floats) -> Floats:
        """The 21 joints in the hand's own axes, shape (N, 21, 3); a left hand is already mirrored."""
        return np.asarray(joints_m(self.angles(t_s)) @ self._mirror * self.scale)

    def points_m(self, t_s: Floats) -> Floats:
        """The 21 joints in the world, shape (N, 21, 3)."""
        local = self.local_m(t_s)
        rotated = np.einsum("nij,nkj->nki", self.R_world_hand(t_s), local)
        tips = (rotated[:, THUMB_TIP] + rotated[:, INDEX_TIP]) / 2
        return np.asarray(rotated + (self.pinch_m(t_s) - tips)[:, None])

    def T_world_pinch(self, t_s: float) -> Floats:
        """Pose (4, 4) of what the hand holds rigidly: the hand's axes at the pinch."""
        t = np.array([t_s])
        return np.asarray(poses(self.R_world_hand(t), self.pinch_m(t))[0])


@dataclass(frozen=True, eq=False)
class OtherHand:
    """A hand of somebody else at the table: a wearer's plan, turned about a vertical line."""

    plan: HandPlan
    turn_rad: float
    """pi for somebody across the table."""
    about_m: tuple[float, float]
    """Where the line stands, x and y."""

    def points_m(self, t_s: Floats) -> Floats:
        """The 21 joints in the world, shape (N, 21, 3)."""
        centre = np.array([*self.about_m, 0.0])
        return np.asarray((self.plan.points_m(t_s) - centre) @ about(2, self.turn_rad)[0].T + centre)
