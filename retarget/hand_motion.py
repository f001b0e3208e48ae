"""How the fingers move as the pictures show it, to be compared with what a glove says."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.motion import Motion
from firsthand.capture.skeleton import JOINTS, KNUCKLES, WRIST, Side
from firsthand.retarget.hand_track import FUSED, MEASURED, Hands

Complexes = npt.NDArray[np.complex128]

_PALM = [WRIST, *KNUCKLES]
_MOVING = [joint for joint in range(1, 21) if joint not in _PALM]
CHANNELS = tuple(f"{JOINTS[joint]} {axis}" for axis in ("across", "along") for joint in _MOVING)
"""What `hand_motion` gives."""


def hand_motion(hands: Hands, side: Side) -> Motion:
    """Where the finger joints are in the picture, on a palm held still: shape (N, 32), columns `CHANNELS`, in palms.

    A tracker knows joints far better in the picture than in depth, and a lag wants no angles, only what moves with them. From the frames
    in which it saw the hand; nothing interpolated counts.
    """
    name = f"the {side} hand in the pictures"
    values = np.full((len(hands.t_ns), len(CHANNELS)), np.nan)
    if side in hands.tracks:
        track = hands.tracks[side]
        rows = np.flatnonzero(np.isin(track.provenance, (MEASURED, FUSED)).all(1) & np.isfinite(track.points_px).all((1, 2)))
        points = on_still_palm(track.points_px[rows] @ np.array([1, 1j]))
        values[rows] = np.concatenate([points.real, points.imag], 1)
    return Motion(name, hands.t_ns, values)


def on_still_palm(points: Complexes) -> Complexes:
    """Points of a picture as complex numbers (N, 21), moved, turned and scaled so that wrist and knuckles lie as they do on average.

    The joints that then still move, shape (N, 16).
    """
    if len(points) == 0:
        return points[:, _MOVING]
    centre = points[:, _PALM].mean(1, keepdims=True)
    palm = points[:, _PALM] - centre
    size = np.maximum((np.abs(palm) ** 2).sum(1), 1e-12)
    mean = palm[0]
    for _ in range(4):  # Procrustes analysis: align to the mean, take the mean of what is aligned
        turn = (np.conj(palm) * mean).sum(1) / size
        mean = (turn[:, None] * palm).mean(0)
        mean = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return np.asarray(((points - centre) * turn[:, None])[:, _MOVING], np.complex128)
