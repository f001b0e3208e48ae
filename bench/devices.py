"""Every tracker and glove through the real recorder, from its emulator over its own transport: rate, stamps, loss, and the values.

    python bench/devices.py [--seconds 30] [--only EMULATOR...]

For each emulator: `firsthand emulate` in a process of its own, a rig with the one driver, the recorder's real processes, one take. What was
sent is worked out again from the emulator's seed. Each recorded row is traced to the message it came of, by the raw messages kept beside
it (LSL: by its counter), and its values are held against the synthetic wearer at the time that message tells of. Lost is what should have
been sent between the first and the last message recorded, and is not in the recording: on a busy machine also what the emulator was too
late for. CPU is the device's process, its share of a core.

`realsense` is the SDK's own software device in the driver's process, whose CPU is both that of the camera and that of reading it: depth,
IMU, stamps and the JPEGs of the colour that it showed must be the same to the bit.

Goals: nothing lost, and every value within what the format can say. The last line is one JSON object; exit 0
only when each goal is met. The table stands in docs/devices/README.md.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.certificate import certify
from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.lucidgloves import shares
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.encode import open_encoder
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.plugins import find
from firsthand.capture.realsense.scene import Scene
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig
from firsthand.capture.skeleton import TIPS, Side

Floats = npt.NDArray[np.float64]
Truth = Callable[[Wearer, Side, float], Floats]

SEED = 21
BODY = [joint for joint in range(21) if joint not in TIPS]


def in_world(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints in the world."""
    return wearer.points_m(side, t_s)


def from_wrist(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints from the wrist, in the world's directions."""
    points = wearer.points_m(side, t_s)
    return points - points[0]


def in_hand(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints from the wrist, in the hand's own axes."""
    return from_wrist(wearer, side, t_s) @ wearer.R_world_hand(side, t_s)


def angles(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The twenty angles."""
    return wearer.angles_rad(side, t_s)


def curls(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """What potentiometers feel."""
    bent, spread = shares(wearer.angles_rad(side, t_s))
    return np.concatenate([np.repeat(bent, 4), spread])


@dataclass(frozen=True)
class Case:
    """One emulator and the driver that hears it."""

    emulator: str
    driver: str
    to: str
    options: dict[str, Any]
    rate_hz: float
    truths: dict[str, tuple[Truth, float]]
    """Stream -> what it should hold, and how far the format's rounding may take a value from it."""
    holds: Callable[[bytes, str], bool] = lambda message, stream: True
    """Whether a raw message completes a row of a stream."""
    raw: str = ""
    """The stream of raw messages."""
    whole: Callable[[bytes], Sequence[bytes]] = field(default=lambda sent: [sent])
    """The raw messages that one sent message becomes."""
    joints: Sequence[int] = tuple(range(21))
    """Those that the device measures."""
    encode: dict[str, str] = field(default_factory=dict)


HANDS, BIND = ("hand-left", "hand-right"), {"bind": "127.0.0.1:{port}", "sender": "127.0.0.1"}
UDP, CONNECT = "udp://127.0.0.1:{port}", {"connect": "127.0.0.1:{port}"}
IDS = {"60f3738b": "left", "8569617b": "right"}
MICRON = 1e-6


def of_side(message: bytes, stream: str) -> bool:
    """Of Quest: the packet, or the second of its lines."""
    return f"{stream[5:].capitalize()} landmarks".encode() in message


def of_manus(message: bytes, stream: str) -> bool:
    """Of MANUS: skeletons and ergonomics share a socket."""
    return (message.count(b",") > 39) == stream.startswith("hand")


def of_solver(frame: bytes, stream: str) -> bool:
    """Of Rokoko's solver: joints of the side's device."""
    return frame[:1] == b"\2" and frame[8] == (101 if stream == "hand-left" else 102)


QUEST = dict.fromkeys(HANDS, (in_world, 5e-4))
CASES = (
    Case("quest", "quest", UDP, BIND, 70, QUEST, of_side, "quest-raw"),
    Case("quest", "quest", "tcp://127.0.0.1:{port}", {**BIND, "transport": "tcp"}, 70, QUEST, of_side, "quest-raw",
         lambda m: m.split(b"\n")),
    Case("quest-unstamped", "quest", UDP, BIND, 70, QUEST, of_side, "quest-raw"),
    Case("lucidgloves", "lucidgloves", "pty:{folder}/glove", {"port": "{folder}/glove", "side": "right"}, 100,
         {"glove-right": (curls, 1.01 / 4095)}, raw="glove-right-raw"),
    Case("manus", "manus", "zmq-push://127.0.0.1:{port}", {**CONNECT, "gloves": IDS}, 120,
         {**dict.fromkeys(HANDS, (from_wrist, 6e-4)), **dict.fromkeys(("glove-left", "glove-right"), (angles, np.radians(6e-4)))},
         of_manus, "manus-raw"),
    Case("manus-bridge", "manus", "zmq-pub://127.0.0.1:{port}",
         {**CONNECT, "format": "bridge", "axes": "z-forward", "hands": ["right"]}, 120,
         {"hand-right": (from_wrist, MICRON), "glove-right": (angles, MICRON)}, raw="manus-raw"),
    Case("rokoko", "rokoko", UDP, BIND, 60, dict.fromkeys(HANDS, (in_world, MICRON)), raw="rokoko-raw"),
    Case("rokoko-plain", "rokoko", UDP, BIND, 60, dict.fromkeys(HANDS, (in_world, MICRON)), raw="rokoko-raw"),
    Case("rokoko-sdk", "rokoko-sdk", "tcp-serve://127.0.0.1:{port}", CONNECT, 100, dict.fromkeys(HANDS, (from_wrist, MICRON)), of_solver,
         "rokoko-raw"),
    Case("udcap", "udcap", UDP, BIND, 120, dict.fromkeys(("glove-left", "glove-right"), (angles, np.radians(6e-4))), raw="udcap-raw"),
    Case("xsens", "xsens", UDP, BIND, 60, dict.fromkeys(HANDS, (in_world, MICRON)), lambda m, _: bool(m[10] & 128), "xsens-raw",
         joints=BODY),
    Case("vision-pro", "vision-pro", "grpc://127.0.0.1:{port}", CONNECT, 90, dict.fromkeys(HANDS, (in_world, MICRON)),
         raw="vision-pro-raw"),
    Case("lsl", "lsl", "lsl://firsthand-bench-{port}",
         {"name": "firsthand-bench-{port}", "stream": "glove-right", "counter": "counter"}, 100, {"glove-right": (angles, MICRON)}),
    Case("stretchsense", "stretchsense", "tcp-serve://127.0.0.1:{port}", CONNECT, 60, {"hand-right": (in_hand, 3e-6)},
         raw="stretchsense-raw", whole=lambda m: [m[4:]], joints=BODY),
    Case("realsense", "realsense", "", {"software": {"seed": SEED}}, 30, {}, encode={"head-depth": "depth-zstd"}),
)  # fmt: skip


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def filled(value: Any, **names: Any) -> Any:
    """Options with the port and the folder put in."""
    if isinstance(value, str):
        return value.format(**names)
    if isinstance(value, dict):
        return {key: filled(item, **names) for key, item in value.items()}
    return value


@contextmanager
def emulated(name: str, to: str) -> Iterator[None]:
    """`firsthand emulate`, tried again until whoever listens is there."""
    over = threading.Event()

    def keep() -> None:
        while not over.is_set():
            command = [sys.executable, "-m", "firsthand.cli", "emulate", name, "--to", to, "--seed", str(SEED)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and not over.wait(0.1):
                pass
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def take(case: Case, folder: Path, seconds: float) -> tuple[Path, float]:
    """Record one take; its folder, and what share of a core the device's process took."""
    port = free_port()
    options = filled(case.options, port=port, folder=folder)
    if case.driver not in ("lsl", "realsense"):
        options["rate_hz"] = case.rate_hz
    rig = Rig("bench", (Device(case.driver, case.driver, options, case.encode),), pre_roll_s=0)
    if case.driver == "realsense":
        Scene(**options["software"]).prepare()
    with emulated(case.emulator, filled(case.to, port=port, folder=folder)) if case.to else nullcontext(), \
            Supervisor(rig, folder / "logs", lambda: folder / "000") as recorder:
        if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60):
            raise SystemExit(f"{case.emulator} did not come up: {recorder.status().devices}")
        time.sleep(1.0)
        recorder.start("bench")
        pid = recorder.pids()[case.driver]
        before_s = cpu_s(pid)
        time.sleep(seconds)
        used = (cpu_s(pid) - before_s) / seconds
        recorder.stop()
        recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state != "finishing", 120)
    return folder / "000", used


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def judge(case: Case, folder: Path) -> dict[str, Any]:
    """Hold a recording against what was sent."""
    wearer, joints = Wearer(Emulation(seed=SEED)), list(case.joints)
    with Recording(folder / "recording.h5") as recording:
        longest_s = recording.duration_s + 60
        messages = find("emulators", EMULATORS, case.emulator)(Emulation(seed=SEED))
        sent = [(due * 1e-9, bytes(m)) for due, m in takewhile(lambda m: m[0] < longest_s * 1e9, messages)]
        timing = {s.stream: s for s in certify(recording).streams}
        found: dict[str, Any] = {"streams": {}, "lost": 0, "messages": 0, "within": True}
        for name, (truth, resolution) in case.truths.items():
            stream = recording[name]
            side: Side = "left" if name.endswith("left") else "right"
            if case.raw:
                raw = recording[case.raw]
                rows = traced([data for data in map(bytes, map(raw.payload, range(len(raw)))) if case.holds(data, name)],
                              [[part for part in case.whole(message) if case.holds(part, name)] for _, message in sent])
                times = [sent[n][0] for n in rows]
                between = [m for _, m in sent[rows[0] : rows[-1] + 1] if any(case.holds(part, name) for part in case.whole(m))]
                lost = len(between) - len(rows) + abs(len(rows) - len(stream))
            else:
                times = [sent[n][0] for n in stream.sequence.tolist()]
                lost = int(stream.sequence[-1] - stream.sequence[0]) + 1 - len(stream)
            worst = 0.0
            for t_s, row in zip(times, stream.values, strict=False):
                true = truth(wearer, side, t_s)
                got = row[:63].reshape(21, 3)[joints] if name.startswith("hand") else row[: len(true)]
                worst = max(worst, float(np.abs(got - (true[joints] if name.startswith("hand") else true)).max()))
            rate = (len(stream) - 1) / (stream.host_ns[-1] - stream.host_ns[0]) * 1e9
            gaps = sum(gap["missing"] for _, gap in recording.gaps if gap["stream"] == name)
            found["streams"][name] = {"rows": len(stream), "rate_hz": round(float(rate), 2), "lost": lost, "in_gaps": gaps,
                                      "worst_error": worst, "resolution": resolution}
            found["lost"] += lost
            found["messages"] += len(stream)
            found["within"] &= bool(worst <= resolution)
        first = next(iter(case.truths))
        found["stamps"] = recording[first].spec.extra.get("stamps", "device")
        found["offset_interval_ms"] = timing[first].offset_interval_ms
    return found


def judge_realsense(folder: Path) -> dict[str, Any]:
    """Hold a recording of the software camera against its scene, bit by bit."""
    scene = Scene(seed=SEED)
    with Recording(folder / "recording.h5") as recording:
        timing = {s.stream: s for s in certify(recording).streams}
        found: dict[str, Any] = {"streams": {}, "lost": 0, "messages": 0, "within": True, "stamps": "device",
                                 "offset_interval_ms": timing["head"].offset_interval_ms}
        for name, kind in (("head", "color"), ("head-depth", "depth"), ("head-accel", "accel"), ("head-gyro", "gyro")):
            stream = recording[name]
            sequence = stream.sequence.tolist()
            if kind == "color":
                jpeg = open_encoder(stream.spec)
                off = [float([(bytes(stream.payload(i)), 1)] != jpeg.encode(scene.color(n))) for i, n in enumerate(sequence)]
            elif kind == "depth":
                off = [np.abs(np.nan_to_num(stream.depth_m(i)) - scene.depth(n) * np.float32(1e-3)).max() for i, n in enumerate(sequence)]
            else:
                off = [np.abs(row - scene.motion(kind, n)).max() for row, n in zip(stream.values, sequence, strict=True)]
            stamps = stream.device_ns.tolist() == [scene.stamp_us(kind, n) * 1000 for n in sequence]
            lost, rate = sequence[-1] - sequence[0] + 1 - len(stream), (len(stream) - 1) / (stream.host_ns[-1] - stream.host_ns[0]) * 1e9
            found["streams"][name] = {"rows": len(stream), "rate_hz": round(float(rate), 2), "lost": lost, "worst_error": float(max(off)),
                                      "stamps_exact": stamps}
            found["lost"] += lost
            found["messages"] += len(stream)
            found["within"] &= stamps and not max(off)
    return found


def traced(received: Sequence[bytes], sent: Sequence[Sequence[bytes]]) -> list[int]:
    """Which of the sent messages each received one is: the next that reads so, for some repeat."""
    at: dict[bytes, list[int]] = {}
    for n, parts in enumerate(sent):
        for part in parts:
            at.setdefault(part, []).append(n)
    found, last = [], -1
    for data in received:
        ahead = [n for n in at[data] if n > last] if found else at[data]
        last = ahead[0]
        found.append(last)
    return found


def said(case: Case, found: dict[str, Any], used: float) -> str:
    """A line of the table."""
    streams = found["streams"].values()
    rates = "/".join(f"{rate:.1f}" for rate in sorted({round(s["rate_hz"], 1) for s in streams}))
    errors = []
    for kind, unit, scale in (("hand", "mm", 1e3), ("glove", "share" if case.emulator == "lucidgloves" else "mdeg",
                                                   1.0 if case.emulator == "lucidgloves" else np.degrees(1) * 1e3)):
        worst = [s["worst_error"] * scale for name, s in found["streams"].items() if name.startswith(kind)]
        errors += [f"{max(worst):.2g} {unit}"] if worst else []
    errors = errors or ["0" if found["within"] else "not 0"]
    transport = case.to.partition(":")[0].replace("tcp-serve", "tcp").replace("pty", "serial").upper().replace("-", " ") or "SDK"
    return (f"| `{case.emulator}` | {transport} | {case.rate_hz:g} | {rates} | {found['stamps']} | "
            f"{found['lost']} of {found['messages']} | {', '.join(errors)} | {100 * used:.0f} % |")


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    print("| emulator | over | Hz, nominal | Hz, recorded | stamps | lost | worst error | CPU |\n|---|---|---|---|---|---|---|---|")
    figures: dict[str, Any] = {}
    for case in CASES:
        if given.only and case.emulator not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            recorded, used = take(case, Path(folder), given.seconds)
            found = judge_realsense(recorded) if case.driver == "realsense" else judge(case, recorded)
        figures[f"{case.emulator} {case.to.partition(':')[0]}"] = found
        print(said(case, found, used), flush=True)
    goals = {"lost": 0, "within": True}
    ok = all(found["lost"] == 0 and found["within"] for found in figures.values())
    print(json.dumps({"bench": "devices", "figures": figures, "goals": goals, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
