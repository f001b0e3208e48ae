"""What a person should know about how much of the hands was seen."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.hand_track import HandTrack

ENOUGH = 0.9
"""A hand seen in a smaller share of the frames is worth a sentence."""
LONG_GAP_S = 1.0
"""A hand out of sight for longer, between two sightings, is worth a sentence."""


def coverage(tracks: Mapping[Side, HandTrack], t_ns: npt.NDArray[np.int64]) -> list[str]:
    """One plain sentence for each thing that was hardly seen; none when all is well."""
    n = len(t_ns)
    if not tracks:
        return [f"no hand was seen in any of the {n} frames"]
    findings = []
    for side in SIDES:
        if side not in tracks:
            continue
        seen = np.flatnonzero(tracks[side].valid)
        if len(seen) < ENOUGH * n:
            findings.append(f"the {side} hand was seen in {len(seen)} of {n} frames ({100 * len(seen) // n} %)")
        gaps_s = np.diff(t_ns[seen]) * 1e-9
        long = int((gaps_s > LONG_GAP_S).sum())
        if long:
            times = "once" if long == 1 else f"{long} times"
            findings.append(f"the {side} hand was out of sight for more than {LONG_GAP_S:.0f} s {times}, at most {gaps_s.max():.1f} s")
    return findings
