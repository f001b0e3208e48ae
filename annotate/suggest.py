"""Suggested segments: a rule over wrist speed and grip, without weights. A person accepts or corrects them; nothing else does."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from firsthand.annotate.annotation import Segment
from firsthand.annotate.motion import Floats, aperture, rate, smooth, wrist_speed
from firsthand.retarget.hand_track import Hands, HandTrack

SOURCE = "rule"
LABELS = ("reach", "grasp", "transport", "release", "idle")
"""What the rule can say."""
REACH, GRASP, TRANSPORT, RELEASE, IDLE = range(5)
UNSEEN = -1

MIN_SPEED_M_S = 0.06
"""A wrist slower than this is still, however calm the rest of the episode is."""
MIN_GRIP_M = 0.015
"""Thumb and index tips must come this much closer (or part) to count as a grip: below it is tracking noise."""
MIN_GRIP_M_S = 0.05
"""And this fast: a hand that slowly relaxes, or shapes itself while reaching, grips nothing."""
MERGE_S = 5 / 30
"""Segments shorter than this join a neighbour."""


def suggest_segments(hands: Hands, fps: float) -> Mapping[str, tuple[Segment, ...]]:
    """Segments by tier (``left``, ``right``, and ``subtask`` from the hand that moves more); a tier without any is not there.

    Per hand: the wrist moves or rests (speed with hysteresis), the grip closes or opens (rate of the aperture). Closing is
    ``grasp``, opening ``release``, moving closed ``transport``, moving open ``reach``, resting ``idle``. Frames in which the hand was
    not seen belong to no segment. `fps` scales the smoothing, which is tuned at 30.
    """
    tiers: dict[str, tuple[Segment, ...]] = {}
    travel: dict[str, float] = {}
    for side, track in hands.tracks.items():
        segments = _segments(side, _labels(track, fps), max(2, round(MERGE_S * fps)))
        if segments:
            tiers[side] = segments
            travel[side] = float(np.nansum(wrist_speed(track)))
    if travel:
        busiest = max(travel, key=lambda side: travel[side])
        tiers["subtask"] = tuple(Segment(s.a, s.b, s.label, id=f"{SOURCE}-subtask-{s.a}", source=SOURCE) for s in tiers[busiest])
    return tiers


def _labels(track: HandTrack, fps: float) -> npt.NDArray[np.int64]:
    """The index into `LABELS` of each frame, shape (N,); `UNSEEN` where wrist or grip was not seen."""
    scale = fps / 30
    speed = wrist_speed(track, sigma_position=3 * scale, sigma_speed=2 * scale)
    opening = smooth(aperture(track), 3 * scale)
    seen = np.isfinite(speed) & np.isfinite(opening)
    if not seen.any():
        return np.full(len(speed), UNSEEN)
    high = max(MIN_SPEED_M_S, 0.12 * float(np.quantile(speed[seen], 0.9)))
    moving = _hysteresis(speed, high, 0.8 * high)
    grips = _grips(opening, np.asarray(track.t_ns * 1e-9, np.float64))

    labels = np.where(moving, REACH, IDLE)
    closed = bool(grips) and not grips[0][2]  # a hand that first opens was closed before
    since = 0
    for a, b, closes in grips:
        labels[since:a][moving[since:a] & closed] = TRANSPORT
        labels[a:b] = GRASP if closes else RELEASE
        since, closed = b, closes
    labels[since:][moving[since:] & closed] = TRANSPORT
    labels[~seen] = UNSEEN
    return labels


def _hysteresis(values: Floats, high: float, low: float) -> npt.NDArray[np.bool_]:
    """True from rising above `high` until falling below `low`, shape (N,); NaN resets."""
    on, state = np.zeros(len(values), np.bool_), False
    for i, value in enumerate(values):  # order matters: the state carries over
        state = bool(value > high or (state and value >= low))
        on[i] = state
    return on


def _grips(opening: Floats, t_s: Floats) -> list[tuple[int, int, bool]]:
    """Half-open frame spans in which the aperture (N,) changes fast and far enough, in order: (a, b, closes)."""
    change = rate(opening, t_s)
    if not np.isfinite(change).any():
        return []
    threshold = max(MIN_GRIP_M_S, 0.25 * float(np.nanmax(np.abs(change))))
    grips = []
    for a, b in _runs(np.nan_to_num(np.sign(change) * (np.abs(change) > threshold)).astype(np.int64)):
        travel = opening[b - 1] - opening[a]
        if abs(change[a]) > threshold and abs(travel) >= MIN_GRIP_M:
            grips.append((a, b, bool(travel < 0)))
    return grips


def _runs(codes: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Half-open spans of equal codes covering (N,)."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [(a, b) for a, b in pairwise(edges) if b > a]


def _segments(tier: str, labels: npt.NDArray[np.int64], shortest: int) -> tuple[Segment, ...]:
    """The runs of seen labels, short ones given to the longer neighbour they touch."""
    spans = [[a, b, int(labels[a])] for a, b in _runs(labels)]
    while True:
        short = [i for i, (a, b, label) in enumerate(spans) if b - a < shortest and label != UNSEEN and _beside(spans, i)]
        if not short:
            break
        i = min(short, key=lambda k: spans[k][1] - spans[k][0])
        j = max(_beside(spans, i), key=lambda k: spans[k][1] - spans[k][0])
        spans[min(i, j)] = [spans[min(i, j)][0], spans[max(i, j)][1], spans[j][2]]
        del spans[max(i, j)]
        for k in range(len(spans) - 1, 0, -1):  # the neighbour may now touch its own kind
            if spans[k][2] == spans[k - 1][2]:
                spans[k - 1][1] = spans[k][1]
                del spans[k]
    return tuple(Segment(a, b, LABELS[label], id=f"{SOURCE}-{tier}-{a}", source=SOURCE) for a, b, label in spans if label != UNSEEN)


def _beside(spans: list[list[int]], i: int) -> list[int]:
    """The neighbours of a span that are seen."""
    return [k for k in (i - 1, i + 1) if 0 <= k < len(spans) and spans[k][2] != UNSEEN]
