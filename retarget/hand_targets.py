"""What a robot hand should match: vectors from its wrist to its fingertips and between them, drawn from a human hand.

The objective is that of DexPilot (Handa et al. 2020) with ramps in place of switches: where the person pinches, the robot's tips
must meet, whatever their size; elsewhere they follow the person's, scaled to the robot's reach.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import FINGERS, PARENTS, TIPS
from firsthand.retarget.kinematics import link_positions, moving_joints
from firsthand.retarget.pinch_targets import FINGER_GAP_M, FINGER_WEIGHT, OFF_M, ON_M, THUMB_GAP_M, THUMB_WEIGHT, pinches
from firsthand.retarget.problem import WRIST
from firsthand.retarget.robot import RobotModel
from firsthand.retarget.runs import smooth

Floats = npt.NDArray[np.float64]
PARAMETERS = {"pinch_on_m": ON_M, "pinch_off_m": OFF_M, "ramp_s": 0.067, "smooth_s": 0.05}
"""A pinch lasts from when two tips come within ``pinch_on_m`` until they are ``pinch_off_m`` apart. How much it counts, and the targets
of tips that do not pinch, are smoothed in time: a switch in one frame would ask the joints for 40 rad/s."""


@dataclass(frozen=True, eq=False)
class Targets:
    """m target vectors over N frames."""

    task: npt.NDArray[np.int64]
    """The link each vector ends at, shape (m,)."""
    origin: npt.NDArray[np.int64]
    """The link it starts from, shape (m,); WRIST for the robot's wrist."""
    d_m: Floats
    """The wanted vectors in operator axes, shape (N, m, 3)."""
    weight: Floats
    """Shape (N, m)."""
    tips_m: Floats
    """The scaled human tips, not smoothed, shape (N, F, 3): what the residual is measured against."""


def finger_scales(local_m: Floats, robot: RobotModel) -> Floats:
    """How large each human finger is drawn for the robot, shape (F,): the card's number, or robot reach over human reach.

    The human's reach is the sum of the finger's bones from the wrist, by their medians over the recording, so that it hardly
    depends on whether the hand was ever opened; or what the tip was seen to reach, if that is more. The robot's is the farthest
    its tip gets from its wrist. NaN without any frame.
    """
    hand = robot.hand
    assert hand is not None
    return np.array([robot_reach(robot, tip) / _human_reach(local_m, finger) if fixed is None else fixed
                     for finger, tip, fixed in zip(hand.fingers, hand.tips, hand.scale, strict=True)])


def _human_reach(local_m: Floats, finger: str) -> float:
    if len(local_m) == 0:
        return np.nan
    tip = TIPS[FINGERS.index(finger)]
    joints = list(range(tip - 3, tip + 1))
    bones = np.linalg.norm(local_m[:, joints] - local_m[:, [PARENTS[j] for j in joints]], axis=2)  # (N, 4)
    seen = np.linalg.norm(local_m[:, tip], axis=1)
    return max(float(np.median(bones, axis=0).sum()), float(np.percentile(seen, 98)))


def robot_reach(robot: RobotModel, tip: int) -> float:
    """The farthest a link of a robot hand gets from its wrist within the limits, in metres (coordinate search)."""
    assert robot.hand is not None
    q, best = (robot.lower + robot.upper) / 2, 0.0
    for _ in range(4):
        for j in sorted(moving_joints(robot.hand.chain, tip)):
            tries = np.tile(q, (33, 1))
            tries[:, j] = np.linspace(robot.lower[j], robot.upper[j], 33)
            reach = np.linalg.norm(link_positions(robot.hand.chain, tries, [tip])[:, 0], axis=1)
            if reach.max() > best + 1e-9:
                q, best = tries[reach.argmax()], float(reach.max())
    return best


def draw_targets(local_m: Floats, t_ns: npt.NDArray[np.int64], robot: RobotModel, scales: Floats) -> Targets:
    """Targets for one unbroken run of frames, from joints in operator axes, shape (N, 21, 3)."""
    hand = robot.hand
    assert hand is not None
    tips = local_m[:, [TIPS[FINGERS.index(finger)] for finger in hand.fingers]]  # (N, F, 3)
    every = np.ones(len(tips), np.bool_)
    steady = smooth(tips, t_ns, every, PARAMETERS["smooth_s"])
    allowed = np.array([(hand.fingers[0], finger) in hand.pinch for finger in hand.fingers[1:]])
    pairs, pinched = pinches(tips, allowed)
    i, j = pairs.T
    # Twice the mean, so that a pinch counts fully from its first frame to its last and the ramps lie outside.
    on = np.minimum(2 * smooth(pinched.astype(np.float64), t_ns, every, PARAMETERS["ramp_s"]), 1.0)  # (N, P)
    raw, apart = tips[:, j] - tips[:, i], (steady[:, j] - steady[:, i]) * ((scales[i] + scales[j]) / 2)[:, None]
    touch = raw / np.maximum(np.linalg.norm(raw, axis=2, keepdims=True), 1e-6) * np.where(i == 0, THUMB_GAP_M, FINGER_GAP_M)[:, None]
    rows = len(pairs) + len(hand.tips)
    weight = np.where(i == 0, THUMB_WEIGHT, FINGER_WEIGHT) ** on  # from 1, evenly in its logarithm
    links = np.array(hand.tips)
    return Targets(
        np.r_[links[j], links], np.r_[links[i], np.full(len(links), WRIST)],
        np.concatenate([on[..., None] * touch + (1 - on[..., None]) * apart, steady * scales[:, None]], 1),
        np.concatenate([weight, np.full((len(tips), len(links)), float(rows))], 1) / rows, tips * scales[:, None],
    )  # fmt: skip
