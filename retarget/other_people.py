"""Whose hands can these be? The wearer's arms come into the picture from below; those of somebody across the table from above."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import KNUCKLES, WRIST
from firsthand.retarget.pieces import Piece

FROM_ABOVE = 0.3
"""An arm comes from above when its hand points down the picture by more: the sine of the angle."""
SURE, DOUBTFUL = 0.7, 0.4
"""Share of a piece's frames in which the arm comes from above: another person's hand, and what may be one."""
ARM_PALMS = 2.5
"""A forearm is about this many palms long."""


class Judged(NamedTuple):
    """Pieces by whose hands they are."""

    wearers: list[Piece]
    others: list[Piece]
    turned: bool
    """Whether most arms come from above: the picture is upside down, or was taken from in front; right is left then."""
    findings: list[str]


def judge(pieces: Sequence[Piece]) -> Judged:
    """Tell other people's hands from the wearer's. Where most arms come from above, nothing can be told, and that is said."""
    shares = [float(np.mean(_from_above(piece))) for piece in pieces]
    frames = [len(piece.detections) for piece in pieces]
    total = sum(frames)
    above = sum(share * count for share, count in zip(shares, frames, strict=True))
    if above > total / 2:
        return Judged(list(pieces), [], True, [
            f"in {above / total:.0%} of the hands found the arm comes from the top of the picture: it is upside down, was taken from "
            "in front of the wearer, or these are another person's hands"])
    others = [piece for piece, share in zip(pieces, shares, strict=True) if share > SURE]
    doubtful = sum(count for share, count in zip(shares, frames, strict=True) if DOUBTFUL < share <= SURE)
    findings = []
    if others:
        count = len({frame for piece in others for frame in piece.detections})
        findings.append(f"another person's hands, their arms from the top of the picture, were seen in {_frames(count)} and left out")
    if doubtful:
        findings.append(f"in {_frames(doubtful)} a hand may be another person's: its arm comes from the top of the picture")
    return Judged([piece for piece in pieces if not any(piece is other for other in others)], others, False, findings)


def arm_x_px(piece: Piece) -> dict[int, float]:
    """By frame, how far right in the picture the arm comes from: the wrist, and a forearm further on."""
    out = {}
    for frame, detection in piece.detections.items():
        wrist, palm = detection.points_px[WRIST], detection.points_px[list(KNUCKLES)].mean(0)
        out[frame] = float((wrist + ARM_PALMS * (wrist - palm))[0])
    return out


def _from_above(piece: Piece) -> npt.NDArray[np.bool_]:
    """In which of its frames a hand points down the picture."""
    points = np.stack([d.points_px for d in piece.detections.values()])
    palm = points[:, list(KNUCKLES)].mean(1) - points[:, WRIST]
    return np.asarray(palm[:, 1] > FROM_ABOVE * np.linalg.norm(palm, axis=1), np.bool_)


def _frames(count: int) -> str:
    return f"{count} frame{'s' * (count != 1)}"
