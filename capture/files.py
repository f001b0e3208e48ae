"""Files that are whole or not there: a temporary name, fsync, rename. And what a file was made from."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EBUSY, errno.ENOTEMPTY, errno.EXDEV)
"""What the system says when it is the place that is at fault."""


def reason(error: OSError) -> str:
    """Why, in the system's words; HDF5's own run over several lines."""
    return os.strerror(error.errno) if error.errno else str(error)


def code_version() -> str:
    """The installed version of firsthand, or ``"0+unknown"`` when it runs from a bare checkout."""
    try:
        return version("firsthand")
    except PackageNotFoundError:
        return "0+unknown"


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Provenance:
    """What a derived file was made from: enough to say whether it is still current."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    """Content hash (SHA-256, hex) of each input, by name."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Every setting that changes the result; plain JSON values."""
    stage: str = ""
    """Which stage wrote the file, with the version of its method, such as ``"hands/1"``."""

    def write(self, group: Any) -> None:
        """Put this into the attributes of an open HDF5 group."""
        group.attrs["inputs"] = json.dumps(dict(self.inputs), sort_keys=True)
        group.attrs["parameters"] = json.dumps(dict(self.parameters), sort_keys=True)
        group.attrs["stage"] = self.stage
        group.attrs["code_version"] = code_version()

    @classmethod
    def read(cls, group: Any) -> "Provenance":
        """The provenance an HDF5 group carries."""
        return cls(json.loads(group.attrs["inputs"]), json.loads(group.attrs["parameters"]), str(group.attrs["stage"]))


def sync_path(path: Path) -> None:
    """Have a file's content, or a folder's entries, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def reading_inside(path: Path, cure: str) -> Iterator[None]:
    """Turn what goes wrong while the inside of an HDF5 or JSON file is read into one sentence that names the file."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OSError, RuntimeError) as error:
        what = str(error.args[0] if error.args else error).partition("\n")[0] or type(error).__name__
        raise DamagedError(f"{path} is damaged inside ({what}); {cure}") from error


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and takes the name, on any failure it is removed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        sync_path(part)
        os.replace(part, path)
        sync_path(path.parent)
    except OSError as error:
        raise FirsthandError(f"cannot write {path}: {reason(error)}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_hdf5(path: Path) -> Iterator[Any]:
    """Yield a new HDF5 file in memory, written as a whole file on success: HDF5 itself crashes when the disk is full."""
    import h5py

    # v110 on both ends: readers as old as HDF5 1.10 can walk the file.
    with h5py.File(path.name, "w", driver="core", backing_store=False, libver=("v110", "v110")) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with whole_file(path) as part:
        part.write_bytes(image)


def need_space(folder: Path, size_bytes: int) -> None:
    """Raise `FirsthandError` when the disk that an existing folder is on has less room than that."""
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise FirsthandError(f"cannot write to {folder}: {size_bytes / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free; make room")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the name, on any failure it is removed.

    Raises `FirsthandError` when `path` exists and is not an empty folder: nothing is ever overwritten.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FirsthandError(f"{path} exists already; name a new folder, or remove this one first")
    path = path.resolve()  # "." has no name to put a temporary one beside
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            part.mkdir(parents=True)
        except OSError as error:
            raise FirsthandError(f"cannot write to {path.parent}: {reason(error)}") from error
        yield part
        for file in filter(Path.is_file, part.rglob("*")):
            sync_path(file)
        os.replace(part, path)
        sync_path(path.parent)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise FirsthandError(f"cannot write {path}: {reason(error)}") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Have other processes that ask for the same folder wait until this block is left; does nothing where the system has no such lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network drives have none
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which gives it back, as the death of the process does


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document as a whole file, indented, keys in the order given."""
    with whole_file(path) as part:
        part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8",
                        errors="backslashreplace")  # a file name need not be Unicode; in JSON the replacement is its escape
