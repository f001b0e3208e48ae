"""The disk under the library: how fast it takes data, how long a sync lasts, whether files may have holes, how much room there is."""

import os
import shutil
import tempfile
import time
from pathlib import Path

from firsthand.capture.disk import has_holes, sync, write_all
from firsthand.capture.doctor.finding import Finding, judged

SECONDS = 1.5
"""How long each of the two tests writes."""
BLOCK_BYTES = 1 << 20
SYNC_EVERY_S = 0.25
"""As the recorder does."""
MOST_BYTES = 1 << 30
KEPT_BYTES = 500_000_000
SPEED_TIMES = (3.0, 1.5)
"""The disk should take the rig's rate so many times, and must: a take is copied when it is finished."""
SYNC_S = (0.25, 1.0)
"""A sync should not, must not, take longer: what came since the last one is lost with the power."""
ROOM_MIN = (120.0, 20.0)


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.resolve()
    return next(p for p in (folder, *folder.parents) if p.is_dir())


def disk_speed(folder: Path, bytes_per_s: float) -> list[Finding]:
    """Write to a file there for three seconds: first as much as goes, then as the recorder does, a quarter second's data and a sync."""
    block = os.urandom(BLOCK_BYTES)  # some disks and file systems store zeros for nothing
    try:
        room = shutil.disk_usage(folder).free - KEPT_BYTES
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor.") as file:
            speed = _speed(file.fileno(), block, min(room, MOST_BYTES))
            syncs_s = sorted(_syncs(file.fileno(), block, min(bytes_per_s, speed / 2)))
    except OSError as error:
        return [Finding("disk", f"cannot be written to ({error.strerror})", "", "bad", _elsewhere(folder))]
    slow = "record onto an internal SSD, and end what else writes to this disk"
    p50, p99 = syncs_s[len(syncs_s) // 2], syncs_s[int(len(syncs_s) * 0.99)]
    fast, needed = judged(speed / bytes_per_s, *SPEED_TIMES), SPEED_TIMES[0] * bytes_per_s
    timely = judged(p99, *SYNC_S)
    return [Finding("disk speed", f"{speed / 1e6:.0f} MB/s", f"≥ {needed / 1e6:.0f} MB/s", fast, slow if fast != "ok" else ""),
            Finding("disk sync", f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms", f"p99 ≤ {SYNC_S[0] * 1e3:.0f} ms", timely,
                    f"a power cut would cost {p99 + SYNC_EVERY_S:.1f} s; {slow}" if timely != "ok" else "")]


def _speed(fd: int, block: bytes, most: int) -> float:
    """Bytes a second on the disk, synced."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS and done + len(block) <= most:
        write_all(fd, block, done)
        done += len(block)
        if done % (16 * len(block)) == 0:
            sync(fd)
    sync(fd)
    return done / max(time.perf_counter() - start, 1e-6)


def _syncs(fd: int, block: bytes, bytes_per_s: float) -> list[float]:
    """How long syncs take with a quarter second's data each; without the pauses, so that there are many."""
    took: list[float] = []
    end, at = time.perf_counter() + SECONDS, 0
    while time.perf_counter() < end or len(took) < 4:
        left = int(bytes_per_s * SYNC_EVERY_S) or 4096
        while left > 0:
            write_all(fd, block[:left], at % MOST_BYTES)
            at, left = at + min(len(block), left), left - len(block)
        start = time.perf_counter()
        sync(fd)
        took.append(time.perf_counter() - start)
    return took


def holes(folder: Path) -> list[Finding]:
    """Which of the two ways of recording this disk allows."""
    try:
        sparse = has_holes(folder)
    except OSError as error:
        return [Finding("sparse files", f"cannot be tested ({error.strerror})", "", "bad", _elsewhere(folder))]
    if sparse:
        return [Finding("sparse files", "yes", "yes")]
    return [Finding("sparse files", "no: takes go to a journal", "yes", "warn",
                    "nothing is lost, but a take cannot be read while it is recorded; ext4, xfs, btrfs and APFS have sparse files")]


def room(folder: Path, bytes_per_s: float, measured: bool) -> list[Finding]:
    """Free space, and for how long it lasts."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return [Finding("free space", "the system does not tell")]
    minutes = max(free - KEPT_BYTES, 0) / bytes_per_s / 60
    rate = f"{bytes_per_s / 1e6:.1f} MB/s ({'measured' if measured else 'a 1080p JPEG camera'})"
    verdict = judged(minutes, *ROOM_MIN)
    return [Finding("free space", f"{free / 1e9:.0f} GB: {_span(minutes)} at {rate}", f"≥ {_span(ROOM_MIN[0])}", verdict,
                    "move finished sessions to another disk" if verdict != "ok" else "")]


def _elsewhere(folder: Path) -> str:
    return f"choose a folder that you may write to instead of {folder}"


def _span(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 180 else f"{minutes / 60:.0f} h"
