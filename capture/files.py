"""Files that are whole or not there: a temporary name, fsync, rename. And what a file was made from."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from firsthand.capture.errors import FirsthandError


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
        raise FirsthandError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes the name, on any failure it is removed.

    Raises `FirsthandError` when `path` exists and is not an empty folder: nothing is ever overwritten.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FirsthandError(f"{path} exists already; name a new folder, or remove this one first")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            part.mkdir(parents=True)
        except OSError as error:
            raise FirsthandError(f"cannot write to {path.parent}: {error.strerror or error}") from error
        yield part
        for file in filter(Path.is_file, part.rglob("*")):
            sync_path(file)
        os.replace(part, path)
        sync_path(path.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document as a whole file, indented, keys in the order given."""
    with whole_file(path) as part:
        part.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
