"""A parallel gripper in place of thumb and index finger: its pose and width, frame by frame.

The tool centre is the midpoint of the two tips and the width their distance, as in Phantom (MarionLepert/phantom, commit a8bb81c),
which however takes the middle finger for the centre of its plain model and holds the last pose where no hand was seen; here
such frames have no action.
"""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_MCP, INDEX_TIP, THUMB_TIP, Side
from firsthand.retarget.action_track import ActionTrack
from firsthand.retarget.hand_track import HandTrack
from firsthand.retarget.operator_frame import operator_frame
from firsthand.retarget.robot import RobotModel
from firsthand.retarget.runs import carry, run_numbers, smooth
from firsthand.retarget.turning import limit_turning

Floats = npt.NDArray[np.float64]
THUMB_MCP = 2
PARAMETERS = {"axis_from_m": 0.02, "axis_full_m": 0.04, "axis_sigma_s": 0.05, "turn_rad_s": 12.0}
"""The line between the tips counts fully from ``axis_full_m`` of aperture on and not at all below ``axis_from_m``, where it is noise.
In the hand's own frame the grasp turns at most ``turn_rad_s``: only a thumb that crosses the finger would turn it faster."""


def grasp_poses(points_m: npt.ArrayLike, t_ns: npt.NDArray[np.int64], side: Side) -> Floats:
    """Pose of the grasp between thumb and index finger, shape (N, 4, 4), in the frame of the joints (N, 21, 3).

    Origin: midpoint of the tips. y: from the thumb's tip to the index finger's. z: from the wrist to the origin, made square to
    y. x = y cross z. The axes are smoothed in the hand's own frame, without lag, and each frame counts for what it can tell: as
    the tips meet, or point along the hand, their line loses its direction to noise, so the axes are carried through from the
    frames before and after, and turn with the hand meanwhile. NaN where a joint is missing or the palm's joints lie on one line.
    """
    points = np.asarray(points_m, np.float64)
    R_frame_hand, local = operator_frame(points, side)
    valid = np.asarray(np.isfinite(R_frame_hand).all(axis=(1, 2)))
    across = local[:, INDEX_TIP] - local[:, THUMB_TIP]
    centre = _unit((local[:, INDEX_TIP] + local[:, THUMB_TIP]) / 2)
    x = (np.linalg.norm(across, axis=1) - PARAMETERS["axis_from_m"]) / (PARAMETERS["axis_full_m"] - PARAMETERS["axis_from_m"])
    trust = np.where(valid, np.clip(x, 0, 1), 0.0)
    y = carry(_unit(across), t_ns, valid, trust > 0)
    y = _unit(np.where(np.isnan(y), local[:, INDEX_MCP] - local[:, THUMB_MCP], y))  # knuckles: a run that is a pinch throughout
    along = np.einsum("ni,ni->n", centre, y)
    z = _unit(centre - along[:, None] * y)
    R_hand_grasp = np.stack([np.cross(y, z), y, z], axis=2)
    valid &= np.isfinite(R_hand_grasp).all(axis=(1, 2))
    weight = (trust + 0.01) * (1 - along**2)
    R_hand_grasp = _nearest_rotation(smooth(weight[:, None, None] * R_hand_grasp, t_ns, valid, PARAMETERS["axis_sigma_s"]), valid)
    R_hand_grasp = limit_turning(R_hand_grasp, t_ns, run_numbers(valid), PARAMETERS["turn_rad_s"])
    T = np.tile(np.eye(4), (len(points), 1, 1))
    T[:, :3, :3] = R_frame_hand @ R_hand_grasp
    T[:, :3, 3] = (points[:, INDEX_TIP] + points[:, THUMB_TIP]) / 2
    T[~valid] = np.nan
    return T


def _nearest_rotation(matrices: Floats, valid: npt.NDArray[np.bool_]) -> Floats:
    """The rotation closest to each matrix (N, 3, 3), by its singular values; NaN where not valid."""
    U, _, Vt = np.linalg.svd(np.where(valid[:, None, None], matrices, np.eye(3)))
    U[:, :, 2] *= np.sign(np.linalg.det(U @ Vt))[:, None]
    return np.where(valid[:, None, None], U @ Vt, np.nan)


def _unit(vectors: Floats) -> Floats:
    """Each row divided by its length; NaN where it has none to speak of."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = np.divide(vectors, length, out=np.full_like(vectors, np.nan), where=length > 1e-6)
    return unit


def follow_with_gripper(hand: HandTrack, robot: RobotModel) -> ActionTrack:
    """The actions of a parallel gripper that follows one hand.

    The width is the distance between the tips, clipped to what the gripper can do; such frames are marked saturated.
    """
    points = np.where(hand.valid[:, None, None], hand.points_m, np.nan)
    T = grasp_poses(points, hand.t_ns, hand.side)
    valid = np.asarray(np.isfinite(T).all(axis=(1, 2)))
    thumb, index = points[:, THUMB_TIP], points[:, INDEX_TIP]
    aperture = np.linalg.norm(index - thumb, axis=1)
    width = np.where(valid, np.clip(aperture, robot.lower[0], robot.upper[0]), np.nan)
    half = T[:, :3, 1] * (width / 2)[:, None]
    misses = [np.linalg.norm(T[:, :3, 3] + sign * half - tip, axis=1) for sign, tip in ((-1, thumb), (1, index))]
    T_ee = T.copy()
    T_ee[:, :3, :3] = T[:, :3, :3] @ robot.R_grasp_tcp
    return ActionTrack(hand.side, hand.t_ns, T_ee, robot.joint_names, robot.joint_units, width[:, None], valid,
                       (misses[0] + misses[1]) / 2, valid & (aperture != width))
