"""One hand's detections laid out on the frames of the video."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.retarget.pieces import Piece, fillable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class HandFrames:
    """What the tracker saw of one hand: NaN in frames without it."""

    points_px: Floats
    """Shape (N, 21, 2)."""
    local_m: Floats
    """Shape (N, 21, 3)."""
    score: Floats
    """Shape (N,)."""
    detected: npt.NDArray[np.bool_]
    """Frames with a detection, shape (N,)."""
    filled: npt.NDArray[np.bool_]
    """Frames in a gap short enough to be interpolated, shape (N,)."""


def gather(pieces: Sequence[Piece], n: int) -> HandFrames:
    """Lay the pieces of one hand out on `n` frames."""
    points_px, local_m, score = np.full((n, 21, 2), np.nan), np.full((n, 21, 3), np.nan), np.full(n, np.nan)
    filled = np.zeros(n, np.bool_)
    for piece in pieces:
        for frame, detection in piece.detections.items():
            points_px[frame], local_m[frame], score[frame] = detection.points_px, detection.local_m, detection.score
        filled[fillable(list(piece.detections))] = True
    detected = np.isfinite(score)
    return HandFrames(points_px, local_m, score, detected, filled & ~detected)


def bridged(known: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The `wanted` frames in gaps of at most `LONGEST_GAP` between `known` ones, both (N,)."""
    out = np.zeros(len(known), np.bool_)
    out[fillable(np.flatnonzero(known).tolist())] = True
    return out & wanted


def interpolate(values: Floats, known: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> Floats:
    """`values` (N, ...) with the `wanted` frames filled linearly from the `known` ones before and after them, NaN in all others."""
    out = np.full(values.shape, np.nan)
    out[known] = values[known]
    rows, a, b = _around(known, wanted)
    share = ((rows - a) / np.maximum(b - a, 1)).reshape(-1, *[1] * (values.ndim - 1))
    out[rows] = values[a] * (1 - share) + values[b] * share
    return out


def least(codes: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """`codes` (N,) with the `wanted` frames filled with the lesser of the `known` ones before and after them, 0 in all others."""
    out = np.where(known, codes, np.uint8(0))
    rows, a, b = _around(known, wanted)
    out[rows] = np.minimum(codes[a], codes[b])
    return out


def _around(known: npt.NDArray[np.bool_], wanted: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], ...]:
    """The wanted rows, and the known row before and after each: a bridged frame always has both."""
    at, rows = np.flatnonzero(known), np.flatnonzero(wanted)
    if len(rows) == 0:
        return rows, rows, rows
    after = np.searchsorted(at, rows)
    return rows, at[after - 1], at[after]
