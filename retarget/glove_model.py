"""The forward model of a hand: from the joint angles that gloves measure, and a wearer's bones, to 21 joints.

Hand axes as OpenXR has them: the wrist at 0, x to the right of the hand with its palm down, y along the fingers, z out of its back. All
angles are of a right hand; a left one is its mirror image in x. Each finger bends in one plane, about parallel axes, and the plane turns
sideways at its base; the thumb does so in a frame of its own. So do Lee and Kunii 1995 ("Model-based analysis of hand posture", IEEE
Computer Graphics and Applications 15), with the same simplification of the thumb.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.hand_stream import GLOVE_COLUMNS
from firsthand.capture.skeleton import KNUCKLES, WRIST, Side
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_shape import KNUCKLE_DIRECTIONS

Floats = npt.NDArray[np.float64]

ANGLES = GLOVE_COLUMNS
"""The 20 angles of a hand, rad: four a finger from thumb to little, bending at three joints from the base, then sideways: towards the
little finger from the hand's y axis, for the thumb out of the palm."""
PALM = [WRIST, 1, *KNUCKLES]
"""The joints that no angle moves: wrist, the thumb's CMC, knuckles."""
MIRROR: dict[Side, Floats] = {"right": np.ones(3), "left": np.array([-1.0, 1.0, 1.0])}
"""From a right hand's axes to those of a hand of each side."""
_CMC_DIRECTION = np.array([-0.66, 0.67, -0.34])
"""From the wrist to the thumb's CMC joint, rounded."""
_SPREAD_SIGN = np.array([-1.0, 1, 1, 1, 1])
_STEP_RAD = 1e-6


@dataclass(frozen=True, eq=False)
class HandShape:
    """The bones of a wearer's hand, as of a right one."""

    palm_m: Floats
    """Where the fingers begin, in hand axes: the thumb's CMC joint, then the four knuckles, shape (5, 3)."""
    bones_m: Floats
    """Lengths of each finger's three bones from there to the tip, shape (5, 3)."""
    thumb_turn_rad: Floats
    """How the thumb's frame is turned against `THUMB_FRAME`, a rotation vector in the latter, shape (3,)."""

    def __post_init__(self) -> None:
        set_frozen(self, "palm_m", np.float64, (5, 3))
        set_frozen(self, "bones_m", np.float64, (5, 3))
        set_frozen(self, "thumb_turn_rad", np.float64, (3,))

    @property
    def palm_length_m(self) -> float:
        """From the wrist to the middle knuckle."""
        return float(np.linalg.norm(self.palm_m[2]))


_THUMB_ALONG = np.array([-0.72, 0.69, 0.0])
THUMB_FRAME = np.stack([np.array([0, 0, 1.0]), _THUMB_ALONG, np.cross([0, 0, 1.0], _THUMB_ALONG)], 1) / np.array(
    [1, np.linalg.norm(_THUMB_ALONG), np.linalg.norm(_THUMB_ALONG)])  # fmt: skip
"""Columns: the thumb's own x, y and z in hand axes. Straight it lies in the plane of the palm, 46 degrees off; it bends across the palm."""

def joints_m(angles_rad: Floats, shape: HandShape, side: Side = "right") -> Floats:
    """The 21 joints in hand axes, shape (N, 21, 3) metres, for angles (N, 20), columns `ANGLES`. NaN in, NaN out, finger by finger."""
    angles = angles_rad.reshape(-1, 5, 4)
    bend = np.cumsum(angles[..., :3], 2)  # (N, 5, 3): of each bone, from the palm
    sideways = (angles[..., 3] * _SPREAD_SIGN)[..., None]
    along = np.stack([np.sin(sideways) * np.cos(bend), np.cos(sideways) * np.cos(bend), -np.sin(bend)], -1)  # (N, 5, 3, 3)
    along[:, 0] = along[:, 0] @ (THUMB_FRAME @ rotations(shape.thumb_turn_rad[None])[0]).T
    out = np.zeros((len(angles), 21, 3))
    fingers = out[:, 1:].reshape(-1, 5, 4, 3)
    fingers[:, :, 0] = shape.palm_m
    fingers[:, :, 1:] = shape.palm_m[:, None] + np.cumsum(along * shape.bones_m[..., None], 2)
    return out * MIRROR[side]


def by_angle(angles_rad: Floats, shape: HandShape, side: Side = "right") -> Floats:
    """Derivatives of `joints_m` by the angles, shape (N, 21, 3, 20), metres per radian."""
    here = joints_m(angles_rad, shape, side)
    out = np.zeros((*here.shape, 20))
    for k in range(4):  # one joint of all fingers at once: no finger moves another
        more = angles_rad.copy()
        more[:, k::4] += _STEP_RAD
        moved = (joints_m(more, shape, side) - here) / _STEP_RAD
        for finger in range(5):
            rows = slice(1 + 4 * finger, 5 + 4 * finger)
            out[:, rows, :, 4 * finger + k] = moved[:, rows]
    return out


def palm_axes(points_m: Floats, side: Side = "right") -> Floats:
    """The hand's axes as its palm tells them, shape (N, 3, 3), columns x, y, z, for joints (N, 21, 3): z is the normal of the plane of
    wrist, index and little knuckle, y the way from the wrist to the middle knuckle in that plane."""
    index, middle, little = (points_m[:, KNUCKLES[k]] - points_m[:, 0] for k in (0, 1, 3))
    z = np.cross(little, index) * (1.0 if side == "right" else -1.0)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    y = middle - z * (middle * z).sum(1, keepdims=True)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], -1)


def shape_of(bones_m: Floats) -> HandShape:
    """A hand with bones of these lengths (20,), in the order of `skeleton.BONES`, whose palm is laid out as people's are."""
    lengths, joints = bones_m.reshape(5, 4), np.zeros((1, 21, 3))
    joints[0, 1::4] = np.concatenate([_CMC_DIRECTION[None], KNUCKLE_DIRECTIONS * (1, -1, -1)]) * lengths[:, :1]
    return HandShape((joints @ palm_axes(joints)[0])[0, 1::4], lengths[:, 1:], np.zeros(3))


def angles_of(points_m: Floats, side: Side = "right") -> Floats:
    """The angles (N, 20), columns `ANGLES`, of joints (N, 21, 3) in any axes, by the palm they have; what cannot be told is NaN.

    Bones that leave a finger's plane lose what sticks out of it, and where a finger's base is bent by more than 80 degrees it is not seen
    sideways any more.
    """
    local = np.einsum("nji,nkj->nki", palm_axes(points_m, side), points_m - points_m[:, :1])
    local = local * MIRROR[side]
    fingers = local[:, 1:].reshape(-1, 5, 4, 3)
    bones = np.diff(fingers, axis=2)  # (N, 5, 3, 3)
    bones[:, 0] = bones[:, 0] @ THUMB_FRAME
    first = bones[:, :, 0]
    sideways = np.arctan2(first[..., 0], first[..., 1])
    steep = np.abs(first[..., 2]) > np.sin(np.radians(80)) * np.linalg.norm(first, axis=-1)
    turn = np.where(steep, 0.0, sideways)[..., None]
    forward = bones[..., 1] * np.cos(turn) + bones[..., 0] * np.sin(turn)
    bend = np.unwrap(np.arctan2(-bones[..., 2], forward), axis=2)
    angles = np.diff(bend, axis=2, prepend=0.0)
    return np.concatenate([angles, np.where(steep, np.nan, sideways * _SPREAD_SIGN)[..., None]], -1).reshape(-1, 20)
