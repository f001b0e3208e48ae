"""One recorder a library: a lock that ends with its process, however that comes about."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import FOLDER

LOCK = "lock"
TRY_S = 0.5
"""A monitor that looks whether the lock is held holds it for a moment."""


@contextmanager
def only_recorder(library: Path) -> Iterator[Path]:
    """Hold the library's lock; yields the folder of the recorder's own files, which is made. Raises `FirsthandError` naming who has it."""
    folder = library / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise FirsthandError(f"cannot record into {library}: {error.strerror}; give a folder that can be written to") from error
    try:
        deadline_s = time.monotonic() + TRY_S
        while not _take(fd, fcntl.LOCK_EX):
            if time.monotonic() > deadline_s:
                raise FirsthandError(f"another recorder, process {_owner(fd)}, is recording into {library}; end that one first, "
                                     "or record into another library")
            time.sleep(0.05)
        os.truncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid()}).encode(), 0)
        yield folder
    finally:
        os.close(fd)


def recorder_of(library: Path) -> str | None:
    """The process that records into a library now; None when there is none."""
    try:
        fd = os.open(library / FOLDER / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _take(fd, fcntl.LOCK_SH) else _owner(fd)
    finally:
        os.close(fd)


def _take(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(fd: int) -> str:
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(os.pread(fd, 4096, 0))["pid"])
    return "unknown"
