"""kill -9 of the recorder and of the writer's process, at random instants, across episodes.

    python bench/kill_processes.py [--kills 200] [--seed 1] [--folder FOLDER]

A recorder process records take after take from a pattern camera (30 Hz) and glove (120 Hz). Then it, or its writer, is killed: at random
within a take, at its start, at its stop, or while takes are being finished. After each kill

* every take that was finished before must have the same bytes as when it was finished;
* where a take was running, its ``.part`` must open with stock h5py at once, before anything is repaired;
* once the survivors are done and ``recover`` has run, each take is checked row by row, and of each stream at most half a second may be
  missing before the kill (what the device had delivered by then, by its own pace);
* after a kill of the writer, recording must go on by itself.

The last line is one JSON object; exit 0 only without a fault.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py

from firsthand.capture.recording import Recording
from firsthand.capture.recover import recover

GOALS = {"faults": 0, "worst_loss_s": 0.5}
RATES = {"head": 30.0, "glove": 120.0}
WAIT_S = 20.0


def serve(folder: Path, seed: int) -> None:
    """The one who is killed: records takes of random length, one after another, and says what it does."""
    from firsthand.capture.live.supervisor import Supervisor
    from firsthand.capture.rig import Device, Rig

    rng, begin = random.Random(seed), len(list(folder.glob("take-*")))
    numbers = itertools.count(begin)
    options = {"cameras": [{"name": "head", "size_px": [640, 480]}], "sensors": [{"name": "glove", "columns": 22, "rate_hz": 120}]}
    rig = Rig("killed", (Device("pattern", "pattern", options),), pre_roll_s=0.2)
    with Supervisor(rig, folder / "logs", lambda: folder / f"take-{next(numbers):04d}") as recorder:
        recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, WAIT_S)
        print(json.dumps({"pids": recorder.pids()}), flush=True)
        while True:
            with contextlib.suppress(Exception):  # between a killed writer and the next a take may be running already
                recorder.start("kill me")
            time.sleep(rng.uniform(0.3, 1.5))
            recorder.stop()
            recorder.wait(lambda s: s.state == "ready", WAIT_S)


class Trial:
    """One recorder, one kill, and what is left."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.faults: list[str] = []
        self.losses_s: list[float] = []

    def run(self, victim: str) -> None:
        """Kill `victim` at a random instant and judge."""
        finished = {path: digest(path) for path in self.folder.glob("take-*/recording.h5")}
        command = [sys.executable, __file__, "--serve", str(self.folder), "--seed", str(self.rng.randrange(1 << 30))]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert child.stdout is not None
        pids = json.loads(child.stdout.readline())["pids"]
        time.sleep(self.rng.uniform(0.0, 2.5))
        pid = child.pid if victim == "recorder" else pids["writer"]
        done = {path: digest(path) for path in self.folder.glob("take-*/recording.h5")}
        os.kill(pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        live = sorted(self.folder.glob("take-*/recording.h5.part"))
        for part in live[-1:]:
            with contextlib.suppress(FileNotFoundError):  # finished in the meantime
                self.opens(part)
        if victim == "writer":
            before = len(list(self.folder.glob("take-*")))
            deadline = time.monotonic() + WAIT_S
            while len(list(self.folder.glob("take-*"))) < before + 2 and time.monotonic() < deadline:
                time.sleep(0.05)
            if time.monotonic() >= deadline:
                self.faults.append("recording did not go on after the writer was killed")
            os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        for gone in pids.values():
            self.await_end(gone)
        self.await_writers()
        for result in recover(self.folder):
            if result.problem:
                self.faults.append(f"{result.path}: {result.problem}")
        for path, was in {**finished, **done}.items():
            if digest(path) != was:
                self.faults.append(f"{path} has other bytes than when it was finished")
        for part in live:
            self.judge(part.with_name("recording.h5"), killed_ns if part == live[-1] else None)
        for path in self.folder.glob("take-*/recording.h5"):
            if path not in finished:
                self.check(path)

    def opens(self, part: Path) -> None:
        """Stock h5py, at once."""
        try:
            with h5py.File(part, "r") as file:
                assert len(file["streams"]["head/index"]) > 0
        except FileNotFoundError:
            raise
        except Exception as error:
            self.faults.append(f"{part} does not open with h5py: {error}")

    def await_end(self, pid: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        if Path(f"/proc/{pid}").exists():
            self.faults.append(f"process {pid} outlived its recorder")
            os.kill(pid, signal.SIGKILL)

    def await_writers(self) -> None:
        """Until nobody writes into the folder any more: a second writer, or what finishes a take."""
        deadline = time.monotonic() + WAIT_S
        while writing_in(self.folder) and time.monotonic() < deadline:
            time.sleep(0.05)

    def judge(self, path: Path, killed_ns: int | None) -> None:
        """How much of the take that was running is missing before the kill."""
        if not path.exists():
            self.faults.append(f"{path} is not there after recovery")
            return
        with Recording(path) as recording:
            stops = [t for t, marker in recording.markers if marker["kind"] == "stop"]
            if killed_ns is None or (stops and stops[0] < killed_ns):
                return
            start = next(t for t, marker in recording.markers if marker["kind"] == "start")
            for name in RATES:
                last = int(recording[name].host_ns[-1]) if len(recording[name]) else start
                self.losses_s.append((killed_ns - last) * 1e-9)

    def check(self, path: Path) -> None:
        """Every row of a new take."""
        with Recording(path) as recording:
            for name in RATES:
                stream = recording[name]
                if list(stream.damage()) or any(b - a != 1 for a, b in itertools.pairwise(stream.sequence.tolist())):
                    self.faults.append(f"{path}, {name}: damaged or with a gap")


def writing_in(folder: Path) -> bool:
    """Whether a process has a file of the folder open."""
    for fd in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(fd).startswith(str(folder)) and fd.parts[2] != str(os.getpid()):
                return True
    return False


def digest(path: Path) -> str:
    """Of the whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Kill, judge, print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve:
        serve(given.serve, given.seed)
    rng = random.Random(given.seed)
    faults: list[str] = []
    losses: dict[str, list[float]] = {"recorder": [], "writer": []}
    takes = 0
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for i in range(given.kills):
            victim = ("recorder", "writer")[i % 2]
            if i % 10 == 0:  # a new folder now and then, or there would be a thousand takes to hash
                batch = Path(folder) / f"{i:04d}"
                batch.mkdir()
            trial = Trial(batch, rng)
            trial.run(victim)
            faults += [f"kill {i} of the {victim}: {fault}" for fault in trial.faults]
            losses[victim] += trial.losses_s
            for fault in trial.faults:
                print(fault, file=sys.stderr)
            print(f"\r{i + 1} kills, {len(faults)} faults", end="", file=sys.stderr)
        takes = len(list(Path(folder).glob("*/take-*/recording.h5")))
    print(file=sys.stderr)
    figures: dict[str, Any] = {
        "kills": given.kills, "in_a_take": {name: len(found) // 2 for name, found in losses.items()}, "takes_checked": takes,
        "faults": len(faults), "worst_loss_s": round(max((max(found) for found in losses.values() if found), default=0.0), 3),
        "worst_loss_of_the_writer_s": round(max(losses["writer"], default=0.0), 3),
    }
    ok = all(figures[name] <= goal for name, goal in GOALS.items())
    print(json.dumps({"bench": "kill_processes", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
