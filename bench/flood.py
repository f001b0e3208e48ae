"""One device of a rig goes mad: are the other streams of the episode disturbed? Over each transport, at a hundred times the nominal rate.

    python bench/flood.py [--seconds 4] [--only TRANSPORT...]

For each transport: a rig of a 720p camera, a glove of 120 Hz (both `pattern`) and the emulated device, which is sane, then mad, then sane
again, for `--seconds` each, in a process of its own; one take of the recorder's real processes. Drops are samples of camera and glove that
are not in the recording. Late is how much later than the soonest they arrived, in ms, median and 99 %, in peace and in the flood. Times is
how many times the nominal rate the transport took.

Goals: no drops, and no more than 5 ms later at the 99 % than in peace. The last line is one JSON object; exit 0 only when each goal is met.
Run it on a machine that does nothing else.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
from devices import filled, free_port

from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig

TIMES, LATER_MS, LATE_S = 100, 5.0, 0.1
BIND, CONNECT = {"bind": "127.0.0.1:{port}", "sender": "127.0.0.1"}, {"connect": "127.0.0.1:{port}"}


@dataclass(frozen=True)
class Mad:
    """A device, how it is reached, and how many messages a second it sends."""

    driver: str
    emulator: str
    to: str
    hz: float
    options: dict[str, Any] = field(default_factory=dict)


MAD = {
    "UDP": Mad("udcap", "udcap", "udp://127.0.0.1:{port}", 120, BIND),
    "TCP, to us": Mad("quest", "quest-unstamped", "tcp://127.0.0.1:{port}", 170, {**BIND, "transport": "tcp"}),
    "TCP": Mad("stretchsense", "stretchsense", "tcp-serve://127.0.0.1:{port}", 60, CONNECT),
    "serial": Mad("lucidgloves", "lucidgloves", "pty:{folder}/glove", 100, {"port": "{folder}/glove", "side": "right"}),
    "ZeroMQ PUSH": Mad("manus", "manus", "zmq-push://127.0.0.1:{port}", 240, CONNECT),
    "ZeroMQ PUB": Mad("manus", "manus-bridge", "zmq-pub://127.0.0.1:{port}", 120, {**CONNECT, "format": "bridge"}),
    "gRPC": Mad("vision-pro", "vision-pro", "grpc://127.0.0.1:{port}", 90, CONNECT),
    "LSL": Mad("lsl", "lsl", "lsl://firsthand-bench-{port}", 100, {"name": "firsthand-bench-{port}", "stream": "lsl"}),
}


def play(one: Mad, to: str, mad: Event, taken: "Synchronized[int]") -> None:
    """Send what the device sends, for ever; while it is mad each message again and again until the next is due."""
    while True:
        try:
            with open_outlet(to) as outlet:
                began = time.monotonic()
                for due_ns, message in find("emulators", EMULATORS, one.emulator)(Emulation()):
                    began = max(began, time.monotonic() - due_ns * 1e-9 - LATE_S)
                    since, sent, due = time.monotonic(), 0, began + due_ns * 1e-9
                    while (now := time.monotonic()) < due:
                        while mad.is_set() and sent < (now - since) * one.hz * TIMES:
                            taken.value += bool(outlet.send(bytes(message)))
                            sent += 1
                        time.sleep(max(0.0, min(0.001, due - now)))
                    outlet.send(message)
        except FirsthandError:
            time.sleep(0.2)


def measure(one: Mad, seconds: float) -> dict[str, Any]:
    """One transport."""
    context = multiprocessing.get_context("spawn")
    mad, taken = context.Event(), context.Value("q", 0)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        player = context.Process(target=play, args=(one, filled(one.to, port=port, folder=folder), mad, taken), daemon=True)
        player.start()
        worn = {"cameras": [{"name": "head"}], "sensors": [{"name": "glove", "columns": 22, "rate_hz": 120, "role": "glove"}]}
        rig = Rig("bench", (Device("worn", "pattern", worn), Device("mad", one.driver, filled(one.options, port=port, folder=folder))),
                  pre_roll_s=0)
        with Supervisor(rig, folder / "logs", lambda: folder / "000") as recorder:
            if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60):
                raise SystemExit(f"{one.emulator} did not come up: {recorder.status().devices}")
            time.sleep(1)
            recorder.start("bench")
            time.sleep(seconds)
            begin_ns, _ = time.monotonic_ns(), mad.set()
            time.sleep(seconds)
            end_ns, _ = time.monotonic_ns(), mad.clear()
            time.sleep(seconds)
            left_out = sum(recorder.status().devices[1].rejected.values())
            recorder.stop()
            recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state != "finishing", 120)
        player.terminate()
        found: dict[str, Any] = {"times": round(taken.value / seconds / one.hz, 1), "left_out": left_out, "drops": 0, "late_ms": {}}
        with Recording(folder / "000" / "recording.h5") as recording:
            for stream in (recording["head"], recording["glove"]):
                found["drops"] += int(stream.sequence[-1] - stream.sequence[0]) + 1 - len(stream)
                late_ms = (stream.host_ns - stream.t_ns) * 1e-6
                flooded = (stream.host_ns >= begin_ns) & (stream.host_ns < end_ns)
                found["late_ms"][stream.spec.name] = {when: [round(float(q), 2) for q in np.quantile(late_ms[rows], [0.5, 0.99])]
                                                      for when, rows in (("peace", ~flooded), ("flood", flooded))}
    found["later_ms"] = round(max(late["flood"][1] - late["peace"][1] for late in found["late_ms"].values()), 2)
    return found


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=4)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    figures: dict[str, Any] = {}
    print("| over | times | left out | drops | camera late, peace | flood | glove late, peace | flood |\n|---|---|---|---|---|---|---|---|")
    for transport, one in MAD.items():
        if given.only and transport not in given.only:
            continue
        found = figures[transport] = measure(one, given.seconds)
        late = [" / ".join(f"{ms:.1f}" for ms in found["late_ms"][name][when]) for name in ("head", "glove") for when in ("peace", "flood")]
        print(f"| {transport} | {found['times']:.0f} | {found['left_out']} | {found['drops']} | {' | '.join(late)} |", flush=True)
    goals = {"drops": 0, "later_ms": LATER_MS}
    ok = all(found["drops"] == 0 and found["later_ms"] <= LATER_MS for found in figures.values())
    print(json.dumps({"bench": "flood", "figures": figures, "goals": goals, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
