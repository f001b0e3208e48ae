"""The driver `uvc` through the real recorder: what its cameras sent, byte for byte, with its stamps and numbers.

    python bench/cameras.py [--seconds 30]

Over the network, `firsthand emulate` in a process of its own leaves out every fiftieth picture; each picture carries its number. In the
kernel's place answers the camera of the tests (`tests/capture/cameras/emulated_camera.c`; needs a C compiler and the kernel's headers) with
1080p MJPEG, of which it loses every fiftieth, and counts on. Goals: no picture lost that was sent, none that differs by a byte, every stamp
the one that was sent, gaps exactly what a camera that counts left out, session times within 3 ms (the constant delay aside). The last line
is one JSON object; exit 0 only when each goal is met. The rows stand in docs/devices/README.md.
"""

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from devices import SESSION_MS, cpu_s, emulated, free_port
from parts.device_truths import DROPS, SEED

from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.pattern.pictures import numbered
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.rig import Device, Rig

SOURCE = Path(__file__).parents[1] / "tests" / "capture" / "cameras" / "emulated_camera.c"
LOSES, PICTURES = 50, 200
FPS = 30
NUMBER = re.compile(rb"firsthand camera (\d+)")
STAMP = re.compile(rb"X-Timestamp: (\d+)\.(\d{6})")


def take(options: dict[str, Any], folder: Path, seconds: float) -> float:
    """Record one take; what share of a core the device's process took."""
    rig = Rig("bench", (Device("camera", "uvc", {**options, "fps": FPS}),), pre_roll_s=0)
    with Supervisor(rig, folder / "logs", lambda: folder / "000") as recorder:
        if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 120):
            raise SystemExit(f"the camera did not come up: {recorder.status().devices}")
        time.sleep(1.0)
        recorder.start("bench")
        pid = recorder.pids()["camera"]
        before_s = cpu_s(pid)
        time.sleep(seconds)
        used = (cpu_s(pid) - before_s) / seconds
        recorder.stop()
        recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state != "finishing", 120)
    return used


def network(emulator: str, outlet: str, scheme: str, seconds: float, folder: Path) -> dict[str, Any]:
    """A camera that the emulator plays."""
    port = free_port()
    with emulated(emulator, f"{outlet}://127.0.0.1:{port}"):
        used = take({"url": f"{scheme}://127.0.0.1:{port}/"}, folder, seconds)
    messages = find("emulators", EMULATORS, emulator)(Emulation(seed=SEED, drop_rate=DROPS))
    sent = {int(NUMBER.search(m)[1]): (due, m) for due, m in takewhile(lambda m: m[0] < (seconds + 300) * 1e9, messages)}  # type: ignore[index]
    with Recording(folder / "000" / "recording.h5") as recording:
        head = recording["head"]
        numbers = [int(NUMBER.search(head.payload(i))[1]) for i in range(len(head))]  # type: ignore[index]
        differ = sum(head.payload(i) not in sent[n][1] for i, n in enumerate(numbers))
        lost = sum(n in sent for n in range(numbers[0], numbers[-1])) + 1 - len(numbers)
        told = [STAMP.search(sent[n][1]) for n in numbers]
        stamps = [int(t[1]) * 10**9 + int(t[2]) * 1000 if t else host for t, host in zip(told, head.host_ns.tolist(), strict=True)]
        due_ns = np.array([sent[n][0] for n in numbers])
        return {**figures(head, used, due_ns), "lost": lost, "differ": differ, "in_gaps": gaps(recording), "to_be_in_gaps": 0,
                "stamps_differ": int(np.count_nonzero(head.device_ns != stamps))}


def attached(seconds: float, folder: Path, library: Path) -> dict[str, Any]:
    """A camera that answers in the kernel's place."""
    path, make = folder / "video0", numbered("mjpeg", 1920, 1080, loop=8, quality=82, seed=SEED)
    path.touch()
    pictures = [make(n) for n in range(PICTURES)]
    path.with_name("video0.MJPG").write_bytes(b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures))
    path.with_name("video0.lose").write_text(str(LOSES))
    os.environ.update(LD_PRELOAD=str(library), CAMERA_PATH=str(path))
    try:
        used = take({"camera": str(path), "size_px": [320, 240]}, folder, seconds)
    finally:
        del os.environ["LD_PRELOAD"], os.environ["CAMERA_PATH"]
    with Recording(folder / "000" / "recording.h5") as recording:
        head = recording["head"]
        differ = sum(head.payload(i) != pictures[n % PICTURES] for i, n in enumerate(head.sequence.tolist()))
        first, last = int(head.sequence[0]), int(head.sequence[-1])
        lose = sum(n % LOSES == LOSES - 1 for n in range(first, last))
        lost = last - first + 1 - lose - len(head)
        return {**figures(head, used, head.sequence * 1e9 / FPS), "lost": lost, "differ": differ, "in_gaps": gaps(recording),
                "to_be_in_gaps": lose, "stamps_differ": int(np.count_nonzero(head.t_ns != head.device_ns))}


def figures(head: Stream, used: float, due_ns: Any) -> dict[str, Any]:
    """What is the same of all."""
    late_ms = (head.t_ns - due_ns) * 1e-6
    stamped = head.spec.extra.get("stamps") != "arrival"
    return {"rows": len(head), "rate_hz": round(float((len(head) - 1) / (head.host_ns[-1] - head.host_ns[0]) * 1e9), 2), "cpu": used,
            "stamps": head.spec.extra.get("stamps", "device"), "bytes": int(head.rows["size"].mean()),
            "session_ms": float(np.abs(late_ms - np.median(late_ms)).max()) if stamped else None}


def gaps(recording: Recording) -> int:
    """How many pictures the recording calls missing."""
    return sum(gap["missing"] for _, gap in recording.gaps if gap["stream"] == "head")


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=30)
    seconds = options.parse_args().seconds
    found: dict[str, dict[str, Any]] = {}
    print("| camera | over | Hz, recorded | stamps | session clock, ms | lost | in gaps | differ | CPU |\n"
          "|---|---|---|---|---|---|---|---|---|")
    for name, over, outlet in (("mjpeg-camera", "http", "http-serve"), ("mjpeg-camera-plain", "tcp", "tcp-serve"), ("1080p", "V4L2", "")):
        compiler = shutil.which("cc") or shutil.which("gcc")
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if outlet:
                one = network(name, outlet, over, seconds, place)
            elif compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
                print("no row of V4L2: it needs a C compiler and the kernel's headers", file=sys.stderr)
                continue
            else:
                library = place / "camera.so"
                subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
                one = attached(seconds, place, library)
        found[f"{name} {over}"] = one
        held = "-" if one["session_ms"] is None else f"{one['session_ms']:.2g}"
        print(f"| `{name}` | {over.upper()} | {one['rate_hz']:.1f} | {one['stamps']} | {held} | {one['lost']} of {one['rows']} | "
              f"{one['in_gaps'] or '-'} | {one['differ']} | {100 * one['cpu']:.0f} % |", flush=True)
    ok = all(one["lost"] == one["differ"] == one["stamps_differ"] == 0 and one["in_gaps"] == one["to_be_in_gaps"]
             and (one["session_ms"] or 0) <= SESSION_MS for one in found.values())
    goals = {"lost": 0, "differ": 0, "stamps_differ": 0, "in_gaps": "to_be_in_gaps", "session_ms": SESSION_MS}
    print(json.dumps({"bench": "cameras", "figures": found, "goals": goals, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
