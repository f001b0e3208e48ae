"""Reading Zarr v3 groups of strangers: arrays of numbers and of byte strings that lie in the folder, and nothing else."""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError, FirsthandError

CODECS = ("bytes", "vlen-bytes", "vlen-utf8", "blosc", "zstd", "gzip", "crc32c", "sharding_indexed", "transpose",
          "numcodecs.zstd", "numcodecs.blosc", "numcodecs.gzip", "numcodecs.zlib", "numcodecs.lz4", "numcodecs.shuffle")
"""What unpacks to plain bytes. Others, such as pickle, can run code."""
NUMBERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
BYTES = ("variable_length_bytes", "bytes", "string")
MOST_FOLDED = 1100
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Group:
    """A checked group: its attributes, and the arrays directly in it."""

    path: Path
    attributes: Mapping[str, Any]
    arrays: Mapping[str, Any]
    """The document of each array, by name, in order of name."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(self.arrays)

    def numbers(self, name: str, rows: int, width: int | None = None) -> npt.NDArray[Any]:
        """The first `rows` rows of an array of numbers, shape (rows, C); what is behind them is padding."""
        kind, shape = self.arrays[name]["data_type"], self.arrays[name]["shape"]
        columns = int(np.prod(shape[1:]))
        if kind not in NUMBERS or shape[0] < rows or columns == 0 or (width is not None and columns != width):
            raise DamagedError(f"cannot import {self.path}: {name} is {kind} of shape {tuple(shape)}, where numbers of {rows} rows"
                               + f" and {width} column" * (width is not None) + " are wanted")
        held = sum(file.stat().st_size for file in (self.path / name).rglob("*") if file.is_file())
        claimed = int(np.prod(shape)) * np.dtype(kind).itemsize
        if claimed > MOST_FOLDED * held:
            raise DamagedError(f"cannot import {self.path}: {name} claims {claimed} bytes where the folder has {held}; it was never filled")
        return np.asarray(self._read(self._open(name), name, 0, rows)).reshape(rows, columns)

    def payloads(self, name: str, rows: int | None = None) -> Iterator[bytes]:
        """The first `rows` byte strings of an array, all of them if not given, some at a time."""
        kind, shape = self.arrays[name]["data_type"], self.arrays[name]["shape"]
        if kind not in BYTES or len(shape) != 1 or shape[0] < (rows or 0):
            raise DamagedError(f"cannot import {self.path}: {name} is {kind} of shape {tuple(shape)}, where byte strings of "
                               f"{rows or 'N'} rows are wanted")
        array, count = self._open(name), shape[0] if rows is None else rows
        for start in range(0, count, ROWS_AT_ONCE):
            read = self._read(array, name, start, min(start + ROWS_AT_ONCE, count))
            for value in read:
                yield value.encode() if isinstance(value, str) else bytes(value)

    def _read(self, array: Any, name: str, start: int, stop: int) -> Any:
        try:
            return array[start:stop]
        except Exception as error:  # a damaged chunk raises whatever its codec does
            raise DamagedError(f"cannot import {self.path}: {name} is damaged ({_first_line(error)})") from error

    def _open(self, name: str) -> Any:
        try:
            import zarr
        except ImportError as error:
            raise FirsthandError("reading Zarr needs the zarr package; install it with: pip install 'firsthand[import]'") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that byte strings of any length are not in the specification yet
            try:
                return zarr.open_array(str(self.path / name), mode="r")
            except Exception as error:
                raise DamagedError(f"cannot import {self.path}: {name} is damaged ({_first_line(error)})") from error


def open_foreign(path: Path) -> Group:
    """Look at a group's own documents before the library does. Raises `DamagedError` for what is not read: links that lead out of the
    folder, other versions, codecs that can run code, types that are no plain numbers or bytes."""
    root = path.resolve()
    for file in path.rglob("*"):
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise DamagedError(f"cannot import {path}: {file.relative_to(path)} is a link to elsewhere; copy what it leads to in its place")
    document = _document(path, path)
    arrays = {folder.name: _document(path, folder) for folder in sorted(path.iterdir()) if (folder / "zarr.json").is_file()}
    for name, array in arrays.items():
        if array.get("node_type") == "array":
            _check(path, name, array)
    kept = {name: array for name, array in arrays.items() if array.get("node_type") == "array"}
    attributes = document.get("attributes")
    if document.get("node_type") != "group" or not isinstance(attributes, dict):
        raise DamagedError(f"cannot import {path}: its zarr.json is not that of a group with attributes")
    return Group(path, attributes, kept)


def _check(path: Path, name: str, array: dict[str, Any]) -> None:
    kind = array.get("data_type")
    kind = kind.get("name") if isinstance(kind, dict) else kind
    shape = array.get("shape")
    if kind not in (*NUMBERS, *BYTES):
        raise DamagedError(f"cannot import {path}: {name} holds {kind!r}, which is neither plain numbers nor bytes")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise DamagedError(f"cannot import {path}: {name} has the shape {shape!r}")
    array["data_type"] = kind
    for codec in _codecs(array):
        if codec not in CODECS:
            raise DamagedError(f"cannot import {path}: {name} is packed with {codec!r}, which is not unpacked here; write it with zstd")


def _codecs(document: Any) -> Iterator[str]:
    """The names of all codecs of an array, also those inside shards."""
    for codec in document.get("codecs") or ():
        name = codec.get("name") if isinstance(codec, dict) else codec
        yield str(name)
        settings = codec.get("configuration") if isinstance(codec, dict) else None
        if isinstance(settings, dict):
            yield from _codecs(settings)
            yield from _codecs({"codecs": settings.get("index_codecs")})


def _document(path: Path, folder: Path) -> dict[str, Any]:
    try:
        document = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"cannot import {path}: {folder.name}/zarr.json is missing or no JSON") from error
    if not isinstance(document, dict) or document.get("zarr_format") != 3:
        raise DamagedError(f"cannot import {path}: {folder.name}/zarr.json is not of Zarr version 3")
    return document


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
