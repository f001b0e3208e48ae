"""The one process that writes: ``python -m firsthand.capture.live.writer_process``, started by the supervisor.

Between takes it lets the devices' memories keep the last few seconds, for the pre-roll. During a take it empties them into a
`RecordingWriter`. A take that is over is finished by a further process, so that the next can begin at once. When stdin ends, it ends the
take, waits for what is being finished, and goes.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import RECORDING
from firsthand.capture.live.ring import Figure, Ring
from firsthand.capture.live.take import Take
from firsthand.capture.live.wire import Outbox, calibration_from_json, commands, spec_from_json
from firsthand.capture.stream import StreamSpec

IDLE_S = 0.01
"""Between looks at memories that are empty: fewer looks find more at once, which is cheaper."""
TELL_S = 0.25
GRACE_NS, ENCODERS_NS = 300_000_000, 3_000_000_000
"""After a stop, what was taken before it may still be on its way, most of all through an encoder: how long it is waited for."""
BATCH = 256
"""Records taken from one device before the next has its turn."""
PRE_ROLL_FILL = 0.5
"""The pre-roll gives way when it fills more than this of a memory."""


def main() -> None:
    """Serve until stdin ends and everything is finished."""
    outbox, incoming = Outbox(), commands()
    config = next(incoming)
    orders: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def listen() -> None:
        for order in incoming:
            orders.put(order)
        orders.put(None)

    threading.Thread(target=listen, daemon=True).start()
    devices = {name: Source(name, Ring(fd)) for name, fd in config["rings"].items()}
    Writer(devices, round(config["pre_roll_s"] * 1e9), outbox, go_on=config["go_on"]).serve(orders)
    outbox.flush()


@dataclass(eq=False)
class Source:
    """One device's memory, and what its numbers mean."""

    name: str
    ring: Ring
    specs: dict[int, StreamSpec] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    passed: set[int] = field(default_factory=set)
    """Streams of which a record from after the take's stop was seen; from there on nothing is released."""


class Writer:
    """Empties the memories of all devices.

    With `go_on` it follows one that died in a take: what is in the memories is all for the next take, which is about to begin.
    """

    def __init__(self, sources: Mapping[str, Source], pre_roll_ns: int, outbox: Outbox, *, go_on: bool = False) -> None:
        self._sources, self._pre_roll_ns, self._outbox, self._go_on = sources, pre_roll_ns, outbox, go_on
        self._take: Take | None = None
        self._written_up_to_ns = 0
        self._finishing: list[threading.Thread] = []

    def serve(self, orders: "queue.Queue[dict[str, Any] | None]") -> None:
        """Until an order is None, and then until the take is over."""
        told_s, leaving = 0.0, False
        while not leaving or self._take:
            try:
                order = orders.get_nowait()
                if order is None:
                    leaving = True
                    if self._take and self._take.stop_ns is None:
                        self._take.stop_ns = time.monotonic_ns()
                else:
                    self._obey(order)
            except queue.Empty:
                pass
            work = self._empty if self._take else self._trim
            busy = [work(source) for source in self._sources.values()]
            if self._take and not any(busy) and self._is_complete(self._take):
                self._end(self._take)
            if (now := time.monotonic()) - told_s >= TELL_S:
                told_s = now
                self._tell()
            if not any(busy):
                time.sleep(IDLE_S)
        for thread in self._finishing:
            thread.join()

    def _is_complete(self, take: Take) -> bool:
        """Whether the take was stopped, and all that belongs to it has come."""
        if take.stop_ns is None:
            return False
        since_ns = time.monotonic_ns() - take.stop_ns
        streams = ((source, n) for source in self._sources.values() for n in source.specs)
        encoded = all(n in source.passed or not source.ring.figure(n, Figure.WAITING) for source, n in streams)
        return since_ns > GRACE_NS and (encoded or since_ns > ENCODERS_NS)

    def _obey(self, order: Mapping[str, Any]) -> None:
        take = self._take
        match order["do"]:
            case "streams":
                source = self._sources[order["device"]]
                source.specs = {order["numbers"][spec["name"]]: spec_from_json(spec) for spec in order["streams"]}
                source.calibration = order["calibration"]
            case "start" if take is None:
                self._begin(order)
                self._go_on = False
            case "finish":
                self._have_finished(Path(order["folder"]))
            case "stop" if take and take.stop_ns is None:
                take.stop_ns, take.why = order["host_ns"], order["why"]
            case "mark" if take:
                take.mark(order["host_ns"], order["kind"], order["text"])

    def _begin(self, order: Mapping[str, Any]) -> None:
        calibration = calibration_from_json({name: c for source in self._sources.values() for name, c in source.calibration.items()})
        specs = [spec for source in self._sources.values() for spec in source.specs.values()]
        begin_ns = 0 if self._go_on else max(order["host_ns"] - self._pre_roll_ns, self._written_up_to_ns + 1)
        try:
            self._take = Take(order, specs, calibration, begin_ns)
        except FirsthandError as error:
            self._outbox.say("failed", folder=order["folder"], reason=str(error))
        else:
            self._outbox.say("started", folder=order["folder"], host_ns=order["host_ns"])

    def _trim(self, source: Source) -> bool:
        """Between takes: forget what is older than the pre-roll."""
        horizon_ns = time.monotonic_ns() - self._pre_roll_ns
        ring = source.ring
        for _ in range(0 if self._go_on else BATCH):
            record = ring.next()
            if record is None or (record.host_ns >= horizon_ns and ring.fill() < PRE_ROLL_FILL):
                ring.rewind()
                return False
            ring.release()
        return not self._go_on

    def _empty(self, source: Source) -> bool:
        """In a take: write what is there."""
        take, ring, record = self._take, source.ring, None
        assert take is not None
        try:
            for _ in range(BATCH):
                record = ring.next()
                if record is None:
                    break
                if take.stop_ns is not None and record.host_ns > take.stop_ns:
                    source.passed.add(record.stream)  # the next take's, or its pre-roll's: not released
                elif record.stream in source.specs:
                    take.add(source.specs[record.stream], record)
            take.flush()
        except FirsthandError as error:
            self._break(take, error)
            return False
        if not source.passed:
            ring.release()
        return record is not None

    def _end(self, take: Take) -> None:
        """Close the take, and have it finished."""
        try:
            counts = take.end()
        except FirsthandError as error:
            self._break(take, error)
            return
        self._take, self._written_up_to_ns = None, take.stop_ns or 0
        self._rewind()
        done = take.status(0)
        self._outbox.say("stopped", folder=str(take.folder), duration_s=done["recorded_s"], why=take.why,
                         samples={name: samples for name, (samples, _, _) in done["streams"].items()})
        self._have_finished(take.folder, counts)

    def _have_finished(self, folder: Path, counts: Mapping[str, int] | None = None) -> None:
        thread = threading.Thread(target=self._finish, args=(folder, counts))
        thread.start()
        self._finishing = [*(t for t in self._finishing if t.is_alive()), thread]

    def _finish(self, folder: Path, counts: Mapping[str, int] | None) -> None:
        """In a thread: a process of its own copies the take into its final file."""
        command = [sys.executable, "-m", "firsthand.capture.live.finish_process", str(folder / RECORDING), json.dumps(counts)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            result = {"reason": f"finishing ended with {done.returncode}; 'firsthand recover' will do it"}
        self._outbox.say("unfinished" if result.get("reason") else "finished", folder=str(folder), **result)

    def _break(self, take: Take, error: FirsthandError) -> None:
        """The disk refuses: what was written stays as it is, and recording is over."""
        take.abandon()
        self._take, self._written_up_to_ns = None, time.monotonic_ns()
        self._rewind()
        self._outbox.say("failed", folder=str(take.folder), reason=str(error))

    def _rewind(self) -> None:
        for source in self._sources.values():
            source.passed.clear()
            source.ring.rewind()

    def _tell(self) -> None:
        self._outbox.say("status", **(self._take.status(time.monotonic_ns()) if self._take else {"folder": ""}))


if __name__ == "__main__":
    try:
        main()
    except StopIteration:
        os._exit(1)
