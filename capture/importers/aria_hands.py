"""Hands as Project Aria tells them: 21 landmarks in its own order, in the device's frame, with a confidence."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.importers.hands import hand_track
from firsthand.capture.importers.tracks import Times, Track
from firsthand.capture.skeleton import Side

Floats = npt.NDArray[np.float64]

LANDMARKS = (5, -1, 6, 7, 0, 8, 9, 10, 1, 11, 12, 13, 2, 14, 15, 16, 3, 17, 18, 19, 4)
"""Canonical joint -> Aria's landmark; Aria has no base of the thumb (-1)."""
PALM = 20


def canonical(landmarks_m: Floats) -> Floats:
    """Aria's landmarks (N, 21, 3) as canonical joints (N, 21, 3); NaN for the base of the thumb."""
    out = landmarks_m[:, np.maximum(LANDMARKS, 0)]
    out[:, 1] = np.nan
    return np.asarray(out, np.float64)


def aria_hand(side: Side, t_ns: Times, landmarks_m: Floats, quat_wxyz: Floats, confidence: Floats, made_by: str, *,
              prefix: str = "") -> Track:
    """A stream of one hand with Aria's palm and its confidence beside; all NaN where the confidence is.

    Shapes (N, 21, 3), (N, 4), (N,).
    """
    landmarks = np.where(np.isfinite(confidence)[:, None, None], landmarks_m, np.nan)
    more = {(f"palm.{axis}", "m"): landmarks[:, PALM, i] for i, axis in enumerate("xyz")} | {("confidence", "1"): confidence}
    extra = {"device": f"Project Aria, {made_by}", "axes": "the device's", "origin": "device",
             "converted": "Aria's landmarks as the 21 joints; it has no thumb_cmc"}
    return hand_track(side, t_ns, canonical(landmarks), quat_wxyz, extra=extra, more=more, prefix=prefix)
