"""Writing ``recording.h5``: append samples, then `finish`. Whatever happens on the way, what was appended can be read."""

import errno
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.compact import compact
from firsthand.capture.description import Description
from firsthand.capture.disk import has_holes
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance
from firsthand.capture.gap_ledger import Cause, Counter
from firsthand.capture.journal import JournalWriter
from firsthand.capture.latency import Latency
from firsthand.capture.layout import GAPS, MARKERS
from firsthand.capture.recover import finish_take, remove_take, temporary_path
from firsthand.capture.segment import Capacity
from firsthand.capture.segment_writer import SegmentWriter
from firsthand.capture.stream import Sample, StreamSpec

Storage = Literal["segments", "journal"]
SYNCS_KEPT = 20_000


class RecordingWriter:
    """Appends samples to streams. Used with ``with``; leaving it without an error finishes the file.

    Until then the take is in ``recording.h5.part`` (and ``.part.1`` ...), each a readable HDF5 file at any instant, or in
    ``recording.h5.journal`` where files cannot have holes. An error on the way, even the end of the process, leaves them for
    ``firsthand recover``; only the last `sync_s` seconds can be lost, and only to a power cut.

    `storage` is found out by a test of the folder; the variable FIRSTHAND_STORAGE also sets it. `latencies`: what the rig's calibration
    found, by stream; those of streams that are not recorded are passed over.
    """

    def __init__(self, path: Path, *, task: str = "", source: str = "wearable", provenance: Provenance | None = None,
                 calibration: Calibration | None = None, latencies: Mapping[str, Latency] | None = None, capacity: Capacity | None = None,
                 sync_s: float = 0.25, storage: Storage | None = None) -> None:
        if path.suffix != ".h5":  # recovery knows the files of a take by it
            raise ValueError(f"a recording is called <something>.h5, got {path.name!r}")
        self.path = path
        self.part = path.with_name(path.name + ".part")
        self._capacity = capacity or Capacity()
        self._sync_s = sync_s
        self._refuse_to_overwrite()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sparse = has_holes(path.parent)
        except OSError as error:
            raise FirsthandError(f"cannot write {path}: {error.strerror or error}") from error
        wanted = storage or os.environ.get("FIRSTHAND_STORAGE") or ("segments" if sparse else "journal")
        if wanted not in ("segments", "journal"):
            raise FirsthandError(f"FIRSTHAND_STORAGE is 'segments' or 'journal', not {wanted!r}; leave it unset to have the folder tested")
        self._storage = wanted
        self._take = Description(task, source, datetime.now(UTC).isoformat(timespec="milliseconds"),
                                 provenance or Provenance(stage="record/1"), calibration or Calibration(), latencies or {}, ())
        self._streams: dict[str, _Tally] = {}
        self._disk: _Disk | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._closed = False
        self._syncing: threading.Thread | None = None
        self._syncs_s: deque[float] = deque(maxlen=SYNCS_KEPT)
        self._failure: OSError | None = None
        self.add_stream(StreamSpec(GAPS, "encoded", "events", encoding="json", clock="media"))
        self.add_stream(StreamSpec(MARKERS, "encoded", "events", encoding="json", clock="media"))

    def add_stream(self, spec: StreamSpec) -> None:
        """Declare a stream, before the first sample; its name must be new."""
        if self._disk:
            raise ValueError(f"stream {spec.name!r} comes too late: the file was laid out with the first sample")
        if spec.name in self._streams:
            raise FirsthandError(f"two streams are called {spec.name!r}; rename one of the devices in the rig")
        self._streams[spec.name] = _Tally(spec)

    def start(self) -> "_Disk":
        """Lay out the file. The first sample does it too, but takes a few milliseconds longer for it."""
        self._refuse_to_overwrite()
        take = replace(self._take, streams=tuple(tally.spec for tally in self._streams.values()))
        try:
            self._disk = (SegmentWriter(self.part, take, self._capacity) if self._storage == "segments" else
                          JournalWriter(self.path.with_name(f"{self.path.name}.journal"), take))
        except FileExistsError:
            raise FirsthandError(f"{self.part} was just begun by another recorder; give this one another folder") from None
        except OSError as error:
            raise self._refused(error) from error
        self._syncing = threading.Thread(target=self._keep_synced, name=f"sync {self.path.name}", daemon=True)
        self._syncing.start()
        return self._disk

    def append(self, sample: Sample) -> None:
        """Add one sample to its stream; see `append_many`."""
        self.append_many((sample,))

    def append_many(self, samples: Iterable[Sample]) -> None:
        """Add samples to their streams, and a row to ``gaps`` where a sequence shows that some are missing.

        On return the operating system has every encoded payload, and the memory that `Sample.data` views may be used again.
        Raises `FirsthandError` when the disk is full or fails; what was appended before is safe.
        """
        disk, tallies = self._disk or self.start(), self._streams
        with self._lock:
            if self._failure:
                raise self._refused(self._failure)
            try:
                try:
                    for sample in samples:
                        tally = tallies[sample.stream]
                        counter, sequence = tally.counter, sample.sequence
                        if sequence == counter.next_sequence:
                            if not disk.sinks[sample.stream](sample):
                                _put_in_next(disk, sample)
                            counter.next_sequence, counter.device_ns = sequence + 1, sample.device_ns
                        else:
                            self._jump(disk, tally, sample)
                        tally.count += 1
                finally:
                    disk.settle()
            except OSError as error:
                self._failure = error
                raise self._refused(error) from error

    def _jump(self, disk: "_Disk", tally: "_Tally", sample: Sample) -> None:
        """Append a sample that does not follow the one before, and what is missing between them to ``gaps``."""
        gaps, since_ns = self._streams[GAPS], tally.counter.device_ns
        for first, missing in tally.counter.step(sample.sequence, sample.device_ns):
            fields = {"stream": sample.stream, "first_sequence": first, "missing": missing,
                      "from_device_ns": since_ns, "to_device_ns": sample.device_ns, "cause": "device"}
            row = Sample(GAPS, sample.host_ns, sample.host_ns, gaps.count, json.dumps(fields).encode())
            if not disk.sinks[GAPS](row):
                _put_in_next(disk, row)
            gaps.count += 1
            gaps.counter.next_sequence = gaps.count
        if not disk.sinks[sample.stream](sample):
            _put_in_next(disk, sample)

    def mark(self, host_ns: int, kind: str, text: str = "") -> None:
        """Write a marker at a session time."""
        self._event(MARKERS, host_ns, {"kind": kind, "text": text})

    def gap(self, stream: str, host_ns: int, first_sequence: int | None, missing: int, cause: Cause, *, from_host_ns: int | None = None,
            to_host_ns: int | None = None, estimated: bool = False) -> None:
        """Write down samples of a stream that were lost on the way, before the next one of them is appended.

        None as `first_sequence`: those next to come. The jump in the sequence that they leave is then told only as far as it is longer.
        ``vanished`` is a device that was gone between two host times, and counts anew when it is back; how many samples that were is
        `estimated` from its rate. `host_ns` is when it was noticed: not before the stream's last sample, nor after its next.
        """
        counter = self._streams[stream].counter
        first = first_sequence if first_sequence is not None else counter.next_sequence or 0
        fields: dict[str, Any] = {"stream": stream, "first_sequence": first, "missing": missing, "cause": cause}
        if from_host_ns is not None:
            fields.update(from_host_ns=from_host_ns, to_host_ns=to_host_ns)
        self._event(GAPS, host_ns, fields | ({"estimated": True} if estimated else {}))
        if cause == "vanished":
            counter.next_sequence = None
        else:
            counter.told.append((first, missing))

    def _event(self, stream: str, t_ns: int, fields: dict[str, Any]) -> None:
        self.append(Sample(stream, t_ns, t_ns, self._streams[stream].count, json.dumps(fields).encode()))

    def counts(self) -> dict[str, int]:
        """Samples so far, by stream."""
        return {name: tally.count for name, tally in self._streams.items()}

    def sync(self) -> None:
        """Have everything appended so far on disk now, not at the next turn of the background. Raises `FirsthandError` as `append` does."""
        try:
            if self._disk and not self._failure:
                self._sync()
        except OSError as error:
            self._failure = error
        if self._failure:
            raise self._refused(self._failure)

    def sync_p99_s(self) -> float:
        """How long the slowest hundredth of the syncs took; 0 before the first."""
        return float(np.quantile(list(self._syncs_s), 0.99)) if self._syncs_s else 0.0

    def close(self) -> dict[str, int]:
        """End the take: everything is on disk and its files are let go of, for `finish_take` to finish in any process.

        Returns the samples by stream. Raises `FirsthandError` as `append` does.
        """
        if self._disk is None:
            self.start()
        self._close()
        if self._failure:
            raise self._refused(self._failure)
        return self.counts()

    def finish(self) -> None:
        """Close, then copy the take into a file of exact size with its clocks fitted, check every row of it, and give it its name."""
        finish_take(self.path, self.close())

    def abandon(self) -> None:
        """Close after a fault; what was written stays for ``firsthand recover``."""
        self._close()

    def discard(self) -> None:
        """Close and delete what was written."""
        self._close()
        if self._disk:
            remove_take(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            self.finish()
        else:
            self._close()
            if self._disk and not self._failure and self._storage == "segments":
                # Not finished, but no reason to leave a file with room for hours. If that fails, it is as good as it was.
                with suppress(FirsthandError):
                    compact(self._files, self.part, temporary_path(self.path), counts=self.counts())
                    for segment in self._files[1:]:
                        segment.unlink()

    def _close(self) -> None:
        """End the syncing, and have everything on disk. What goes wrong is told by `_failure`."""
        if self._syncing:
            self._stop.set()
            self._syncing.join()
            self._syncing = None
        disk = self._disk
        if disk and not self._closed:
            self._closed = True
            self._files = disk.files
            try:
                if not self._failure:
                    disk.flush()
                    disk.sync()
            except OSError as error:
                self._failure = error
            finally:
                disk.close()

    def _keep_synced(self) -> None:
        while not self._stop.wait(self._sync_s):
            try:
                self._sync()
            except OSError as error:
                self._failure = self._failure or error
                return

    def _sync(self) -> None:
        assert self._disk is not None
        with self._lock:
            self._disk.flush()
        start = time.perf_counter()
        self._disk.sync()
        self._syncs_s.append(time.perf_counter() - start)
        self._disk.prepare()

    def _refuse_to_overwrite(self) -> None:
        taken = [self.path, *sorted(self.path.parent.glob(f"{self.path.name}.part*")), self.path.with_name(f"{self.path.name}.journal")]
        for path in taken:
            if path.exists() and not path.name.endswith(".new"):
                raise FirsthandError(f"{path} exists already; a recording is never overwritten")

    def _refused(self, error: OSError) -> FirsthandError:
        what = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"the disk refused ({error.strerror or error})"
        if self._disk is None:
            return FirsthandError(f"cannot write {self.path}: {what}")
        files = self._disk.files
        return FirsthandError(f"{what}, so the recording stopped; everything before is in {files[0]}: make room, "
                              f"then run 'firsthand recover {files[0]}'")


class _Disk(Protocol):
    """Where a take goes while it is recorded. All but `files` and `sinks` themselves raise ``OSError`` when the disk refuses."""

    @property
    def files(self) -> Sequence[Path]: ...
    @property
    def sinks(self) -> Mapping[str, Callable[[Sample], bool]]: ...
    def make_room(self, sample: Sample) -> None: ...
    def settle(self) -> None: ...
    def flush(self) -> None: ...
    def sync(self) -> None: ...
    def prepare(self) -> None: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class _Tally:
    """What was seen of one stream."""

    spec: StreamSpec
    count: int = 0
    counter: Counter = field(default_factory=Counter)


def _put_in_next(disk: _Disk, sample: Sample) -> None:
    """Append a sample that has no room in the present file."""
    disk.make_room(sample)
    disk.sinks[sample.stream](sample)
