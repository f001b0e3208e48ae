"""Everything that happened, in the order it did: lines for the screen, one file a day for later, JSON for scripts."""

import json
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from firsthand.capture.console.board import Note
from firsthand.capture.console.orders import Event

SHOWN = 12


class Notebook:
    """Takes events down. The day's file is ``<folder>/<date>.log``; a disk that refuses it is no reason to stop."""

    def __init__(self, folder: Path, stream: IO[str] | None = None) -> None:
        """`stream` gets one JSON line for each event."""
        self._folder, self._stream = folder, stream
        self._notes: deque[Note] = deque(maxlen=SHOWN)

    def write(self, event: Event) -> None:
        """Take one event down."""
        now = datetime.now(UTC)
        if event.text and event.kind != "advice":  # the screen has a line for it
            self._notes.append(Note(f"{now.astimezone():%H:%M:%S}", event.level, event.text))
        if event.text:
            told = " ".join(event.text.split())
            line = f"{now:%Y-%m-%dT%H:%M:%SZ} {event.kind:<11} {'' if event.level == 'info' else event.level.upper() + ': '}{told}\n"
            with suppress(OSError), (self._folder / f"{now:%Y-%m-%d}.log").open("a", encoding="utf-8") as file:
                file.write(line)
        if self._stream is not None:
            document = {"event": event.kind, "utc": now.isoformat(timespec="milliseconds"), "host_ns": time.monotonic_ns(),
                        "level": event.level, "text": event.text, **event.fields}
            try:
                self._stream.write(json.dumps(document) + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # nobody listens any more
                self._stream = None

    def notes(self) -> tuple[Note, ...]:
        """The last lines, oldest first."""
        return tuple(self._notes)
