"""The coach's process, started when the devices are there, and what it says while something can still be put right."""

import queue
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from firsthand.capture.console.orders import Event
from firsthand.capture.live.child import Child, Events
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.live.wire import spec_to_json

DETECTOR = "litert"
LEAVE_S = 3.0


class Coaching:
    """Starts the coach, tells it of streams, and takes in its advice. Whatever becomes of it, recording goes on."""

    def __init__(self, recorder: Supervisor, folder: Path) -> None:
        self._recorder, self._folder = recorder, folder
        self._child: Child | None = None
        self._told: Events = queue.Queue()
        self._known: set[str] = set()
        self.advice: tuple[str, ...] = ()
        """What it says at the moment, a sentence each."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._child:
            self._child.end()
            self._child.wait(LEAVE_S)

    def look(self) -> list[Event]:
        """Hand on new streams, and return what it said since."""
        if new := [name for name in self._recorder.specs() if name not in self._known]:
            self._known.update(new)
            if self._child is None:
                config = {"streams": self._streams(new), "detector": DETECTOR}
                fds = [fd for fd, _ in self._recorder.rings().values()]
                self._child = Child("coach", "firsthand.capture.coach.process", self._folder / "coach.log", config, fds, self._told)
            else:
                self._child.send({"streams": self._streams(new)})
        events = []
        while not self._told.empty():
            events += self._hear(self._told.get()[1])
        return events

    def _streams(self, names: list[str]) -> list[dict[str, Any]]:
        specs = self._recorder.specs()
        return [{"spec": spec_to_json(specs[name]), "ring_fd": fd, "number": numbers[name]}
                for fd, numbers in self._recorder.rings().values() for name in names if name in numbers]

    def _hear(self, said: dict[str, Any]) -> list[Event]:
        match said["event"]:
            case "advice":
                before, self.advice = self.advice, tuple(advice["sentence"] for advice in said["advice"])
                return [Event("advice", advice["sentence"], "warn" if advice["level"] == "warning" else "info", "warn",
                              {"gate": advice["gate"], "stream": advice["stream"]})
                        for advice in said["advice"] if advice["sentence"] not in before]
            case "note":
                return [Event("coach", said["reason"])]
            case "gone":
                self.advice = ()
                return [Event("coach", f"the coach is gone ({said['reason']}); recording goes on without", "warn")]
        return []
