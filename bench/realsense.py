"""A RealSense camera through the real recorder: the SDK's own software device, its truth known to the bit.

    python bench/realsense.py [--seconds 30]

The device's process makes the camera and reads it (its CPU is both), in real time: 640 x 480 colour and depth at 30 Hz, accelerometer and
gyroscope at 200. Then depth, both motion sensors and every stamp must be what the camera gave, to the bit, and every JPEG that which the
encoder makes of the picture it gave.

Goals: nothing lost, all of it the same. The last line is one JSON object; exit 0 only when each goal is met. The row of the table stands in
docs/devices/README.md.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from devices import cpu_s

from firsthand.capture.certificate import certify
from firsthand.capture.encode import open_encoder
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.realsense.scene import Scene
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.rig import Device, Rig

SEED = 21
STREAMS = {"head": "color", "head-depth": "depth", "head-accel": "accel", "head-gyro": "gyro"}


def take(folder: Path, seconds: float) -> float:
    """Record one take into a folder; what share of a core the device's process took."""
    Scene(seed=SEED).prepare()
    device = Device("camera", "realsense", {"software": {"seed": SEED}}, encode={"head-depth": "depth-zstd"})
    with Supervisor(Rig("bench", (device,), pre_roll_s=0), folder / "logs", lambda: folder / "000") as recorder:
        if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60):
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


def judged(scene: Scene, kind: str, stream: Stream) -> dict[str, Any]:
    """Hold a stream against what the camera gave."""
    sequence = stream.sequence.tolist()
    if kind == "color":
        jpeg = open_encoder(stream.spec)
        same = [bytes(stream.payload(i)) == jpeg.encode(scene.color(n))[0][0] for i, n in enumerate(sequence)]
    elif kind == "depth":
        same = [np.array_equal(np.nan_to_num(stream.depth_m(i)), scene.depth(n) * np.float32(1e-3)) for i, n in enumerate(sequence)]
    else:
        same = [np.array_equal(row, scene.motion(kind, n)) for row, n in zip(stream.values, sequence, strict=True)]
    stamps = np.array([scene.stamp_us(kind, n) * 1000 for n in sequence])
    return {"rows": len(stream), "rate_hz": round(float((len(stream) - 1) / (stream.host_ns[-1] - stream.host_ns[0]) * 1e9), 2),
            "lost": sequence[-1] - sequence[0] + 1 - len(stream), "differ": same.count(False),
            "stamps_differ": int((stamps != stream.device_ns).sum())}


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=30)
    with tempfile.TemporaryDirectory() as folder:
        used = take(Path(folder), options.parse_args().seconds)
        with Recording(Path(folder) / "000" / "recording.h5") as recording:
            streams = {name: judged(Scene(seed=SEED), kind, recording[name]) for name, kind in STREAMS.items()}
            interval_ms = max(one.offset_interval_ms for one in certify(recording).streams)
    total = {key: sum(one[key] for one in streams.values()) for key in ("rows", "lost", "differ", "stamps_differ")}
    rates = "/".join(sorted({f"{one['rate_hz']:.1f}" for one in streams.values()}, key=float))
    print("| emulator | over | Hz, nominal | Hz, recorded | stamps | lost | worst error | CPU |\n|---|---|---|---|---|---|---|---|")
    print(f"| `realsense` | SDK | 30, 200 | {rates} | device | {total['lost']} of {total['rows']} | "
          f"{total['differ'] + total['stamps_differ'] or 'none'} | {100 * used:.0f} % |")
    ok = not (total["lost"] or total["differ"] or total["stamps_differ"])
    figures = {"streams": streams, "cpu": round(used, 3), "offset_interval_ms": interval_ms}
    print(json.dumps({"bench": "realsense", "figures": figures, "goals": {"lost": 0, "differ": 0, "stamps_differ": 0}, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
