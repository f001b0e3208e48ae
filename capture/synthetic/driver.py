"""One device of the synthetic wearer, as the recorder sees any device."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.synthetic.devices import Timeline

Payload = bytes | npt.NDArray[np.floating[Any]]


class Start:
    """The host's monotonic clock when the take starts: a given time, or (None) the moment the first device is opened."""

    def __init__(self, ns: int | None) -> None:
        self.realtime = ns is None
        self._ns = ns
        self._lock = threading.Lock()

    def ns(self) -> int:
        """The same number for everyone who asks."""
        with self._lock:
            if self._ns is None:
                self._ns = time.monotonic_ns()
            return self._ns


class SyntheticDriver:
    """A `Driver` that delivers one device's part of a take, as fast as it is read, or paced to the wall clock.

    Devices of a take share nothing that changes except its start, so each may be read in a thread of its own.
    """

    def __init__(self, name: str, specs: tuple[StreamSpec, ...], timelines: Mapping[str, Timeline],
                 take: Callable[[int], Mapping[str, Payload]], start: Start, write_truth: Callable[[Path], None], *,
                 calibration: Calibration | None = None, batch: int = 1) -> None:
        self.name = name
        self.streams = specs
        self.calibration = calibration or Calibration()
        self.write_truth = write_truth
        """Writes the truth of the whole take, of all its devices."""
        self._timelines = timelines
        self._take = take
        self._start = start
        self._batch = batch
        self._next = 0

    def read(self, timeout_s: float) -> list[Sample] | None:
        """The next few samples; None at the end of the take. In real time, an empty list when none is due within `timeout_s`."""
        lines = self._timelines
        total = max(len(line.t_ns) for line in lines.values())
        samples: list[Sample] = []
        deadline = time.monotonic() + timeout_s
        while self._next < total and len(samples) < self._batch * len(lines):
            i = self._next
            delivered = {name: line for name, line in lines.items() if not line.lost[i]}
            if delivered and self._start.realtime:
                due_s = (self._start.ns() + max(int(line.arrival_ns[i]) for line in delivered.values()) - time.monotonic_ns()) * 1e-9
                if due_s > 0 and samples:
                    break
                if due_s > deadline - time.monotonic():
                    time.sleep(max(deadline - time.monotonic(), 0))
                    return []
                time.sleep(max(due_s, 0))
            self._next += 1
            if delivered:
                payloads, start_ns = self._take(i), self._start.ns()
                for name, line in sorted(delivered.items(), key=lambda item: int(item[1].arrival_ns[i])):
                    samples.append(Sample(name, int(line.device_ns[i]), start_ns + int(line.arrival_ns[i]), i, payloads[name]))
        return samples if samples or self._next < total else None

    def __enter__(self) -> Self:
        self._start.ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
