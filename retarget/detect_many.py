"""One video's hands by several processes: each takes a span of units, decodes it itself, and leaves what it found in a file."""

import os
import queue
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.live.child import Child, Events
from firsthand.capture.live.wire import calibration_to_json
from firsthand.capture.recording import Stream
from firsthand.retarget.detect import UNIT_FRAMES, Found, detect_units, read_found, units
from firsthand.retarget.flat_tracker import flattened
from firsthand.retarget.tracker import TRACKERS, open_tracker

WORKER = "firsthand.retarget.detect_worker"
SPANS = 3
"""For each process: one that is held up leaves more of them to the others."""
MOST_WORKERS = 8

Progress = Callable[[int, int], None]


def detect(stream: Stream, tracker: str, camera: CameraCalibration, *, workers: int | None = None,
           progress: Progress | None = None) -> Found:
    """The hands in every frame of a camera with these optics; the same for any number of `workers`.

    They are processes, one a core if not given, at most 8, and no more than there are units. `progress` gets frames done and frames in
    all. Raises `FirsthandError` when the tracker cannot be opened or a process dies, `DamagedError` when the video does not decode.
    """
    frames = len(stream)

    def tick(done: int) -> None:
        if progress:
            progress(done, frames)

    count = min(workers or min(os.cpu_count() or 1, MOST_WORKERS), units(frames))
    if count <= 1:
        return detect_units(stream, flattened(open_tracker(tracker), camera), range(units(frames)), tick)
    with open_tracker(tracker):  # what is missing is said here, and a model is built once
        pass
    step = max(1, units(frames) // (SPANS * count))
    spans = [range(first, min(first + step, units(frames))) for first in range(0, units(frames), step)]
    config = {"recording": str(stream.path), "stream": stream.spec.name, "tracker": TRACKERS.get(tracker, tracker),
              "optics": calibration_to_json(Calibration({"": camera}))}
    with tempfile.TemporaryDirectory(prefix="firsthand-hands-") as folder, _Pool(config, count, Path(folder)) as pool:
        pool.run(spans, tick)
        parts = [read_found(pool.file(span)) for span in spans]
    return [hands for found in parts for hands in found]


class _Pool:
    """Processes that take spans; all are ended at the first fault, and when this is left in any other way."""

    def __init__(self, config: dict[str, Any], count: int, folder: Path) -> None:
        self._path, self._folder = config["recording"], folder
        self._events: Events = queue.Queue()
        self._children: dict[str, Child] = {}
        self._config, self._count = config, count
        self._done: dict[str, int] = {}
        """Frames of its span that each is through with."""

    def __enter__(self) -> "_Pool":
        for n in range(self._count):
            name = f"hands {n}"
            self._children[name] = Child(name, WORKER, self._folder / f"{n}.log", self._config, (), self._events)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children.values():
            child.process.kill()
        for child in self._children.values():
            child.wait(5.0)

    def file(self, span: range) -> Path:
        """Where the hands of a span are put."""
        return self._folder / f"{span.start}.npz"

    def run(self, spans: list[range], tick: Callable[[int], None]) -> None:
        """Have every span worked off; `tick` gets the frames done. Raises the first fault."""
        waiting, busy, finished = deque(spans), dict[str, range](), 0
        for name in self._children:
            self._give(name, waiting, busy)
        while busy:
            name, event = self._events.get()
            if event["event"] == "status":
                if name in busy and busy[name].start == event["first"]:  # one of the last span may come late
                    self._done[name] = event["done"]
            elif event["event"] == "done":
                finished += event["frames"]
                del busy[name]
                self._give(name, waiting, busy)
            elif event["event"] == "fault":
                raise (DamagedError if event["damaged"] else FirsthandError)(event["reason"])
            elif name in busy:
                place = f"a worker looked at frames from {busy[name].start * UNIT_FRAMES} on when {event['reason']}{self._last_words(name)}"
                raise FirsthandError(f"{self._path} was not tracked: {place}; try again, with fewer workers if memory ran out")
            tick(finished + sum(self._done[name] for name in busy))

    def _give(self, name: str, waiting: deque[range], busy: dict[str, range]) -> None:
        self._done[name] = 0
        if waiting:
            span = busy[name] = waiting.popleft()
            self._children[name].send({"first": span.start, "last": span.stop, "into": str(self.file(span))})

    def _last_words(self, name: str) -> str:
        said = self._children[name].log.read_text("utf-8", errors="replace").strip().splitlines()
        return f" ({said[-1]})" if said else ""
