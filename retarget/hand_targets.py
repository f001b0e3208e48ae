"""What a robot hand should match: vectors from its wrist to its fingertips and between them, drawn from a human hand.

The objective is that of DexPilot (Handa et al. 2020) with ramps in place of switches: where the person pinches, the robot's tips
must meet, whatever their size; elsewhere they follow the person's, scaled to the robot's reach.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import FINGERS, PARENTS, TIPS
from firsthand.retarget.kinematics import link_positions, moving_joints
from firsthand.retarget.robot import HandModel, RobotModel
from firsthand.retarget.runs import smooth
from firsthand.retarget.solve_kernel import WRIST

Floats = npt.NDArray[np.float64]
PARAMETERS = {"pinch_on_m": 0.03, "pinch_off_m": 0.05, "ramp_s": 0.033, "smooth_s": 0.05}
"""A pinch counts fully below ``pinch_on_m`` between the tips and not at all above ``pinch_off_m``. How much it counts, and the targets
of tips that do not pinch, are smoothed in time: a switch in one frame would ask the joints for 40 rad/s."""
_THUMB_GAP_M, _FINGER_GAP_M = 1e-4, 3e-2
_THUMB_WEIGHT, _FINGER_WEIGHT = 200.0, 400.0


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
    task, origin, d, weight = [], [], [], []
    pairs = [(i, j) for i in range(len(hand.fingers)) for j in range(i + 1, len(hand.fingers))]
    rows = len(pairs) + len(hand.fingers)
    for i, j in pairs:
        on = smooth(_closeness(tips, i, j) * _may_pinch(hand, tips, i, j), t_ns, every, PARAMETERS["ramp_s"])
        raw, apart = tips[:, j] - tips[:, i], (steady[:, j] - steady[:, i]) * (scales[i] + scales[j]) / 2
        length = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-6)
        touch = raw / length * (_THUMB_GAP_M if i == 0 else _FINGER_GAP_M)
        task.append(hand.tips[j])
        origin.append(hand.tips[i])
        d.append(on[:, None] * touch + (1 - on[:, None]) * apart)
        weight.append((_THUMB_WEIGHT if i == 0 else _FINGER_WEIGHT) ** on)  # from 1, evenly in its logarithm
    for i, tip in enumerate(hand.tips):
        task.append(tip)
        origin.append(WRIST)
        d.append(steady[:, i] * scales[i])
        weight.append(np.full(len(tips), float(rows)))
    return Targets(np.array(task), np.array(origin), np.stack(d, 1), np.stack(weight, 1) / rows, tips * scales[:, None])


def _closeness(tips: Floats, i: int, j: int) -> Floats:
    """1 where two tips pinch, 0 where they are apart, smooth between; shape (N,)."""
    gap = np.linalg.norm(tips[:, i] - tips[:, j], axis=1)
    x = np.clip((PARAMETERS["pinch_off_m"] - gap) / (PARAMETERS["pinch_off_m"] - PARAMETERS["pinch_on_m"]), 0, 1)
    return np.asarray(x * x * (3 - 2 * x), np.float64)


def _may_pinch(hand: HandModel, tips: Floats, i: int, j: int) -> Floats:
    """How far a pair is allowed to pinch: a thumb pair if the card lists it, two fingers only as far as both meet the thumb."""
    if i == 0:
        return np.full(len(tips), float((hand.fingers[0], hand.fingers[j]) in hand.pinch))
    return np.minimum(_closeness(tips, 0, i) * _may_pinch(hand, tips, 0, i), _closeness(tips, 0, j) * _may_pinch(hand, tips, 0, j))
