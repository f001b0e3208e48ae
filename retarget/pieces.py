"""Detections of single frames joined into unbroken tracks, whose side is still open."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

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
SURE_FRAMES = 4.0
"""A piece is two hands when it was this sure of being one, and then of being the other, where another hand was near."""
NEAR = 1.2
"""Another hand is near when its joints are, on average, within this share of the hand's extent."""
AROUND = 8
"""... within so many frames."""


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

    @property
    def first(self) -> int:
        """Its first frame."""
        return next(iter(self.detections))

    def add(self, frame: int, detection: Detection) -> None:
        """Continue it at a later frame."""
        self.detections[frame] = detection
        self.vote += detection.rightness
        self.last = frame


def merge_duplicates(found: Sequence[Detection]) -> list[Detection]:
    """The detections of one frame without those that lie on a surer one."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda d: d.score, reverse=True):
        if all(distance_px(detection, other) > SAME_HAND * extent_px(other) for other in kept):
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


def part_where_hands_met(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, those cut in two that slid from one hand to another: where two met, and the frames before and after disagree."""
    out: list[Piece] = []
    waiting = list(pieces)
    while waiting:
        piece = waiting.pop(0)
        cut = _change(piece)
        if cut is None or not _met(piece, cut, [p for p in pieces if p is not piece]):
            out.append(piece)
            continue
        before = {f: d for f, d in piece.detections.items() if f < cut}
        waiting += [Piece(before), Piece({f: d for f, d in piece.detections.items() if f >= cut})]
    return out


def fillable(frames: Sequence[int]) -> list[int]:
    """The frames between those of one piece that may be interpolated: gaps of at most `LONGEST_GAP`."""
    return [f for a, b in pairwise(frames) if b - a - 1 <= LONGEST_GAP for f in range(a + 1, b)]


def distance_px(a: Detection, b: Detection) -> float:
    """Mean distance of the joints."""
    return float(np.linalg.norm(a.points_px - b.points_px, axis=1).mean())


def extent_px(detection: Detection) -> float:
    """Diagonal of the box around the joints."""
    return float(np.linalg.norm(np.ptp(detection.points_px, axis=0)))


def _cost(piece: Piece, detection: Detection, width_px: int) -> float | None:
    """Mean joint distance to the piece's end in picture widths, dearer for the other side; None beyond the gate."""
    distance = distance_px(piece.detections[piece.last], detection) / width_px
    return None if distance > GATE else distance + LABEL_COST * (piece.vote * detection.rightness < 0)


def _change(piece: Piece) -> int | None:
    """The frame from which on a piece says the other side; None where it does not change its mind for long."""
    votes = np.cumsum([d.rightness for d in piece.detections.values()])
    before, after = votes[:-1], votes[-1] - votes[:-1]
    certain = np.where(before * after < 0, np.minimum(np.abs(before), np.abs(after)), 0.0)
    if len(certain) == 0 or certain.max() < SURE_FRAMES:
        return None
    return list(piece.detections)[int(certain.argmax()) + 1]


def _met(piece: Piece, frame: int, others: Sequence[Piece]) -> bool:
    """Whether another hand was near a piece about a frame."""
    about = [f for f in piece.detections if abs(f - frame) <= AROUND]
    return any(distance_px(piece.detections[f], other.detections[f]) < NEAR * extent_px(piece.detections[f])
               for other in others for f in about if f in other.detections)
