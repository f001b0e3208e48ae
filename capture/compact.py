"""From the files of a take to one ``recording.h5``: the end of every recording, and of every interrupted one."""

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.clock_fit import clock_of
from firsthand.capture.disk import copy_range, write_all
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sync_path
from firsthand.capture.gap_ledger import untold_gaps
from firsthand.capture.journal import read_description, read_journal
from firsthand.capture.layout import ENCODED_ROW, GAPS, checksum, rows_of
from firsthand.capture.scan import Rows, Share, check, scan
from firsthand.capture.segment import Place, Room, create, places

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recovered:
    """What an interrupted take came to."""

    path: Path
    """The recording, whole."""
    saved: Mapping[str, int]
    """Samples in it, by stream."""
    lost: Mapping[str, int]
    """Rows that were begun but are not whole, by stream; what had not begun to be written leaves no trace."""
    gaps: int
    """Rows added to ``gaps`` for what is missing between samples that are there."""
    problem: str = ""
    """Why nothing could be done; the take's files are as they were."""


@dataclass(frozen=True, eq=False)
class _Stream:
    """A stream as it will be: index rows in order, and where the bytes of its heap or values come from."""

    rows: Rows
    pieces: list[tuple[int, int, int] | bytes]
    """In order: (descriptor, first byte, bytes) of a file of the take, or bytes."""
    lost: int

    @property
    def data_bytes(self) -> int:
        """Of the heap or the values."""
        return sum(len(piece) if isinstance(piece, bytes) else piece[2] for piece in self.pieces)


def compact(files: Sequence[Path], target: Path, temporary: Path, *, counts: Mapping[str, int] | None = None,
            progress: Progress | None = None) -> Recovered:
    """Copy what counts of a take's files, in exact sizes and with clocks, to `target`; the files themselves are left.

    `counts`: the samples by stream, from a recorder that ends in good order; its rows are then not checked before the copy.
    Every row is checked in the copy. Raises `FirsthandError` when the copy cannot be made; nothing then has changed.
    """
    try:
        with ExitStack() as opened:
            source, shares = _open(files, opened, trust=counts is not None)
            streams = {name: _kept(found) for name, found in shares.items()}
            added = _add_gaps(streams, shares)
            # One more than was counted is a sample that Ctrl-C came upon.
            if counts is not None and any(len(streams[name].rows) < count for name, count in counts.items()):
                raise FirsthandError(f"{files[0]} does not hold the samples that were written to it; is something else writing there?")
            _write(temporary, source, streams, progress)
            os.replace(temporary, target)
            sync_path(target.parent)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise FirsthandError(f"cannot finish {target}: {why}; every sample is in {files[0]}: make room for as much again, "
                             f"then run 'firsthand recover {files[0]}'") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    lost = {name: stream.lost for name, stream in streams.items() if stream.lost}
    return Recovered(target, {name: len(stream.rows) for name, stream in streams.items()}, lost, added)


def describe(path: Path) -> h5py.File:
    """One of a take's files, opened for its description: attributes, calibration, provenance and streams."""
    if path.suffix == ".journal":
        return read_description(path)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise FirsthandError(f"cannot open {path} as part of a recording: not an HDF5 file, or cut off") from error


def _open(files: Sequence[Path], opened: ExitStack, trust: bool) -> tuple[h5py.File, dict[str, list[Share]]]:
    """The take's description and, by stream, what each file holds of it."""
    source: h5py.File | None = None
    shares: dict[str, list[Share]] = {}
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        opened.callback(os.close, fd)
        described = opened.enter_context(describe(path))
        if path.suffix == ".journal":
            found = {name: _journal_share(fd, described["streams"][name], *stored) for name, stored in read_journal(fd, described).items()}
        else:
            found = {name: scan(fd, place, trust=trust) for name, place in places(described).items()}
        if source is not None and source.attrs["created_utc"] != described.attrs["created_utc"]:
            raise FirsthandError(f"{path} is of another take than {files[0]}; move it to a folder of its own")
        source = source or described
        for name, share in found.items():
            shares.setdefault(name, []).append(share)
    assert source is not None
    return source, shares


def _journal_share(fd: int, described: Any, stored: bytes, starts: list[int]) -> Share:
    rows = np.frombuffer(stored, described["index"].dtype)
    at = np.array(starts, np.int64)
    width = described["values"].shape[1] * 8 if "values" in described else 0
    size = np.full(len(rows), width, np.int64) if width else rows["size"].astype(np.int64)
    return Share(fd, rows, at, size, np.ones(len(rows), bool))


def _kept(shares: Sequence[Share]) -> _Stream:
    """The sound rows of all files, with the runs of bytes they stand for laid end to end."""
    pieces: list[tuple[int, int, int] | bytes] = []
    kept: list[Rows] = []
    end = 0
    for share in shares:
        # As plain bytes: picking records leaves what lies between their fields to chance, and that would go into the file.
        rows = share.rows.view(f"V{share.rows.dtype.itemsize}")[share.sound].view(share.rows.dtype)
        at, size = share.at[share.sound], share.size[share.sound]
        if "offset" in (rows.dtype.names or ()):
            _move(rows, end + np.cumsum(size) - size)
        starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1] + size[:-1]]) if len(rows) else np.zeros(0, np.int64)
        run_bytes = np.add.reduceat(size, starts) if len(rows) else size
        pieces += [(share.fd, int(a), int(n)) for a, n in zip(at[starts], run_bytes, strict=True)]
        kept.append(rows)
        end += int(size.sum())
    return _Stream(_joined(kept), pieces, sum(int((~share.sound).sum()) for share in shares))


def _joined(parts: Sequence[Rows]) -> Rows:
    """Rows one after another; `np.concatenate` would leave out the bytes between their fields."""
    return np.frombuffer(b"".join(rows.tobytes() for rows in parts), parts[0].dtype)


def _move(rows: Rows, offsets: npt.NDArray[np.int64]) -> None:
    """Give encoded rows new offsets, and carry the difference into their checksums.

    CRC-32 is linear: the checksum of a changed message differs by that of the change, wherever the payload is. So what was
    computed when the sample came in goes on guarding it, and a byte that turned over since is still found.
    """
    changed = np.flatnonzero(rows["offset"] != offsets)
    after = bytes(8)  # size and flags, between the offset and the checksum
    none = crc32(bytes(8) + after)
    differences = (rows["offset"][changed] ^ offsets[changed]).astype("<i8")
    rows["crc32"][changed] ^= np.array([crc32(difference.tobytes() + after) ^ none for difference in differences], np.uint32)
    rows["offset"][changed] = offsets[changed]


def _add_gaps(streams: dict[str, _Stream], shares: Mapping[str, Sequence[Share]]) -> int:
    """Tell in ``gaps`` what is missing between kept rows and is not told there yet; returns how many rows that took."""
    ledger = streams[GAPS]
    told = [json.loads(share.payload(int(i))) for share in shares[GAPS] for i in np.flatnonzero(share.sound)]
    found = [gap for name in sorted(streams) if name != GAPS for gap in untold_gaps(name, shares[name], told)]
    found.sort(key=lambda gap: gap[0])
    rows = np.zeros(len(found), ENCODED_ROW)
    payloads = [json.dumps(fields).encode() for _, fields in found]
    first = int(ledger.rows["sequence"].max()) + 1 if len(ledger.rows) else 0
    rows["device_ns"] = rows["host_ns"] = [t_ns for t_ns, _ in found]
    rows["sequence"] = first + np.arange(len(found))
    rows["size"] = [len(payload) for payload in payloads]
    rows["offset"] = ledger.data_bytes + np.cumsum(rows["size"]) - rows["size"]
    rows["flags"] = 1
    for i, payload in enumerate(payloads):
        rows["crc32"][i] = checksum(rows[i], payload)
    streams[GAPS] = _Stream(_joined([ledger.rows, rows]), [*ledger.pieces, *payloads], ledger.lost)
    return len(found)


def _write(path: Path, source: h5py.File, streams: Mapping[str, _Stream], progress: Progress | None) -> None:
    """A finished recording at `path`, synced, and every row of it checked."""
    room = {name: Room(len(stream.rows), stream.data_bytes) for name, stream in streams.items()}
    with create(path, source, room) as file:
        for name, stream in streams.items():
            group = file["streams"][name]
            if len(stream.rows):
                clock_of(group.attrs.get("clock", "device"), stream.rows, group.attrs.get("wrap_ns")).write(group.create_group("clock"))
        laid = places(file)
    total, done = sum(len(stream.rows) for stream in streams.values()), 0

    def seen(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total)

    fd = os.open(path, os.O_RDWR)
    try:
        for name, stream in streams.items():
            write_all(fd, stream.rows.tobytes(), laid[name].index_at)
            at = laid[name].data_at
            for piece in stream.pieces:
                if isinstance(piece, bytes):
                    write_all(fd, piece, at)
                else:
                    copy_range(piece[0], piece[1], fd, at, piece[2])
                at += len(piece) if isinstance(piece, bytes) else piece[2]
        os.fsync(fd)
        for name, stream in streams.items():
            bad = len(stream.rows) - _sound_rows(fd, laid[name], stream, seen)
            if bad:
                raise FirsthandError(f"{bad} rows of stream {name} do not read back from {path}; the disk or the memory is failing, "
                                     "so the take's files were left as they are")
    finally:
        os.close(fd)


def _sound_rows(fd: int, place: Place, stream: _Stream, seen: Callable[[int], None]) -> int:
    """How many rows of the copy are the ones meant, with a checksum that holds."""
    raw = os.pread(fd, stream.rows.nbytes, place.index_at)
    if raw != stream.rows.tobytes():
        return 0
    rows = np.frombuffer(raw, rows_of(place.kind))
    if place.kind == "numeric":
        at, size = place.data_at + np.arange(len(rows)) * place.row_bytes, np.full(len(rows), place.row_bytes)
    else:
        at, size = place.data_at + rows["offset"], rows["size"].astype(np.int64)
    return int(check(fd, rows, at, size, seen).sum())
