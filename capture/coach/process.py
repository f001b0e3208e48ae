"""The coach in a process of its own, of the lowest priority: ``python -m firsthand.capture.coach.process``.

The first line of stdin says what to watch: ``{"streams": [{"spec": ..., "ring_fd": N, "number": N}], "detector": NAME}``; a later line
with ``streams`` adds those that were opened meanwhile. Out come lines of JSON: ``advice`` when it changes, and every two seconds;
``note`` with a ``reason`` for what cannot be watched. Ends when stdin does.
"""

import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.coach.advice import Advice
from firsthand.capture.coach.coach import Coach
from firsthand.capture.coach.seen_hand import HAND_DETECTORS, FindHands
from firsthand.capture.coach.watch import LOOKS_HZ, Outcome, watch
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.ring import Ring
from firsthand.capture.live.wire import Outbox, commands, spec_from_json
from firsthand.capture.plugins import find
from firsthand.capture.stream import StreamSpec

AGAIN_S = 2.0
LEAVE_S = 2.0
STILL = ("jpeg", "png")


class Watched:
    """The streams that are watched, each in its ring."""

    def __init__(self) -> None:
        self.streams: dict[str, tuple[StreamSpec, Ring, int]] = {}
        self._rings: dict[int, Ring] = {}

    def add(self, config: Mapping[str, Any]) -> list[StreamSpec]:
        """Take in the streams of a line of stdin; returns those that are new."""
        new = []
        for entry in config.get("streams", ()):
            spec, fd = spec_from_json(entry["spec"]), int(entry["ring_fd"])
            ring = self._rings.get(fd) or self._rings.setdefault(fd, Ring(fd))
            if spec.name not in self.streams:
                new.append(spec)
            self.streams[spec.name] = spec, ring, int(entry["number"])
        return new

    def picture(self) -> tuple[int, bytes] | None:
        """The newest still picture of the first camera."""
        for spec, ring, number in list(self.streams.values()):
            if spec.role == "camera" and spec.encoding in STILL:
                record = ring.latest(number)
                return (record.host_ns, bytes(record.payload)) if record else None
        return None

    def numbers(self) -> Iterator[tuple[str, int, npt.NDArray[np.floating[Any]]]]:
        """The newest sample of each stream of numbers."""
        for spec, ring, number in list(self.streams.values()):
            if spec.kind == "numeric" and spec.role in ("glove", "imu") and (record := ring.latest(number)):
                yield spec.name, record.host_ns, np.frombuffer(record.payload, "<f8")


def main() -> None:
    """Serve until stdin ends."""
    outbox, incoming, stop = Outbox(), commands(), threading.Event()
    if hasattr(os, "nice"):
        os.nice(19)
    config = next(incoming, None)
    if config is None:
        return
    import cv2

    cv2.setNumThreads(1)
    watched = Watched()
    coach = Coach(streams=watched.add(config), t_ns=time.monotonic_ns())
    for sentence in unwatched(watched):
        outbox.say("note", reason=sentence)

    late: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()

    def numbers() -> Iterator[tuple[str, int, npt.NDArray[np.floating[Any]]]]:
        while not late.empty():
            for spec in watched.add(late.get()):
                coach.expect(spec, time.monotonic_ns())
        return watched.numbers()

    threading.Thread(target=_listen, args=(incoming, late, stop), daemon=True).start()
    watch(coach, watched.picture, numbers, Teller(outbox), stop.wait, find_hands=open_detector(config.get("detector"), outbox),
          looks_hz=float(config.get("looks_hz", LOOKS_HZ)))
    os._exit(0)


def _listen(lines: Iterator[Mapping[str, Any]], late: "queue.SimpleQueue[Mapping[str, Any]]", stop: threading.Event) -> None:
    with suppress(ValueError):  # a line that was cut off by the other's end
        for line in lines:
            late.put(line)
    stop.set()
    time.sleep(LEAVE_S)
    os._exit(0)  # a detector that hangs must not keep the process


def unwatched(watched: Watched) -> list[str]:
    """What cannot be watched, in a sentence each."""
    cameras = [spec for spec, _, _ in watched.streams.values() if spec.role == "camera"]
    if cameras and not any(spec.encoding in STILL for spec in cameras):
        return [f"the coach does not see {cameras[0].name!r}: it comes as {cameras[0].encoding}; encode it as jpeg to have it watched"]
    return []


def open_detector(name: str | None, outbox: Outbox) -> FindHands | None:
    """The hand detector of that name; without one hands are not watched, and that is said."""
    if not name:
        return None
    try:
        opened: FindHands = find("hand_detectors", HAND_DETECTORS, name)()
    except (FirsthandError, ImportError) as error:
        outbox.say("note", reason=f"the coach does not watch for hands: {error}")
        return None
    return opened


class Teller:
    """Says advice when it changes, and again every `AGAIN_S`."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox, self._said, self._said_s = outbox, tuple[Advice, ...](), -AGAIN_S

    def __call__(self, outcome: Outcome) -> None:
        now_s = time.monotonic()
        if outcome.advice == self._said and now_s - self._said_s < AGAIN_S:
            return
        self._said, self._said_s = outcome.advice, now_s
        self._outbox.say("advice", host_ns=outcome.t_ns, advice=[advice.to_json() for advice in outcome.advice],
                         look_ms=round(outcome.look_ms, 1), looks_hz=round(outcome.looks_hz, 2))


if __name__ == "__main__":
    main()
