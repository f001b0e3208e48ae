"""Writing ``recording.h5``: append samples, then `finish`; until then the file is called ``recording.h5.part``."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration
from firsthand.capture.clock_fit import clock_of
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance
from firsthand.capture.layout import FORMAT, GAPS, MARKERS, VERSION, checksum, rows_of
from firsthand.capture.stream import Sample, StreamSpec

HEAP_CHUNK = 256 * 1024
ROWS_CHUNK = 512


class RecordingWriter:
    """Appends samples to streams. Used with ``with``; leaving it without an error finishes the file.

    An error on the way leaves the ``.part`` file, complete up to the last flush, for a person to look at.
    """

    def __init__(self, path: Path, *, task: str = "", source: str = "wearable", provenance: Provenance | None = None,
                 calibration: Calibration | None = None) -> None:
        self.path = path
        self.part = path.with_name(path.name + ".part")
        if path.exists() or self.part.exists():
            raise FirsthandError(f"{path if path.exists() else self.part} exists already; a recording is never overwritten")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # v110 on both ends: readers as old as HDF5 1.10 can walk the file.
            self._file = h5py.File(self.part, "w", libver=("v110", "v110"))
        except OSError as error:
            raise FirsthandError(f"cannot write {path}: {error.strerror or error}") from error
        self._file.attrs.update(format=FORMAT, version=VERSION, task=task, source=source,
                                created_utc=datetime.now(UTC).isoformat(timespec="milliseconds"))
        (provenance or Provenance(stage="record/1")).write(self._file.create_group("provenance"))
        cameras = self._file.create_group("calibration")
        for name, camera in (calibration or Calibration()).cameras.items():
            camera.write(cameras.create_group(name))
        self._streams: dict[str, _Appender] = {}
        self.add_stream(StreamSpec(GAPS, "encoded", "events", encoding="json", clock="media"))
        self.add_stream(StreamSpec(MARKERS, "encoded", "events", encoding="json", clock="media"))

    def add_stream(self, spec: StreamSpec) -> None:
        """Declare a stream; its name must be new."""
        if spec.name in self._streams:
            raise FirsthandError(f"two streams are called {spec.name!r}; rename one of the devices in the rig")
        self._streams[spec.name] = _Appender(self._file.create_group(f"streams/{spec.name}"), spec)

    def append(self, sample: Sample) -> None:
        """Add one sample to its stream, and a row to ``gaps`` when its sequence shows that some are missing."""
        stream = self._streams[sample.stream]
        missing = sample.sequence - stream.next_sequence
        if stream.count and missing > 0:
            self._event(GAPS, sample.host_ns, {"stream": sample.stream, "first_sequence": stream.next_sequence, "missing": missing,
                                               "from_device_ns": stream.last_device_ns, "to_device_ns": sample.device_ns})
        stream.append(sample)

    def mark(self, host_ns: int, kind: str, text: str = "") -> None:
        """Write a marker at a session time."""
        self._event(MARKERS, host_ns, {"kind": kind, "text": text})

    def _event(self, stream: str, t_ns: int, fields: dict[str, Any]) -> None:
        events = self._streams[stream]
        events.append(Sample(stream, t_ns, t_ns, events.count, json.dumps(fields).encode()))

    def counts(self) -> dict[str, int]:
        """Samples so far, by stream."""
        return {name: stream.count for name, stream in self._streams.items()}

    def finish(self) -> None:
        """Fit the clocks, flush, sync, and give the file its name."""
        for stream in self._streams.values():
            stream.flush()
            stream.write_clock()
        self._file.close()
        with self.part.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(self.part, self.path)

    def discard(self) -> None:
        """Close and delete what was written."""
        self._file.close()
        self.part.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.finish()
        else:
            for stream in self._streams.values():
                stream.flush()
            self._file.close()


class _Appender:
    """One stream of an open recording: rows gathered in memory, flushed a chunk at a time."""

    def __init__(self, group: Any, spec: StreamSpec) -> None:
        self.spec = spec
        self.group = group
        self.count = 0
        self.next_sequence = 0
        self.last_device_ns = 0
        self._rows: list[npt.NDArray[np.void]] = []
        self._payloads: list[bytes] = []
        self._pending = 0
        self._heap_size = 0
        write_spec(group, spec)
        row_type = rows_of(spec.kind)
        self._index = group.create_dataset("index", (0,), row_type, maxshape=(None,), chunks=(ROWS_CHUNK,))
        if spec.kind == "encoded":
            self._data = group.create_dataset("heap", (0,), np.uint8, maxshape=(None,), chunks=(HEAP_CHUNK,))
        else:
            width = len(spec.names)
            self._data = group.create_dataset("values", (0, width), np.float64, maxshape=(None, width), chunks=(ROWS_CHUNK, width))
            self._data.attrs["names"] = list(spec.names)
            self._data.attrs["units"] = list(spec.units)

    def append(self, sample: Sample) -> None:
        rows = np.zeros(1, rows_of(self.spec.kind))
        row = rows[0]
        row["device_ns"], row["host_ns"], row["sequence"], row["flags"] = sample.device_ns, sample.host_ns, sample.sequence, sample.flags
        if self.spec.kind == "encoded":
            payload = bytes(sample.data)
            row["offset"], row["size"] = self._heap_size, len(payload)
            self._heap_size += len(payload)
        else:
            values = np.asarray(sample.data, "<f8")
            if values.shape != (len(self.spec.names),):
                raise ValueError(f"stream {self.spec.name!r} takes {len(self.spec.names)} values a row, got shape {values.shape}")
            payload = values.tobytes()
        row["crc32"] = checksum(row, payload)
        self._rows.append(rows)
        self._payloads.append(payload)
        self._pending += len(payload)
        self.count += 1
        self.next_sequence = sample.sequence + 1
        self.last_device_ns = sample.device_ns
        if len(self._rows) >= ROWS_CHUNK or self._pending >= 4 * HEAP_CHUNK:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        data = np.frombuffer(b"".join(self._payloads), np.uint8 if self.spec.kind == "encoded" else "<f8")
        if self.spec.kind == "numeric":
            data = data.reshape(-1, len(self.spec.names))
        # Payload before rows: a row must never point at bytes that are not there.
        for dataset, values in ((self._data, data), (self._index, np.concatenate(self._rows))):
            start = dataset.shape[0]
            dataset.resize(start + len(values), axis=0)
            dataset[start:] = values
        self._rows, self._payloads, self._pending = [], [], 0

    def write_clock(self) -> None:
        if self.count:
            clock_of(self.spec.clock, self._index[()]).write(self.group.create_group("clock"))


def write_spec(group: Any, spec: StreamSpec) -> None:
    """Put a stream's description into its group: plain attributes, ``extra`` as JSON, ``extradata`` as a dataset."""
    for name, value in asdict(spec).items():
        if name in ("name", "names", "units", "extradata") or value is None:
            continue
        group.attrs[name] = json.dumps(value) if name == "extra" else value
    if spec.extradata:
        group.create_dataset("extradata", data=np.frombuffer(spec.extradata, np.uint8))
