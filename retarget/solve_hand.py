"""A robot hand in place of a human one: its wrist on the person's, its joints solved so that the fingertips match."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import WRIST as HUMAN_WRIST
from firsthand.retarget import hand_targets
from firsthand.retarget.action_track import ActionTrack
from firsthand.retarget.hand_targets import Targets, draw_targets, finger_scales
from firsthand.retarget.hand_track import HandTrack
from firsthand.retarget.kinematics import link_positions, moving_joints
from firsthand.retarget.operator_frame import operator_frame
from firsthand.retarget.robot import HandModel, RobotModel
from firsthand.retarget.runs import run_numbers
from firsthand.retarget.solve_kernel import flat, solve_run
from firsthand.retarget.velocity import limit_velocity

Floats = npt.NDArray[np.float64]
MU, KNEE_M, MISS_M = 0.04, 0.03, 0.02
PARAMETERS = {**hand_targets.PARAMETERS, "mu": MU, "knee_m": KNEE_M, "miss_m": MISS_M}
"""``mu`` weighs stillness, rad^-2; ``knee_m`` is Huber's; a tip farther than ``miss_m`` from its target has missed it."""


def follow_with_hand(human: HandTrack, robot: RobotModel) -> ActionTrack:
    """The actions of a robot hand that follows one human hand.

    Each run of frames in which the hand is known is solved by itself, from a fresh start. A frame is saturated where a finger
    misses its target with a joint on its limit, or where a joint could not turn as fast as the person's.
    """
    hand = robot.hand
    assert hand is not None
    points = np.where(human.valid[:, None, None], human.points_m, np.nan)
    R, local = operator_frame(points, human.side)
    valid = np.asarray(np.isfinite(R).all(axis=(1, 2)))
    n = len(points)
    joints = np.full((n, len(robot.joint_names)), np.nan)
    residual, saturated = np.full(n, np.nan), np.zeros(n, np.bool_)
    scales = finger_scales(local[valid], robot)
    run = run_numbers(valid)
    for number in range(int(run.max(initial=-1)) + 1):
        rows = np.flatnonzero(run == number)
        targets = draw_targets(local[rows], human.t_ns[rows], robot, scales)
        wanted = solve_targets(targets, robot)
        q = limit_velocity(wanted, human.t_ns[rows], robot.velocity)
        miss = np.linalg.norm(link_positions(hand.chain, q, hand.tips) - targets.tips_m, axis=2)  # (n, F)
        joints[rows], residual[rows] = q, miss.mean(1)
        saturated[rows] = (np.abs(q - wanted) > 1e-6).any(1) | ((miss > MISS_M) & _finger_on_limit(q, robot, hand)).any(1)
    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, :3], T[:, :3, 3] = R, points[:, HUMAN_WRIST]
    T_ee = T @ hand.T_operator_ee
    T_ee[~valid] = np.nan
    return ActionTrack(human.side, human.t_ns, T_ee, robot.joint_names, robot.joint_units, joints, valid, residual, saturated)


def solve_targets(targets: Targets, robot: RobotModel) -> Floats:
    """Joint positions for the targets of one run, shape (N, J), within the limits; speeds are not limited."""
    assert robot.hand is not None
    chain = robot.hand.chain
    moving = [moving_joints(chain, int(a)) | moving_joints(chain, int(b)) for a, b in zip(targets.task, targets.origin, strict=True)]
    columns = np.zeros((len(moving), len(robot.joint_names)), np.int64)
    for row, joints in enumerate(moving):
        columns[row, : len(joints)] = sorted(joints)
    counts = np.array([len(joints) for joints in moving])
    q = np.empty((len(targets.d_m), len(robot.joint_names)))
    rows = (targets.task, targets.origin, columns, counts)
    solve_run(flat(chain), rows, robot.lower, robot.upper, targets.d_m, targets.weight, KNEE_M, MU, q)
    return q


def _finger_on_limit(q: Floats, robot: RobotModel, hand: HandModel) -> npt.NDArray[np.bool_]:
    """Whether any joint that moves a fingertip is on its limit, shape (N, F)."""
    on = (q <= robot.lower + 1e-9) | (q >= robot.upper - 1e-9)
    return np.stack([on[:, sorted(moving_joints(hand.chain, tip))].any(1) for tip in hand.tips], 1)
