"""Shared memory between a device's process and the writer's: one producer, one consumer, and observers who only look.

The producer never waits. When there is no room the newest record is refused, and the caller counts it. Nothing is locked: the
producer alone moves the head, the consumer alone moves the tail, each in one eight-byte store after its bytes are in place. Beside the
records lies a small block of figures for each stream, so that anyone may see how a device is doing without reading a record.
"""

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from firsthand.capture.errors import FirsthandError

HEADER_BYTES = 16_384
MOST_BYTES = 2 << 30
"""Of address space; only what is used is memory."""
STREAMS = 64
ALIGN = 64

SAMPLE, GAP, FILLER = 1, 2, 3
"""Kinds of record: a sample; a gap told by the device's process, as JSON; what is left before the end of the memory."""

RECORD = struct.Struct("<qIHBBqqqIII")
"""Position, payload bytes, stream, kind, 0, device ns, host ns, sequence, flags, and what was let go since the stream's record before:
by a full memory, by a slow encoder."""
_CAPACITY, _HEAD, _TAIL, _FIRST = 0, 1, 2, 8
_BLOCK = 16


class Figure(IntEnum):
    """What the block of a stream holds, an int64 each."""

    COUNT = 0
    """Samples put in."""
    BYTES = 1
    MISSING = 2
    """Samples that the device's own sequence says never came."""
    RING_DROPS = 3
    ENCODER_DROPS = 4
    HOST_NS = 5
    """Of the newest sample that came, put in or not."""
    DEVICE_NS = 6
    DRIFT_PPB = 7
    """Of the live clock."""
    SEQUENCE = 8
    WAITING = 9
    """Raw pictures that came and are not encoded yet."""
    LATEST = 10
    """One more than the position of the newest record; 0 before the first."""


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One record; `payload` lies in the shared memory and is good until it is released."""

    kind: int
    stream: int
    device_ns: int
    host_ns: int
    sequence: int
    flags: int
    ring_drops: int
    encoder_drops: int
    payload: memoryview


class Ring:
    """The memory, mapped. Every process has its own `Ring` over the same descriptor; each uses only the methods of its part."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, HEADER_BYTES + MOST_BYTES)
        self._bytes = memoryview(self._map)
        self._words = self._bytes[:HEADER_BYTES].cast("q")
        self._data = self._bytes[HEADER_BYTES:]
        self._capacity = self._words[_CAPACITY]
        self._cursor = self._words[_TAIL]

    @classmethod
    def create(cls) -> "Ring":
        """New memory, not yet set out; the descriptor lives until all who have it are gone, and nothing is left behind."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("firsthand-ring", 0)
        else:  # macOS: an unlinked file serves as well
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, HEADER_BYTES + MOST_BYTES)
        os.set_inheritable(fd, True)
        return cls(fd)

    def close(self) -> None:
        """Let go of the memory."""
        for view in (self._words, self._data, self._bytes):
            view.release()
        with suppress(BufferError):  # somebody still holds a payload; the memory goes with the process
            self._map.close()
        os.close(self.fd)

    # the producer

    def set_out(self, capacity: int) -> None:
        """Say how much to use, once; a producer that comes after a crash finds it set."""
        if not self._words[_CAPACITY]:
            self._words[_CAPACITY] = min(max(capacity, 1 << 20), MOST_BYTES) // ALIGN * ALIGN
        self._capacity = self._words[_CAPACITY]

    def put(self, kind: int, stream: int, device_ns: int, host_ns: int, sequence: int, flags: int, payload: Any, *, ring_drops: int = 0,
            encoder_drops: int = 0) -> bool:
        """Add a record; False when there is no room for it."""
        size = payload.nbytes if isinstance(payload, memoryview) else len(payload)
        head, capacity = self._words[_HEAD], self._capacity
        at = head % capacity
        need = -(-(RECORD.size + size) // ALIGN) * ALIGN
        skip = capacity - at if capacity - at < need else 0
        if head - self._words[_TAIL] + skip + need > capacity:
            return False
        if skip:
            RECORD.pack_into(self._data, at, head, 0, 0, FILLER, 0, 0, 0, 0, 0, 0, 0)
            head, at = head + skip, 0
        start = at + RECORD.size
        self._data[start : start + size] = payload
        RECORD.pack_into(self._data, at, head, size, stream, kind, 0, device_ns, host_ns, sequence, flags, ring_drops, encoder_drops)
        if kind == SAMPLE:
            block = _FIRST + stream * _BLOCK
            self._words[block + Figure.COUNT] += 1
            self._words[block + Figure.BYTES] += size
            self._words[block + Figure.LATEST] = head + 1
        self._words[_HEAD] = head + need
        return True

    def set(self, stream: int, figure: Figure, value: int) -> None:
        """Tell a figure of a stream."""
        self._words[_FIRST + stream * _BLOCK + figure] = value

    def add(self, stream: int, figure: Figure, value: int) -> None:
        """Count a figure of a stream up."""
        self._words[_FIRST + stream * _BLOCK + figure] += value

    # the consumer

    def next(self) -> Record | None:
        """The next record after the cursor, which moves past it; None when there is none yet."""
        if not self._capacity:
            self._capacity = self._words[_CAPACITY]
        while self._cursor < self._words[_HEAD]:
            record, end = self._read(self._cursor)
            self._cursor = end
            if record.kind != FILLER:
                return record
        return None

    def release(self) -> None:
        """Give the room of all records before the cursor back to the producer."""
        self._words[_TAIL] = self._cursor

    def rewind(self) -> None:
        """Move the cursor back to the oldest record that was not released."""
        self._cursor = self._words[_TAIL]

    @contextmanager
    def looking_ahead(self) -> Iterator[None]:
        """Read on without moving the cursor for good."""
        cursor = self._cursor
        try:
            yield
        finally:
            self._cursor = cursor

    def _read(self, position: int) -> tuple[Record, int]:
        at = position % self._capacity
        found, size, stream, kind, _, device_ns, host_ns, sequence, flags, ring_drops, encoder_drops = RECORD.unpack_from(self._data, at)
        if found != position:
            raise FirsthandError("the memory shared with a device does not hold what its header says; stop and start the recorder")
        payload = self._data[at + RECORD.size : at + RECORD.size + size]
        end = position + (self._capacity - at if kind == FILLER else -(-(RECORD.size + size) // ALIGN) * ALIGN)
        return Record(kind, stream, device_ns, host_ns, sequence, flags, ring_drops, encoder_drops, payload), end

    # anyone

    def figure(self, stream: int, figure: Figure) -> int:
        """A figure of a stream."""
        return int(self._words[_FIRST + stream * _BLOCK + figure])

    def fill(self) -> float:
        """How much of the memory holds records that were not released, 0 to 1."""
        capacity = self._words[_CAPACITY]
        return (self._words[_HEAD] - self._words[_TAIL]) / capacity if capacity else 0.0

    def latest(self, stream: int) -> Record | None:
        """A copy of the newest sample of a stream, for observers: None before the first, or when it is too old to be safe to read."""
        position = self.figure(stream, Figure.LATEST) - 1
        capacity = self._words[_CAPACITY]
        if position < 0 or not capacity:
            return None
        self._capacity = capacity
        try:
            record, _ = self._read(position)
        except FirsthandError:
            return None
        copy = memoryview(bytes(record.payload))
        if self._words[_HEAD] - position > capacity // 2:  # the producer may have come round and be writing over it
            return None
        return Record(record.kind, record.stream, record.device_ns, record.host_ns, record.sequence, record.flags, record.ring_drops,
                      record.encoder_drops, copy)
