"""The fallback where files cannot have holes: an append-only journal of checksummed records, turned into a recording at the end."""

import io
import os
import struct
import time
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from firsthand.capture.description import Description
from firsthand.capture.disk import open_for_writing, sync, write_all
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sync_path
from firsthand.capture.layout import CRC_AT, CRC_FIELD, ENCODED_FIELDS, ENCODED_ROW, NUMERIC_FIELDS, NUMERIC_ROW, crc32
from firsthand.capture.scan import BLOCK_BYTES, BLOCK_ROWS, Chunk
from firsthand.capture.segment import Room, publish
from firsthand.capture.segment_writer import HOLD_NS, numbers
from firsthand.capture.stream import Sample

START = b"FHJ1"
PREFIX = struct.Struct("<4sIII")
"""What each record starts with: the letters, stream number, payload size, CRC-32 of these three and of the row. Then row and payload."""
DESCRIPTION = 0xFFFFFFFF
"""Stream number of the first record, which has no row: an HDF5 file image with the streams, calibration and provenance."""
HOLD_BYTES = 64 * 1024


class JournalWriter:
    """Writes one take into ``recording.h5.journal``; does what `SegmentWriter` does. Methods raise ``OSError`` when the disk refuses."""

    def __init__(self, path: Path, take: Description) -> None:
        self.path = path
        with h5py.File(f"{path}.description", "w", driver="core", backing_store=False, libver=("v110", "v110")) as description:
            take.write(description, {spec.name: Room(0) for spec in take.streams})
            description.flush()
            image = bytes(description.id.get_file_image())
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(PREFIX.pack(START, DESCRIPTION, len(image), _check(DESCRIPTION, len(image), image)) + image)
        sync_path(new)
        publish(new, path)
        sync_path(path.parent)
        self._fd = open_for_writing(path)
        self._end = PREFIX.size + len(image)
        self._streams = {name: (number, spec) for number, (name, spec) in enumerate(sorted((spec.name, spec) for spec in take.streams))}
        self._held = bytearray()
        self.sinks = dict.fromkeys(self._streams, self._append)
        """What takes the samples of each stream."""
        self._flushed_ns = 0

    @property
    def files(self) -> list[Path]:
        """The one file."""
        return [self.path]

    def make_room(self, sample: Sample) -> None:
        """Nothing: a journal grows."""

    def _append(self, sample: Sample) -> bool:
        number, spec = self._streams[sample.stream]
        if spec.kind == "encoded":
            payload, row = bytes(sample.data), bytearray(ENCODED_ROW.itemsize)
            at = self._end + len(self._held) + PREFIX.size + len(row)
            ENCODED_FIELDS.pack_into(row, 0, sample.device_ns, sample.host_ns, sample.sequence, at, len(payload), sample.flags)
        else:
            payload, row = numbers(sample, len(spec.names) * 8).tobytes(), bytearray(NUMERIC_ROW.itemsize)
            NUMERIC_FIELDS.pack_into(row, 0, sample.device_ns, sample.host_ns, sample.sequence, sample.flags)
        fields = CRC_AT[len(row)]
        CRC_FIELD.pack_into(row, fields, crc32(memoryview(row)[:fields], crc32(payload)))
        self._held += PREFIX.pack(START, number, len(payload), _check(number, len(payload), row)) + row + payload
        if len(self._held) >= HOLD_BYTES:
            self.flush()
        return True

    def settle(self) -> None:
        """What is held may wait a little: payloads were copied."""
        if time.monotonic_ns() - self._flushed_ns > HOLD_NS:
            self.flush()

    def flush(self) -> None:
        """Hand what is held to the operating system."""
        if self._held:
            write_all(self._fd, self._held, self._end)
            self._end += len(self._held)
            self._held.clear()
        self._flushed_ns = time.monotonic_ns()

    def sync(self) -> None:
        """Have what was flushed on disk."""
        sync(self._fd)

    def prepare(self) -> None:
        """Nothing: a journal grows."""

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def read_description(path: Path) -> h5py.File:
    """What a journal says of its take, as an open HDF5 file with empty streams. Raises `FirsthandError` when it is not whole."""
    with path.open("rb") as journal:
        prefix = journal.read(PREFIX.size)
        _, number, size, check = PREFIX.unpack(prefix) if len(prefix) == PREFIX.size else (b"", 0, 0, 0)
        image = journal.read(size) if number == DESCRIPTION else b""
    if not prefix.startswith(START) or number != DESCRIPTION or check != _check(number, size, image):
        raise FirsthandError(f"{path} is no journal of a recording, or its beginning is damaged")
    return h5py.File(io.BytesIO(image), "r")


def read_journal(fd: int, described: h5py.File, wanted: Container[str]) -> Iterator[tuple[str, Chunk]]:
    """The streams wanted, in pieces, up to the first record that is not whole."""
    names = sorted(described["streams"])
    row_types = [described["streams"][name]["index"].dtype for name in names]
    collected: dict[int, list[tuple[bytes, int, int]]] = {}

    def chunk(number: int) -> tuple[str, Chunk]:
        rows, at, size = zip(*collected.pop(number), strict=True)
        places = np.array(at, np.int64), np.array(size, np.int64)
        return names[number], Chunk(fd, np.frombuffer(b"".join(rows), row_types[number]), *places, np.ones(len(rows), bool), 0, 0)

    for number, row, at, size in _records(fd, [row_type.itemsize for row_type in row_types]):
        if names[number] in wanted:
            found = collected.setdefault(number, [])
            found.append((row, at, size))
            if len(found) == BLOCK_ROWS:
                yield chunk(number)
    for number in sorted(collected):
        yield chunk(number)


def _records(fd: int, row_bytes: Sequence[int]) -> Iterator[tuple[int, bytes, int, int]]:
    """Stream number, row, and where the payload is and how large, of each record up to the first that is not whole."""
    end = os.fstat(fd).st_size
    at = PREFIX.size + PREFIX.unpack(os.pread(fd, PREFIX.size, 0))[2]
    block, block_at = b"", 0
    while at + PREFIX.size <= end:
        if at + PREFIX.size + ENCODED_ROW.itemsize > block_at + len(block):
            block, block_at = os.pread(fd, BLOCK_BYTES, at), at
        start, number, size, check = PREFIX.unpack_from(block, at - block_at)
        if start != START or number >= len(row_bytes):
            return
        row_at = at + PREFIX.size
        payload_at = row_at + row_bytes[number]
        row = block[row_at - block_at : payload_at - block_at]
        if check != _check(number, size, row) or payload_at + size > end:
            return
        inside = payload_at + size <= block_at + len(block)
        payload = block[payload_at - block_at : payload_at + size - block_at] if inside else os.pread(fd, size, payload_at)
        fields = CRC_AT[len(row)]
        if CRC_FIELD.unpack_from(row, fields)[0] != crc32(row[:fields], crc32(payload)):
            return
        yield number, row, payload_at, size
        at = payload_at + size


def _check(number: int, size: int, row: bytes | bytearray) -> int:
    return crc32(row, crc32(PREFIX.pack(START, number, size, 0)))
