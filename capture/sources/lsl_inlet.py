"""Samples of one outlet of the Lab Streaming Layer (LSL) in the network, and every few seconds how its clock and ours differ."""

import threading
import time
from collections import Counter, deque
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.transport import MOST, Packet
from firsthand.capture.wire_formats.lsl import packed

FIND_S, ANOTHER_S = 3.0, 0.5
COMPARE_S = 5.0
"""Clocks are compared so often."""
BUFFER_S = 4
"""So much may wait in LSL's own memory."""
_TEXT = "string"


class Outlet(NamedTuple):
    """What an outlet says of itself."""

    name: str
    kind: str
    rate_hz: float | None
    labels: tuple[str, ...]
    units: tuple[str, ...]
    host: str
    source_id: str


class LslInlet:
    """What an outlet sends. Looked for by `name`, or also by `source_id` and `host`, where more than one has that name."""

    def __init__(self, name: str, source_id: str = "", host: str = "") -> None:
        self._wanted = {key: value for key, value in (("name", name), ("source_id", source_id), ("hostname", host)) if value}
        for key, value in self._wanted.items():
            if "'" in value:
                raise FirsthandError(f"{key} is {value!r}; LSL cannot look for names with a quote")
        self.where, self.sender, self.stranger = f"LSL {name}", "", ""
        self.refused: Counter[str] = Counter()
        self._inlet: Any = None
        self._compared: deque[Packet] = deque(maxlen=MOST)
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def find(self) -> Outlet:
        """Look for the outlet and connect to it. Raises `FirsthandError` when there is none, or more than one."""
        try:
            import pylsl
        except (ImportError, RuntimeError) as error:  # RuntimeError: its library is not there
            raise FirsthandError(f"LSL needs pylsl ({error}): pip install 'firsthand[gloves]'") from None
        wanted = " and ".join(f"{key}='{value}'" for key, value in self._wanted.items())
        found = pylsl.resolve_bypred(wanted, 1, FIND_S)
        if found and "source_id" not in self._wanted:  # the first to answer may not be the one that was meant
            found = pylsl.resolve_bypred(wanted, 2, ANOTHER_S)
        told = ", ".join(f"{key} {value!r}" for key, value in self._wanted.items())
        if not found:
            raise FirsthandError(f"no LSL outlet with {told} in the network; check that its sender streams, that both are in one network, "
                                 "and the firewall (UDP 16571 and up, TCP 16572 and up)")
        if len(found) > 1:
            there = ", ".join(sorted(f"{one.source_id() or 'without source_id'} on {one.hostname()}" for one in found))
            raise FirsthandError(f"{len(found)} LSL outlets have {told} ({there}); name the one with source_id or host")
        inlet = pylsl.StreamInlet(found[0], max_buflen=BUFFER_S, recover=False)
        try:
            inlet.open_stream(timeout=FIND_S)
            info = inlet.info(timeout=FIND_S)
        except (TimeoutError, RuntimeError, pylsl.util.LostError) as error:
            inlet.close_stream()
            raise FirsthandError(f"the LSL outlet with {told} is announced but does not answer ({error}); check the firewall, or start its "
                                 "sender again") from error
        if info.channel_format() == pylsl.cf_string:
            inlet.close_stream()
            raise FirsthandError(f"the LSL outlet with {told} sends texts; this driver records numbers")
        count, rate = info.channel_count(), info.nominal_srate()
        labels, units = ([text or "" for text in texts] if texts and len(texts) == count else [""] * count
                         for texts in (info.get_channel_labels(), info.get_channel_units()))
        self._inlet = inlet
        return Outlet(info.name(), info.type(), rate if rate > 0 else None, tuple(labels), tuple(units), info.hostname(), info.source_id())

    def receive(self, timeout_s: float) -> list[Packet]:
        """Samples and comparisons that have come."""
        import pylsl

        packets = [self._compared.popleft() for _ in range(len(self._compared))]
        try:
            values, stamp = self._inlet.pull_sample(timeout=max(timeout_s, 0))
            if stamp is not None and values is not None:
                more, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=MOST)
                host_ns = time.monotonic_ns()
                self._begin_to_compare()
                packets += [Packet(host_ns, packed(b"S", at, row)) for at, row in zip([stamp, *stamps], [values, *more], strict=True)]
        except pylsl.util.LostError as error:
            raise FirsthandError(f"{self.where} ended; start its sender again") from error
        return packets

    def _begin_to_compare(self) -> None:
        """With the first sample: an outlet that sends none is not there."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._compare, args=(self._inlet,), name=self.where, daemon=True)
            self._thread.start()

    def _compare(self, inlet: Any) -> None:
        import pylsl

        wait_s = 0.0
        while not self._over.wait(wait_s):
            wait_s = COMPARE_S
            with suppress(TimeoutError, RuntimeError, pylsl.util.LostError):
                offset_s = inlet.time_correction(timeout=FIND_S)
                host_ns = time.monotonic_ns()
                self._compared.append(Packet(host_ns, packed(b"C", pylsl.local_clock() - offset_s, [offset_s])))

    def __enter__(self) -> Self:
        if self._inlet is None:
            self.find()
        self._over.clear()
        self._compared.clear()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(2 * FIND_S)
            self._thread = None
        if self._inlet is not None:
            self._inlet.close_stream()
            self._inlet = None
