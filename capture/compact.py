"""From the files of a take to one ``recording.h5``: the end of every recording, and of every interrupted one.

Everything goes through a block of rows at a time: a take of a day needs no more memory than one of a minute.
"""

import errno
import json
import os
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.certificate import store_certificate
from firsthand.capture.clock_rows import clock_of_rows
from firsthand.capture.disk import copy_range, write_all
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sync_path
from firsthand.capture.gap_ledger import Untold
from firsthand.capture.journal import read_description, read_journal
from firsthand.capture.key_frames import Decodable
from firsthand.capture.layout import ENCODED_ROW, GAPS, checksum, crc32
from firsthand.capture.recording import read_spec
from firsthand.capture.scan import Chunk, Rows, scan
from firsthand.capture.segment import Place, Room, copy_description, create, places

Progress = Callable[[int, int], None]
METADATA_BYTES = 1 << 20
"""Room that is made sure of before HDF5 adds clocks and certificate: on a full disk it would not come back with an error, but crash."""


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


@dataclass
class _Total:
    """What counts of one stream."""

    untold: Untold
    rows: int = 0
    data_bytes: int = 0
    lost: int = 0
    last_sequence: int = -1


def compact(files: Sequence[Path], target: Path, temporary: Path, *, counts: Mapping[str, int] | None = None,
            progress: Progress | None = None) -> Recovered:
    """Copy what counts of a take's files, in exact sizes, with clocks and certificate, to `target`; the files themselves are left.

    `counts`: the samples by stream, from a recorder that ends in good order; its rows are then not checked before the copy.
    Every row is checked in the copy. Raises `FirsthandError` when the copy cannot be made; nothing then has changed.
    """
    try:
        with ExitStack() as opened:
            take = _Take(files, opened, trust=counts is not None)
            totals, gaps = take.totals()
            # One more than was counted is a sample that Ctrl-C came upon.
            if counts is not None and any(totals[name].rows < count for name, count in counts.items()):
                raise FirsthandError(f"{files[0]} does not hold the samples that were written to it; is something else writing there?")
            _write(temporary, take, totals, gaps, progress)
            os.replace(temporary, target)
            sync_path(target.parent)
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise FirsthandError(f"cannot finish {target}: {why}; every sample is in {files[0]}: make room for as much again, "
                             f"then run 'firsthand recover {files[0]}'") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return Recovered(target, {name: total.rows for name, total in totals.items()},
                     {name: total.lost for name, total in totals.items() if total.lost}, len(gaps))


def describe(path: Path) -> h5py.File:
    """One of a take's files, opened for its description: attributes, calibration, provenance and streams."""
    if path.suffix == ".journal":
        return read_description(path)
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise FirsthandError(f"cannot open {path} as part of a recording: not an HDF5 file, or cut off") from error


class _Take:
    """The files of a take, open."""

    def __init__(self, files: Sequence[Path], opened: ExitStack, trust: bool) -> None:
        self.trust = trust
        self.parts: list[tuple[Path, dict[str, Place]]] = []
        """Each file, and where each stream lies in it; a journal is one, and its streams lie nowhere."""
        self.described = opened.enter_context(describe(files[0]))
        """What the take is: the first file says."""
        for path in files:
            with describe(path) as described:
                if described.attrs["created_utc"] != self.described.attrs["created_utc"]:
                    raise FirsthandError(f"{path} is of another take than {files[0]}; move it to a folder of its own")
                self.parts.append((path, {} if path.suffix == ".journal" else places(described)))

    def chunks(self, wanted: Container[str]) -> Iterator[tuple[str, Chunk]]:
        """The streams wanted, each in the order written; of video, a row that cannot be decoded for want of another does not count."""
        video = {name: Decodable() for name, group in self.described["streams"].items() if read_spec(group).is_video}
        for name, chunk in self._chunks(wanted):
            yield name, video[name].of(chunk) if name in video else chunk

    def _chunks(self, wanted: Container[str]) -> Iterator[tuple[str, Chunk]]:
        if not self.parts[0][1]:
            with self.parts[0][0].open("rb", buffering=0) as journal:
                yield from read_journal(journal.fileno(), self.described, wanted)
            return
        for name in self.described["streams"]:
            for path, laid in self.parts if name in wanted else ():
                with path.open("rb", buffering=0) as segment:
                    yield from ((name, chunk) for chunk in scan(segment.fileno(), laid[name], trust=self.trust))

    def totals(self) -> tuple[dict[str, _Total], list[tuple[int, bytes]]]:
        """What counts, by stream, and rows to add to ``gaps``: (session ns, JSON). Those are counted in."""
        told = [(int(chunk.rows["host_ns"][i]), json.loads(chunk.payload(int(i))))
                for _, chunk in self.chunks({GAPS}) for i in np.flatnonzero(chunk.sound)]
        totals = {name: _Total(Untold(name, told)) for name in self.described["streams"]}
        for name, chunk in self.chunks(totals):
            total, kept = totals[name], np.count_nonzero(chunk.sound)
            total.rows += int(kept)
            total.data_bytes += int(chunk.size[chunk.sound].sum())
            total.lost += chunk.lost
            if name != GAPS:
                total.untold.see(chunk)
            elif kept:
                total.last_sequence = int(chunk.rows["sequence"][chunk.sound].max())
        found = sorted((gap for name in sorted(totals) for gap in totals[name].untold.found), key=lambda gap: gap[0])
        gaps = [(t_ns, json.dumps(fields).encode()) for t_ns, fields in found]
        totals[GAPS].rows += len(gaps)
        totals[GAPS].data_bytes += sum(len(payload) for _, payload in gaps)
        return totals, gaps


@dataclass
class _Copy:
    """One stream in the file to be."""

    fd: int
    place: Place
    rows: int = 0
    data_bytes: int = 0

    def put(self, rows: Rows, payloads: bytes) -> None:
        """Add rows, given in a new array, whose payloads lie one after another."""
        self._put_rows(rows)
        write_all(self.fd, payloads, self.place.data_at + self.data_bytes)
        self.data_bytes += len(payloads)

    def copy(self, chunk: Chunk) -> None:
        """Add the rows of a chunk that count."""
        # As plain bytes: picking records leaves what lies between their fields to chance, and that would go into the file.
        rows = chunk.rows.view(f"V{chunk.rows.dtype.itemsize}")[chunk.sound].view(chunk.rows.dtype)
        at, size = chunk.at[chunk.sound], chunk.size[chunk.sound]
        if len(rows) == 0:
            return
        if self.place.kind == "encoded":
            _move(rows, self.data_bytes + np.cumsum(size) - size)
        self._put_rows(rows)
        starts = np.flatnonzero(np.r_[True, at[1:] != at[:-1] + size[:-1]])
        for start, run_bytes in zip(at[starts].tolist(), np.add.reduceat(size, starts).tolist(), strict=True):
            copy_range(chunk.fd, start, self.fd, self.place.data_at + self.data_bytes, run_bytes)
            self.data_bytes += run_bytes

    def _put_rows(self, rows: Rows) -> None:
        write_all(self.fd, rows.tobytes(), self.place.index_at + self.rows * rows.dtype.itemsize)
        self.rows += len(rows)


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


def _write(path: Path, take: _Take, totals: Mapping[str, _Total], gaps: Sequence[tuple[int, bytes]], progress: Progress | None) -> None:
    """A finished recording at `path`, synced, and every row of it checked."""
    total, done = 2 * sum(stream.rows for stream in totals.values()), 0

    def went_on(rows: int) -> None:
        nonlocal done
        done += rows
        if progress:
            progress(done, total)

    room = {name: Room(stream.rows, stream.data_bytes) for name, stream in totals.items()}
    laid = create(path, lambda file: copy_description(take.described, file, room))
    fd = os.open(path, os.O_RDWR)
    try:
        copies = {name: _Copy(fd, place) for name, place in laid.items()}
        for name, chunk in take.chunks(laid):
            copies[name].copy(chunk)
            went_on(len(chunk.rows))
        _add_gaps(copies[GAPS], gaps, totals[GAPS].last_sequence + 1)
        write_all(fd, bytes(METADATA_BYTES), os.fstat(fd).st_size)  # HDF5 cuts off what it does not use of it
        _add_clocks(path, fd, laid)
        store_certificate(path)
        os.fsync(fd)
        for name, place in laid.items():
            sound = 0
            for chunk in scan(fd, place):
                sound += int(np.count_nonzero(chunk.sound))
                went_on(len(chunk.rows))
            if sound < place.rows:
                raise FirsthandError(f"{place.rows - sound} rows of stream {name} do not read back from {path}; the disk or the memory is "
                                     "failing, so the take's files were left as they are")
    finally:
        os.close(fd)


def _add_gaps(ledger: _Copy, gaps: Sequence[tuple[int, bytes]], first_sequence: int) -> None:
    """Put the rows found into ``gaps``."""
    if gaps:
        rows = np.zeros(len(gaps), ENCODED_ROW)
        payloads = [payload for _, payload in gaps]
        rows["device_ns"] = rows["host_ns"] = [t_ns for t_ns, _ in gaps]
        rows["sequence"] = first_sequence + np.arange(len(gaps))
        rows["size"] = [len(payload) for payload in payloads]
        rows["offset"] = ledger.data_bytes + np.cumsum(rows["size"]) - rows["size"]
        rows["flags"] = 1
        rows["crc32"] = [checksum(row, payload) for row, payload in zip(rows, payloads, strict=True)]
        ledger.put(rows, b"".join(payloads))


def _add_clocks(path: Path, fd: int, laid: Mapping[str, Place]) -> None:
    """Fit the clock of every stream that has samples, and put it beside them."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        for name, group in file["streams"].items():
            if laid[name].rows:
                clock = clock_of_rows(fd, laid[name], group.attrs.get("clock", "device"), group.attrs.get("wrap_ns"))
                clock.write(group.create_group("clock"))
