"""Calibration from end to end on the synthetic wearer: injected latencies are found, kept, and taken off the next take."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.lag import Lag
from firsthand.capture.latency import read_latencies
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.hand_model import hand_model
from firsthand.retarget.sync_picture import draw_sync
from firsthand.retarget.sync_stage import Pair, Sync, _latencies, calibrate

BENCH = Path(__file__).parents[2] / "bench" / "intervals.py"


def test_injected_latencies_are_found_within_their_interval(tmp_path: Path) -> None:
    """The short form of bench/intervals.py: one wearer, 12 seconds."""
    try:
        hand_model()
    except FirsthandError as error:
        pytest.skip(str(error))
    coverage: dict[str, Any] = runpy.run_path(str(BENCH), run_name="coverage")
    outcomes = {o.stream: o for o in coverage["run"](4, tmp_path, 12.0)}
    assert set(outcomes) == {"head-depth", "imu", "head-pose", "glove-left", "glove-right"}
    for o in outcomes.values():
        assert abs(o.error_ms) <= o.residual_ms < 10, o
        assert o.worst_ms <= o.interval_ms, o
    info = json.loads(_firsthand("info", tmp_path / "work" / "000", "--json").stdout)[0]["timing"]["streams"]
    glove = next(s for s in info if s["stream"] == "glove-left")
    assert glove["calibration_residual_ms"] == pytest.approx(outcomes["glove-left"].residual_ms, abs=1e-5)
    assert glove["calibrated_against"] == "head"

    # A take that was recorded with latencies is calibrated from none: what is found is the same, not what was left over.
    kept = read_latencies(tmp_path / "rig.sync.json")
    with h5py.File(tmp_path / "calibration" / "000" / "recording.h5", "r+") as file:
        for name in ("imu", "head-pose"):
            kept["glove-left"].write(file[f"streams/{name}"])
        del file["streams/glove-left"], file["streams/glove-right"]
    done = _firsthand("calibrate", tmp_path / "calibration" / "000", "--save", tmp_path / "again.sync.json", "--json")
    assert done.returncode == 0, done.stderr
    for name in ("imu", "head-pose"):
        assert json.loads(done.stdout)["streams"][name]["latency_ns"] == pytest.approx(kept[name].latency_ns, abs=2000)
    picture = cv2.imread(str(tmp_path / "again.sync.png"))
    assert picture is not None and picture.std() > 10


def _firsthand(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "firsthand.cli", *map(str, arguments)], capture_output=True, text=True)


def test_a_head_that_is_held_still_is_refused_and_nothing_is_saved_of_it(tmp_path: Path) -> None:
    episode, rng = Episode(tmp_path / "000"), np.random.default_rng(0)
    picture = cv2.imencode(".jpg", rng.integers(0, 256, (120, 160, 3), np.uint8))[1].tobytes()
    with RecordingWriter(episode.recording_path) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=30, width_px=160, height_px=120))
        writer.add_stream(StreamSpec("imu", "numeric", "imu", names=("x", "y", "z"), units=("rad/s",) * 3, rate_hz=100))
        for i in range(360):
            writer.append(Sample("head", i * 33_333_333, 10**12 + i * 33_333_333, i, picture))
        for i in range(1200):
            writer.append(Sample("imu", i * 10_000_000, 10**12 + i * 10_000_000, i, rng.normal(0, 0.003, 3)))
    done = _firsthand("calibrate", episode.path, "--save", tmp_path / "rig.sync.json")
    assert done.returncode == 1 and "error: imu has no latency: " in done.stderr and "move" in done.stderr, done.stderr
    assert list(json.loads((tmp_path / "rig.sync.json").read_text())["streams"]) == ["head"]
    assert (tmp_path / "rig.sync.png").exists()


def test_a_take_with_nothing_to_compare_is_refused(tmp_path: Path, tiny_library: Path) -> None:
    from firsthand.capture.library import find_episodes

    with pytest.raises(FirsthandError, match="nothing to calibrate against camera head: no glove"):
        calibrate(find_episodes(tiny_library)[0])
    done = _firsthand("calibrate", tiny_library)
    assert done.returncode == 1 and "holds 2 episodes; name the one" in done.stderr


def pair(first: str, second: str, lag_ms: float, error_ms: float, problem: str = "") -> Pair:
    lag = Lag(round(lag_ms * 1e6), round(error_ms * 1e6), 0.9, 0.5, problem)
    return Pair(first, second, "fingers", lag, lag.error_ns)


def test_the_way_with_the_least_error_is_taken(tmp_path: Path) -> None:
    pairs = [pair("head", "imu", 10, 1), pair("head", "pose", 25, 5), pair("imu", "pose", 12, 0.5), pair("wrist", "imu", -4, 2),
             pair("head", "glove", 3, 1, "it repeats")]
    found = _latencies("head", pairs, Episode(tmp_path / "000"))
    assert {name: round(latency.latency_ns * 1e-6, 3) for name, latency in found.items()} == {"head": 0, "imu": 10, "pose": 22, "wrist": 14}
    assert found["pose"].error_ns == round(np.hypot(1e6, 0.5e6)) and found["pose"].method == "fingers, by imu"
    sync = Sync("head", tuple(pairs), found)
    assert sync.missing == {"glove": "it repeats"}
    draw_sync(sync, tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").read_bytes()[:4] == b"\x89PNG"
