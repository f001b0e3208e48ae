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
Take = Callable[[int], Mapping[str, Payload]]
"""From the number of a sample to what each stream of the device delivers of it."""


class Start:
    """The host's monotonic clock when the take starts: a given time, or (None) the moment somebody first asks."""

    def __init__(self, ns: int | None) -> None:
        self.given = ns is not None
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

    In real time the take may be repeated for ever, and what came before the device was opened is not delivered. Host stamps are always
    those of the modelled transport, so that a busy machine does not blur what is known to be true.

    Devices of a take share nothing that changes except its start, so each may be read in a thread, or a process, of its own.
    """

    def __init__(self, name: str, specs: tuple[StreamSpec, ...], timelines: Mapping[str, Timeline], prepare: Callable[[], Take],
                 start: Start, write_truth: Callable[[Path], None], *, calibration: Calibration | None = None, batch: int = 1,
                 realtime: bool = False, loop_ns: int | None = None) -> None:
        self.name = name
        self.streams = specs
        self.calibration = calibration or Calibration()
        self.write_truth = write_truth
        """Writes the truth of the whole take, of all its devices."""
        self._timelines = timelines
        self._prepare = prepare
        self._take: Take | None = None
        self._start = start
        self._batch = batch
        self._realtime = realtime
        self._loop_ns = loop_ns
        self._length = max(len(line.t_ns) for line in timelines.values())
        self._next = 0
        self._skips = False

    def read(self, timeout_s: float) -> list[Sample] | None:
        """The next few samples; None at the end of the take. In real time, an empty list when none is due within `timeout_s`."""
        take = self._take = self._take or self._prepare()
        if self._skips:
            self._skip_the_past()
        samples: list[Sample] = []
        deadline = time.monotonic() + timeout_s
        while not self._over() and len(samples) < self._batch * len(self._timelines):
            turn, i = divmod(self._next, self._length)
            delivered = {name: line for name, line in self._timelines.items() if not line.lost[i]}
            if delivered and self._realtime:
                due_s = (self._start.ns() + self._arrival_ns(self._next) - time.monotonic_ns()) * 1e-9
                if due_s > 0 and samples:
                    break
                if due_s > deadline - time.monotonic():
                    time.sleep(max(deadline - time.monotonic(), 0))
                    return []
                time.sleep(max(due_s, 0))
            if delivered:
                payloads = take(i)
                for name, line in sorted(delivered.items(), key=lambda item: int(item[1].arrival_ns[i])):
                    later_ns = turn * (self._loop_ns or 0)
                    host_ns = self._start.ns() + int(line.arrival_ns[i]) + later_ns
                    samples.append(Sample(name, line.clock.after_ns(int(line.device_ns[i]), later_ns), host_ns, self._next, payloads[name]))
            self._next += 1
        return samples if samples or not self._over() else None

    def _over(self) -> bool:
        return self._loop_ns is None and self._next >= self._length

    def _arrival_ns(self, number: int) -> int:
        """When the last stream of a sample reaches the host, from the start of the first take."""
        turn, i = divmod(number, self._length)
        return max(int(line.arrival_ns[i]) for line in self._timelines.values() if not line.lost[i]) + turn * (self._loop_ns or 0)

    def _skip_the_past(self) -> None:
        self._skips = False
        now_ns = time.monotonic_ns() - self._start.ns()
        if self._loop_ns:
            self._next = max(self._next, (now_ns // self._loop_ns - 1) * self._length)
        while not self._over():
            lost = all(line.lost[self._next % self._length] for line in self._timelines.values())
            if not lost and self._arrival_ns(self._next) > now_ns:
                return
            self._next += 1

    def __enter__(self) -> Self:
        if self._take is None:
            self._take = self._prepare()
            self._skips = self._realtime and self._start.given
        else:
            self._skips = self._realtime
        self._start.ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
