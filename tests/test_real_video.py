"""The whole chain on a real video of a real hand."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from firsthand.capture.library import find_episodes
from firsthand.retarget.hand_track import read_hands

ROBOTS = ("panda_gripper", "allegro_right")


def firsthand(*arguments: object) -> str:
    done = subprocess.run([sys.executable, "-m", "firsthand.cli", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def library(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    video, library = shared / "data" / "media" / "hands" / "human_hand_video.mp4", tmp_path_factory.mktemp("real") / "library"
    if not video.exists():
        pytest.skip(f"{video} is not there")
    firsthand("import", video, "--into", library, "--task", "show every finger")
    firsthand("process", library, *(word for robot in ROBOTS for word in ("--robot", robot)))
    return library


def test_the_hand_is_there_and_always_the_right_one(library: Path) -> None:
    (episode,) = find_episodes(library)
    hands = read_hands(episode.hands_path)
    assert set(hands.tracks) == {"right"} and len(hands.t_ns) == 621
    assert hands.tracks["right"].valid.mean() >= 0.99


@pytest.mark.parametrize("robot", ROBOTS)
def test_it_becomes_a_sound_dataset_row_for_frame(library: Path, tmp_path: Path, robot: str) -> None:
    out = tmp_path / "dataset"
    firsthand("export", library, out, "--format", "lerobot-v3", "--robot", robot)
    assert "sound" in firsthand("validate", out)
    info = json.loads((out / "meta" / "info.json").read_text())
    assert info["total_frames"] == 621 and info["fps"] == 30
    with_times = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet", columns=["capture_time_ns"])["capture_time_ns"].to_numpy()
    (episode,) = find_episodes(library)
    with episode.recording() as recording:
        assert (with_times == recording.camera().t_ns).all()
