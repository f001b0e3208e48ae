"""What the desk asks for: orders to the recorder, and events to be told, heard and written down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["info", "warn", "error"]
Moment = Literal["ready", "tick", "start", "stop", "keep", "discard", "mark", "refused", "ask", "lost", "back", "warn", "error", "done"]
"""What a person hears the difference of."""


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    kind: str
    """One word, the same for ever: scripts read it."""
    text: str = ""
    """One line for people; empty where another event tells it."""
    level: Level = "info"
    moment: Moment | None = None
    """Its cue."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Plain JSON."""


@dataclass(frozen=True)
class Begin:
    """Begin a take; answered with `Desk.began` or `Desk.refused`."""

    task: str


@dataclass(frozen=True)
class End:
    """End the take."""

    why: str


@dataclass(frozen=True)
class Mark:
    """Put a marker into the take."""

    text: str


@dataclass(frozen=True)
class Discard:
    """Move a take, which nobody writes to any more, to the trash."""

    folder: str


@dataclass(frozen=True)
class Leave:
    """All is written; end."""


Order = Event | Begin | End | Mark | Discard | Leave
