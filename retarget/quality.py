"""How well the hands of an episode were tracked: a few figures a hand, and a sentence for each that is out of the ordinary."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import KNUCKLES, SIDES, WRIST, Side
from firsthand.retarget.budget import wrist_without_depth
from firsthand.retarget.hand_track import INTERPOLATED, METRIC, Hands, HandTrack
from firsthand.retarget.metric import bone_lengths

Floats = npt.NDArray[np.float64]

ENOUGH = 0.9
"""A hand seen in a smaller share of the frames is worth a sentence."""
LONG_GAP_S = 1.0
"""A hand out of sight for longer, between two sightings, is worth a sentence."""
JUMP_M, JUMP_M_S = 0.05, 5.0
"""A wrist jumps when from one frame to the next it moves by more than both: no arm does."""
BONE_SPREAD = 0.15
"""Bones do not change: a spread of their lengths beyond this share is the tracker's or the sensor's."""
DEPTH_OFF = 0.2
"""Sensor depth and the hand's size disagree when their distances differ by a larger share: people differ by 7 %."""
OFTEN_FILLED = 0.1


@dataclass(frozen=True)
class HandQuality:
    """One hand over an episode; NaN for what cannot be told."""

    side: Side
    frames: int
    """In all."""
    seen: int
    """In which the hand is known."""
    interpolated: int
    """... of these, filled between others."""
    gaps: int
    """Times it was out of sight for more than `LONG_GAP_S` between two sightings."""
    longest_gap_s: float
    jumps: int
    """Steps from one frame to the next that no wrist can make, before smoothing."""
    bone_spread: float
    """Spread of the bones' lengths as a share of them, median of the 20: 1.4826 times the median absolute deviation."""
    depth_ratio: float
    """Distance by the sensor over distance by the hand's size, median; NaN without a depth image."""
    distances: dict[str, int]
    """Frames by where the distance comes from (`METRIC`)."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; None for what cannot be told."""
        return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in asdict(self).items()}


def assess(hands: Hands) -> tuple[HandQuality, ...]:
    """The figures of each hand that was seen."""
    return tuple(_assess(hands, hands.tracks[side]) for side in SIDES if side in hands.tracks)


def told(qualities: Sequence[HandQuality], frames: int) -> list[str]:
    """One plain sentence for each thing that is out of the ordinary; none when all is well."""
    if not any(q.seen for q in qualities):
        return [f"no hand was seen in any of the {frames} frames"]
    return [sentence for quality in qualities for sentence in _told(quality)]


def _assess(hands: Hands, track: HandTrack) -> HandQuality:
    points = track.points_m if track.raw_m is None else track.raw_m
    seen = np.flatnonzero(track.valid)
    gaps_s = np.diff(hands.t_ns[seen]) * 1e-9
    distances = {name: int((track.metric[seen] == code).sum()) for code, name in enumerate(METRIC)}
    return HandQuality(track.side, len(hands.t_ns), len(seen), int((track.provenance[seen] == INTERPOLATED).any(1).sum()),
                       int((gaps_s > LONG_GAP_S).sum()), float(gaps_s.max(initial=0.0)), _jumps(points, hands.t_ns, seen),
                       _bone_spread(points[seen]), _depth_ratio(hands, track), {name: n for name, n in distances.items() if n})


def _jumps(points_m: Floats, t_ns: npt.NDArray[np.int64], seen: npt.NDArray[np.int64]) -> int:
    next_to = np.flatnonzero(np.diff(seen) == 1)
    if len(next_to) == 0:
        return 0
    palm = points_m[:, [WRIST, *KNUCKLES]].mean(1)
    step = np.linalg.norm(palm[seen[next_to + 1]] - palm[seen[next_to]], axis=1)
    lasts = np.maximum(t_ns[seen[next_to + 1]] - t_ns[seen[next_to]], 1) * 1e-9
    return int(((step > JUMP_M) & (step > JUMP_M_S * lasts)).sum())


def _bone_spread(points_m: Floats) -> float:
    if len(points_m) < 2:
        return float("nan")
    lengths = bone_lengths(points_m)
    middle = np.median(lengths, 0)
    return float(np.median(1.4826 * np.median(np.abs(lengths - middle), 0) / middle))


def _depth_ratio(hands: Hands, track: HandTrack) -> float:
    by_depth = track.metric == METRIC.index("depth")
    if not by_depth.any():
        return float("nan")
    centre = 0.0 if hands.T_world_cam is None else hands.T_world_cam[:, :3, 3]
    near, far = (np.linalg.norm(wrist - centre, axis=1)[by_depth] for wrist in (track.points_m[:, WRIST],
                                                                                wrist_without_depth(hands, track.side)))  # fmt: skip
    return float(np.nanmedian(near / far))


def _told(q: HandQuality) -> list[str]:
    out = []
    if q.seen < ENOUGH * q.frames:
        out.append(f"the {q.side} hand was seen in {q.seen} of {q.frames} frames ({100 * q.seen // q.frames} %)")
    if q.gaps:
        out.append(f"the {q.side} hand was out of sight for more than {LONG_GAP_S:.0f} s {_times(q.gaps)}, at most {q.longest_gap_s:.1f} s")
    if q.interpolated > OFTEN_FILLED * q.seen:
        out.append(f"the {q.side} hand was filled in between others in {q.interpolated} of the {q.seen} frames it is known in")
    if q.jumps:
        out.append(f"the {q.side} hand jumps {_times(q.jumps)}, faster than an arm can move")
    if q.bone_spread > BONE_SPREAD:
        out.append(f"the {q.side} hand's bones change their lengths by {q.bone_spread:.0%}: its joints are less sure than usual")
    if abs(q.depth_ratio - 1) > DEPTH_OFF:
        nearer = "nearer" if q.depth_ratio < 1 else "farther"
        out.append(f"the depth image puts the {q.side} hand {abs(q.depth_ratio - 1):.0%} {nearer} than its size suggests: the hands "
                   f"are {'small' if q.depth_ratio < 1 else 'large'}, or the depth camera is not aligned with the picture")
    return out


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
