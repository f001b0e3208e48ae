"""One device in a process of its own: ``python -m firsthand.capture.live.device_process``, started by the supervisor.

Reads, stamps and encodes; puts everything into its shared memory. A device that fails is closed, told of, and opened again every second
until it is back. Ends when its stdin does.
"""

import inspect
import json
import os
import queue
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.clock_cuts import CUT_NS
from firsthand.capture.clock_live import LiveClock
from firsthand.capture.driver import DRIVERS, Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.ring import GAP, SAMPLE, STREAMS, Figure, Ring
from firsthand.capture.live.wire import Outbox, calibration_to_json, commands, spec_to_json
from firsthand.capture.plugins import find
from firsthand.capture.stream import KEYFRAME, Sample, StreamSpec

READ_S = 0.1
RETRY_S = 1.0
LEAVE_S = 3.0
"""A driver that does not come back from `read` is given so long at the end."""
WAITING_BYTES = 160 << 20
WAITING_PICTURES = 4, 60
"""Raw pictures that may wait for their encoder: as many as fit, within bounds. 25 at 1080p, so that a stall of 0.8 s costs none."""
SLACK_S = 4.0
"""What the memory holds beside the pre-roll: so long may the writer stand still without a loss."""


def main() -> None:
    """Serve one device until stdin ends."""
    outbox, incoming, stop = Outbox(), commands(), threading.Event()
    config = next(incoming)
    threading.Thread(target=_wait_for_the_end, args=(incoming, stop), daemon=True).start()
    Device(config, Ring(config["ring_fd"]), outbox, stop).serve()
    outbox.flush()
    os._exit(0)  # an SDK's own threads must not keep the process


def _wait_for_the_end(incoming: Iterator[Any], stop: threading.Event) -> None:
    for _ in incoming:
        pass
    stop.set()
    threading.Event().wait(LEAVE_S)
    os._exit(1)


class Device:
    """Opens the drivers of one device again and again, and hands on what they deliver."""

    def __init__(self, config: Mapping[str, Any], ring: Ring, outbox: Outbox, stop: threading.Event) -> None:
        self._config, self._ring, self._outbox, self._stop = config, ring, outbox, stop
        self._numbers: dict[str, int] = {name: i for i, name in enumerate(config["streams"])}
        self._fault: Exception | None = None

    def serve(self) -> None:
        """Until the supervisor is gone, or the device has no more to give and so the process nothing to do but wait."""
        try:
            drivers = self._make()
        except FirsthandError as error:
            self._outbox.say("failed", reason=str(error))
            self._stop.wait()
            return
        while not self._stop.is_set():
            try:
                with self._opened(drivers) as (lanes, closing):
                    self._deliver(drivers, lanes, closing)
                if not self._stop.is_set():
                    self._outbox.say("ended")
                    self._stop.wait()
            except (FirsthandError, OSError) as error:
                self._outbox.say("vanished", reason=str(error))
            except Exception as error:  # an SDK's own fault is the device's, and the traceback belongs into the log
                traceback.print_exc()
                self._outbox.say("vanished", reason=f"{type(error).__name__}: {error}")
            self._stop.wait(RETRY_S)

    def _make(self) -> list[Driver]:
        """The drivers, not opened yet. Raises `FirsthandError` for what no second attempt can mend."""
        name, options = self._config["driver"], self._config["options"]
        factory = find("drivers", DRIVERS, name)
        try:
            inspect.signature(factory).bind(**options)
        except TypeError as error:
            allowed = ", ".join(inspect.signature(factory).parameters)
            raise FirsthandError(f"the driver {name!r} does not take these options ({error}); it takes {allowed}") from None
        try:
            return list(factory(**options))
        except FirsthandError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise FirsthandError(f"the driver {name!r} cannot be set up with these options: {error}") from error

    @contextmanager
    def _opened(self, drivers: list[Driver]) -> Iterator[tuple[dict[str, "_Lane"], threading.Event]]:
        with ExitStack() as stack:
            for driver in drivers:
                stack.enter_context(driver)
            specs = [spec for driver in drivers for spec in driver.streams]
            lanes = {spec.name: self._lane(spec) for spec in specs}
            self._ring.set_out(int(sum(_bytes_per_s(spec) for spec in specs) * (self._config["pre_roll_s"] + SLACK_S)))
            calibration = reduce(Calibration.merged, (driver.calibration for driver in drivers), Calibration())
            closing = threading.Event()
            self._outbox.say("opened", streams=[spec_to_json(lane.spec) for lane in lanes.values()],
                             numbers=self._numbers, calibration=calibration_to_json(calibration))
            try:
                yield lanes, closing
            finally:
                closing.set()
                for lane in lanes.values():
                    lane.close()

    def _lane(self, spec: StreamSpec) -> "_Lane":
        if spec.name not in self._numbers and len(self._numbers) == STREAMS:
            raise FirsthandError(f"a device has at most {STREAMS} streams; split this one")
        number = self._numbers.setdefault(spec.name, len(self._numbers))
        return _Lane(spec, number, self._ring, self._config["encode"].get(spec.name, ""))

    def _deliver(self, drivers: list[Driver], lanes: dict[str, "_Lane"], closing: threading.Event) -> None:
        """Read all drivers, a thread each, until they end or one fails."""
        self._fault = None
        threads = [threading.Thread(target=self._read, args=(driver, lanes, closing), name=driver.name, daemon=True) for driver in drivers]
        for thread in threads:
            thread.start()
        told: dict[str, int] = {}
        for thread in threads:
            while thread.is_alive() and not self._stop.is_set() and self._fault is None:
                thread.join(READ_S)
                rejected = sum((Counter(dict(getattr(driver, "rejected", {}))) for driver in drivers), Counter())
                if rejected != told:
                    told = dict(rejected)
                    self._outbox.say("rejected", counts=told)
        closing.set()
        for thread in threads:
            thread.join(LEAVE_S)
        if self._fault:
            raise self._fault

    def _read(self, driver: Driver, lanes: dict[str, "_Lane"], closing: threading.Event) -> None:
        try:
            while not closing.is_set() and not self._stop.is_set():
                samples = driver.read(READ_S)
                if samples is None:
                    return
                for sample in samples:
                    lanes[sample.stream].take(sample)
        except Exception as error:
            self._fault = error


@dataclass(eq=False)
class _Lane:
    """One stream's way from its driver's thread into the ring; past an encoder, where pictures come raw."""

    spec: StreamSpec
    number: int
    ring: Ring
    how: str
    _next_sequence: int | None = None
    _ring_drops: int = 0
    _encoder_drops: int = 0
    _waits_for_key: bool = False

    def __post_init__(self) -> None:
        self._clock = LiveClock(wrap_ns=self.spec.wrap_ns)
        self._encoder: Any = None
        if self.spec.encoding == "raw":
            from firsthand.capture.encode import open_encoder

            self._encoder = open_encoder(self.spec, self.how)
            self.spec = self._encoder.spec
            least, most = WAITING_PICTURES
            size = (self.spec.width_px or 1920) * (self.spec.height_px or 1080) * (2 if self.spec.role == "depth" else 3)
            self._waiting: queue.Queue[Sample | None] = queue.Queue(min(max(WAITING_BYTES // size, least), most))
            self._thread = threading.Thread(target=self._encode, name=f"encode {self.spec.name}", daemon=True)
            self._thread.start()
        elif self.how:
            raise FirsthandError(f"stream {self.spec.name!r} comes as {self.spec.encoding or 'numbers'} and is stored so; "
                                 f"take 'encode' for it out of the rig file")

    def take(self, sample: Sample) -> None:
        """Hand one sample on. Never waits."""
        ring, n = self.ring, self.number
        if self._next_sequence is None:
            self._tell_of_absence(sample)
        elif sample.sequence > self._next_sequence:
            ring.add(n, Figure.MISSING, sample.sequence - self._next_sequence)
            self._waits_for_key |= self._encoder is None and self.spec.is_video  # what follows a lost packet cannot be decoded
        self._next_sequence = sample.sequence + 1
        self._clock.add(sample.device_ns, sample.host_ns)
        ring.set(n, Figure.HOST_NS, sample.host_ns)
        ring.set(n, Figure.DEVICE_NS, sample.device_ns)
        ring.set(n, Figure.SEQUENCE, sample.sequence)
        ring.set(n, Figure.DRIFT_PPB, round(self._clock.drift_ppm * 1000))
        if self._encoder is None:
            payload = sample.data if self.spec.kind == "encoded" else np.ascontiguousarray(sample.data, "<f8").tobytes()
            self._put(sample, payload, sample.flags)
            return
        try:
            self._waiting.put_nowait(sample)
            ring.set(n, Figure.WAITING, self._waiting.qsize())
        except queue.Full:
            self._encoder_drops += 1
            ring.add(n, Figure.ENCODER_DROPS, 1)

    def close(self) -> None:
        """Have what waits encoded and put."""
        if self._encoder is not None:
            self._waiting.put(None)
            self._thread.join(LEAVE_S)

    def _encode(self) -> None:
        while (sample := self._waiting.get()) is not None:
            try:
                packets = self._encoder.encode(sample.data)
            except Exception:  # one picture that cannot be encoded is one that is missing
                traceback.print_exc()
                packets = []
                self._encoder_drops += 1
                self.ring.add(self.number, Figure.ENCODER_DROPS, 1)
            for payload, flags in packets:
                self._put(sample, payload, flags)
            self.ring.set(self.number, Figure.WAITING, self._waiting.qsize())
        self._encoder.close()

    def _put(self, sample: Sample, payload: Any, flags: int) -> None:
        kept = not self._waits_for_key or bool(flags & KEYFRAME)
        with _putting:
            kept = kept and self.ring.put(SAMPLE, self.number, sample.device_ns, sample.host_ns, sample.sequence, flags, payload,
                                          ring_drops=self._ring_drops, encoder_drops=self._encoder_drops)
        if kept:
            self._ring_drops = self._encoder_drops = 0
            self._waits_for_key = False
            return
        self._ring_drops += 1
        self.ring.add(self.number, Figure.RING_DROPS, 1)
        if self.spec.is_video and not self._waits_for_key:
            self._waits_for_key = True
            if self._encoder is not None:
                self._encoder.force_keyframe()

    def _tell_of_absence(self, sample: Sample) -> None:
        """Where the stream was there before, its device was away: say from when to when, and how many samples that was."""
        since_ns = self.ring.figure(self.number, Figure.HOST_NS)
        if not since_ns:
            return
        away_ns = sample.host_ns - since_ns
        jump = sample.sequence - self.ring.figure(self.number, Figure.SEQUENCE)
        went_on = jump > 0 and abs(sample.device_ns - self.ring.figure(self.number, Figure.DEVICE_NS) - away_ns) < CUT_NS
        estimate = max(round(away_ns * 1e-9 * self.spec.rate_hz) - 1, 0) if self.spec.rate_hz else 0
        fields = {"from_host_ns": since_ns, "to_host_ns": sample.host_ns, "missing": jump - 1 if went_on else estimate,
                  "estimated": not went_on}
        with _putting:
            self.ring.put(GAP, self.number, sample.device_ns, sample.host_ns, sample.sequence, 0, json.dumps(fields).encode())


_putting = threading.Lock()
"""The ring has one producer: this process, one thread at a time."""


def _bytes_per_s(spec: StreamSpec) -> float:
    """What a stream may bring, generously, for the size of the memory."""
    rate = spec.rate_hz or 100.0
    if spec.kind == "numeric":
        return rate * (64 + 8 * len(spec.names))
    pixels = (spec.width_px or 1920) * (spec.height_px or 1080)
    per_pixel = {"camera": 0.25, "depth": 1.2}.get(spec.role, 0.0)
    return rate * max(pixels * per_pixel, 4096)


if __name__ == "__main__":
    try:
        main()
    except StopIteration:
        sys.exit(1)
