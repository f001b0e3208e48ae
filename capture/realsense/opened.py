"""A RealSense camera whose sensors run: frames from the SDK's threads in, samples out."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.realsense import frame as read
from firsthand.capture.realsense.choose import Chosen
from firsthand.capture.realsense.sdk import refusal

WAITING = 1000
"""Frames that may wait to be fetched: more than a second of all streams."""


@dataclass(frozen=True, eq=False, slots=True)
class Arrived:
    """One frame, as far as it is ours."""

    key: tuple[str, int]
    host_ns: int
    stamp_ns: int
    number: int
    domain: str
    data: bytes | npt.NDArray[Any]
    facts: npt.NDArray[np.float64]


class Opened:
    """The chosen streams of one camera, running while it is entered. Frames are stamped and copied on the SDK's own threads, one by one
    as they come, so that none keeps its buffer and each keeps its own time."""

    def __init__(self, rs: Any, where: str, sensors: Sequence[Any], chosen: Sequence[Chosen],
                 facts: Mapping[tuple[str, int], tuple[Any, ...]]) -> None:
        self._rs, self._where, self._sensors, self._chosen, self._facts = rs, where, sensors, chosen, facts
        self._of = {read.stream_key(one.profile): one for one in chosen}
        self._waiting: queue.Queue[Arrived] = queue.Queue(WAITING)
        self._stack = ExitStack()
        self._fault: Exception | None = None
        self.refused: Counter[str] = Counter()
        """Frames that could not be read, by reason."""
        self._guard = threading.Lock()

    def take(self, timeout_s: float) -> list[Arrived]:
        """What came, in the order of arrival; waits for the first. Raises what went wrong on a thread of the SDK."""
        if self._fault:
            raise self._fault
        with suppress(queue.Empty):
            found = [self._waiting.get(timeout=max(timeout_s, 1e-3))]
            with suppress(queue.Empty):
                while True:
                    found.append(self._waiting.get_nowait())
            return found
        return []

    def _hear(self, frame: Any) -> None:
        """On a thread of the SDK. Nothing may be raised into it."""
        host_ns = time.monotonic_ns()
        try:
            for part in frame.as_frameset() if frame.is_frameset() else (frame,):
                self._keep(part, host_ns)
        except DamagedError as error:
            self._refuse(str(error))
        except Exception as error:
            self._fault = error

    def _keep(self, frame: Any, host_ns: int) -> None:
        key = read.stream_key(frame.get_profile())
        one = self._of.get(key)
        if one is None:
            return
        if one.profile.is_motion_stream_profile():
            data: bytes | npt.NDArray[Any] = read.motion(frame)
        else:
            video = one.profile.as_video_stream_profile()
            data = read.picture(self._rs, frame, one.profile.format(), video.width(), video.height())
        arrived = Arrived(key, host_ns, read.stamp_ns(frame), int(frame.frame_number), read.domain(frame), data,
                          read.facts(frame, self._facts[key]))
        try:
            self._waiting.put_nowait(arrived)
        except queue.Full:  # its number is missing, and so a gap
            self._refuse("nobody fetched it in time")

    def _refuse(self, why: str) -> None:
        with self._guard:
            self.refused[why] += 1

    def __enter__(self) -> Self:
        """Raises `FirsthandError` for what the SDK refuses: another program has the camera, or the profiles do not go together."""
        with ExitStack() as stack:
            for number in sorted({one.sensor for one in self._chosen}):
                sensor = self._sensors[number]
                try:
                    sensor.open([one.profile for one in self._chosen if one.sensor == number])
                    stack.callback(_quietly, sensor.close)
                    sensor.start(self._hear)
                    stack.callback(_quietly, sensor.stop)
                except RuntimeError as error:
                    raise refusal(f"{self._where} cannot be started", error) from error
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


def _quietly(end: Any) -> None:
    with suppress(RuntimeError):  # it is gone already
        end()
