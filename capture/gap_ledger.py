"""What a recording's ``gaps`` should say, from the samples that are there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from firsthand.capture.scan import Share


def untold_gaps(name: str, shares: Sequence[Share], told: Sequence[Mapping[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    """Gaps between sound rows of a stream that no row of ``gaps`` tells yet: (host ns of the row after, fields), in order.

    A sequence that jumps is one, less what was told of it while recording. So is a row that is not whole between two that are.
    """
    rows = np.concatenate([share.rows for share in shares])
    kept = np.flatnonzero(np.concatenate([share.sound for share in shares]))
    known = sorted((int(gap["first_sequence"]), int(gap["missing"])) for gap in told if gap["stream"] == name)
    sequence = rows["sequence"][kept]
    jumps, holes = np.diff(sequence) - 1, np.diff(kept) - 1
    gaps = []
    for i in np.flatnonzero((jumps > 0) | (holes > 0)):
        first, past = int(sequence[i]) + 1, int(sequence[i]) + 1 + int(jumps[i] if jumps[i] > 0 else holes[i])
        before, after = rows[kept[i]], rows[kept[i + 1]]
        for start, missing in _without(first, past, known):
            gaps.append((int(after["host_ns"]), {
                "stream": name, "first_sequence": start, "missing": missing,
                "from_device_ns": int(before["device_ns"]), "to_device_ns": int(after["device_ns"]), "cause": "recorder",
            }))  # fmt: skip
    return gaps


def _without(first: int, past: int, known: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of the range [first, past) outside all known (start, length): (start, length) each."""
    left = []
    for start, length in known:
        if start + length > first and start < past:
            if start > first:
                left.append((first, start - first))
            first = max(first, start + length)
    return [*left, (first, past - first)] if first < past else left
