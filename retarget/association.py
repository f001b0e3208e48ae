"""Detections in single frames into one left and one right hand over time."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.tracker import Detection

GATE = 0.12
"""A hand moves less than this share of the picture's width from one frame to the next."""
LABEL_COST = 0.03
"""What a wrong side adds to a distance, in picture widths: decides between two near hands, and never alone."""
SAME_HAND = 0.25
"""Two detections are one hand when their joints are closer, on average, than this share of the hand's extent."""
LONGEST_GAP = 5
"""Frames a hand may be unseen and still be the same track, and the longest gap that is filled."""
SHORTEST_TRACK = 3
"""Shorter tracks, in frames, are noise."""
PRIOR_FRAMES = 3.0
"""How many sure frames the rest of the video is worth when a track's own side is in doubt."""


class Piece:
    """One unbroken track: detections by frame, at most `LONGEST_GAP` frames apart."""

    def __init__(self, detections: Mapping[int, Detection]) -> None:
        self.detections: dict[int, Detection] = {}
        self.vote = 0.0
        """Sum of the frames' `rightness`: its sign is the side, its size how many sure frames say so."""
        self.last = -1
        """Its last frame."""
        for frame, detection in detections.items():
            self.add(frame, detection)

    def add(self, frame: int, detection: Detection) -> None:
        """Continue it at a later frame."""
        self.detections[frame] = detection
        self.vote += detection.rightness
        self.last = frame


def associate(frames: Sequence[Sequence[Detection]], width_px: int) -> dict[Side, list[Piece]]:
    """The pieces of each hand, in order of time; no frame has two of one side. `frames` has one list a frame, in order.

    A side is given to a whole piece by vote, never to a single frame.
    """
    pieces = link([merge_duplicates(found) for found in frames], width_px)
    pieces = [p for p in pieces if len(p.detections) >= min(SHORTEST_TRACK, len(frames))]
    hands: dict[Side, list[Piece]] = {side: [] for side in SIDES}
    votes = np.array([p.vote for p in pieces])
    balance = float(votes.sum() / np.abs(votes).sum()) if np.abs(votes).sum() > 0 else 0.0
    for piece in sorted(pieces, key=lambda p: abs(p.vote), reverse=True):
        _give_side(piece, "right" if piece.vote + PRIOR_FRAMES * balance > 0 else "left", hands)
    return {side: sorted(found, key=lambda p: next(iter(p.detections))) for side, found in hands.items() if found}


def merge_duplicates(found: Sequence[Detection]) -> list[Detection]:
    """The detections of one frame without those that lie on a surer one."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda d: d.score, reverse=True):
        if all(_distance(detection, other) > SAME_HAND * _extent(other) for other in kept):
            kept.append(detection)
    return kept


def link(frames: Sequence[Sequence[Detection]], width_px: int) -> list[Piece]:
    """Join detections of successive frames to the nearest piece within the gate, nearest pair first."""
    done: list[Piece] = []
    live: list[Piece] = []
    for frame, found in enumerate(frames):
        done += [p for p in live if frame - p.last > LONGEST_GAP + 1]
        live = [p for p in live if frame - p.last <= LONGEST_GAP + 1]
        pairs = sorted((cost, a, b) for a, piece in enumerate(live) for b, detection in enumerate(found)
                       if (cost := _cost(piece, detection, width_px)) is not None)
        pieces, taken = set[int](), set[int]()
        for _, a, b in pairs:
            if a not in pieces and b not in taken:
                live[a].add(frame, found[b])
                pieces.add(a)
                taken.add(b)
        live += [Piece({frame: detection}) for b, detection in enumerate(found) if b not in taken]
    return done + live


def fillable(frames: Sequence[int]) -> list[int]:
    """The frames between those of one piece that may be interpolated: gaps of at most `LONGEST_GAP`."""
    return [f for a, b in pairwise(frames) if b - a - 1 <= LONGEST_GAP for f in range(a + 1, b)]


def _cost(piece: Piece, detection: Detection, width_px: int) -> float | None:
    """Mean joint distance to the piece's end in picture widths, dearer for the other side; None beyond the gate."""
    distance = _distance(piece.detections[piece.last], detection) / width_px
    return None if distance > GATE else distance + LABEL_COST * (piece.vote * detection.rightness < 0)


def _give_side(piece: Piece, side: Side, hands: dict[Side, list[Piece]]) -> None:
    """Add a piece to its hand. Where a surer piece of that side is seen in the same frames, it is the other hand, or a double of it."""
    other: Side = "left" if side == "right" else "right"
    clash = _clash(piece, hands[side])
    if clash and not _clash(piece, hands[other]) and _apart(piece, clash):
        hands[other].append(piece)
        return
    rest = Piece({f: d for f, d in piece.detections.items() if f not in clash})
    if len(rest.detections) >= SHORTEST_TRACK or not clash:
        hands[side].append(rest)


def _clash(piece: Piece, hand: list[Piece]) -> dict[int, Detection]:
    """The hand's own detections in the frames that it shares with a piece."""
    return {f: p.detections[f] for p in hand for f in p.detections.keys() & piece.detections.keys()}


def _apart(piece: Piece, clash: dict[int, Detection]) -> bool:
    """Whether a piece is a hand of its own and not the clashing one seen double: a hand's extent away, as a rule."""
    return float(np.median([_distance(piece.detections[f], d) / _extent(d) for f, d in clash.items()])) > 2 * SAME_HAND


def _distance(a: Detection, b: Detection) -> float:
    return float(np.linalg.norm(a.points_px - b.points_px, axis=1).mean())


def _extent(detection: Detection) -> float:
    """Diagonal of the box around the joints, px."""
    return float(np.linalg.norm(np.ptp(detection.points_px, axis=0)))
