"""VRS files: opened with Meta's reader (the wheel ``vrs``), their records one stream at a time, and whether the file is whole."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError

MAGIC = b"VisionRe"
HEADER = struct.Struct("<8s8sIIQQQ")
"""Magic number, an id, sizes of the headers of file and record, and where index, description and first record begin."""
AGAIN = "copy it again from the device"


def is_vrs(source: Path) -> bool:
    """Whether a file begins as VRS does."""
    with source.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def missing_bytes(source: Path) -> int:
    """How many bytes the file's last record lacks. Meta's reader says nothing of records that are cut off."""
    end = source.stat().st_size
    with source.open("rb") as file:
        head = file.read(HEADER.size)
        if len(head) < HEADER.size:
            return HEADER.size - len(head)
        _, _, file_header, record_header, index, _, first = HEADER.unpack(head)
        at: int = first or file_header
        while 0 < at < end:
            file.seek(at)
            size = int.from_bytes(file.read(4), "little")
            if size < max(record_header, 4):  # not written by anybody we know
                return max(1, int(record_header) - (end - at))
            at += size
    return max(0, int(at) - end, int(index) - end)


@contextmanager
def open_vrs(source: Path) -> Iterator[Any]:
    """The reader of a whole file. Raises `FirsthandError` when it is damaged, or the wheel is missing."""
    if lacking := missing_bytes(source):
        raise DamagedError(f"cannot import {source}: it is cut off or damaged, {lacking} bytes are missing at its end; {AGAIN}")
    try:
        import pyvrs
    except ImportError as error:
        raise FirsthandError(f"{source} needs the reader of VRS files: pip install 'firsthand[aria]' ({error})") from error
    with reading_vrs(source):
        reader = pyvrs.SyncVRSReader(str(source))
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def reading_vrs(source: Path) -> Iterator[None]:
    """Turn what Meta's reader raises into one sentence."""
    try:
        yield
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError, OSError) as error:
        what = str(error.args[0] if error.args else error).partition("\n")[0] or type(error).__name__
        raise DamagedError(f"cannot import {source}: it is damaged ({what}); {AGAIN}") from error


def data(reader: Any, source: Path, stream: str, kind: str = "data") -> Iterator[Any]:
    """A stream's records, one in memory at a time; few as they may be."""
    with reading_vrs(source):
        records = reader.filtered_by_fields(stream_ids=stream, record_types=kind)
        count = len(records)
    for i in range(count):
        with reading_vrs(source):
            record = records[i]
        yield record


def fields(reader: Any, source: Path, stream: str, kind: str = "configuration") -> dict[str, Any]:
    """The metadata of a stream's first record of a kind; empty where there is none."""
    for record in data(reader, source, stream, kind):
        return dict(record.metadata_blocks[0]) if record.n_metadata_blocks else {}
    return {}
