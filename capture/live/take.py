"""The take that is being recorded: records from the devices' memories in, rows of a recording out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.files import Provenance
from firsthand.capture.gap_ledger import Cause
from firsthand.capture.latency import Latency
from firsthand.capture.library import RECORDING
from firsthand.capture.live.ring import GAP, Record
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import KEYFRAME, Sample, StreamSpec


@dataclass(eq=False)
class _Tally:
    """What came of one stream."""

    next_sequence: int = 0
    samples: int = 0
    missing: int = 0
    dropped: int = 0


class Take:
    """One take, from its start to its stop. Methods raise `FirsthandError` when the disk refuses."""

    def __init__(self, order: Mapping[str, Any], specs: Sequence[StreamSpec], calibration: Calibration, begin_ns: int) -> None:
        """`order` is the supervisor's; `begin_ns` is the start less the pre-roll."""
        self.folder, self.start_ns, self.begin_ns = Path(order["folder"]), int(order["host_ns"]), begin_ns
        self.stop_ns: int | None = None
        self.why = ""
        self._tallies = {spec.name: _Tally() for spec in specs}
        self._waiting: list[Sample] = []
        latencies = {name: Latency(**fields) for name, fields in order["latencies"].items()}
        self._writer = RecordingWriter(self.folder / RECORDING, task=order["task"], source=order["source"], calibration=calibration,
                                       latencies=latencies, provenance=Provenance(parameters=order["parameters"], stage="record/2"))
        try:
            for spec in specs:
                self._writer.add_stream(spec)
            self._writer.start()
            self._writer.mark(self.start_ns, "start", order["task"])
        except BaseException:
            self._writer.discard()
            raise

    def add(self, spec: StreamSpec, record: Record) -> None:
        """Take one record; it may wait for `flush`, and its memory must stay as it is until then."""
        tally = self._tallies.get(spec.name)
        if tally is None or record.host_ns < self.begin_ns:
            return
        if record.kind == GAP:
            self._tell_of_absence(spec.name, tally, record)
            return
        if not tally.samples and spec.kind == "encoded" and not record.flags & KEYFRAME:
            return
        jump = record.sequence - tally.next_sequence
        if tally.samples and jump > 0:
            self._tell_of_drops(spec.name, tally, record, jump)
        data: Any = record.payload if spec.kind == "encoded" else np.frombuffer(record.payload, "<f8")
        self._waiting.append(Sample(spec.name, record.device_ns, record.host_ns, record.sequence, data, record.flags))
        tally.next_sequence = record.sequence + 1
        tally.samples += 1

    def flush(self) -> None:
        """Write what was added; the memory it came from may be used again."""
        self._writer.append_many(self._waiting)
        self._waiting.clear()

    def mark(self, host_ns: int, kind: str, text: str) -> None:
        """Put a marker into the take."""
        self._writer.mark(host_ns, kind, text)

    def end(self) -> dict[str, int]:
        """Mark the stop and close the take, to be finished in another process; returns the rows by stream."""
        self._writer.mark(self.stop_ns or self.start_ns, "stop", self.why)
        return self._writer.close()

    def abandon(self) -> None:
        """Close after a fault; what was written stays for ``firsthand recover``."""
        self._writer.abandon()

    def status(self, now_ns: int) -> dict[str, Any]:
        """For the supervisor: seconds since the start, syncs, and by stream samples, missing and dropped."""
        streams = {name: (t.samples, t.missing, t.dropped) for name, t in self._tallies.items()}
        return {"folder": str(self.folder), "recorded_s": max(((self.stop_ns or now_ns) - self.start_ns) * 1e-9, 0.0), "streams": streams,
                "sync_p99_s": self._writer.sync_p99_s()}

    def _tell_of_absence(self, name: str, tally: _Tally, record: Record) -> None:
        """The device was away, perhaps since before the take."""
        told = json.loads(bytes(record.payload))
        since_ns, until_ns = max(told["from_host_ns"], self.begin_ns), told["to_host_ns"]
        whole = since_ns == told["from_host_ns"]
        missing = told["missing"] if whole else round(told["missing"] * (until_ns - since_ns) / max(until_ns - told["from_host_ns"], 1))
        self.flush()
        self._writer.gap(name, record.host_ns, tally.next_sequence, missing, "vanished", from_host_ns=since_ns, to_host_ns=until_ns,
                         estimated=told["estimated"] or not whole)
        tally.missing += missing
        tally.next_sequence = record.sequence

    def _tell_of_drops(self, name: str, tally: _Tally, record: Record, jump: int) -> None:
        """Of the samples missing before this one, those that were dropped here; the others the writer tells as the device's."""
        self.flush()
        causes: tuple[tuple[Cause, int], ...] = (("ring", record.ring_drops), ("encoder", record.encoder_drops))
        first = tally.next_sequence
        for cause, drops in causes:
            ours = min(drops, jump)
            if ours:
                self._writer.gap(name, record.host_ns, first, ours, cause)
                tally.dropped += ours
                first, jump = first + ours, jump - ours
        tally.missing += jump
