"""A hand as a tree of bones: from 16 joint angles to 21 joints, any number of frames at once."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import BONES, FINGERS

Floats = npt.NDArray[np.floating[Any]]

MCP, PIP, DIP = slice(0, 4), slice(4, 8), slice(8, 12)
SPREAD, ABDUCTION, THUMB_MCP, THUMB_IP = 12, 13, 14, 15
N_ANGLES = 16
"""An articulation: flexion (rad) of MCP, PIP and DIP for index to little, the factor on the splay between the fingers, and for
the thumb its abduction (a factor), the flexion of its base and of its tip (rad)."""

_KNUCKLES_M = np.array([(-25, -88, 0), (-3, -91, -3), (17, -85, -1), (34, -75, 3)]) * 1e-3
_PHALANGES_M = np.array([(42, 25, 22), (46, 29, 23), (42, 27, 23), (33, 20, 20)]) * 1e-3
_SPLAY_RAD = np.radians([-9.0, -1.0, 6.0, 14.0])
_THUMB_CMC_M = np.array([-20, -20, 9]) * 1e-3
_THUMB_BONES_M = np.array([42, 33, 28]) * 1e-3
_THUMB_AXIS = np.array([0.35, -0.25, 0.9]) / np.linalg.norm([0.35, -0.25, 0.9])

GLOVE_NAMES = (
    "thumb_cmc_flex", "thumb_mcp_flex", "thumb_ip_flex", "thumb_spread",
    *(f"{finger}_{angle}" for finger in FINGERS[1:] for angle in ("mcp_flex", "pip_flex", "dip_flex", "spread")),
)  # fmt: skip
"""The 20 angles a glove reports, rad."""


def joints_m(angles: Floats) -> Floats:
    """The 21 joints of a right hand, shape (N, 21, 3) metres, for articulations of shape (N, 16).

    Hand axes: wrist at 0, x right, y down (the fingers point along -y), z out of the palm. A left hand is the mirror image
    in x.
    """
    angles = np.asarray(angles, np.float64)
    points = np.zeros((len(angles), 21, 3))
    points[:, 1:5] = _thumb(angles)

    splay = _SPLAY_RAD * angles[:, SPREAD, None]  # (N, 4)
    joint = np.broadcast_to(_KNUCKLES_M, (len(angles), 4, 3))
    points[:, 5::4] = joint
    bend = np.zeros_like(splay)
    for k, flexion in enumerate((MCP, PIP, DIP)):
        bend = bend + angles[:, flexion]
        along = np.stack([np.sin(splay) * np.cos(np.minimum(bend, 1.2)), -np.cos(bend) * np.cos(splay), np.sin(bend)], -1)
        joint = joint + along / np.linalg.norm(along, axis=-1, keepdims=True) * _PHALANGES_M[:, k, None]
        points[:, 6 + k :: 4][:, :4] = joint
    return points


def _thumb(angles: Floats) -> Floats:
    """CMC, MCP, IP and tip of the thumb, shape (N, 4, 3)."""
    along = _thumb_metacarpal(angles)
    points = [np.broadcast_to(_THUMB_CMC_M, along.shape)]
    for bone, turn in zip(_THUMB_BONES_M, (None, 0.9 * angles[:, THUMB_MCP], angles[:, THUMB_IP]), strict=True):
        along = along if turn is None else _turned(along, turn)
        points.append(points[-1] + along * bone)
    return np.stack(points, 1)


def _thumb_metacarpal(angles: Floats) -> Floats:
    """Unit direction of the thumb's first bone, shape (N, 3)."""
    along = np.stack([-0.72 + 0.25 * angles[:, THUMB_MCP], np.full(len(angles), -0.68), 0.18 + 0.55 * angles[:, ABDUCTION]], -1)
    return np.asarray(along / np.linalg.norm(along, axis=-1, keepdims=True))


def _turned(vectors: Floats, angle_rad: Floats) -> Floats:
    """Vectors (N, 3) rotated about the thumb's hinge (Rodrigues)."""
    c, s = np.cos(angle_rad)[:, None], np.sin(angle_rad)[:, None]
    return np.asarray(vectors * c + np.cross(_THUMB_AXIS, vectors) * s + _THUMB_AXIS * (vectors @ _THUMB_AXIS)[:, None] * (1 - c))


def glove_rad(angles: Floats) -> Floats:
    """What a glove measures of articulations (N, 16): shape (N, 20) rad, columns `GLOVE_NAMES`.

    Thumb CMC flexion is the bend between the wrist-CMC and the CMC-MCP bones, thumb spread how far the latter leaves the plane
    of the palm.
    """
    angles = np.asarray(angles, np.float64)
    along = _thumb_metacarpal(angles)
    base = _THUMB_CMC_M / np.linalg.norm(_THUMB_CMC_M)
    thumb = np.stack([np.arccos(np.clip(along @ base, -1, 1)), 0.9 * angles[:, THUMB_MCP], angles[:, THUMB_IP], np.arcsin(along[:, 2])], 1)
    splay = _SPLAY_RAD * angles[:, SPREAD, None]
    fingers = np.stack([angles[:, MCP], angles[:, PIP], angles[:, DIP], splay], -1)  # (N, 4, 4)
    return np.concatenate([thumb, fingers.reshape(len(angles), 16)], 1)


def bone_lengths_m() -> Floats:
    """The lengths of the 20 bones in the order of `skeleton.BONES`, shape (20,); the same for every articulation."""
    points = joints_m(np.zeros((1, N_ANGLES)))[0]
    return np.array([np.linalg.norm(points[joint] - points[parent]) for parent, joint in BONES])


def hand_template() -> Floats:
    """The flat open hand: a right hand's 21 joints with every angle 0, shape (21, 3) metres, in the hand's own axes."""
    return np.asarray(joints_m(np.zeros((1, N_ANGLES)))[0])
