"""Hands as Project Aria tells them: 21 landmarks in its own order, in the device's frame, with a confidence."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.importers.poses import columns
from firsthand.capture.importers.tracks import Times, Track, numbers
from firsthand.capture.skeleton import JOINTS, Side

Floats = npt.NDArray[np.float64]

LANDMARKS = (5, -1, 6, 7, 0, 8, 9, 10, 1, 11, 12, 13, 2, 14, 15, 16, 3, 17, 18, 19, 4)
"""Canonical joint -> Aria's landmark; Aria has no base of the thumb (-1)."""
PALM = 20
NAMES = (*columns(JOINTS, "xyz"), *columns(["palm"], "xyz"), *columns(["wrist"], ["qw", "qx", "qy", "qz"]), "confidence")
UNITS = ("m",) * 66 + ("1",) * 5


def canonical(landmarks_m: Floats) -> Floats:
    """Aria's landmarks (N, 21, 3) as canonical joints (N, 21, 3); NaN for the base of the thumb."""
    out = landmarks_m[:, np.maximum(LANDMARKS, 0)]
    out[:, 1] = np.nan
    return np.asarray(out, np.float64)


def hand_track(name: str, side: Side, t_ns: Times, landmarks_m: Floats, quat_wxyz: Floats, confidence: Floats, made_by: str) -> Track:
    """A stream of one hand: joints as ours, then Aria's palm, the wrist's rotation, the confidence; NaN where it saw no hand.

    Shapes (N, 21, 3), (N, 4), (N,).
    """
    palm = landmarks_m[:, PALM]
    values = np.concatenate([canonical(landmarks_m).reshape(-1, 63), palm, quat_wxyz, confidence[:, None]], 1)
    values[~np.isfinite(confidence), :-1] = np.nan
    extra = {"frame": "device", "joints_from": "Project Aria's landmarks; it has no thumb_cmc", "made_by": made_by}
    return numbers(name, "pose", NAMES, UNITS, t_ns, values, side=side, extra=extra)
