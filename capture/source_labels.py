"""What a source said of a take (its task, success, spans), kept in the recording's ``labels`` stream; `annotate` reads it from there."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from firsthand.capture.files import reading_inside
from firsthand.capture.recording import RESTORE, Recording
from firsthand.capture.stream import Sample, StreamSpec

LABELS = "labels"
"""Name of the stream: JSON events on the session clock."""


@dataclass(frozen=True)
class Span:
    """Something that was named for a time, half-open: ``to_ns`` belongs to it no more. Spans of a source may overlap."""

    from_ns: int
    to_ns: int
    text: str
    tier: Literal["task", "subtask", "left", "right"] = "subtask"


@dataclass(frozen=True)
class SourceLabels:
    """All a source said of one take; what it did not say is empty or None."""

    instruction: str = ""
    success: bool | None = None
    grade: int | None = None
    """1 (bad) to 5 (expert)."""
    flags: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    @property
    def spec(self) -> StreamSpec:
        """The stream they are kept in."""
        return StreamSpec(LABELS, "encoded", "events", encoding="json", clock="media")

    def samples(self, start_ns: int) -> Iterator[Sample]:
        """The rows of that stream: one of ``kind`` ``take`` at the start, then a ``span`` each."""
        take = {"kind": "take", "instruction": self.instruction, "success": self.success, "grade": self.grade, "flags": list(self.flags)}
        yield Sample(LABELS, start_ns, start_ns, 0, json.dumps(take).encode())
        for number, span in enumerate(sorted(self.spans, key=lambda s: (s.from_ns, s.to_ns)), 1):
            yield Sample(LABELS, span.from_ns, span.from_ns, number, json.dumps({"kind": "span", **asdict(span)}).encode())


def labels_of(recording: Recording) -> SourceLabels | None:
    """What the source of a recording said; None where it said nothing. Raises `DamagedError` when the rows are not ours."""
    if LABELS not in recording.streams:
        return None
    with reading_inside(recording.path, RESTORE):
        take: dict[str, object] = {}
        spans = []
        for _, event in recording.events(LABELS):
            fields = {name: value for name, value in event.items() if name != "kind"}
            if event["kind"] == "take":
                take = {**fields, "flags": tuple(fields["flags"])}
            else:
                spans.append(Span(**fields))
        return SourceLabels(**take, spans=tuple(spans))  # type: ignore[arg-type]
