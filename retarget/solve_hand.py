"""A robot hand in place of a human one: its wrist on the person's, its joints solved so that the fingertips match."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import WRIST as HUMAN_WRIST
from firsthand.retarget import hand_targets, passes
from firsthand.retarget.action_track import ActionTrack
from firsthand.retarget.hand_targets import Targets, draw_targets, finger_scales
from firsthand.retarget.hand_track import HandTrack
from firsthand.retarget.kinematics import link_positions, moving_joints
from firsthand.retarget.operator_frame import operator_frame
from firsthand.retarget.passes import Course, solve_course
from firsthand.retarget.problem import Problem
from firsthand.retarget.rate_limits import MARGIN
from firsthand.retarget.robot import RobotModel
from firsthand.retarget.runs import run_numbers
from firsthand.retarget.velocity import farthest

Floats = npt.NDArray[np.float64]
MU, KNEE_M, MISS_M = 0.25, 0.03, 0.02
PARAMETERS = {**hand_targets.PARAMETERS, "passes": "trajectory", "basin_mu": passes.MU, "mu": MU, "knee_m": KNEE_M, "miss_m": MISS_M}
"""``mu`` weighs stillness, rad^-2 at 30 Hz, and ``basin_mu`` does while basins are looked for; ``knee_m`` is Huber's; a tip farther than
``miss_m`` from its target has missed it."""


def follow_with_hand(human: HandTrack, robot: RobotModel) -> ActionTrack:
    """The actions of a robot hand that follows one human hand.

    Each run of frames in which the hand is known is solved by itself. A frame is saturated where a finger misses its target with a joint on
    a limit of position or speed, or where speed or acceleration, kept exactly, moved a joint from where the solver had it.
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
        t_ns = human.t_ns[rows]
        targets = draw_targets(local[rows], t_ns, robot, scales)
        course = solve_targets(targets, t_ns, robot)
        miss = np.linalg.norm(link_positions(hand.chain, course.q, hand.tips) - targets.tips_m, axis=2)  # (n, F)
        joints[rows], residual[rows] = course.q, miss.mean(1)
        stuck = _joints_on_limit(course.q, t_ns, robot)
        on_limit = np.stack([stuck[:, sorted(moving_joints(hand.chain, tip))].any(1) for tip in hand.tips], 1)
        saturated[rows] = course.held_back | ((miss > MISS_M) & on_limit).any(1)
    T = np.tile(np.eye(4), (n, 1, 1))
    T[:, :3, :3], T[:, :3, 3] = R, points[:, HUMAN_WRIST]
    T_ee = T @ hand.T_operator_ee
    T_ee[~valid] = np.nan
    return ActionTrack(human.side, human.t_ns, T_ee, robot.joint_names, robot.joint_units, joints, valid, residual, saturated)


def solve_targets(targets: Targets, t_ns: npt.NDArray[np.int64], robot: RobotModel) -> Course:
    """Joint positions for the targets of one run, shape (N, J), within limits of position and speed."""
    assert robot.hand is not None
    problem = Problem(robot.hand.chain, robot.lower, robot.upper, targets.task, targets.origin, targets.d_m, targets.weight, KNEE_M)
    return solve_course(problem, t_ns, mu=MU, velocity=robot.velocity)


def _joints_on_limit(q: Floats, t_ns: npt.NDArray[np.int64], robot: RobotModel) -> npt.NDArray[np.bool_]:
    """Whether each joint is on a limit of its position, or moves as fast as it can just before or after, shape (N, J)."""
    on = (q <= robot.lower + 1e-9) | (q >= robot.upper - 1e-9)
    fast = np.abs(np.diff(q, axis=0)) >= farthest(robot.velocity, np.diff(t_ns) * 1e-9) * (1 - 5 * MARGIN)
    on[1:] |= fast
    on[:-1] |= fast
    return np.asarray(on, np.bool_)
