"""Are injected latencies found, and do the stated intervals hold? The synthetic wearer, calibrated and then recorded at work.

    python bench/intervals.py [--runs 40] [--seconds 20] [--processes] [--folder DIR]

Each run draws a wearer, clocks and the fastest delivery of every stream (1 to 50 ms) from its seed, and goes the way a collector goes: a
calibration take of free movement through the recorder, `firsthand calibrate` on its pictures and numbers, then a take at work recorded
with what that found. Counted are

* latencies: those found, within their residual of those injected (all against the camera's);
* certificate: streams of the second take of which every sample, mapped, lies within the certificate's offset interval of its true time.

With --processes both takes go through the real recorder: each device a process of its own in real time, a writer, and another process that
finishes. A run is minutes of pictures and hand tracking: about 40 s of CPU each. DIR keeps the takes, to be used again.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.certificate import certify
from firsthand.capture.drivers.synthetic import render_ahead, truth_of
from firsthand.capture.latency import Latency, add_latencies, read_latencies
from firsthand.capture.library import Episode
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.recorder import record
from firsthand.capture.rig import Device, Rig
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.hand_model import hand_model
from firsthand.retarget.sync_stage import calibrate

STREAMS = ("head", "head-depth", "imu", "head-pose", "glove-left", "glove-right")
DEVICES = ("head", "imu", "head-pose", "glove-left", "glove-right")
GOAL = 0.95
SET_UP_NS = 4_000_000_000
"""Before the wearer begins: the processes must be up."""
WORK_S = 10.0


def latencies_of(seed: int) -> dict[str, float]:
    """The fastest delivery of each stream of a rig, in seconds."""
    rng = np.random.default_rng([seed, 1000])
    return {name: float(rng.uniform(0.001, 0.05)) for name in STREAMS}


def wearer(seed: int, *, seconds: float, work: bool) -> Wearer:
    """The rig of a seed, in its calibration take or at work; latencies are the rig's, clocks and drops the take's."""
    latency_s = latencies_of(seed)
    size = (96, 72) if work else (320, 240)  # the work is only timed, nobody looks at it
    return Wearer(seed=seed + 500_000 * work, task="pick-and-place" if work else "calibrate", duration_s=seconds, size_px=size,
                  latency_s=latency_s)  # fmt: skip


def options_of(seed: int, *, seconds: float, work: bool) -> dict[str, Any]:
    """The same as a driver's options."""
    who = wearer(seed, seconds=seconds, work=work)
    return {"seed": who.seed, "task": who.name, "duration_s": seconds, "size_px": list(who.size_px), "latency_s": latencies_of(seed)}


def record_by_processes(seed: int, folder: Path, *, seconds: float, work: bool = False, sync: Path | None = None) -> Episode:
    """Record one take as `firsthand record` does, in real time, with its truth beside."""
    episode, given = Episode(folder), options_of(seed, seconds=seconds, work=work)
    shutil.rmtree(folder, ignore_errors=True)
    render_ahead({**given, "realtime": True})
    given |= {"realtime": True, "start_ns": time.monotonic_ns() + SET_UP_NS}
    rig = Rig("worn", tuple(Device(name, "synthetic", {**given, "only": [name]}) for name in DEVICES), pre_roll_s=5, sync=sync)
    with Supervisor(rig, folder / "logs", lambda: folder) as recorder:
        if not recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60):
            raise SystemExit(f"the rig did not come up: {recorder.status().devices}")
        recorder.start("calibrate")
        recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", seconds + 60)
    truth_of(given).write(episode.truth_path)
    return episode


def record_take(seed: int, folder: Path, *, seconds: float, work: bool = False, latencies: Mapping[str, Latency] | None = None) -> Episode:
    """Record one take of a rig into `folder`, with its truth beside, in this process and as fast as it goes."""
    who, episode = wearer(seed, seconds=seconds, work=work), Episode(folder)
    if episode.truth_path.exists() and not work:  # of an earlier run
        return episode
    shutil.rmtree(folder, ignore_errors=True)
    record(who.drivers(), episode.recording_path, task=who.task.instruction, source="simulation", latencies=latencies)
    who.write_truth(episode.truth_path)
    return episode


@dataclass(frozen=True)
class Outcome:
    """What became of one stream in one run, in ms."""

    seed: int
    stream: str
    error_ms: float
    """Latency found less latency injected; NaN where none was found."""
    residual_ms: float
    worst_ms: float
    """The largest error of any sample of the second take."""
    interval_ms: float


def run(seed: int, folder: Path, seconds: float, processes: bool = False) -> list[Outcome]:
    """Calibrate the rig of a seed, record with it, and compare with the truth."""
    first, second, kept_in = folder / "calibration" / "000", folder / "work" / "000", folder / "rig.sync.json"
    take = record_by_processes(seed, first, seconds=seconds) if processes else record_take(seed, first, seconds=seconds)
    sync = calibrate(take)
    kept_in.unlink(missing_ok=True)
    add_latencies(kept_in, sync.latencies)
    kept = read_latencies(kept_in)
    work = (record_by_processes(seed, second, seconds=WORK_S, work=True, sync=kept_in) if processes else
            record_take(seed, second, seconds=WORK_S, work=True, latencies=kept))
    before, after = (read_truth(episode.truth_path) for episode in (take, work))
    return [_outcome(seed, name, kept, before, after, work) for name in STREAMS if name != sync.reference]


def _outcome(seed: int, name: str, kept: Mapping[str, Latency], before: Truth, after: Truth, work: Episode) -> Outcome:
    nan = float("nan")
    if name not in kept:
        return Outcome(seed, name, nan, nan, nan, nan)
    reference = kept[name].reference
    injected_ns = before.streams[name].min_latency_ns - before.streams[reference].min_latency_ns
    with work.recording() as recording:
        stream = recording[name]
        true_ns = after.streams[name].t_ns[stream.sequence] + after.streams[reference].min_latency_ns
        worst_ms = float(np.abs(stream.t_ns - true_ns).max()) * 1e-6
        certificate = next(c for c in certify(recording).streams if c.stream == name)
    return Outcome(seed, name, (kept[name].latency_ns - injected_ns) * 1e-6, kept[name].error_ns * 1e-6, worst_ms,
                   certificate.offset_interval_ms or nan)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--processes", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    hand_model()
    began, outcomes = time.process_time(), []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(options.first, options.first + options.runs):
            outcomes += run(seed, (options.folder or Path(temporary)) / f"{seed:03d}", options.seconds, options.processes)
            told = (f"{o.stream} {o.error_ms:+.2f} ±{o.residual_ms:.2f}" + ("" if _held(o) else " OUT") for o in outcomes if o.seed == seed)
            print(f"{seed:4d}  {'  '.join(told)}", flush=True)
    found = [o for o in outcomes if np.isfinite(o.error_ms)]
    latencies = float(np.mean([abs(o.error_ms) <= o.residual_ms for o in found])) if found else 0.0
    certificate = float(np.mean([o.worst_ms <= o.interval_ms for o in found])) if found else 0.0
    heads = ("found", "|error| ms, median / worst", "residual ms, median", "in residual", "in certificate")
    print(f"\n{'stream':<14}" + "".join(f"{head:>{width}}" for head, width in zip(heads, (10, 30, 24, 14, 16), strict=True)))
    per_stream: dict[str, dict[str, float]] = {}
    for name in STREAMS[1:]:
        mine = [o for o in found if o.stream == name]
        if mine:
            size = np.abs([o.error_ms for o in mine])
            per_stream[name] = {"found": len(mine), "p50_ms": float(np.median(size)), "max_ms": float(size.max()),
                                "residual_ms": float(np.median([o.residual_ms for o in mine])),
                                "in_residual": float(np.mean([abs(o.error_ms) <= o.residual_ms for o in mine])),
                                "in_certificate": float(np.mean([o.worst_ms <= o.interval_ms for o in mine]))}  # fmt: skip
            f = per_stream[name]
            print(f"{name:<14}{f['found']:>5} of {options.runs}{f['p50_ms']:>20.2f} / {f['max_ms']:.2f}{f['residual_ms']:>24.2f}"
                  f"{f['in_residual']:>14.1%}{f['in_certificate']:>16.1%}")
    share_found = len(found) / max(len(outcomes), 1)
    ok = latencies >= GOAL and certificate >= GOAL and share_found >= GOAL
    print(f"\n{latencies:.1%} of the latencies within their residual, {certificate:.1%} of the streams within their certificate, "
          f"{share_found:.1%} found; {time.process_time() - began:.0f} s CPU")
    rounded = {name: {k: round(v, 4) for k, v in f.items()} for name, f in per_stream.items()}
    print(json.dumps({"bench": "coverage", "figures": {"runs": options.runs, "latencies": round(latencies, 4),
                      "processes": options.processes, "certificate": round(certificate, 4), "found": round(share_found, 4), **rounded},
                      "goals": {"latencies": GOAL, "certificate": GOAL, "found": GOAL}, "ok": ok}))  # fmt: skip
    return 0 if ok else 1


def _held(o: Outcome) -> bool:
    return abs(o.error_ms) <= o.residual_ms and o.worst_ms <= o.interval_ms


if __name__ == "__main__":
    sys.exit(main())
