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

import numpy as np

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance
from firsthand.capture.library import RECORDING
from firsthand.capture.live.ring import GAP, Record, Ring
from firsthand.capture.live.wire import Outbox, calibration_from_json, commands, spec_from_json
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import KEYFRAME, Sample, StreamSpec

IDLE_S = 0.004
TELL_S = 0.25
GRACE_NS = 300_000_000
"""After a stop, what was taken before it may still be on its way through an encoder."""
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
    drained: bool = True
    """Nothing was left at the last look."""
    held: bool = False
    """The cursor is past records that belong to the time after the take."""


@dataclass(eq=False)
class _Tally:
    next_sequence: int = 0
    last_device_ns: int = 0
    samples: int = 0
    missing: int = 0
    dropped: int = 0


@dataclass(eq=False)
class _Take:
    """The take that is being recorded."""

    folder: Path
    writer: RecordingWriter
    begin_ns: int
    """Pre-roll included."""
    start_ns: int
    streams: dict[str, _Tally]
    stop_ns: int | None = None
    why: str = ""


class Writer:
    """Empties the memories of all devices.

    With `go_on` it follows one that died in a take: what is in the memories is all for the next take, which is about to begin.
    """

    def __init__(self, sources: Mapping[str, Source], pre_roll_ns: int, outbox: Outbox, *, go_on: bool = False) -> None:
        self._sources, self._pre_roll_ns, self._outbox, self._go_on = sources, pre_roll_ns, outbox, go_on
        self._take: _Take | None = None
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
            take = self._take
            if take and take.stop_ns is not None and time.monotonic_ns() > take.stop_ns + GRACE_NS and not any(busy):
                self._end(take)
            if (now := time.monotonic()) - told_s >= TELL_S:
                told_s = now
                self._tell()
            if not any(busy):
                time.sleep(IDLE_S)
        for thread in self._finishing:
            thread.join()

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
                take.writer.mark(order["host_ns"], order["kind"], order["text"])

    def _begin(self, order: Mapping[str, Any]) -> None:
        folder, start_ns = Path(order["folder"]), int(order["host_ns"])
        calibration = calibration_from_json({name: c for source in self._sources.values() for name, c in source.calibration.items()})
        specs = [spec for source in self._sources.values() for spec in source.specs.values()]
        writer: RecordingWriter | None = None
        try:
            writer = RecordingWriter(folder / RECORDING, task=order["task"], source=order["source"], calibration=calibration,
                                     provenance=Provenance(parameters=order["parameters"], stage="record/2"))
            for spec in specs:
                writer.add_stream(spec)
            writer.start()
            begin_ns = 0 if self._go_on else max(start_ns - self._pre_roll_ns, self._written_up_to_ns + 1)
            self._take = _Take(folder, writer, begin_ns, start_ns, {spec.name: _Tally() for spec in specs})
            writer.mark(start_ns, "start", order["task"])
        except FirsthandError as error:
            self._take = None
            if writer:
                writer.discard()
            self._outbox.say("failed", folder=str(folder), reason=str(error))
            return
        self._outbox.say("started", folder=str(folder), host_ns=start_ns)

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
        take, ring = self._take, source.ring
        assert take is not None
        stop_ns = take.stop_ns
        for _ in range(BATCH):
            record = ring.next()
            if record is None:
                return False
            if stop_ns is not None and record.host_ns > stop_ns:
                source.held = True  # the next take's, or its pre-roll's
            elif record.host_ns >= take.begin_ns and (spec := source.specs.get(record.stream)) and spec.name in take.streams:
                try:
                    self._write(take, spec, record)
                except FirsthandError as error:
                    self._break(take, error)
                    return False
            if not source.held:
                ring.release()
        return True

    def _write(self, take: _Take, spec: StreamSpec, record: Record) -> None:
        tally, writer = take.streams[spec.name], take.writer
        if record.kind == GAP:
            told = json.loads(bytes(record.payload))
            since_ns = max(told["from_host_ns"], take.begin_ns)
            whole = since_ns == told["from_host_ns"]
            away = (told["to_host_ns"] - since_ns) / max(told["to_host_ns"] - told["from_host_ns"], 1)
            missing = told["missing"] if whole else round(told["missing"] * away)
            tally.missing += missing
            writer.gap(spec.name, record.host_ns, first_sequence=tally.next_sequence, missing=missing, cause="vanished",
                       from_host_ns=since_ns, to_host_ns=told["to_host_ns"], estimated=told["estimated"] or not whole)
            tally.next_sequence = record.sequence
            return
        if spec.kind == "encoded" and not tally.samples and not record.flags & KEYFRAME:
            return
        jump = record.sequence - tally.next_sequence
        if tally.samples and jump > 0:
            ours = min(record.ring_drops + record.encoder_drops, jump)
            tally.dropped += ours
            tally.missing += jump - ours
            cause = "device" if not ours else "mixed" if ours < jump else "ring" if record.ring_drops >= record.encoder_drops else "encoder"
            writer.gap(spec.name, record.host_ns, first_sequence=tally.next_sequence, missing=jump, cause=cause, ring=record.ring_drops,
                       encoder=record.encoder_drops, from_device_ns=tally.last_device_ns, to_device_ns=record.device_ns)
        data: Any = record.payload if spec.kind == "encoded" else np.frombuffer(record.payload, "<f8")
        writer.append(Sample(spec.name, record.device_ns, record.host_ns, record.sequence, data, record.flags))
        tally.next_sequence, tally.last_device_ns = record.sequence + 1, record.device_ns
        tally.samples += 1

    def _end(self, take: _Take) -> None:
        """Close the take, and have it finished."""
        assert take.stop_ns is not None
        folder = take.folder
        try:
            take.writer.mark(take.stop_ns, "stop", take.why)
            take.writer.close()
        except FirsthandError as error:
            self._break(take, error)
            return
        self._take = None
        self._written_up_to_ns = take.stop_ns
        self._rewind()
        self._outbox.say("stopped", folder=str(folder), duration_s=(take.stop_ns - take.start_ns) * 1e-9, why=take.why,
                         samples={name: tally.samples for name, tally in take.streams.items()})
        self._have_finished(folder)

    def _have_finished(self, folder: Path) -> None:
        thread = threading.Thread(target=self._finish, args=(folder,))
        thread.start()
        self._finishing = [*(t for t in self._finishing if t.is_alive()), thread]

    def _finish(self, folder: Path) -> None:
        """In a thread: a process of its own copies the take into its final file."""
        command = [sys.executable, "-m", "firsthand.capture.live.finish_process", str(folder / RECORDING)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            result = {"reason": f"finishing ended with {done.returncode}; 'firsthand recover' will do it"}
        self._outbox.say("unfinished" if result.get("reason") else "finished", folder=str(folder), **result)

    def _break(self, take: _Take, error: FirsthandError) -> None:
        """The disk refuses: what was written stays as it is, and recording is over."""
        self._take = None
        take.writer.abandon()
        self._written_up_to_ns = time.monotonic_ns()
        self._rewind()
        self._outbox.say("failed", folder=str(take.folder), reason=str(error))

    def _rewind(self) -> None:
        for source in self._sources.values():
            source.held = False
            source.ring.rewind()

    def _tell(self) -> None:
        take = self._take
        if take is None:
            self._outbox.say("status", folder="")
            return
        streams = {name: [t.samples, t.missing, t.dropped] for name, t in take.streams.items()}
        recorded_s = max(((take.stop_ns or time.monotonic_ns()) - take.start_ns) * 1e-9, 0.0)
        self._outbox.say("status", folder=str(take.folder), recorded_s=recorded_s, streams=streams, sync_p99_s=take.writer.sync_p99_s())


if __name__ == "__main__":
    try:
        main()
    except StopIteration:
        os._exit(1)
