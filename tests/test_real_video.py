"""The whole chain on a real video of a real hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from firsthand.capture.library import find_episodes
from firsthand.retarget.hand_track import read_hands

ROBOTS = ("panda_gripper", "allegro_right")


def test_the_hand_is_there_and_always_the_right_one(real_library: Path) -> None:
    (episode,) = find_episodes(real_library)
    hands = read_hands(episode.hands_path)
    assert set(hands.tracks) == {"right"} and len(hands.t_ns) == 621
    assert hands.tracks["right"].valid.mean() >= 0.99


@pytest.mark.parametrize("robot", ROBOTS)
def test_it_becomes_a_sound_dataset_row_for_frame(real_library: Path, firsthand: Callable[..., str], tmp_path: Path, robot: str) -> None:
    out = tmp_path / "dataset"
    firsthand("export", real_library, out, "--format", "lerobot-v3", "--robot", robot)
    assert "sound" in firsthand("validate", out)
    info = json.loads((out / "meta" / "info.json").read_text())
    assert info["total_frames"] == 621 and info["fps"] == 30
    with_times = pq.read_table(out / "data" / "chunk-000" / "file-000.parquet", columns=["capture_time_ns"])["capture_time_ns"].to_numpy()
    (episode,) = find_episodes(real_library)
    with episode.recording() as recording:
        assert (with_times == recording.camera().t_ns).all()
