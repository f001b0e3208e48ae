"""Reading HDF5 files of strangers: plain numbers that lie in the file itself, and nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError

FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
"""What HDF5 and h5py unpack by themselves; any other filter is code that the file names and the machine loads."""
MOST_FOLDED = 1100
"""Deflate packs at most 1032 times; a dataset that claims more was never filled, or is meant to fill the memory."""
LARGEST_CHUNK = 2**28
DEEPEST = 8


@contextmanager
def open_foreign(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; what goes wrong inside the block is one sentence that names the file."""
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DamagedError(f"cannot import {path}: it is not HDF5, or cut off") from error
    try:
        with file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        what = str(error.args[0] if error.args else error).partition("\n")[0] or type(error).__name__
        raise DamagedError(f"cannot import {path}: it is damaged inside ({what})") from error


def dataset(parent: Any, name: str, shape: tuple[int | None, ...] | None = None) -> Any:
    """The dataset of numbers at `name` below a group, checked before anything of it is read; `shape` with None for any length.

    Refused with `DamagedError`: what is missing or no dataset; links to elsewhere, virtual datasets and external storage (they
    read other files); strings, objects, references and variable lengths; filters that load code; sizes that the file cannot hold.
    """
    path, where = parent.file.filename, f"{parent.name.rstrip('/')}/{name}"
    found = parent
    for step in name.split("/"):
        found = _child(found, step)
    if not isinstance(found, h5py.Dataset):
        raise DamagedError(f"cannot import {path}: {where} is {'a group' if isinstance(found, h5py.Group) else 'not there'}, not numbers")
    if wrong := _wrong(found) or _misshapen(found.shape, shape):
        raise DamagedError(f"cannot import {path}: {where} {wrong}")
    return found


def _wrong(found: h5py.Dataset) -> str:
    """Why a dataset is not read; empty when it is."""
    plan, stored = found.id.get_create_plist(), found.id.get_storage_size()
    codes = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    if found.is_virtual or found.external:
        return "keeps its data in other files; copy it with h5repack first"
    if found.dtype.kind not in "fiub":
        return f"holds {found.dtype}, not plain numbers"
    if unknown := [code for code in codes if code not in FILTERS]:
        return f"is packed with the filter {unknown[0]}, which is not HDF5's own; unpack it first"
    if found.nbytes > MOST_FOLDED * stored:
        return f"claims {found.nbytes} bytes where the file has {stored}; it was never filled"
    if found.chunks and int(np.prod(found.chunks)) * found.dtype.itemsize > LARGEST_CHUNK:
        return f"is cut into chunks of more than {LARGEST_CHUNK} bytes"
    return ""


def _misshapen(got: tuple[int, ...], want: tuple[int | None, ...] | None) -> str:
    if want is None or (len(got) == len(want) and all(w is None or w == g for w, g in zip(want, got, strict=True))):
        return ""
    wanted = ", ".join("N" if size is None else str(size) for size in want)
    return f"has shape {got}, not ({wanted}{',' * (len(want) == 1)})"


def read(parent: Any, name: str, shape: tuple[int | None, ...] | None = None) -> npt.NDArray[Any]:
    """All numbers of such a dataset."""
    values: npt.NDArray[Any] = dataset(parent, name, shape)[()]
    return values


def group(parent: Any, name: str) -> Any:
    """The group at `name`, in the file itself. Raises `DamagedError` when there is none."""
    found = _child(parent, name)
    if not isinstance(found, h5py.Group):
        raise DamagedError(f"cannot import {parent.file.filename}: there is no group {parent.name.rstrip('/')}/{name} in it")
    return found


def leaves(parent: Any, deep: int = 0) -> Iterator[str]:
    """The paths of all datasets below a group, in order of name."""
    if deep > DEEPEST:
        raise DamagedError(f"cannot import {parent.file.filename}: {parent.name} is nested deeper than {DEEPEST} groups")
    for name in parent:
        found = _child(parent, name)
        if isinstance(found, h5py.Group):
            yield from (f"{name}/{leaf}" for leaf in leaves(found, deep + 1))
        else:
            yield name


def text(attrs: Any, name: str) -> str:
    """An attribute as text; empty where it is not there or something else."""
    value = attrs.get(name, "")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip() if isinstance(value, str | int | float | np.generic) else ""


def _child(parent: Any, name: str) -> Any:
    """What a group holds under a name; None when nothing. Links that lead out of the group's own file are refused."""
    if not isinstance(parent, h5py.Group) or name not in parent.keys():  # noqa: SIM118 - `in` on a group follows links
        return None
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise DamagedError(f"cannot import {parent.file.filename}: {parent.name.rstrip('/')}/{name} is a link to elsewhere; "
                           "copy it with h5repack first")
    return parent[name]
