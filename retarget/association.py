"""Detections in single frames into one left and one right hand over time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.other_people import arm_x_px, judge
from firsthand.retarget.pieces import SAME_HAND, SHORTEST_TRACK, Piece, distance_px, extent_px, link, merge_duplicates, part_where_hands_met
from firsthand.retarget.tracker import Detection

PRIOR_FRAMES = 3.0
"""How many sure frames the rest of the video is worth when a track's own side is in doubt."""
ARM_VOTE, MOST_ARM_VOTES = 0.2, 3.0
"""What an arm left or right of the other hand's says of the side in a frame, in sure frames, and at most."""


class Identity(NamedTuple):
    """Whose hands were seen, and when."""

    hands: dict[Side, list[Piece]]
    """The wearer's, each a list of pieces in order of time; no frame has two of one side. A side never seen is not there."""
    findings: list[str]
    """What a person should know of it, one sentence each."""


def associate(frames: Sequence[Sequence[Detection]], width_px: int) -> Identity:
    """The wearer's hands. `frames` has one list a frame, in order.

    A side is given to a whole piece and never to a single frame: by what the network calls it, by where its arm comes from, and by
    which hand is taken.
    """
    pieces = part_where_hands_met(link([merge_duplicates(found) for found in frames], width_px))
    judged = judge([p for p in pieces if len(p.detections) >= min(SHORTEST_TRACK, len(frames))])
    hands: dict[Side, list[Piece]] = {side: [] for side in SIDES}
    votes = [piece.vote + vote for piece, vote in zip(judged.wearers, _arm_votes(judged.wearers, judged.turned), strict=True)]
    certain = float(np.abs(votes).sum())
    balance = float(np.sum(votes)) / certain if certain > 0 else 0.0
    extra, conflicts = set[int](), 0
    for vote, piece in sorted(zip(votes, judged.wearers, strict=True), key=lambda pair: abs(pair[0]), reverse=True):
        side: Side = "right" if vote + PRIOR_FRAMES * balance > 0 else "left"
        given = _give_side(piece, side, hands)
        conflicts += given == "other side"
        if given == "no side":
            extra |= set(piece.detections)
    findings = list(judged.findings)
    if conflicts:
        findings.append(f"two hands seen at once were called by the same side {'once' if conflicts == 1 else f'{conflicts} times'}; "
                        "the less sure one was given the other")
    if extra:
        findings.append(f"a third hand was seen in {len(extra)} frame{'s' * (len(extra) != 1)} and left out: it may be another person's, "
                        "or one of the two may be")
    return Identity({side: sorted(found, key=lambda p: p.first) for side, found in hands.items() if found}, findings)


def _arm_votes(pieces: Sequence[Piece], turned: bool) -> list[float]:
    """For each piece, sure frames in which its arm lies right (+) or left (-) of the other one's, while there are two."""
    arms = [arm_x_px(piece) for piece in pieces]
    votes = []
    for own in arms:
        beside = [own[frame] - other[frame] for other in arms if other is not own for frame in own.keys() & other.keys()]
        vote = float(np.clip(ARM_VOTE * np.sign(beside).sum(), -MOST_ARM_VOTES, MOST_ARM_VOTES)) if beside else 0.0
        votes.append(-vote if turned else vote)
    return votes


def _give_side(piece: Piece, side: Side, hands: dict[Side, list[Piece]]) -> str:
    """Add a piece to its hand. Where a surer piece of that side is seen in the same frames, it is the other hand, or a double of it.

    Returns what was done: ``own side``, ``other side``, ``double``, or ``no side`` where both were taken by hands elsewhere.
    """
    other: Side = "left" if side == "right" else "right"
    clash = _clash(piece, hands[side])
    apart = bool(clash) and _apart(piece, clash)
    if apart and not _clash(piece, hands[other]):
        hands[other].append(piece)
        return "other side"
    rest = Piece({f: d for f, d in piece.detections.items() if f not in clash})
    if len(rest.detections) >= SHORTEST_TRACK or not clash:
        hands[side].append(rest)
    if not clash:
        return "own side"
    return "no side" if apart and len(clash) >= SHORTEST_TRACK else "double"


def _clash(piece: Piece, hand: list[Piece]) -> dict[int, Detection]:
    """The hand's own detections in the frames that it shares with a piece."""
    return {f: p.detections[f] for p in hand for f in p.detections.keys() & piece.detections.keys()}


def _apart(piece: Piece, clash: dict[int, Detection]) -> bool:
    """Whether a piece is a hand of its own and not the clashing one seen double: a hand's extent away, as a rule."""
    return float(np.median([distance_px(piece.detections[f], d) / extent_px(d) for f, d in clash.items()])) > 2 * SAME_HAND
