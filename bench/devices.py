"""Every tracker and glove through the real recorder, from its emulator over its own transport: rate, stamps, loss, and the values.

    python bench/devices.py [--seconds 30] [--only EMULATOR...]

For each emulator: `firsthand emulate` in a process of its own, a rig with the one driver, the recorder's real processes, one take. Every
fiftieth message is not sent, though counted. What was sent is worked out again from the emulator's seed. Each recorded row is traced to the
message it came of, by the raw messages kept beside it (LSL: by its counter). Then

* every value of every row is held against the synthetic wearer at the time that message tells of, and may be off by what the format rounds;
  one that is missing, or there though the device does not measure it, is as wrong as any;
* the stamp is the one in the message, or that of its arrival where it has none; the sequence is its counter, or the count of rows;
* lost is what was sent between the first and the last message recorded, and is not in the recording: on a busy machine also what the
  emulator was too late for. `gaps` must tell of what was dropped and lost, all and only that, where the device counts;
* the session clock's time is within 3 ms of when the message left, its constant delay aside, where the device stamps.

CPU is the device's process, its share of a core. Goals: nothing lost, and all of the above. The last line is one JSON object; exit 0 only
when each goal is met. The table stands in docs/devices/README.md.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from parts.device_truths import CASES, DROPS, SEED, Case, Truth

from firsthand.capture.certificate import certify
from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig
from firsthand.capture.skeleton import Side

SESSION_MS = 3.0


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
            command = [sys.executable, "-m", "firsthand.cli", "emulate", name, "--to", to, "--seed", str(SEED), "--drop", str(DROPS)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and not over.wait(0.1):
                pass
            if process.poll() is None:
                process.terminate()  # a shell's background jobs do not hear Ctrl-C
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
    if case.driver != "lsl":
        options["rate_hz"] = case.rate_hz
    rig = Rig("bench", (Device(case.driver, case.driver, options),), pre_roll_s=0)
    with emulated(case.emulator, filled(case.to, port=port, folder=folder)), \
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


def span_s(stream: Any) -> float:
    """From a stream's first sample to its last."""
    return float(stream.host_ns[-1] - stream.host_ns[0]) * 1e-9


def judge(case: Case, folder: Path, seconds: float) -> dict[str, Any]:
    """Hold a recording against what was sent."""
    emulation = Emulation(seed=SEED, drop_rate=DROPS)
    wearer = Wearer(emulation)
    with Recording(folder / "recording.h5") as recording:
        timing = {s.stream: s for s in certify(recording).streams}
        longest_s = recording.duration_s + 60
        messages = find("emulators", EMULATORS, case.emulator)(emulation)
        sent = [(due_ns, bytes(message)) for due_ns, message in takewhile(lambda m: m[0] < longest_s * 1e9, messages)]
        streams = {name: judge_stream(case, recording, name, truth, wearer, sent) for name, truth in case.truths.items()}
        first, spans_s = next(iter(streams)), {name: span_s(recording[name]) for name in streams}
        return {"streams": streams, "lost": sum(of["lost"] for of in streams.values()), "rows": sum(of["rows"] for of in streams.values()),
                "wrong": [f"{name}: {what}" for name, of in streams.items() for what in of["wrong"]] + [
                    f"{name}: recorded for {span:.2f} s only" for name, span in spans_s.items() if span < seconds - 1],
                "stamps": recording[first].spec.extra.get("stamps", "device"), "offset_interval_ms": timing[first].offset_interval_ms}


def judge_stream(case: Case, recording: Recording, name: str, truth: Truth, wearer: Wearer,
                 sent: Sequence[tuple[int, bytes]]) -> dict[str, Any]:
    """One stream of it; ``wrong`` says in words what is not as it should be."""
    stream = recording[name]
    if case.raw:
        raw = recording[case.raw]
        received = [data for data in map(bytes, map(raw.payload, range(len(raw)))) if case.holds(data, name)]
        rows = traced(received, [[part for part in case.whole(message) if case.holds(part, name)] for _, message in sent])
    else:
        numbers = {case.count(message, name): n for n, (_, message) in enumerate(sent)}
        rows = [numbers[count] for count in stream.sequence.tolist()]
    wrong = [] if len(rows) == len(stream) else [f"{len(stream)} rows of {len(rows)} messages"]
    between = [m for _, m in sent[rows[0] : rows[-1] + 1] if any(case.holds(part, name) for part in case.whole(m))]
    due_ns = np.array([sent[n][0] for n in rows])
    side: Side = "left" if name.endswith("left") else "right"
    places, turns = worst_errors(truth, np.array([truth.row(wearer, side, ns * 1e-9) for ns in due_ns.tolist()]), stream.values)
    if not (places <= truth.resolution and turns <= truth.turn_resolution):
        wrong.append(f"values are off by up to {places:.3g}, quaternions by {turns:.3g}")
    stamps, counts = ([told(sent[n][1], name) for n in rows] for told in (case.stamp_ns, case.count))
    lacking, held_ms = 0, None
    if stamps[0] is not None:
        wrong += [] if stamps == stream.device_ns.tolist() else ["stamps are not those that were sent"]
    elif case.raw and not np.array_equal(stream.device_ns, stream.host_ns):
        wrong.append("stamps are not those of arrival")
    if stream.spec.extra.get("stamps") != "arrival":
        late_ms = (stream.t_ns - due_ns) * 1e-6
        held_ms = float(np.abs(late_ms - np.median(late_ms)).max())
        wrong += [f"times on the session clock are off by {held_ms:.3g} ms"] if held_ms > SESSION_MS else []
    if counts[0] is not None:
        wrong += [] if counts == stream.sequence.tolist() else ["sequences are not the counters that were sent"]
        lacking = int(stream.sequence[-1] - stream.sequence[0]) + 1 - len(stream)
    elif not (np.diff(stream.sequence) == 1).all():
        wrong.append("sequences are not the count of rows")
    gaps = [gap for _, gap in recording.gaps if gap["stream"] == name]
    wrong += [f"it was gone for {(gap['to_host_ns'] - gap['from_host_ns']) * 1e-9:.1f} s" for gap in gaps if gap["cause"] == "vanished"]
    told_missing = sum(gap["missing"] for gap in gaps if gap["cause"] != "vanished")
    wrong += [] if told_missing == lacking else [f"{lacking} are missing and {told_missing} are told"]
    rate = (len(stream) - 1) / (stream.host_ns[-1] - stream.host_ns[0]) * 1e9
    return {"rows": len(stream), "rate_hz": round(float(rate), 2), "lost": len(between) - len(rows), "in_gaps": told_missing,
            "worst_error": places, "worst_turn": turns, "session_ms": held_ms, "wrong": wrong}


def worst_errors(truth: Truth, true: np.ndarray[Any, Any], got: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The largest error of places and the like, and of quaternions; infinite where a value is missing, or there for nothing."""
    if true.shape != got.shape:
        return np.inf, np.inf
    got, measured = got.copy(), np.isfinite(true)
    turning = np.zeros(true.shape[1], bool)
    for part in truth.turns:
        turning[part] = True
        got[:, part] *= np.sign((true[:, part] * got[:, part]).sum(1, keepdims=True))
    error = np.where(measured, np.nan_to_num(np.abs(got - true), nan=np.inf), 0.0)
    return float(error[:, ~turning].max(initial=0)), float(error[:, turning].max(initial=0))


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
    streams = found["streams"]
    rates = "/".join(f"{rate:.1f}" for rate in sorted({round(s["rate_hz"], 1) for s in streams.values()}))
    errors = []
    for kinds, unit, scale in ((("hand", "head", "body"), "mm", 1e3), (("imu",), "SI", 1.0),
                               (("glove",), *(("share", 1.0) if case.emulator == "lucidgloves" else ("mdeg", np.degrees(1) * 1e3)))):
        worst = [s["worst_error"] * scale for name, s in streams.items() if name.startswith(kinds)]
        errors += [f"{max(worst):.2g} {unit}"] if worst else []
    held = [s["session_ms"] for s in streams.values() if s["session_ms"] is not None]
    transport = case.to.partition(":")[0].replace("tcp-serve", "tcp").replace("pty", "serial").upper().replace("-", " ")
    return (f"| `{case.emulator}` | {transport} | {case.rate_hz:g} | {rates} | {found['stamps']} | {f'{max(held):.2g}' if held else '-'} | "
            f"{found['lost']} of {found['rows']} | {sum(s['in_gaps'] for s in streams.values()) or '-'} | {', '.join(errors)} | "
            f"{100 * used:.0f} % |")


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    print("| emulator | over | Hz, nominal | Hz, recorded | stamps | session clock, ms | lost | in gaps | worst error | CPU |\n"
          "|---|---|---|---|---|---|---|---|---|---|")
    figures: dict[str, Any] = {}
    for case in CASES:
        if given.only and case.emulator not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            recorded, used = take(case, Path(folder), given.seconds)
            found = judge(case, recorded, given.seconds)
        figures[f"{case.emulator} {case.to.partition(':')[0]}"] = found
        print(said(case, found, used), *(f"\n  WRONG {what}" for what in found["wrong"]), sep="", flush=True)
    ok = all(found["lost"] == 0 and not found["wrong"] for found in figures.values())
    print(json.dumps({"bench": "devices", "figures": figures, "goals": {"lost": 0, "wrong": []}, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
