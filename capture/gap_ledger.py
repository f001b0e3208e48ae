"""What is missing of a stream, by its sequence: the one set of rules for the recorder and for recovery."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from firsthand.capture.scan import Chunk

Cause = Literal["device", "ring", "encoder", "vanished", "recorder"]
"""Why samples are missing. ``device``: its sequence jumped. ``ring``, ``encoder``: dropped by us, memory was full or encoding too slow.
``vanished``: the device was gone. ``recorder``: they had arrived, and were lost with the power."""
LATE_NS = 500_000_000
LATE_SAMPLES = 100
"""A sequence that goes back by no more than this, and the device's clock with it, is a sample that others overtook; else a new count."""


@dataclass(slots=True)
class Counter:
    """Follows the sequence of one stream.

    A sequence that goes back begins a new count, as a device that was opened again does; so does the first sample after the device had
    vanished. What lies between two counts is nobody's to number, so nothing is missing there. A sample that others overtook belongs to
    the count it comes late for.
    """

    next_sequence: int | None = None
    """None: the next sample begins a count."""
    device_ns: int = 0
    """Of the newest sample."""
    told: list[tuple[int, int]] = field(default_factory=list)
    """What was told of the samples to come: (first sequence, how many)."""

    def step(self, sequence: int, device_ns: int) -> list[tuple[int, int]]:
        """Go on to a sample; returns what is missing before it and not told yet: (first sequence, how many)."""
        expected = self.next_sequence
        if expected is not None and sequence < expected and self._is_late(expected - sequence, device_ns):
            return []
        missing = _without(expected, sequence, self.told) if expected is not None and sequence > expected else []
        self.next_sequence, self.device_ns = sequence + 1, device_ns
        self.told.clear()
        return missing

    def _is_late(self, back: int, device_ns: int) -> bool:
        return back <= LATE_SAMPLES and 0 < self.device_ns - device_ns <= LATE_NS


class Untold:
    """Finds the gaps of one stream that no row of ``gaps`` tells, from its rows block by block."""

    def __init__(self, name: str, told: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        self.found: list[tuple[int, dict[str, Any]]] = []
        """(host ns of the row after, fields), in order."""
        self._name = name
        self._told = sorted((t_ns, int(gap["first_sequence"]), int(gap["missing"]), gap.get("cause") == "vanished")
                            for t_ns, gap in told if gap["stream"] == name)
        self._counter = Counter()
        self._last: np.void | None = None
        self._torn = 0

    def see(self, chunk: Chunk) -> None:
        """Go on with the next rows, in the order written."""
        rows, kept = chunk.rows, np.flatnonzero(chunk.sound)
        if len(kept) == 0:
            self._torn += chunk.lost
            return
        torn = np.diff(kept, prepend=-1 - self._torn - chunk.blank) - 1
        self._torn = len(rows) - 1 - int(kept[-1])
        sequence = rows["sequence"][kept]
        step = np.diff(sequence, prepend=sequence[0] - 2 if self._last is None else self._last["sequence"])
        for i in np.flatnonzero((step != 1) | (torn > 0)).tolist():
            self._step(rows[kept[i - 1]] if i else self._last, rows[kept[i]], int(torn[i]))
        self._last = rows[kept[-1]].copy()

    def _step(self, before: np.void | None, row: np.void, torn: int) -> None:
        """Two rows that do not follow each other; before the first there is none."""
        counter, sequence, device_ns, host_ns = self._counter, int(row["sequence"]), int(row["device_ns"]), int(row["host_ns"])
        if before is None:
            counter.step(sequence, device_ns)
            return
        expected = int(before["sequence"]) + 1
        if counter.next_sequence is None or expected > counter.next_sequence:  # rows that followed each other went by since
            counter.next_sequence, counter.device_ns = expected, int(before["device_ns"])
        since, until = sorted((int(before["host_ns"]), host_ns))
        told = self._told[bisect_left(self._told, (since,)) : bisect_left(self._told, (until + 1,))]
        counter.told = [(first, missing) for _, first, missing, _ in told]
        if any(vanished for *_, vanished in told):
            counter.next_sequence = None
        missing = counter.step(sequence, device_ns)
        if torn and not told and sequence <= expected:
            missing = [(expected, torn)]  # the rows on either side do not say which numbers the torn ones had
        for first, number in missing:
            self.found.append((host_ns, {
                "stream": self._name, "first_sequence": first, "missing": number,
                "from_device_ns": int(before["device_ns"]), "to_device_ns": device_ns, "cause": "recorder",
            }))  # fmt: skip


def _without(first: int, past: int, told: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of the range [first, past) outside all that was told, (start, length) each."""
    left = []
    for start, length in sorted(told):
        if start + length > first and start < past:
            if start > first:
                left.append((first, start - first))
            first = max(first, start + length)
    return [*left, (first, past - first)] if first < past else left
