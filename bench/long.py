"""A day in one take: does recording need more memory as it goes on, and how much does finishing need?

    python bench/long.py [--hours 24] [--rows 65536] [--recover]

Small pictures at 30 Hz, two gloves of 22 channels at 120 Hz and an IMU of 6 at 200 Hz, each on a clock of its own, with drops and a device
that restarts; a simulated clock, as fast as it goes. Memory is what the process holds (RSS) after each simulated minute, from the tenth on;
finishing (or with `--recover`, recovering, which checks every row first) runs in a process of its own, as in the recorder. The disk needs
room for it twice: 12 GB for 24 hours. The last line is one JSON object; exit 0 only when the goals are met.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.segment import Capacity
from firsthand.capture.stream import Sample, StreamSpec

GOALS = {"growth_mb": 5.0, "files_waiting": 10, "finish_growth_mb": 150.0, "faults": 0}
BATCH_NS = 100_000_000
EPOCH_NS = 10**12
RATES = {"head": (30, 0), "glove-left": (120, 22), "glove-right": (120, 22), "imu": (200, 6)}
DRIFT = {"head": 20e-6, "glove-left": -35e-6, "glove-right": 50e-6, "imu": 5e-6}


def batches(seconds: float) -> Iterator[list[Sample]]:
    """What arrives in each tenth of a second: of a thousand samples one was dropped; the right glove restarts each hour."""
    rng = np.random.default_rng(0)
    picture, sent, arrived = rng.bytes(400), dict.fromkeys(RATES, 0), dict.fromkeys(RATES, 0)
    values = {name: rng.normal(size=(64, width)) for name, (_, width) in RATES.items() if width}
    for batch in range(int(seconds * 10**9) // BATCH_NS):
        samples = []
        for name, (rate, width) in RATES.items():
            first, sent[name] = sent[name], (batch + 1) * BATCH_NS * rate // 10**9
            delays = rng.exponential(1e6, sent[name] - first).astype(np.int64).tolist()
            for i, delay_ns in zip(range(first, sent[name]), delays, strict=True):
                t_ns, since = i * 10**9 // rate, i // (3600 * rate) * 3600 if name == "glove-right" else 0
                arrived[name] = max(arrived[name], EPOCH_NS + t_ns + delay_ns)  # none overtakes another
                if i % 1000 != 999:
                    device_ns, data = int((t_ns - since * 10**9) * (1 - DRIFT[name])), values[name][i % 64] if width else picture
                    samples.append(Sample(name, device_ns, arrived[name], i - since * rate, data))
        samples.sort(key=lambda sample: sample.host_ns)
        yield samples


def memory_mb() -> float:
    """What this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def record(path: Path, seconds: float, capacity: Capacity) -> tuple[dict[str, int], dict[str, Any]]:
    """Record, and watch memory and files."""
    writer = RecordingWriter(path, task="a day", capacity=capacity)
    writer.add_stream(StreamSpec("head", "encoded", "other", encoding="bytes", rate_hz=30))
    for name, (rate, width) in RATES.items():
        if width:
            columns = tuple(f"c{i}" for i in range(width))
            writer.add_stream(StreamSpec(name, "numeric", "other", names=columns, units=("1",) * width, rate_hz=rate))
    minutes, waiting, begun = [], 0, time.process_time()
    for k, batch in enumerate(batches(seconds)):
        writer.append_many(batch)
        if k % 600 == 599:
            minutes.append(memory_mb())
            waiting = max(waiting, sum(os.readlink(f"/proc/self/fd/{fd}").startswith(f"{writer.part}.") for fd in open_files()))
    counts = writer.close()
    files = list(path.parent.glob("recording.h5.part*"))
    settled = minutes[min(10, len(minutes) // 2) :]
    return counts, {
        "cpu_s": round(time.process_time() - begun, 1), "samples": sum(counts.values()), "segments": len(files),
        "disk_mb": round(sum(file.stat().st_blocks * 512 for file in files) / 1e6, 1),
        "memory_mb": round(max(minutes), 1), "growth_mb": round(max(settled) - settled[0], 2), "files_waiting": waiting,
    }  # fmt: skip


def open_files() -> list[int]:
    """This process's descriptors; the one of the listing itself is gone by now."""
    return [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


FINISH = """
import json, resource, sys, time
from pathlib import Path
from firsthand.capture.recover import finish_take
import firsthand.capture.compact
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = finish_take(Path(sys.argv[1]), json.loads(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mb = {"finish_growth_mb": round((peak - before) * 1024 / 1e6, 1), "finish_peak_mb": round(peak * 1024 / 1e6, 1)}
saw = {"saved": dict(found.saved), "lost": dict(found.lost), "added": found.gaps}
print(json.dumps({**mb, **saw, "finish_cpu_s": round(time.process_time(), 1)}))
"""


def main() -> int:
    """Record, finish, look and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--hours", type=float, default=24)
    options.add_argument("--rows", type=int, default=Capacity.rows, help="room in a segment: fewer roll over more often")
    options.add_argument("--recover", action="store_true", help="finish as if the recorder had died")
    options.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "recording.h5"
        counts, figures = record(path, given.hours * 3600, Capacity(rows=given.rows))
        print(f"recorded {figures}", flush=True)
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", FINISH, str(path), json.dumps(None if given.recover else counts)],
                              capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        finished = json.loads(done.stdout)
        faults = judge(path, counts, finished)
        for fault in faults:
            print(fault, file=sys.stderr)
        figures |= {name: finished[name] for name in ("finish_growth_mb", "finish_peak_mb", "finish_cpu_s")}
        size_mb = round(path.stat().st_size / 1e6, 1)
        figures |= {"finish_s": round(time.perf_counter() - begun, 1), "file_mb": size_mb, "faults": len(faults)}
    ok = all(figures[name] <= goal for name, goal in GOALS.items()) and figures["segments"] > 1
    print(json.dumps({"bench": "long", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


def judge(path: Path, counts: dict[str, int], finished: dict[str, Any]) -> list[str]:
    """Whether the recording holds what was written, tells each drop once, and places samples where they were taken."""
    import h5py

    from firsthand.capture.certificate import EpisodeTiming
    from firsthand.capture.recording import Recording

    found = [f"{what}: {finished[what]}" for what in ("lost", "added") if finished[what]]
    if finished["saved"] != counts:
        found.append(f"{finished['saved']} in the recording, {counts} written")
    with h5py.File(path) as file:
        timing = {stream.stream: stream for stream in EpisodeTiming.read(file["certificate"]).streams}
    with Recording(path) as recording:
        for name, (rate, _) in RATES.items():
            stream = recording[name]
            runs = 1 if name != "glove-right" else len(stream.clock.spans)
            if timing[name].segments != runs or timing[name].samples != counts[name]:
                found.append(f"{name}: the certificate tells {timing[name].segments} runs and {timing[name].samples} samples")
            # The one before a restart is missing too, but nobody can tell: after it the device counts anew.
            if timing[name].gaps != (counts[name] - 1) // 999 - (runs - 1):
                found.append(f"{name}: {timing[name].gaps} drops told, of {counts[name]} samples")
            worst = 0.0
            for at, rows in stream.row_blocks():
                number = at + at // 999  # of each thousand the last is missing
                t_ns = stream.clock.to_session(rows["device_ns"], at)
                worst = max(worst, float(np.abs(t_ns - EPOCH_NS - number * 10**9 // rate).max()) * 1e-6)
            if worst > 0.1:
                found.append(f"{name}: a sample is {worst:.3f} ms from when it was taken")
    return found


if __name__ == "__main__":
    sys.exit(main())
