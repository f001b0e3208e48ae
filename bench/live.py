"""A full rig through the real recorder processes, in real time: are there drops, and what does it cost?

    python bench/live.py [--seconds 60] [--folder FOLDER]

Two runs on devices that are not there but keep the wall clock's pace, each device (of one or two cameras) in a process of its own:
four 1080p30 cameras that deliver MJPEG, two gloves (22 channels, 120 Hz) and an IMU (6 channels, 200 Hz); then two 1080p30 cameras whose
raw pictures are encoded to JPEG, with the same gloves and IMU. A device keeps four pictures or 64 rows for a reader that is late;
everything it then loses, and everything we let go, counts as a drop. Each recording is checked row by row. CPU is that of all the
recorder's processes over the take, as a share of one core; `pattern` is what making the pictures costs and a real camera would not.

The last line is one JSON object; exit 0 only when there were no drops.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig

SENSORS = [
    {"name": "glove-left", "columns": 22, "rate_hz": 120, "role": "glove", "side": "left"},
    {"name": "glove-right", "columns": 22, "rate_hz": 120, "role": "glove", "side": "right"},
    {"name": "imu", "columns": 6, "rate_hz": 200, "role": "imu"},
]
GOALS = {"mjpeg_4x1080p30_drops": 0, "raw_2x1080p30_drops": 0}
TICKS = 100
"""Of CPU time a second, in /proc."""


def rig(cameras: int, picture: str) -> Rig:
    """Cameras two to a device, as on a shared bus, and the sensors on one of their own."""
    made = [{"name": f"cam{i}", "size_px": [1920, 1080], "fps": 30, "picture": picture} for i in range(cameras)]
    pairs = [made[i : i + 2] for i in range(0, cameras, 2)] if picture == "mjpeg" else [[camera] for camera in made]
    devices = [Device(f"cameras{i}", "pattern", {"cameras": pair, "seed": i}) for i, pair in enumerate(pairs)]
    return Rig("bench", (*devices, Device("sensors", "pattern", {"sensors": SENSORS})), pre_roll_s=0)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run(folder: Path, worn: Rig, seconds: float) -> dict[str, Any]:
    """Record one take and count what is missing."""
    numbers = itertools.count()
    most_fill = 0.0
    with Supervisor(worn, folder / "logs", lambda: folder / f"{next(numbers):03d}") as recorder:
        if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60):
            raise SystemExit(f"the rig did not come up: {recorder.status().devices}")
        take = recorder.start("bench")
        begun = {name: cpu_s(pid) for name, pid in recorder.pids().items()}
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.2)
            status = recorder.status()
            most_fill = max(most_fill, status.disk.memory_fill if status.disk else 0.0)
        used = {name: (cpu_s(pid) - begun[name]) / seconds for name, pid in recorder.pids().items()}
        sync_ms = status.disk.sync_p99_ms if status.disk else 0.0
        recorder.stop()
        stopped = time.monotonic()
        recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state != "finishing", 300)
        finish_s = time.monotonic() - stopped
    missing, rates, right = 0, {}, True
    with Recording(take / "recording.h5") as recording:
        for name, stream in recording.streams.items():
            if stream.spec.role == "events":
                continue
            missing += int(stream.sequence[-1] - stream.sequence[0]) + 1 - len(stream)
            rates[name] = round(float((len(stream) - 1) / (stream.host_ns[-1] - stream.host_ns[0]) * 1e9), 2)
            right &= not list(stream.damage()) and bool((np.diff(stream.sequence) > 0).all())
        told = Counter[str]()
        for _, gap in recording.gaps:
            told[gap["cause"]] += gap["missing"]
    size_mb = (take / "recording.h5").stat().st_size / 1e6
    return {"drops": missing, "told_in_gaps": dict(told), "whole": right, "rates_hz": rates, "mb_per_s": round(size_mb / seconds, 1),
            "cpu_of_one_core": {name: round(value, 3) for name, value in used.items()}, "most_memory_fill": round(most_fill, 3),
            "sync_p99_ms": round(sync_ms, 1), "finish_s": round(finish_s, 1)}


def pattern_cost(cameras: int, seconds: float = 3.0) -> float:
    """Share of one core that making the MJPEG pictures takes."""
    from firsthand.capture.drivers.pattern import open_pattern

    drivers = open_pattern(cameras=[{"name": f"cam{i}", "size_px": [1920, 1080]} for i in range(cameras)])
    for driver in drivers:
        driver.__enter__()
    begun, end = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < end:
        for driver in drivers:
            driver.read(0.02)
    return (time.process_time() - begun) / seconds


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    given = options.parse_args()
    figures: dict[str, Any] = {"pattern_of_one_core_4x1080p30": round(pattern_cost(4), 3)}
    whole = True
    rigs = {"mjpeg_4x1080p30": (4, "mjpeg"), "raw_2x1080p30": (2, "raw")}
    for name, (cameras, picture) in rigs.items():
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            found = run(Path(folder), rig(cameras, picture), given.seconds)
        print(f"{name}: {found}")
        figures[name] = found
        figures[f"{name}_drops"] = found["drops"]
        whole &= found["whole"] and found["drops"] == sum(found["told_in_gaps"].values())
    ok = whole and all(figures[name] <= goal for name, goal in GOALS.items())
    print(json.dumps({"bench": "live", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
