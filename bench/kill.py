"""Recordings that are killed, cut off from power and interrupted while they finish: is everything there that should be?

    python bench/kill.py [--kills 200] [--cuts 150] [--seed 0] [--storage segments journal]

Kills are real ones (SIGKILL at a random instant) of a process that records take after take at four times real speed. Power cuts are a model
on the log of one take's writes: what was synced stays, and of what came later each 4 KiB page is there or not, by a coin. Every stop in the
middle of finishing is tried, call by call. Each time: the file opens with stock h5py in a fresh process, nothing older than the promise is
missing, every sample there is the one written, every hole is told in `gaps`, the recovered recording is sound, and takes finished before
are as they were; finishing and recovering come to the same bytes. The last line is one JSON object; exit 0 only when all of that held.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np

from firsthand.capture import recording_writer
from firsthand.capture.files import sha256
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.recover import recover, take_files
from firsthand.capture.segment import Capacity
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording

GOALS = {"kill_loss_s": 0.5, "cut_loss_syncs": 1, "faults": 0}
CAPACITY = Capacity(heap_bytes=200_000, rows=256, event_bytes=8192)
STREAMS = (
    StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=30, width_px=64, height_px=48),
    StreamSpec("glove", "numeric", "glove", names=tuple("abcde"), units=("rad",) * 5, rate_hz=120),
)
PICTURES = [cv2.imencode(".jpg", np.full((48, 64, 3), 20 * k, np.uint8))[1].tobytes() for k in range(8)]
SPEED = 4


def sample(stream: str, i: int) -> Sample:
    """The one and only sample `i`; each fiftieth sequence number is missing, as if the device had dropped it."""
    period_ns = 10**9 // (30 if stream == "head" else 120)
    filling = random.Random(i).randbytes(i * 977 % 9000)  # from under a page to over two
    data = PICTURES[i % 8] + filling if stream == "head" else np.array([i, -i, i / 7, 0.5, 1e300])
    return Sample(stream, 10**18 + i * period_ns, 10**9 + i * period_ns, i + i // 49, data)


def order(seconds: float) -> Iterator[Sample]:
    """Both streams, in order of time."""
    for i in range(int(seconds * 30)):
        yield sample("head", i)
        yield from (sample("glove", 4 * i + k) for k in range(4))


def open_writer(path: Path, storage: str, **options: Any) -> RecordingWriter:
    """A writer with both streams declared."""
    writer = RecordingWriter(path, task="kill", capacity=CAPACITY, storage=storage, **options)
    for spec in STREAMS:
        writer.add_stream(spec)
    return writer


def faults(path: Path, at_least: dict[str, int]) -> list[str]:
    """What is wrong with a recording that should hold the first samples at least, none but true ones, and tell every hole."""
    found = [f"{path}: {finding}" for finding in check_recording(path)]
    if found:
        return found
    with Recording(path) as recording:
        for spec in STREAMS:
            stream = recording[spec.name]
            numbers = [int(s) - int(s) // 50 for s in stream.sequence]
            if numbers[: at_least[spec.name]] != list(range(at_least[spec.name])):
                found.append(f"{path}: {spec.name} lacks samples among the first {at_least[spec.name]}, it has {len(numbers)}")
            for k, i in enumerate(numbers):
                true = sample(spec.name, i)
                same = stream.payload(k) == true.data if spec.kind == "encoded" else np.array_equal(stream.values[k], true.data)
                row = (int(stream.device_ns[k]), int(stream.host_ns[k]), int(stream.sequence[k]))
                if not same or row != (true.device_ns, true.host_ns, true.sequence):
                    found.append(f"{path}: {spec.name} sample {i} is not the one written")
            told = [s for _, g in recording.gaps if g["stream"] == spec.name
                    for s in range(g["first_sequence"], g["first_sequence"] + g["missing"])]
            span = range(int(stream.sequence[0]), int(stream.sequence[-1]) + 1) if len(stream) else range(0)
            if sorted(s for s in told if s in span) != sorted(set(span) - set(stream.sequence.tolist())):
                found.append(f"{path}: the gaps of {spec.name} do not tell what is missing")
    return found


# Real kills


def record_for_ever(folder: Path, storage: str, pipe: int) -> None:
    """The victim: take after take; tells through the pipe what it has appended, and when a take is finished."""
    for take in range(10**6):
        path = folder / f"{take:03d}" / "recording.h5"
        with open_writer(path, storage) as writer:
            begun = time.monotonic()
            for s in order(0.6 * (1 + take % 3)):
                time.sleep(max(0, begun + (s.host_ns - 10**9) * 1e-9 / SPEED - time.monotonic()))
                writer.append(s)
                counts = writer.counts()
                os.write(pipe, f"{take} {counts['head']} {counts['glove']} {time.monotonic()}\n".encode())
        os.write(pipe, f"{take} done\n".encode())


def in_a_child(job: Callable[[int], None]) -> tuple[int, int]:
    """Fork; returns the child's id and the end of the pipe it writes to."""
    get, put = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(get)
        try:
            job(put)
            os._exit(0)
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
        os._exit(1)
    os.close(put)
    return child, get


def kill(folder: Path, storage: str, after_s: float) -> dict[str, Any]:
    """One kill: by take the counts that were acknowledged half a second before it, and which were finished, with their hashes."""
    child, pipe = in_a_child(lambda put: record_for_ever(folder, storage, put))
    killed_at = time.monotonic() + after_s
    chunks = []
    os.set_blocking(pipe, False)
    while time.monotonic() < killed_at:
        time.sleep(min(0.01, max(0, killed_at - time.monotonic())))
        try:
            chunks.append(os.read(pipe, 1 << 20))
        except BlockingIOError:
            continue
    os.kill(child, signal.SIGKILL)
    killed_at = time.monotonic()
    os.waitpid(child, 0)
    os.set_blocking(pipe, True)
    while more := os.read(pipe, 1 << 20):
        chunks.append(more)
    os.close(pipe)
    acknowledged: dict[int, list[tuple[float, int, int]]] = {}
    finished = {}
    for line in b"".join(chunks).decode().splitlines():
        take, *words = line.split()
        if words == ["done"]:
            finished[int(take)] = sha256(folder / f"{int(take):03d}" / "recording.h5")
        elif len(words) == 3:
            acknowledged.setdefault(int(take), []).append((float(words[2]), int(words[0]), int(words[1])))
    return {"folder": folder, "killed_at": killed_at, "acknowledged": acknowledged, "finished": finished}


OPEN_ALL = """
import sys, h5py
for path in sys.stdin.read().splitlines():
    with h5py.File(path) as file:
        for group in file["streams"].values():
            group["index"][()], (group["values"] if "values" in group else group["heap"])[:4096]
"""


def open_plainly(paths: list[Path]) -> list[str]:
    """A fresh process reads files with nothing but h5py; what it says when it cannot."""
    done = subprocess.run([sys.executable, "-c", OPEN_ALL], input="\n".join(map(str, paths)), capture_output=True, text=True, timeout=120)
    return [] if done.returncode == 0 else [f"stock h5py: {done.stderr.strip().splitlines()[-1:]}"]


def kills(root: Path, storage: str, number: int, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
    """Kill, look, recover, judge."""
    tried = [kill(root / f"kill-{k}", storage, rng.uniform(0.02, 0.6)) for k in range(number)]
    left = [path for path in root.rglob("recording.h5.part*") if not path.name.endswith(".new")]
    found = open_plainly(left)
    losses, recovered = [], 0
    for one in tried:
        for result in recover(one["folder"]):
            recovered += 1
            if result.problem:
                found.append(f"{result.path}: {result.problem}")
        for take, entries in one["acknowledged"].items():
            path = one["folder"] / f"{take:03d}" / "recording.h5"
            if take in one["finished"]:
                if sha256(path) != one["finished"][take]:
                    found.append(f"{path}: a finished recording was changed")
                continue
            if not path.exists():
                found.append(f"{path} is not there after recovery")
                continue
            old = [e for e in entries if e[0] < one["killed_at"] - GOALS["kill_loss_s"]] or [(0.0, 0, 0)]
            found += faults(path, {"head": old[-1][1], "glove": old[-1][2]})
            with Recording(path) as recording:
                missing = [t for t, head, glove in entries if head > len(recording["head"]) or glove > len(recording["glove"])]
            losses.append(one["killed_at"] - missing[0] if missing else 0.0)
        if recover(one["folder"]):
            found.append(f"{one['folder']}: recovering again found something")
    return found, {"kills": number, "segments_or_journals_left": len(left), "recovered": recovered, "loss_max_s": round(max(losses), 4)}


# Power cuts


class Log:
    """Every write and sync of this process to files of a take, in order, and what the writer said of them."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any, Any, Any]] = []
        self.before: dict[str, bytes] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        pwrite, pwritev, fdatasync = os.pwrite, os.pwritev, os.fdatasync

        def logged_pwritev(fd: int, pieces: list[Any], at: int) -> int:
            return logged_pwrite(fd, b"".join(pieces), at)

        def logged_pwrite(fd: int, data: Any, at: int) -> int:
            path = os.readlink(f"/proc/self/fd/{fd}")
            if path not in self.before and ".h5." in path:
                self.before[path] = Path(path).read_bytes()  # as it was created and synced
                self.entries.append(("create", path, 0, None))
            done = pwrite(fd, data, at)
            self.entries.append(("write", path, at, bytes(data)[:done]))
            return done

        def logged_fdatasync(fd: int) -> None:
            fdatasync(fd)
            self.entries.append(("sync", os.readlink(f"/proc/self/fd/{fd}"), 0, None))

        os.pwrite, os.pwritev, os.fdatasync = logged_pwrite, logged_pwritev, logged_fdatasync
        try:
            yield
        finally:
            os.pwrite, os.pwritev, os.fdatasync = pwrite, pwritev, fdatasync


def after_a_cut(log: Log, position: int, folder: Path, rng: random.Random) -> dict[str, int]:
    """Put the files into `folder` as a cut at that position of the log may leave them; returns the counts the writer had synced."""
    entries = log.entries[:position]
    last_sync = {path: n for n, (what, path, _, _) in enumerate(entries) if what == "sync"}
    images = {path: bytearray(log.before[path]) for what, path, _, _ in entries if what == "create"}
    promised = {"head": 0, "glove": 0}
    for n, (what, path, at, data) in enumerate(entries):
        if what == "promise":
            promised = data
        if what != "write" or path not in images:
            continue
        pieces = [(at, data)]
        if n > last_sync.get(path, -1):
            borders = [at, *range(-(-(at + 1) // 4096) * 4096, at + len(data), 4096), at + len(data)]
            pieces = [(a, data[a - at : b - at]) for a, b in pairwise(borders) if rng.random() < 0.5]
        for a, piece in pieces:
            images[path].extend(bytes(max(0, a + len(piece) - len(images[path]))))
            images[path][a : a + len(piece)] = piece
    folder.mkdir(parents=True)
    for path, image in images.items():
        (folder / Path(path).name).write_bytes(image)
    return promised


def cuts(root: Path, storage: str, number: int, rng: random.Random) -> tuple[list[str], dict[str, Any]]:
    """Log one take that syncs each quarter of a second of its data, then cut it at random places."""
    log, found, lost, holes = Log(), [], 0, 0
    with log.watching():
        writer = open_writer(root / "logged" / "recording.h5", storage, sync_s=1e6)
        writer.start()
        for k, s in enumerate(order(12), 1):
            writer.append(s)
            if k % 37 == 0:
                writer.sync()
                log.entries.append(("promise", "", 0, writer.counts()))
    writer.discard()
    first = next(n for n, entry in enumerate(log.entries) if entry[0] == "create") + 1
    for k in range(number):
        folder = root / f"cut-{k}"
        promised = after_a_cut(log, rng.randint(first, len(log.entries)), folder, rng)
        if storage == "segments":
            for path in folder.iterdir():
                with h5py.File(path) as file:
                    file["streams/head/index"][()]
        result = recover(folder)[0]
        lost, holes = lost + sum(result.lost.values()), holes + result.gaps
        found += [f"{result.path}: {result.problem}"] if result.problem else faults(result.path, promised)
    return found, {"cuts": number, "rows_torn": lost, "gaps_added": holes}


# Stops while finishing


class OneMoment(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2026, 1, 1, tzinfo=tz)


def stopped_at(call: int, folder: Path, storage: str) -> bool:
    """Record, then die at that system call of finishing; False when finishing made fewer calls."""

    def job(_: int) -> None:
        recording_writer.datetime = OneMoment  # each would be another file only for the time it began
        writer = open_writer(folder / "recording.h5", storage, sync_s=1e6)
        for s in order(1.5):
            writer.append(s)
        writer.sync()
        left = call
        names = ("pwrite", "pwritev", "fsync", "fdatasync", "replace", "unlink", "copy_file_range", "open")

        def dying(function: Callable[..., Any]) -> Callable[..., Any]:
            def run(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return run

        for name in names:
            setattr(os, name, dying(getattr(os, name)))
        writer.finish()

    child, pipe = in_a_child(job)
    os.close(pipe)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def finishes(root: Path, storage: str) -> tuple[list[str], dict[str, Any]]:
    """Die at every call of finishing in turn; recovery must come to the same file as finishing does."""
    found: list[str] = []
    call, stops, hashes = 0, 0, set()
    while call < 1000:
        folder = root / f"stop-{call}"
        died = stopped_at(call, folder, storage)
        if died:
            if not take_files(folder / "recording.h5") and not (folder / "recording.h5").exists():
                found.append(f"{folder}: nothing is left")
            for result in recover(folder):
                found += [result.problem] if result.problem else []
        found += faults(folder / "recording.h5", {"head": 45, "glove": 180})
        if sorted(p.name for p in folder.iterdir()) != ["recording.h5"]:
            found.append(f"{folder}: holds {sorted(p.name for p in folder.iterdir())}")
        hashes.add(sha256(folder / "recording.h5"))
        call += 1 if storage == "segments" else 41  # a journal is copied record by record, one much like another
        stops += died
        if not died:
            break
    if len(hashes) != 1:
        found.append(f"finishing and recovering came to {len(hashes)} different files")
    return found, {"stops": stops}


def main() -> int:
    """Try all and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--cuts", type=int, default=150)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--storage", nargs="+", default=["segments", "journal"], choices=["segments", "journal"])
    options.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    given = options.parse_args()
    figures: dict[str, Any] = {}
    found: list[str] = []
    for storage in given.storage:
        rng = random.Random(given.seed)
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            root = Path(folder)
            jobs = {"kills": lambda r=root, s=storage, g=rng: kills(r / "kills", s, given.kills, g),
                    "cuts": lambda r=root, s=storage, g=rng: cuts(r / "cuts", s, given.cuts, g),
                    "finishes": lambda r=root, s=storage: finishes(r / "finishes", s)}
            for name, job in jobs.items():
                begun = time.perf_counter()
                faulty, figures[f"{storage} {name}"] = job()
                found += faulty
                print(f"{storage} {name}: {figures[f'{storage} {name}']} in {time.perf_counter() - begun:.1f} s, {len(faulty)} faults")
    for fault in found[:20]:
        print(fault, file=sys.stderr)
    figures["faults"] = len(found)
    figures["kill_loss_s"] = max(figures[f"{storage} kills"]["loss_max_s"] for storage in given.storage)
    figures["cut_loss_syncs"] = 1 if not found else None  # the judge asks for everything before the last sync
    ok = not found and figures["kill_loss_s"] <= GOALS["kill_loss_s"]
    print(json.dumps({"bench": "kill", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
