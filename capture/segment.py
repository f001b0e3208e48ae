"""Files of the published layout with all their space set out before a byte is written: live segments and finished recordings."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from firsthand.capture.disk import reserve
from firsthand.capture.errors import FirsthandError
from firsthand.capture.layout import rows_of
from firsthand.capture.stream import StreamSpec

LIVE = "segment"
"""Root attribute of a file that is being recorded: its number in the take. A finished recording has none."""
PAGE = 4096
ROOM_BYTES = 2 << 20


@dataclass(frozen=True)
class Room:
    """How much of one stream a file has room for."""

    rows: int
    heap_bytes: int = 0
    """Encoded streams only."""


@dataclass(frozen=True)
class Capacity:
    """Room in one live segment. All of it is holes until it is written, so that only the apparent size of a file is large."""

    heap_bytes: int = 1 << 30
    """Of each picture stream: three minutes of 720p JPEG."""
    rows: int = 1 << 16
    """Of each stream: nine minutes at 120 Hz."""
    event_bytes: int = 1 << 22
    """Of ``gaps`` and ``markers`` each."""

    def room(self, spec: StreamSpec) -> Room:
        """Of one stream."""
        return Room(self.rows, 0 if spec.kind == "numeric" else self.event_bytes if spec.role == "events" else self.heap_bytes)


@dataclass(frozen=True)
class Place:
    """Where one stream lies in a file."""

    kind: str
    index_at: int
    """First byte of the index rows."""
    rows: int
    data_at: int
    """First byte of the heap or of the values."""
    data_bytes: int
    row_bytes: int
    """Of a row of values; 0 for an encoded stream."""


def segment_path(part: Path, number: int) -> Path:
    """The name of a take's segment: ``recording.h5.part``, then ``recording.h5.part.1`` and so on."""
    return part if number == 0 else part.with_name(f"{part.name}.{number}")


def create(path: Path, describe: Callable[[h5py.File], dict[str, Place]]) -> dict[str, Place]:
    """Make a file that `describe` fills and lays out with `add_data`; returns the places of its streams, by name.

    Every dataset is contiguous, allocated early, never filled and starts on a page, so its bytes may be written where it lies;
    until then a row is all zero, which no checksum matches. Raises ``OSError`` when there is not room for the description
    and some more: on a full disk HDF5 does not come back with an error, but crashes.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        reserve(fd, ROOM_BYTES)
    finally:
        os.close(fd)
    # v110 on both ends: readers as old as HDF5 1.10 can walk the file.
    with h5py.File(path, "w", libver=("v110", "v110"), alignment_threshold=PAGE, alignment_interval=PAGE) as file:
        return describe(file)


def copy_description(source: h5py.File, file: h5py.File, room: Mapping[str, Room]) -> dict[str, Place]:
    """Give a new file the description of `source`, with the given room for its streams; returns their places."""
    _copy_attributes(source, file)
    for name in ("provenance", "calibration"):
        _copy_group(source[name], file.create_group(name))
    laid = {}
    for name, described in source["streams"].items():
        group = file.create_group(f"streams/{name}")
        _copy_attributes(described, group)
        numeric = "values" in described
        laid[name] = add_data(group, described["values"].shape[1] if numeric else 0, room[name])
        if numeric:
            _copy_attributes(described["values"], group["values"])
        if "extradata" in described:
            group.create_dataset("extradata", data=described["extradata"][()])
    return laid


def add_data(group: Any, columns: int, room: Room) -> Place:
    """Set out ``index`` and ``values`` of so many columns, or ``heap`` for none, in a stream's group."""
    kind = "numeric" if columns else "encoded"
    index_at = _contiguous(group, "index", (room.rows,), rows_of(kind))
    if columns:
        data_at, size = _contiguous(group, "values", (room.rows, columns), np.dtype("<f8")), room.rows * columns * 8
    else:
        data_at, size = _contiguous(group, "heap", (room.heap_bytes,), np.dtype(np.uint8)), room.heap_bytes
    return Place(kind, index_at, room.rows, data_at, size, columns * 8)


def places(file: h5py.File) -> dict[str, Place]:
    """Where each stream lies. Raises `FirsthandError` when the bytes are not in one piece, as this firsthand lays them out."""
    return {name: place(group) for name, group in file["streams"].items()}


def place(group: Any) -> Place:
    """Where the stream of a group lies."""
    index, data = group["index"], group["values"] if "values" in group else group["heap"]
    row_bytes = data.shape[1] * data.dtype.itemsize if "values" in group else 0
    kind = "numeric" if "values" in group else "encoded"
    if index.dtype != rows_of(kind) or data.dtype != (np.dtype("<f8") if row_bytes else np.dtype(np.uint8)):
        raise FirsthandError(f"stream {group.name} of {group.file.filename} does not have the row types of a recording")
    return Place(kind, _address(index), len(index), _address(data), data.size * data.dtype.itemsize, row_bytes)


def _address(dataset: Any) -> int:
    """Where a dataset's bytes start in the file; 0 for an empty one."""
    if dataset.size == 0:
        return 0
    at = dataset.id.get_offset()
    if at is None or dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize:
        raise FirsthandError(f"{dataset.name} of {dataset.file.filename} is not stored in one piece; it was not recorded by this firsthand")
    return int(at)


def _contiguous(group: Any, name: str, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> int:
    """A new dataset in one piece; returns where it starts in the file, 0 for an empty one."""
    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_layout(h5py.h5d.CONTIGUOUS)
    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    how.set_obj_track_times(False)
    file_type = h5py.h5t.py_create(dtype, logical=True)
    return h5py.h5d.create(group.id, name.encode(), file_type, h5py.h5s.create_simple(shape), dcpl=how).get_offset() or 0


def _copy_attributes(source: Any, target: Any) -> None:
    for name, value in source.attrs.items():
        if name != LIVE:
            target.attrs[name] = value


def _copy_group(source: Any, target: Any) -> None:
    """Written anew: HDF5's own copy turns the order of its records round, so that a copy of a copy has other bytes."""
    _copy_attributes(source, target)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy_group(item, target.create_group(name))
        else:
            _copy_attributes(item, target.create_dataset(name, data=item[()]))


def publish(new: Path, path: Path) -> None:
    """Give a new file its name, which must not be taken. Raises ``FileExistsError``."""
    try:
        os.link(new, path)
    except FileExistsError:
        new.unlink()
        raise
    except OSError:  # a file system without hard links
        if path.exists():
            new.unlink()
            raise FileExistsError(path) from None
        os.replace(new, path)
    with suppress(FileNotFoundError):
        new.unlink()
