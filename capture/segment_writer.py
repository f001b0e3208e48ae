"""Recording into pre-allocated segments: payload first, then its row; no HDF5 call on the way."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.description import Description
from firsthand.capture.disk import open_for_writing, sync, write_all, write_together
from firsthand.capture.files import sync_path
from firsthand.capture.layout import CRC_FIELD, ENCODED_FIELDS, ENCODED_ROW, NUMERIC_FIELDS, NUMERIC_ROW, crc32
from firsthand.capture.segment import PAGE, Capacity, Place, Room, create, publish, segment_path
from firsthand.capture.stream import Sample

HOLD_NS = 100_000_000
HOLD_ROWS = 512
"""Numeric rows wait for company at most this long while others come, or this many."""
HOLD_PAYLOADS = 64
"""Payloads wait for each other within one call, at most this many: a system writes up to 1024 pieces at once."""
FLOAT = np.dtype("<f8")
_pack, _pack_crc = NUMERIC_FIELDS.pack, CRC_FIELD.pack
ROW_END = bytes(ENCODED_ROW.itemsize - ENCODED_FIELDS.size - CRC_FIELD.size)
PREPARE_AT = 0.7
"""How full a segment is when the next one is made in the background."""


class SegmentWriter:
    """Writes one take into ``recording.h5.part``, ``.part.1`` and so on. Every method raises ``OSError`` when the disk refuses.

    `sync` and `prepare` may run in another thread than the rest.
    """

    def __init__(self, part: Path, take: Description, capacity: Capacity) -> None:
        self.part = part
        self._take = take
        self._room = {spec.name: capacity.room(spec) for spec in take.streams}
        self._number = 0
        self._next: tuple[int, dict[str, Place]] | None = None
        self._creating = threading.Lock()
        self._full: deque[int] = deque()  # descriptors of finished segments that are still to be synced and closed
        self._fd, places = self._create(0, self._room)
        self._first_fd = os.dup(self._fd)  # keeps the first file marked as being written, segment after segment
        self._streams = {spec.name: (_Encoded if spec.kind == "encoded" else _Numeric)(self._fd, places[spec.name])
                         for spec in take.streams}
        self.sinks = _sinks(self._streams)
        """What takes the samples of each stream, until one returns False: then `make_room`, after which there are others."""
        self._flushed_ns = 0

    @property
    def files(self) -> list[Path]:
        """The take's files so far, in order."""
        return [segment_path(self.part, number) for number in range(self._number + 1)]

    def settle(self) -> None:
        """Hand the payloads that are held to the operating system: whose memory they are in may use it again. Numbers may wait."""
        for stream in self._streams.values():
            if type(stream) is _Encoded and stream.held:
                stream.flush()
        if time.monotonic_ns() - self._flushed_ns > HOLD_NS:
            self.flush()

    def flush(self) -> None:
        """Hand what is held to the operating system: from here on it survives the process."""
        for stream in self._streams.values():
            stream.flush()
        self._flushed_ns = time.monotonic_ns()

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

    def make_room(self, sample: Sample) -> None:
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
            sinks, full = _sinks(streams), self._fd
            self._next, self._fd, self._number, self._streams, self.sinks = None, fd, self._number + 1, streams, sinks
            self._full.append(full)

    def _create(self, number: int, room: dict[str, Room]) -> tuple[int, dict[str, Place]]:
        path = segment_path(self.part, number)
        new = path.with_name(f"{path.name}.new")
        try:
            places = create(new, lambda file: self._take.write(file, room, number))
            sync_path(new)
            publish(new, path)
            sync_path(path.parent)
        except BaseException:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        return open_for_writing(path), places


class _Encoded:
    """One stream of payloads in the current segment; those of one `SegmentWriter.append` after another are written together."""

    def __init__(self, fd: int, place: Place) -> None:
        self._fd, self._place = fd, place
        self._used, self._count = 0, 0  # what is held included
        self.held: list[tuple[Any, bytes]] = []

    def append(self, sample: Sample) -> bool:
        """Take one sample; False when there is no room for it."""
        place, used, payload = self._place, self._used, sample.data
        size = len(payload)
        if self._count == place.rows or used + size > place.data_bytes:
            return False
        fields = ENCODED_FIELDS.pack(sample.device_ns, sample.host_ns, sample.sequence, used, size, sample.flags)
        row = fields + CRC_FIELD.pack(crc32(fields, crc32(payload))) + ROW_END
        # In one step: Ctrl-C must not find one without the other. Python looks for it after calls, of which there are none here.
        self.held += ((payload, row),)
        self._used += size
        self._count += 1
        if len(self.held) == HOLD_PAYLOADS:
            self.flush()
        return True

    def flush(self) -> None:
        """Write what is held: the rows are what makes the payloads count, so they go last."""
        held, place = self.held, self._place
        if held:
            payloads, rows = [payload for payload, _ in held], b"".join([row for _, row in held])
            write_together(self._fd, payloads, place.data_at + self._used - sum(map(len, payloads)))
            write_all(self._fd, rows, place.index_at + self._count * ENCODED_ROW.itemsize - len(rows))
            self.held = []

    def fullness(self) -> float:
        """Of the rows or of the heap, whichever is nearer to its end."""
        return max(self._count / self._place.rows, self._used / max(self._place.data_bytes, 1))

    def needs(self, sample: Sample) -> int:
        """Room in the heap for one sample."""
        return len(sample.data)


class _Numeric:
    """One stream of numbers in the current segment; rows wait a little, to be written several at a time."""

    def __init__(self, fd: int, place: Place) -> None:
        self._fd, self._place, self._row_bytes = fd, place, place.row_bytes
        self._count, self._until = 0, min(HOLD_ROWS, place.rows)  # what is held included; where something must be done
        self.held: list[tuple[bytes, bytes]] = []

    def append(self, sample: Sample) -> bool:
        """Take one sample; False when there is no room for it."""
        if self._count == self._until:
            if self._count == self._place.rows:
                return False
            self.flush()
        data: Any = sample.data
        if type(data) is not np.ndarray or data.nbytes != self._row_bytes or data.dtype is not FLOAT or data.ndim != 1:
            data = numbers(sample, self._row_bytes)
        self.held += ((data.tobytes(), _pack(sample.device_ns, sample.host_ns, sample.sequence, sample.flags)),)  # in one step, as above
        self._count += 1
        return True

    def flush(self) -> None:
        """Write the rows held, values first."""
        held, place = self.held, self._place
        if held:
            first = self._count - len(held)
            rows = [fields + _pack_crc(crc32(fields, crc32(values))) for values, fields in held]
            write_all(self._fd, b"".join([values for values, _ in held]), place.data_at + first * place.row_bytes)
            write_all(self._fd, b"".join(rows), place.index_at + first * NUMERIC_ROW.itemsize)
            self.held, self._until = [], min(self._count + HOLD_ROWS, place.rows)

    def fullness(self) -> float:
        """Of the rows."""
        return self._count / self._place.rows

    def needs(self, sample: Sample) -> int:
        """No heap."""
        return 0


def _sinks(streams: Mapping[str, _Encoded | _Numeric]) -> dict[str, Callable[[Sample], bool]]:
    return {name: stream.append for name, stream in streams.items()}


def numbers(sample: Sample, row_bytes: int) -> npt.NDArray[np.float64]:
    """The little-endian float64 of a numeric sample. Raises ``ValueError`` when there are not as many as its stream has names."""
    data: npt.NDArray[np.float64]
    if isinstance(sample.data, bytes | memoryview):  # as they lie in memory shared with a device's process
        data = np.frombuffer(sample.data, FLOAT if len(sample.data) % 8 == 0 else np.uint8)
    else:
        data = np.asarray(sample.data, FLOAT)
    if data.ndim != 1 or data.nbytes != row_bytes:
        raise ValueError(f"stream {sample.stream!r} takes {row_bytes // 8} values a row, got shape {data.shape}")
    return data
