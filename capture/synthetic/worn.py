"""What the synthetic wearer has on the hands: gloves that do not measure quite what they say, trackers somewhere on the wrist."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.hand_stream import GLOVE_COLUMNS, POSE_COLUMNS, POSE_UNITS
from firsthand.capture.skeleton import WRIST, Side
from firsthand.capture.stream import StreamSpec
from firsthand.capture.synthetic.hand import glove_rad
from firsthand.capture.synthetic.plan import HandPlan
from firsthand.capture.synthetic.rotation import from_rotation_vector, inverse, poses, quat_wxyz

Floats = npt.NDArray[np.floating[Any]]

GLOVE_HZ, TRACKER_HZ = 120.0, 100.0
GLOVE_NOISE_RAD = 0.008
GAIN_SIGMA, OFFSET_SIGMA_RAD, MIXED_SIGMA = 0.1, 0.08, 0.05
"""How wrong a real glove is before it is calibrated: its scale, its zero, and how much of a finger's other sensors shows in one."""
TRACKER_NOISE_M, TRACKER_NOISE_RAD = 0.0007, np.radians(0.1)
_MOUNT_M = np.array([0.0, -0.05, 0.03])
"""Where a strap has a tracker, in hand axes (x to the right of the hand with its palm down, y along the fingers, z out of its back)."""
_AXES = np.diag([1.0, -1.0, -1.0])
"""From those axes to the ones in which the hand is made (`hand.joints_m`)."""


@dataclass(frozen=True, eq=False)
class Worn:
    """One hand's glove and tracker, as they were put on for this take."""

    side: Side
    gain: Floats
    """What the glove's columns say (20) of the true angles (20), shape (20, 20)."""
    offset_rad: Floats
    """Shape (20,)."""
    T_tracker_hand: Floats
    """Pose of the hand's axes on the tracker, shape (4, 4)."""
    T_world_base: Floats
    """The tracker's own world in that of the take, shape (4, 4)."""

    @classmethod
    def put_on(cls, side: Side, rng: np.random.Generator, faults: float) -> "Worn":
        """As chance has it. `faults` 0: the glove says what is; 1: as wrong as real ones."""
        gain = np.diag(1 + faults * GAIN_SIGMA * rng.standard_normal(20))
        for first in range(0, 20, 4):
            mixed = faults * MIXED_SIGMA * rng.standard_normal((4, 4))
            gain[first : first + 4, first : first + 4] += mixed * (1 - np.eye(4)) * ([[1]] * 4 if first == 0 else [[0]] * 3 + [[1]])
        offset = faults * OFFSET_SIGMA_RAD * rng.standard_normal(20)
        place = _MOUNT_M + rng.normal(0, 0.012, 3)
        T_hand_tracker = poses(from_rotation_vector(rng.normal(0, 0.6, (1, 3))), place[None])
        base = poses(from_rotation_vector(np.array([[0, 0, rng.uniform(-np.pi, np.pi)]])), rng.uniform(-2, 2, (1, 3)))
        return cls(side, gain, offset, inverse(T_hand_tracker)[0], base[0])

    def glove(self, name: str, plan: HandPlan, t_s: Floats, rng: np.random.Generator) -> tuple[StreamSpec, Floats]:
        """The glove's stream and its rows at times (N,)."""
        angles = glove_rad(plan.angles(t_s)) @ self.gain.T + self.offset_rad
        spec = StreamSpec(name, "numeric", "glove", names=GLOVE_COLUMNS, units=("rad",) * 20, rate_hz=GLOVE_HZ, side=self.side)
        return spec, angles + rng.normal(0, GLOVE_NOISE_RAD, angles.shape)

    def tracker(self, name: str, plan: HandPlan, t_s: Floats, rng: np.random.Generator) -> tuple[StreamSpec, Floats]:
        """The wrist tracker's stream and its rows at times (N,), in the tracker's own world."""
        hand = poses(plan.R_world_hand(t_s) @ _AXES, plan.points_m(t_s)[:, WRIST])
        T = inverse(self.T_world_base) @ hand @ inverse(self.T_tracker_hand)
        R = T[:, :3, :3] @ from_rotation_vector(rng.normal(0, TRACKER_NOISE_RAD, (len(T), 3)))
        spec = StreamSpec(name, "numeric", "pose", names=POSE_COLUMNS, units=POSE_UNITS, rate_hz=TRACKER_HZ, side=self.side,
                          extra={"origin": "world", "up": "z", "on": "wrist"})  # fmt: skip
        return spec, np.concatenate([T[:, :3, 3] + rng.normal(0, TRACKER_NOISE_M, (len(T), 3)), quat_wxyz(R)], 1)
