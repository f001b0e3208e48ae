"""What people said of an episode: instruction, success, and labelled spans. Lives in ``annotations.json``."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.files import write_json

FORMAT = "firsthand.annotations"
RESTORE = "restore it from the review store, or delete it"
TIERS = ("task", "subtask", "left", "right")
"""Rows of the timeline. Spans of one tier are sorted and do not overlap."""


@dataclass(frozen=True)
class Segment:
    """A labelled span of frames of the reference camera, half-open: ``a`` is in, ``b`` is not."""

    a: int
    b: int
    label: str
    text: str = ""
    id: str = ""
    source: str = "person"
    """Who proposed it: ``person`` or the name of a rule or model."""
    score: float | None = None


@dataclass(frozen=True)
class Annotation:
    """Everything people said of one episode."""

    n_frames: int
    instruction: str = ""
    """The task as an English imperative, such as "put the red cube into the bowl"."""
    success: bool | None = None
    grade: int | None = None
    """1 (bad) to 5 (expert), or None."""
    flags: tuple[str, ...] = ()
    tiers: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    author: str = ""
    version: int = 0
    """Counts submitted changes."""

    def __post_init__(self) -> None:
        for tier, spans in self.tiers.items():
            if tier not in TIERS:
                raise FirsthandError(f"no tier called {tier!r} (there are: {', '.join(TIERS)})")
            end = 0
            for span in spans:
                if not (end <= span.a < span.b <= self.n_frames):
                    raise FirsthandError(
                        f"{tier} segment [{span.a}, {span.b}) must lie in 0..{self.n_frames}, after the one before it, and hold a frame")
                end = span.b

    def to_json(self) -> dict[str, Any]:
        """The document as plain JSON."""
        return {
            "format": FORMAT, "format_version": 1, "version": self.version, "author": self.author, "n_frames": self.n_frames,
            "episode": {"instruction": self.instruction, "success": self.success, "grade": self.grade, "flags": list(self.flags)},
            "tiers": {tier: [vars(span) for span in spans] for tier, spans in self.tiers.items()},
        }  # fmt: skip

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Annotation":
        """The annotation a document describes. Raises `FirsthandError` naming the first thing wrong with it."""
        try:
            episode = document["episode"]
            tiers = {tier: tuple(Segment(**span) for span in spans) for tier, spans in document["tiers"].items()}
            said = (str(episode["instruction"]), episode["success"], episode["grade"], tuple(episode["flags"]))
            return cls(int(document["n_frames"]), *said, tiers, str(document["author"]), int(document["version"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FirsthandError(f"not an annotation document: {type(error).__name__} {error}") from error


def read_annotation(path: Path) -> Annotation | None:
    """Read an ``annotations.json``; None when there is none yet."""
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} is not JSON ({error}); {RESTORE}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DamagedError(f"{path} is not a {FORMAT} file; {RESTORE}")
    try:
        return Annotation.from_json(document)
    except FirsthandError as error:
        raise DamagedError(f"{path}: {error}; {RESTORE}") from error


def write_annotation(path: Path, annotation: Annotation) -> None:
    """Write an ``annotations.json`` whole or not at all."""
    write_json(path, annotation.to_json())
