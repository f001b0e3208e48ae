"""A device that sends messages: from a source, through a format's reader, to samples. What every wired or networked driver stands on.

It counts what cannot be read, is not flooded, and says in one sentence what to check when the device falls silent.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from firsthand.capture.calibration import Calibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Reading
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.transport import STRANGER, Packet, SerialLines, Source

Read = Callable[[bytes], Mapping[str, Reading] | str]
"""A message -> what it says of each stream (nothing, where it is only part of something), or in a few words why it cannot be read."""

_BURST_S = 0.5
"""So much may come at once, after a pause."""
_BURST = 32.0
UNSTAMPED = "it has no stamp, and the first had"
_log = logging.getLogger(__name__)


class MessageDriver:
    """Reads the messages of one device; a `Driver`."""

    calibration = Calibration()

    def __init__(self, name: str, streams: Sequence[StreamSpec], source: Source, begin: Callable[[], Read], *, raw: StreamSpec | None,
                 timeout_s: float, most_hz: float, prefix: str = "", check: str = "check that the device is on, and sends there") -> None:
        """`begin` gives a new reader each time the device is opened; `raw` is the stream that keeps the messages themselves.

        No more than `most_hz` messages a second are taken. After `timeout_s` without a readable message the device is gone; `check` says
        what to look at then. `prefix` stands before the names that the reader gives to streams. When the first reading has no stamp, all
        streams are stamped on arrival, and say so in ``extra``.
        """
        if timeout_s <= 0 or most_hz <= 0:
            raise FirsthandError(f"{name!r} needs a timeout_s and a most_hz above 0, got {timeout_s:g} and {most_hz:g}")
        self.name, self._numeric, self._raw = name, tuple(streams), raw
        self.streams = (*self._numeric, raw) if raw else self._numeric
        self.rejected: Counter[str] = Counter()
        """Messages that did not become a sample since it was opened, by reason; what transport refused is among them."""
        self._told: set[str] = set()
        self._since: Counter[str] = Counter()  # the same since the last sample
        self._source, self._begin, self._check, self._prefix = source, begin, check, prefix
        self._read: Read
        self._timeout_ns, self._most_hz = round(timeout_s * 1e9), most_hz
        self._counts = {spec.name: 0 for spec in self._numeric}
        self._raw_count = self._heard_ns = self._last_ns = 0
        self._burst = self._allowance = max(most_hz * _BURST_S, _BURST)
        self._stamped: bool | None = None
        self._first: list[Sample] = []
        self._stack = ExitStack()

    def read(self, timeout_s: float) -> list[Sample] | None:
        """What came, oldest first. Raises `FirsthandError` when nothing readable came for a while, or the line broke."""
        if self._first:
            samples, self._first = self._first, []
            return samples
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            now_ns = time.monotonic_ns()
            wait_ns = min(deadline_ns, self._heard_ns + self._timeout_ns) - now_ns
            samples = self._samples(self._source.receive(wait_ns * 1e-9))
            if time.monotonic_ns() - self._heard_ns > self._timeout_ns:
                raise FirsthandError(self._silence())
            if samples or time.monotonic_ns() >= deadline_ns:
                return samples

    def _samples(self, packets: list[Packet]) -> list[Sample]:
        for why, count in self._source.refused.items():
            self._reject(why, count)
        self._source.refused.clear()
        samples: list[Sample] = []
        for packet in packets:
            host_ns = packet.host_ns
            number, self._raw_count = self._raw_count, self._raw_count + 1
            self._allowance = min(self._allowance + (host_ns - self._last_ns) * 1e-9 * self._most_hz, self._burst)
            self._last_ns = host_ns
            if self._allowance < 1:  # the newest goes, and its number is missing: a gap
                for stream in self._counts:
                    self._counts[stream] += 1
                self._reject(f"came faster than {self._most_hz:g} a second")
                continue
            self._allowance -= 1
            if self._raw:
                samples.append(Sample(self._raw.name, host_ns, host_ns, number, packet.data))
            answer = self._read(packet.data)
            if isinstance(answer, str):
                if len(self._counts) == 1:  # it can only have been a sample of this stream
                    self._counts[self._numeric[0].name] += 1
                self._reject(answer)
                continue
            for stream, reading in answer.items():
                self._take(samples, self._prefix + stream, reading, host_ns)
        return samples

    def _take(self, samples: list[Sample], stream: str, reading: Reading, host_ns: int) -> None:
        counted = self._counts.get(stream)
        if counted is None:  # one that the rig did not ask for
            return
        self._counts[stream] += 1
        if self._stamped is None:
            self._stamped = reading.device_ns is not None
        if self._stamped and reading.device_ns is None:
            self._reject(UNSTAMPED)
            return
        self._heard_ns = host_ns
        self._since.clear()
        device_ns = reading.device_ns if self._stamped and reading.device_ns is not None else host_ns
        samples.append(Sample(stream, device_ns, host_ns, counted if reading.sequence is None else reading.sequence, reading.values))

    def _reject(self, why: str, count: int = 1) -> None:
        if why not in self._told:  # told once, counted ever after
            self._told.add(why)
            _log.warning("%s: a message is left out: %s", self.name, self._who(why))
        self.rejected[why] += count
        self._since[why] += count

    def _who(self, why: str) -> str:
        return f"{why} ({self._source.stranger})" if why == STRANGER else why

    def _silence(self) -> str:
        begin = f"{self.name}: nothing readable came over {self._source.where} for {self._timeout_ns * 1e-9:g} s"
        if not self._since:
            return f"{begin}; {self._check}"
        why, _ = self._since.most_common(1)[0]
        if why == STRANGER:
            return f"{begin}, but {self._source.stranger} sends, not {self._source.sender}; correct 'sender', or turn the other device off"
        also = " and the baud rate" if isinstance(self._source, SerialLines) else ""
        return f"{begin}, but what comes is left out ({why}); check the options about the message{also}"

    def __enter__(self) -> Self:
        """Open the line and wait for the first message: the device is only there once it has said something."""
        self._allowance, self._last_ns = self._burst, time.monotonic_ns()
        self._first, self._stamped, self._read = [], None, self._begin()
        self._counts, self._raw_count = dict.fromkeys(self._counts, 0), 0  # what was sent while nobody listened cannot be counted
        self._since.clear()
        self.rejected.clear()
        with ExitStack() as stack:
            stack.enter_context(self._source)
            began_ns = self._heard_ns = time.monotonic_ns()
            while self._heard_ns == began_ns:
                left_ns = began_ns + self._timeout_ns - time.monotonic_ns()
                self._first += self._samples(self._source.receive(left_ns * 1e-9))
                if self._heard_ns == began_ns and left_ns <= 0:
                    raise FirsthandError(self._silence())
            self._stack = stack.pop_all()
        told = {} if self._stamped else {"stamps": "arrival"}
        numeric = [replace(spec, extra={**{k: v for k, v in spec.extra.items() if k != "stamps"}, **told}) for spec in self._numeric]
        self.streams = (*numeric, self._raw) if self._raw else tuple(numeric)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
