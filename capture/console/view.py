"""What the desk shows: plain values, drawn here or, from the status file, by ``firsthand monitor``."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

Phase = Literal["waiting", "ready", "countdown", "starting", "recording", "stopping", "leaving", "ended"]


@dataclass(frozen=True)
class DeskView:
    """The desk at one moment."""

    phase: Phase
    blocked: str
    """Why no take can begin; empty when one can."""
    lost: tuple[str, ...]
    """Devices that were there and are not now."""
    task: str
    task_number: int
    """From 1."""
    tasks: int
    take: str
    """Number of the take that runs, or empty."""
    done: int
    """Takes of this task that count, the running one included."""
    wanted: int | None
    """Of this task."""
    complete: bool
    """All tasks have their takes."""
    last: str
    """What became of the take before, in a few words."""
    finishing: int
    """Takes being finished."""
    recorded_s: float
    left_s: float | None
    """Of the countdown, or of a take with a fixed duration."""
    asking: bool
    """Waits for the second press that ends the session in a take."""
    help: bool

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "DeskView":
        """What ``dataclasses.asdict`` gave, also that of a later version with more in it."""
        known = {f.name: document[f.name] for f in fields(cls)}
        return cls(**{**known, "lost": tuple(known["lost"])})
