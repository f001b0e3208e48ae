"""Recording and finishing on a disk that fills up, at 50 points: one sentence, no crash, and everything before it is there.

    python bench/full.py [--points 50] [--seed 0] [--storage segments journal] [--on tmpfs ext4]

A small disk is mounted (which asks for root; exits with 2 where it cannot be) and filled up but for a random room, from none at all to
more than a take needs with its finishing. On it a fresh process records a take of two streams and finishes it. Then: it has ended by
itself, having said one sentence when there was not room enough; every segment opens with stock h5py; and once there is room again, recovery
comes to a sound recording that holds every picture that was appended, and all numbers but those that waited for company (of a journal, also
the pictures that did). The last line is one JSON object; exit 0 only when all of that held.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kill import faults, open_plainly

from firsthand.capture.journal import HOLD_BYTES
from firsthand.capture.recording import Recording
from firsthand.capture.recover import recover
from firsthand.capture.segment_writer import HOLD_ROWS

GOALS = {"faults": 0}
DISK_BYTES = 8 << 20
ROOM_BYTES = 5_000_000
SECONDS = 10
WAITING = {"segments": (0, HOLD_ROWS), "journal": (HOLD_BYTES // 1000, HOLD_ROWS)}
"""Samples that may still have been in memory."""

RECORD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from kill import open_writer, order
from firsthand.capture.errors import FirsthandError
counts = {"head": 0, "glove": 0}
try:
    with open_writer(Path(sys.argv[1]) / "recording.h5", sys.argv[2], sync_s=0.01) as writer:
        for s in order(float(sys.argv[4])):
            writer.append(s)
            counts[s.stream] += 1
except FirsthandError as error:
    print(error)
print(counts["head"], counts["glove"])
"""


@contextmanager
def small_disk(kind: str, scratch: Path) -> Iterator[Path]:
    """A mounted disk of `DISK_BYTES`."""
    disk, image = scratch / kind, scratch / f"{kind}.image"
    disk.mkdir()
    how = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"]
    if kind == "ext4":
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True, capture_output=True)
        how = ["-o", "loop", str(image)]
    subprocess.run(["mount", *how, str(disk)], check=True, capture_output=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path, room: int) -> Path:
    """A file that takes all of a disk but this."""
    ballast = disk / "ballast"
    found = os.statvfs(disk)
    with ballast.open("wb") as file:
        left = max(0, found.f_bavail * found.f_frsize - room)
        while left > 0:
            left -= file.write(bytes(min(left, 1 << 16)))
        file.flush()
        os.fsync(file.fileno())
    return ballast


def one(disk: Path, storage: str, room: int) -> tuple[list[str], str]:
    """One take with that much room: what is wrong, and how it ended."""
    ballast, folder = fill(disk, room), disk / "take"
    folder.mkdir()
    here = f"{storage} with {room / 1e6:.3f} MB"
    done = subprocess.run([sys.executable, "-c", RECORD, str(folder), storage, str(Path(__file__).parent), str(SECONDS)],
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode or done.stderr:
        return [f"{here}: ended with {done.returncode}: {done.stderr[-300:]}"], "crash"
    *said, numbers = done.stdout.splitlines()
    pictures, rows = map(int, numbers.split())
    ending = "whole" if not said else "finishing" if said[0].startswith("cannot finish") else "recording" if pictures else "start"
    found = [f"{here}: said {said}"] if len(said) > 1 or (said and "the disk is full" not in said[0]) else []
    if ending in ("recording", "finishing"):
        found += open_plainly(sorted(folder.glob("recording.h5.part*")))
    ballast.unlink()
    for result in recover(folder):
        if result.problem:
            found.append(f"{here}: {result.problem}")
    recording = folder / "recording.h5"
    if recording.exists():
        found += faults(recording, {"head": max(0, pictures - WAITING[storage][0]), "glove": max(0, rows - WAITING[storage][1])})
        with Recording(recording) as made:
            found += [f"{here}: {ending}, and yet there is a gap" for _, gap in made.gaps if gap["cause"] == "recorder"]
    elif pictures:
        found.append(f"{here}: nothing came of {pictures} pictures")
    return found, ending


def main() -> int:
    """Try all and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--points", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--storage", nargs="+", default=["segments", "journal"], choices=["segments", "journal"])
    options.add_argument("--on", nargs="+", default=["tmpfs", "ext4"], choices=["tmpfs", "ext4"])
    given = options.parse_args()
    rng, found = random.Random(given.seed), []
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind in given.on:
            try:
                with small_disk(kind, Path(scratch)) as disk:
                    for storage in given.storage:
                        endings = dict.fromkeys(("start", "recording", "finishing", "whole", "crash"), 0)
                        begun, before = time.perf_counter(), len(found)
                        for _ in range(given.points):
                            faulty, ending = one(disk, storage, rng.randint(0, ROOM_BYTES))
                            found += faulty
                            endings[ending] += 1
                            subprocess.run(["find", str(disk), "-mindepth", "1", "-delete"], check=False)
                        figures[f"{kind} {storage}"] = endings
                        took_s = time.perf_counter() - begun
                        print(f"{kind} {storage}: {endings} in {took_s:.1f} s, {len(found) - before} faults", flush=True)
            except (OSError, subprocess.CalledProcessError) as error:
                print(f"a small {kind} cannot be mounted here: {error}", file=sys.stderr)
                return 2
    for fault in found[:20]:
        print(fault, file=sys.stderr)
    figures["faults"] = len(found)
    print(json.dumps({"bench": "full", "figures": figures, "goals": GOALS, "ok": not found}))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
