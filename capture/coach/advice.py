"""What the coach says, and the patience that keeps it from saying it too soon or too often."""

from dataclasses import dataclass
from typing import Any, Literal

from firsthand.capture.coach.gates import Gate

Level = Literal["note", "warning"]


@dataclass(frozen=True)
class Advice:
    """One thing that could still be put right."""

    gate: Gate
    level: Level
    sentence: str
    """What is wrong, and what to do."""
    since_ns: int
    """When it began, on the host's monotonic clock."""
    stream: str = ""
    """Which stream, where there may be several."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"gate": self.gate, "level": self.level, "sentence": self.sentence, "since_ns": self.since_ns, "stream": self.stream}


class Latch:
    """Bad for `raise_s` raises it, good for `clear_s` clears it."""

    def __init__(self, raise_s: float, clear_s: float) -> None:
        self._raise_ns, self._clear_ns = round(raise_s * 1e9), round(clear_s * 1e9)
        self._bad_since_ns: int | None = None
        self._good_since_ns: int | None = None
        self.since_ns: int | None = None
        """When what is raised began; None while nothing is."""
        self.sentence = ""

    def update(self, t_ns: int, fault: str | None) -> None:
        """`fault` is the sentence of a fault, "" when there is none, None when it cannot be judged now: then nothing changes."""
        if fault is None:
            return
        if fault:
            self._good_since_ns = None
            self.sentence = fault
            if self._bad_since_ns is None:
                self._bad_since_ns = t_ns
            if self.since_ns is None and t_ns - self._bad_since_ns >= self._raise_ns:
                self.since_ns = self._bad_since_ns
            return
        self._bad_since_ns = None
        if self._good_since_ns is None:
            self._good_since_ns = t_ns
        if t_ns - self._good_since_ns >= self._clear_ns:
            self.since_ns = None
