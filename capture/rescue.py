"""`firsthand recover`, each take in a process of its own: a damaged file that hangs or crashes HDF5 takes nothing else with it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from firsthand.capture.compact import Recovered
from firsthand.capture.errors import FirsthandError
from firsthand.capture.probe import ProbeError, Progress, apart
from firsthand.capture.recover import LEFT, recover, recover_take

STALL_S = 60.0
"""A take in which nothing happens for so long is given up; the slowest step that tells nothing is one sync."""


def rescue(path: Path, progress: Progress | None = None, *, stall_s: float = STALL_S) -> list[Recovered]:
    """Do what `recover` does; a take whose files hang or crash the reader is told in the result's ``problem``, and left as it is.

    Raises `FirsthandError` when `path` names a single file that cannot be recovered.
    """
    if not path.is_dir():
        return _one("named", path, progress, stall_s)
    found: list[Recovered] = []
    for recording in interrupted(path):
        try:
            found += _one("take", recording, progress, stall_s)
        except FirsthandError as error:
            found.append(Recovered(recording, {}, {}, 0, str(error)))
    return found


def interrupted(folder: Path) -> list[Path]:
    """The recordings that takes in a folder, at any depth, were to become; seen from the names of files alone."""
    return sorted({p.with_name(m["recording"]) for p in folder.rglob("*.h5.*") if (m := LEFT.fullmatch(p.name))})


def named(path: str, progress: Progress) -> list[dict[str, Any]]:
    """The other end, for a path that a person gave."""
    return _plain(recover(Path(path), progress))


def take(recording: str, progress: Progress) -> list[dict[str, Any]]:
    """The other end, for a take that was found."""
    return _plain(recover_take(Path(recording), progress))


def _plain(takes: list[Recovered]) -> list[dict[str, Any]]:
    return [{**asdict(one), "path": str(one.path)} for one in takes]


def _one(function: str, path: Path, progress: Progress | None, stall_s: float) -> list[Recovered]:
    try:
        found = apart(f"{__name__}:{function}", str(path), stall_s=stall_s, progress=progress)
    except ProbeError as error:
        raise ProbeError(f"reading the files of {path} {error}; they are as they were: copy them to another disk and try there") from None
    return [Recovered(**{**one, "path": Path(one["path"])}) for one in found]
