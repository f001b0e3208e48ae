"""The driver ``json``: any device that sends JSON or comma-separated text over UDP, a serial port or TCP, described in the rig file."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Literal, Self

from firsthand.capture.calibration import Calibration
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Format, Layout, Reading
from firsthand.capture.stream import Role, Sample, StreamSpec
from firsthand.capture.transport import Packet, SerialLines, Source, TcpLines, UdpPackets

Transport = Literal["udp", "serial", "tcp"]
_BURST_S = 0.5
"""So much may come at once, after a pause."""
_log = logging.getLogger(__name__)


def open_json(*, stream: str, columns: Sequence[str], transport: Transport = "udp", bind: str = "", sender: str = "", port: str = "",
              baud: int = 115_200, connect: str = "", format: Format = "json", fields: Sequence[str] = (), array: str = "",
              header: Sequence[str] = (), separator: str = ",", units: str | Sequence[str] = "1", stamp: str = "", stamp_unit: str = "us",
              sequence: str = "", role: Role = "other", side: Literal["", "left", "right"] = "", about: str = "",
              rate_hz: float | None = None, raw: bool = True, timeout_s: float = 1.0, most_hz: float | None = None) -> list[Driver]:
    """One device: its stream of numbers, and unless `raw` is off the messages themselves as ``<stream>-raw``.

    `bind` and `sender` are for ``udp`` (see `UdpPackets`), `port` and `baud` for ``serial``, `connect` for ``tcp``; `Layout` says what the
    options about the message mean. `timeout_s` without a readable message means that the device is gone. No more than `most_hz` messages
    a second are taken, four times the rate if not given. Raises `FirsthandError` for options that cannot be.
    """
    layout = Layout(format, columns, fields, array, units, header, separator, stamp, stamp_unit, sequence)
    needed = {"udp": {"bind": bind, "sender": sender}, "serial": {"port": port}, "tcp": {"connect": connect}}
    if transport not in needed:
        raise FirsthandError(f"transport is {transport!r}; it is 'udp', 'serial' or 'tcp'")
    for name, value in needed[transport].items():
        if not value:
            raise FirsthandError(f"{stream!r} comes over {transport}, which needs the option {name!r}")
    source: Source
    if transport == "udp":
        source = UdpPackets(bind, sender)
    elif transport == "serial":
        source = SerialLines(port, baud)
    else:
        source = TcpLines(connect)
    if timeout_s <= 0 or (rate_hz is not None and rate_hz <= 0):
        raise FirsthandError(f"{stream!r} needs a timeout_s and a rate_hz above 0, got {timeout_s} and {rate_hz}")
    spec = StreamSpec(stream, "numeric", role, names=tuple(columns), units=layout.si_units, rate_hz=rate_hz, side=side, about=about,
                      extra={} if stamp else {"stamps": "arrival"})
    kept = StreamSpec(f"{stream}-raw", "encoded", "other", encoding=format, rate_hz=rate_hz, about=stream, clock="media")
    return [JsonDriver((spec, kept) if raw else (spec,), source, layout, timeout_s, most_hz or 4 * (rate_hz or 500))]


class JsonDriver:
    """Reads messages of one device; a `Driver`."""

    calibration = Calibration()

    def __init__(self, streams: tuple[StreamSpec, ...], source: Source, layout: Layout, timeout_s: float, most_hz: float) -> None:
        self.name, self.streams = streams[0].name, streams
        self.rejected: Counter[str] = Counter()
        """Messages that did not become a sample, by reason; what transport refused is among them."""
        self._since: Counter[str] = Counter()  # the same since the last sample
        self._source, self._layout, self._timeout_ns, self._most_hz = source, layout, round(timeout_s * 1e9), most_hz
        self._count = self._raw_count = self._heard_ns = self._last_ns = 0
        self._burst = self._allowance = max(most_hz * _BURST_S, 32.0)
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
        samples = []
        for host_ns, data in packets:
            number, self._raw_count = self._raw_count, self._raw_count + 1
            self._allowance = min(self._allowance + (host_ns - self._last_ns) * 1e-9 * self._most_hz, self._burst)
            self._last_ns = host_ns
            if self._allowance < 1:  # the newest goes, and its number is missing: a gap
                self._count += 1
                self._reject(f"came faster than {self._most_hz:g} a second")
                continue
            self._allowance -= 1
            if len(self.streams) > 1:
                samples.append(Sample(self.streams[1].name, host_ns, host_ns, number, data))
            reading = self._layout.read(data)
            counted, self._count = self._count, self._count + 1
            if not isinstance(reading, Reading):
                self._reject(reading)
                continue
            self._heard_ns = host_ns
            self._since.clear()
            samples.append(Sample(self.name, host_ns if reading.device_ns is None else reading.device_ns, host_ns,
                                  counted if reading.sequence is None else reading.sequence, reading.values))
        return samples

    def _reject(self, why: str, count: int = 1) -> None:
        if why not in self.rejected:  # told once, counted ever after
            _log.warning("%s: a message is left out: %s", self.name, self._who(why))
        self.rejected[why] += count
        self._since[why] += count

    def _who(self, why: str) -> str:
        stranger = getattr(self._source, "stranger", "")
        return f"{why} ({stranger})" if why == "from another sender" else why

    def _silence(self) -> str:
        begin = f"{self.name}: nothing readable came over {self._source.where} for {self._timeout_ns * 1e-9:g} s"
        if not self._since:
            return f"{begin}; check that the device is on, and sends there"
        why, _ = self._since.most_common(1)[0]
        if isinstance(self._source, UdpPackets) and why == "from another sender":
            return f"{begin}, but {self._source.stranger} sends, not {self._source.sender}; correct 'sender', or turn the other device off"
        also = " and the baud rate" if isinstance(self._source, SerialLines) else ""
        return f"{begin}, but what comes is left out ({why}); check the options about the message{also}"

    def __enter__(self) -> Self:
        """Open the line and wait for the first message: the device is only there once it has said something."""
        self._allowance, self._last_ns = self._burst, time.monotonic_ns()
        self._first = []
        self._count = self._raw_count = 0  # what was sent while nobody listened cannot be counted
        self._since.clear()
        with ExitStack() as stack:
            stack.enter_context(self._source)
            began_ns = self._heard_ns = time.monotonic_ns()
            while self._heard_ns == began_ns:
                left_ns = began_ns + self._timeout_ns - time.monotonic_ns()
                self._first += self._samples(self._source.receive(left_ns * 1e-9))
                if self._heard_ns == began_ns and left_ns <= 0:
                    raise FirsthandError(self._silence())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
