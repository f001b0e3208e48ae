"""Which rows of a file count: those whose checksum holds over the row and its payload."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from firsthand.capture.layout import CRC_AT, rows_of
from firsthand.capture.segment import Place

BLOCK_BYTES = 1 << 20
INDEX_BLOCK_BYTES = 1 << 18
Rows = npt.NDArray[np.void]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Share:
    """What one file holds of one stream, in the order written; (N,) rows up to the last one that is not all zero."""

    fd: int
    rows: Rows
    at: Positions
    """First byte of each payload in the file."""
    size: Positions
    """Bytes of each payload."""
    sound: npt.NDArray[np.bool_]
    """Whether the row counts. A row never written is all zero and does not: no payload has a checksum of zero with such a row."""

    def payload(self, i: int) -> bytes:
        """The bytes of one row."""
        return os.pread(self.fd, int(self.size[i]), int(self.at[i]))


def scan(fd: int, place: Place, *, trust: bool = False, seen: Callable[[int], None] | None = None) -> Share:
    """Read a stream's index and check every payload against it, or `trust` each row that was written. `seen` is told of rows done."""
    row_type = rows_of(place.kind)
    raw = _index(fd, place, row_type.itemsize, trust)
    written = np.asarray(np.frombuffer(raw, "<u8").reshape(-1, row_type.itemsize // 8).any(axis=1), bool)
    used = int(np.flatnonzero(written)[-1]) + 1 if written.any() else 0
    rows = np.frombuffer(raw, row_type)[:used]
    if place.kind == "numeric":
        at = place.data_at + np.arange(used, dtype=np.int64) * place.row_bytes
        size = np.full(used, place.row_bytes, np.int64)
        inside = np.ones(used, bool)
    else:
        offset, size = rows["offset"], rows["size"].astype(np.int64)
        inside = (offset >= 0) & (offset <= place.data_bytes - size)
        at = place.data_at + np.where(inside, offset, 0)
    if trust:
        return Share(fd, rows, at, size, written[:used] & inside)
    sound = np.zeros(used, bool)
    sound[inside] = check(fd, rows[inside], at[inside], size[inside], seen)
    return Share(fd, rows, at, size, sound)


def _index(fd: int, place: Place, row_bytes: int, trust: bool) -> bytes:
    """The index rows up to the last block that is not all zero. A power cut may leave zeros before it; a recorder does not."""
    end, blocks, kept = place.rows * row_bytes, [], 0
    none = bytes(INDEX_BLOCK_BYTES)
    for at in range(0, end, INDEX_BLOCK_BYTES):
        block = os.pread(fd, min(INDEX_BLOCK_BYTES, end - at), place.index_at + at)
        blocks.append(block)
        if block != none[: len(block)]:
            kept = len(blocks)
        elif trust:
            break
    return b"".join(blocks[:kept])


def check(fd: int, rows: Rows, at: Positions, size: Positions, seen: Callable[[int], None] | None = None) -> npt.NDArray[np.bool_]:
    """Whether the checksum of each row holds, shape (N,)."""
    step, fields = rows.dtype.itemsize, CRC_AT[rows.dtype.itemsize]
    raw = memoryview(rows.tobytes())
    heads = (raw[i : i + fields] for i in range(0, len(raw), step))
    found = (crc32(head, crc32(payload)) for head, payload in zip(heads, _payloads(fd, at.tolist(), size.tolist(), seen), strict=True))
    return np.asarray(np.fromiter(found, np.int64, len(rows)) == rows["crc32"], bool)


def _payloads(fd: int, starts: list[int], sizes: list[int], seen: Callable[[int], None] | None) -> Iterator[Any]:
    """The payloads one after another, read a block at a time; each is good until the next."""
    block = memoryview(bytearray(max(BLOCK_BYTES, max(sizes, default=0))))
    first, end = 0, 0
    for done, (at, size) in enumerate(zip(starts, sizes, strict=True), 1):
        if at < first or at + size > end:
            first, end = at, at + os.preadv(fd, [block], at)
        yield block[at - first : min(at + size, end) - first]
        if seen and (done % 256 == 0 or done == len(starts)):
            seen(done % 256 or 256)
