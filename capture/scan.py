"""Which rows of a take's files count: those whose checksum holds over the row and its payload. Read a block at a time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.layout import CRC_AT, crc32, rows_of
from firsthand.capture.segment import Place

BLOCK_BYTES = 1 << 20
BLOCK_ROWS = 4096
Rows = npt.NDArray[np.void]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of one stream in one file, in the order written; (N,)."""

    fd: int
    rows: Rows
    at: Positions
    """First byte of each payload in the file."""
    size: Positions
    """Bytes of each payload."""
    sound: npt.NDArray[np.bool_]
    """Whether the row counts."""
    first: int
    """Where its first row stands in the index."""
    blank: int
    """Rows before the first that are all zero: begun, as a later one is there, and lost."""

    @property
    def lost(self) -> int:
        """Rows that were begun and are not whole."""
        return self.blank + int(np.count_nonzero(~self.sound))

    def payload(self, i: int) -> bytes:
        """The bytes of one row."""
        return os.pread(self.fd, int(self.size[i]), int(self.at[i]))


def scan(fd: int, place: Place, *, trust: bool = False) -> Iterator[Chunk]:
    """Read a stream's index and check every payload against it, or `trust` each row that was written.

    A row never written is all zero and does not count: no payload has a checksum of zero with such a row. Those after the last that was
    written are left out. A power cut may leave zeros before it, a recorder does not.
    """
    row_type, blank = rows_of(place.kind), 0
    step = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(place.row_bytes, 1)))
    for first in range(0, place.rows, step):
        raw = os.pread(fd, min(step, place.rows - first) * row_type.itemsize, place.index_at + first * row_type.itemsize)
        written = np.asarray(np.frombuffer(raw, "<u8").reshape(-1, row_type.itemsize // 8).any(axis=1), bool)
        used = np.flatnonzero(written)
        if len(used) == 0:
            if trust:
                return
            blank += len(written)
            continue
        rows, written = np.frombuffer(raw, row_type)[: used[-1] + 1], written[: used[-1] + 1]
        at, size, inside = payloads_at(rows, place, first)
        sound = written & inside
        if not trust:
            sound[sound] = check(fd, rows[sound], at[sound], size[sound])
        yield Chunk(fd, rows, at, size, sound, first, blank)
        blank = int(len(raw) // row_type.itemsize - used[-1] - 1)


def payloads_at(rows: Rows, place: Place, first: int) -> tuple[Positions, Positions, npt.NDArray[np.bool_]]:
    """Where the payloads of rows lie, the first of them row `first` of the index: positions, sizes, and whether that is inside the file."""
    if place.kind == "numeric":
        n = len(rows)
        return place.data_at + (first + np.arange(n)) * place.row_bytes, np.full(n, place.row_bytes), np.ones(n, bool)
    offset, size = rows["offset"], rows["size"].astype(np.int64)
    inside = (offset >= 0) & (offset <= place.data_bytes - size)
    return place.data_at + np.where(inside, offset, 0), size, inside


def check(fd: int, rows: Rows, at: Positions, size: Positions) -> npt.NDArray[np.bool_]:
    """Whether the checksum of each row holds, shape (N,)."""
    fields = CRC_AT[rows.dtype.itemsize]
    heads = np.frombuffer(rows.tobytes(), np.uint8).reshape(-1, rows.dtype.itemsize)[:, :fields]
    total = int(size.sum())
    if 0 < total <= BLOCK_BYTES and (size == size[0]).all() and (np.diff(at) == size[0]).all():
        # Rows of numbers: together with the heads, a checksum needs one call.
        values = np.frombuffer(os.pread(fd, total, int(at[0])), np.uint8)
        if len(values) == total:
            found = [crc32(row) for row in np.hstack([values.reshape(len(rows), -1), heads])]
            return np.asarray(np.array(found, np.uint32) == rows["crc32"], bool)
    each = zip(heads.copy(), _payloads(fd, at.tolist(), size.tolist()), strict=True)
    return np.asarray(np.fromiter((crc32(head, crc32(payload)) for head, payload in each), np.int64, len(rows)) == rows["crc32"], bool)


def _payloads(fd: int, starts: list[int], sizes: list[int]) -> Iterator[Any]:
    """The payloads one after another, read a block at a time; each is good until the next."""
    block = memoryview(bytearray(max(BLOCK_BYTES, max(sizes, default=0))))
    first, end = 0, 0
    for at, size in zip(starts, sizes, strict=True):
        if at < first or at + size > end:
            first, end = at, at + os.preadv(fd, [block], at)
        yield block[at - first : min(at + size, end) - first]
