"""Recording into pre-allocated segments: payload first, then its row; no HDF5 call on the way."""

import os
import threading
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from firsthand.capture.disk import open_for_writing, sync, write_all
from firsthand.capture.files import sync_path
from firsthand.capture.layout import CRC_AT, CRC_FIELD, ENCODED_FIELDS, ENCODED_ROW, NUMERIC_FIELDS, NUMERIC_ROW
from firsthand.capture.segment import PAGE, Capacity, Place, Room, create, places, publish, segment_path
from firsthand.capture.stream import Sample, StreamSpec

HOLD_NS = 50_000_000
HOLD_ROWS = 512
"""Numeric rows wait for company at most this long, or this many."""
PREPARE_AT = 0.7
"""How full a segment is when the next one is made in the background."""


class SegmentWriter:
    """Writes one take into ``recording.h5.part``, ``.part.1`` and so on. Every method raises ``OSError`` when the disk refuses.

    `sync` and `prepare` may run in another thread than the rest.
    """

    def __init__(self, part: Path, source: h5py.File, specs: Sequence[StreamSpec], capacity: Capacity) -> None:
        self.part = part
        self._source = source
        self._room = {spec.name: capacity.room(spec) for spec in specs}
        self._number = 0
        self._next: tuple[int, dict[str, Place]] | None = None
        self._creating = threading.Lock()
        self._full: deque[int] = deque()  # descriptors of finished segments that are still to be synced and closed
        self._fd, places = self._create(0, self._room)
        self._first_fd = os.dup(self._fd)  # keeps the first file marked as being written, segment after segment
        self._streams = {spec.name: (_Encoded if spec.kind == "encoded" else _Numeric)(self._fd, places[spec.name]) for spec in specs}

    @property
    def files(self) -> list[Path]:
        """The take's files so far, in order."""
        return [segment_path(self.part, number) for number in range(self._number + 1)]

    def append(self, sample: Sample) -> None:
        """Write one sample; a numeric one may be held until `flush`."""
        stream = self._streams[sample.stream]
        if not stream.append(sample):
            self._roll_over(sample)
            self._streams[sample.stream].append(sample)

    def flush(self) -> None:
        """Hand what is held to the operating system: from here on it survives the process."""
        for stream in self._streams.values():
            stream.flush()

    def sync(self) -> None:
        """Have what was flushed on disk: from here on it survives a power cut."""
        while self._full:
            fd = self._full.popleft()
            sync(fd)
            os.close(fd)
        sync(self._fd)

    def prepare(self) -> None:
        """Make the next segment while this one still has room."""
        if any(stream.fullness() > PREPARE_AT for stream in list(self._streams.values())):
            with self._creating:
                if self._next is None:
                    self._next = self._create(self._number + 1, self._room)

    def close(self) -> None:
        """Let go of the files."""
        for fd in (*self._full, self._fd, self._first_fd, *([self._next[0]] if self._next else [])):
            os.close(fd)
        self._full.clear()
        self._next = None

    def _roll_over(self, sample: Sample) -> None:
        """Go on in the next segment, which has room for this sample."""
        self.flush()
        with self._creating:
            room = self._room[sample.stream]
            if self._streams[sample.stream].needs(sample) > room.heap_bytes > 0:  # larger than any so far
                self._room[sample.stream] = replace(room, heap_bytes=-(-len(sample.data) // PAGE) * PAGE)
                if self._next:
                    os.close(self._next[0])
                    segment_path(self.part, self._number + 1).unlink()
                    self._next = None
            fd, places = self._next or self._create(self._number + 1, self._room)
            streams = {name: type(stream)(fd, places[name]) for name, stream in self._streams.items()}
            full, self._next, self._fd, self._number, self._streams = self._fd, None, fd, self._number + 1, streams
            self._full.append(full)

    def _create(self, number: int, room: dict[str, Room]) -> tuple[int, dict[str, Place]]:
        path = segment_path(self.part, number)
        new = path.with_name(f"{path.name}.new")
        try:
            with create(new, self._source, room, live=number) as file:
                found = places(file)
            sync_path(new)
            publish(new, path)
            sync_path(path.parent)
        except BaseException:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        return open_for_writing(path), found


class _Encoded:
    """One stream of payloads in the current segment."""

    def __init__(self, fd: int, place: Place) -> None:
        self._fd, self._place = fd, place
        self._used, self._count = 0, 0
        self._row = bytearray(ENCODED_ROW.itemsize)
        self._fields = memoryview(self._row)[:CRC_AT[ENCODED_ROW.itemsize]]

    def append(self, sample: Sample) -> bool:
        """Write one sample; False when there is no room for it."""
        place, used = self._place, self._used
        payload: Any = sample.data
        size = len(payload)
        if self._count == place.rows or used + size > place.data_bytes:
            return False
        ENCODED_FIELDS.pack_into(self._row, 0, sample.device_ns, sample.host_ns, sample.sequence, used, size, sample.flags)
        CRC_FIELD.pack_into(self._row, len(self._fields), zlib.crc32(self._fields, zlib.crc32(payload)))
        # The row is what makes the payload count, so it goes last.
        write_all(self._fd, payload, place.data_at + used)
        write_all(self._fd, self._row, place.index_at + self._count * len(self._row))
        self._used, self._count = used + size, self._count + 1
        return True

    def flush(self) -> None:
        """Nothing is held."""

    def fullness(self) -> float:
        """Of the rows or of the heap, whichever is nearer to its end."""
        return max(self._count / self._place.rows, self._used / max(self._place.data_bytes, 1))

    def needs(self, sample: Sample) -> int:
        """Room in the heap for one sample."""
        return len(sample.data)


class _Numeric:
    """One stream of numbers in the current segment; rows wait a little, to be written several at a time."""

    def __init__(self, fd: int, place: Place) -> None:
        self._fd, self._place = fd, place
        self._count, self._written, self._since_ns = 0, 0, 0
        self._values, self._rows = bytearray(), bytearray()
        self._row = bytearray(NUMERIC_ROW.itemsize)
        self._fields = memoryview(self._row)[:CRC_AT[NUMERIC_ROW.itemsize]]

    def append(self, sample: Sample) -> bool:
        """Take one sample; False when there is no room for it."""
        if self._count == self._place.rows:
            return False
        values = numbers(sample, self._place.row_bytes)
        NUMERIC_FIELDS.pack_into(self._row, 0, sample.device_ns, sample.host_ns, sample.sequence, sample.flags)
        CRC_FIELD.pack_into(self._row, len(self._fields), zlib.crc32(self._fields, zlib.crc32(values)))
        self._values += values
        self._rows += self._row
        if self._count == self._written:
            self._since_ns = sample.host_ns
        self._count += 1
        if abs(sample.host_ns - self._since_ns) >= HOLD_NS or self._count - self._written >= HOLD_ROWS:
            self.flush()
        return True

    def flush(self) -> None:
        """Write the rows held, values first."""
        if self._rows:
            place = self._place
            write_all(self._fd, self._values, place.data_at + self._written * place.row_bytes)
            write_all(self._fd, self._rows, place.index_at + self._written * len(self._row))
            # In one step: Ctrl-C must not find values without their rows.
            self._written, self._values, self._rows = self._count, bytearray(), bytearray()

    def fullness(self) -> float:
        """Of the rows."""
        return self._count / self._place.rows

    def needs(self, sample: Sample) -> int:
        """No heap."""
        return 0


def numbers(sample: Sample, row_bytes: int) -> bytes:
    """The little-endian float64 bytes of a numeric sample. Raises ``ValueError`` when there are not as many as its stream has names."""
    data: Any = sample.data
    if type(data) is not np.ndarray or data.dtype != _FLOAT or data.ndim != 1:
        data = np.asarray(data, _FLOAT)
    if data.ndim != 1 or data.nbytes != row_bytes:
        raise ValueError(f"stream {sample.stream!r} takes {row_bytes // 8} values a row, got shape {data.shape}")
    return data.tobytes()  # type: ignore[no-any-return]


_FLOAT = np.dtype("<f8")
