"""What a recorder asks of a disk: whole writes, syncs, whether files may have holes, and who is writing."""

import errno
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from firsthand.capture.errors import FirsthandError

PROBE_BYTES = 16 * 1024 * 1024
COPY_BYTES = 8 * 1024 * 1024


def write_all(fd: int, data: bytes | bytearray | memoryview, at: int) -> None:
    """Write all of `data` at a position of an open file. A full disk first shortens a write, then raises ``OSError``."""
    done = os.pwrite(fd, data, at)
    if done < len(data):
        rest = memoryview(data)
        while done < len(data):
            done += os.pwrite(fd, rest[done:], at + done)


def write_together(fd: int, pieces: Sequence[bytes | memoryview], at: int) -> None:
    """Write pieces one after another at a position of an open file, in one call where it can."""
    size = sum(map(len, pieces))
    done = os.pwritev(fd, pieces, at) if hasattr(os, "pwritev") else 0
    if done < size:
        write_all(fd, b"".join(pieces)[done:], at + done)


def reserve(fd: int, size: int) -> None:
    """Make sure of room for the first `size` bytes of an open file. Raises ``OSError`` when there is not so much."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:
        write_all(fd, bytes(size), 0)


def copy_range(source: int, at: int, target: int, to: int, size: int) -> None:
    """Copy `size` bytes from one open file to another, inside the kernel where it can (and without a copy where blocks can be shared)."""
    end = at + size
    try:
        while at < end:
            done = os.copy_file_range(source, target, end - at, at, to)
            if done == 0:
                break
            at, to = at + done, to + done
    except (AttributeError, OSError) as error:  # not this system, not these two file systems
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG):
            raise
    while at < end:
        block = os.pread(source, min(COPY_BYTES, end - at), at)
        if not block:
            raise OSError(errno.EIO, "the file ends too early")
        write_all(target, block, to)
        at, to = at + len(block), to + len(block)


def sync(fd: int) -> None:
    """Have the bytes of an open file, and what is needed to find them, on disk. Raises ``OSError``, also for a disk that is full."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync stops at the drive's cache there
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def open_for_writing(path: Path) -> int:
    """A raw descriptor of a file that a take is written to, marked as being written: `claim` refuses it until the process is gone."""
    fd = os.open(path, os.O_RDWR)
    _lock(fd, exclusive=False)
    return fd


def claim(path: Path) -> int:
    """A raw descriptor of a take's file that nobody is writing to. Raises `FirsthandError` when it is being recorded right now."""
    fd = os.open(path, os.O_RDONLY)
    try:
        _lock(fd, exclusive=True)
    except OSError:
        os.close(fd)
        raise FirsthandError(f"{path} is in use, by a recorder or a reader; stop that one first") from None
    return fd


def _lock(fd: int, exclusive: bool) -> None:
    """An advisory lock that ends with its process. Writers share theirs, so that stock h5py, which takes a shared one, can read along."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            # else a file system without locks: nobody can be told apart there


def has_holes(folder: Path) -> bool:
    """Whether files in a folder may be larger than what is stored of them, tried once a disk on a small one. Raises ``OSError``."""
    disk = os.stat(folder).st_dev
    if disk not in _HOLES:
        _HOLES[disk] = hasattr(os, "pwrite") and _holes_in(folder)
    return _HOLES[disk]


_HOLES: dict[int, bool] = {}


def _holes_in(folder: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".holes.") as probe:
        os.ftruncate(probe.fileno(), PROBE_BYTES)
        os.pwrite(probe.fileno(), b"firsthand", PROBE_BYTES - 4096)
        os.fsync(probe.fileno())
        stored = os.fstat(probe.fileno()).st_blocks * 512
        return stored < PROBE_BYTES // 4 and os.pread(probe.fileno(), 9, PROBE_BYTES - 4096) == b"firsthand"
