import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from firsthand.annotate.annotation import Annotation, write_annotation
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256
from firsthand.capture.library import Episode
from firsthand.datasets import lerobot_v3, lerobot_v3_layout
from firsthand.datasets.formats import export, validate
from firsthand.datasets.rows import episode_rows
from firsthand.datasets.selection import select
from firsthand.datasets.video_reader import decode_all, frame_table
from firsthand.datasets.video_writer import VideoOptions
from firsthand.retarget.hand_track import read_hands

ROBOT = "panda_gripper"
VIDEO = "videos/observation.images.main/chunk-000/file-{:03d}.mp4"


def barcode(picture: np.ndarray) -> int:
    """The number a picture of the tiny library carries."""
    top = picture[10:20].mean((0, 2))
    return sum(1 << bit for bit in range(16) if top[bit * 10 + 3 : bit * 10 + 7].mean() > 127)


def test_an_export_is_sound_and_every_row_has_its_own_picture(dataset: Path) -> None:
    assert validate(dataset) == []
    pictures = [barcode(frame.to_ndarray(format="rgb24")) for frame in decode_all(dataset / VIDEO.format(0))]
    assert pictures == [*range(48), *range(256, 256 + 40)]


def test_colours_survive_the_way_through_the_video(dataset: Path) -> None:
    first = next(decode_all(dataset / VIDEO.format(0))).to_ndarray(format="rgb24")
    np.testing.assert_allclose(first[100, 5], (150, 120, 90), atol=3)


def test_the_action_of_a_row_is_the_state_of_the_next_and_never_of_another_episode(dataset: Path) -> None:
    rows = lerobot_v3_layout.read_columns(dataset, ["observation.state", "action", "observation.valid", "action.valid"])
    state, action = rows["observation.state"], rows["action"]
    for a, b in ((0, 48), (48, 88)):
        np.testing.assert_array_equal(action[a : b - 1], state[a + 1 : b])
        np.testing.assert_array_equal(action[b - 1], state[b - 1])
        np.testing.assert_array_equal(rows["action.valid"][a : b - 1], rows["observation.valid"][a + 1 : b])
    assert rows["observation.valid"].sum() == 80


def test_every_column_is_named_and_has_statistics(dataset: Path) -> None:
    info, stats = (json.loads((dataset / "meta" / name).read_text()) for name in ("info.json", "stats.json"))
    assert info["features"]["action"]["names"][-1] == "right.width_m"
    assert set(stats) == set(info["features"])
    assert np.shape(stats["observation.images.main"]["q99"]) == (3, 1, 1)


def test_tasks_subtasks_and_what_people_said_are_kept(dataset: Path) -> None:
    tasks = pd.read_parquet(dataset / "meta/tasks.parquet")
    assert list(tasks.index) == ["put the red cube into the blue bowl", "put the red cube into the bowl"]
    subtasks = pd.read_parquet(dataset / "meta/subtasks.parquet")
    assert (subtasks.index.name, list(subtasks.index)) == ("subtask", ["unlabelled", "reach", "grasp the red cube"])
    episodes = pq.read_table(dataset / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [(e["success"], e["grade"], e["flags"]) for e in episodes] == [(1, 4, ["blur"]), (-1, 0, [])]
    assert episodes[1]["source_episode"].endswith("/001")


def test_the_same_export_twice_gives_the_same_bytes(episodes: list[Episode], tmp_path: Path) -> None:
    a, b = (export(episodes, tmp_path / name, format="lerobot-v3", robot=ROBOT).path for name in "ab")
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file() and "loss_report" not in p.name)
    assert len(files) == 7
    assert [sha256(a / f) for f in files] == [sha256(b / f) for f in files]


def test_the_report_tells_what_was_left_out_lost_and_made_from_what(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    edit_actions(episodes[1], lambda track: {"valid": np.zeros(40, bool)})
    report = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT)
    assert (report.episodes, report.frames) == (1, 48)
    assert report.left_out == ((episodes[1].id, "no frame has a valid action for panda_gripper"),)
    assert any("4 of 48 rows have no valid right action" in loss for loss in report.losses)
    written = json.loads((tmp_path / "out/meta/loss_report.json").read_text())
    assert written["inputs"][episodes[0].id]["recording.h5"] == sha256(episodes[0].recording_path)
    assert written["left_out"][0]["episode"] == episodes[1].id
    assert written["timing"][episodes[0].id]["streams"][0]["stream"] == "head"
    assert "no frame has a valid action" in (tmp_path / "out/meta/loss_report.txt").read_text()
    assert validate(tmp_path / "out") == []


def test_both_hands_stand_side_by_side_though_one_episode_has_only_one(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    edit_actions(episodes[0], lambda track: {"joints": track.joints * 0.5}, side="left")
    out = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT).path
    assert validate(out) == []
    rows = lerobot_v3_layout.read_columns(out, ["observation.state", "observation.valid"])
    assert rows["observation.state"].shape == (88, 20)
    assert rows["observation.valid"].sum(0).tolist() == [80, 44]
    np.testing.assert_array_equal(rows["observation.state"][48:, 10:], np.tile([0, 0, 0, 1, 0, 0, 0, 1, 0, 0], (40, 1)))


def test_files_roll_over_between_episodes_and_stay_sound(episodes: list[Episode], tmp_path: Path) -> None:
    lerobot_v3.write(select(episodes, ROBOT), tmp_path, VideoOptions(), data_bytes=1000, video_bytes=1000)
    assert [(tmp_path / VIDEO.format(i)).is_file() for i in range(3)] == [True, True, False]
    assert len(list(tmp_path.glob("data/chunk-000/*.parquet"))) == 2
    assert validate(tmp_path) == []


def test_a_video_file_ends_before_lerobot_would_refuse_its_times(episodes: list[Episode], tmp_path: Path) -> None:
    """LeRobot 0.4.4 refused 6 % of the rows beyond 1024 s of a file: float32 times against a tolerance of 0.1 ms."""
    assert lerobot_v3.LONG_S < 1024
    lerobot_v3.write(select(episodes, ROBOT), tmp_path, VideoOptions(), video_s=2)
    assert [(tmp_path / VIDEO.format(i)).is_file() for i in range(3)] == [True, True, False]
    assert validate(tmp_path) == []


def test_keyframes_come_at_the_asked_distance_and_at_each_episode(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    out = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT, video=VideoOptions(gop=15)).path
    table = frame_table(out / VIDEO.format(0))
    assert np.flatnonzero(table.keyframe).tolist() == [0, 15, 30, 45, 48, 63, 78]
    assert not table.reordered


def test_a_gap_is_told_and_the_export_is_sound(episodes: list[Episode], gappy: Episode, tmp_path: Path) -> None:
    report = export([episodes[0], gappy], tmp_path / "out", format="lerobot-v3", robot=ROBOT)
    assert any("8 rows lie in gaps of the camera" in loss for loss in report.losses)
    assert report.frames == 88
    assert validate(report.path) == []


def test_resampling_is_told_and_sound(episodes: list[Episode], tmp_path: Path) -> None:
    report = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT, fps=20)
    assert report.frames == 32 + 27
    assert any("29 camera frames are left out" in loss for loss in report.losses)
    assert validate(report.path) == []


def test_progress_counts_every_row(episodes: list[Episode], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    out = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT, progress=lambda done, total: seen.append((done, total))).path
    assert seen == [(i + 1, 88) for i in range(88)]
    seen.clear()
    validate(out, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (88, 88)


def test_an_interrupted_export_is_not_a_dataset(episodes: list[Episode], tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 60:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT, progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["library"]


def test_video_options_out_of_range_are_refused() -> None:
    with pytest.raises(FirsthandError, match=r"a GOP of 1\.\.600 and a CRF of 0\.\.40, got 0 and 20"):
        VideoOptions(gop=0)


def refused(episodes: list[Episode], out: Path, **options: Any) -> str:
    """What an export that must fail says; it leaves nothing behind."""
    with pytest.raises(FirsthandError) as caught:
        export(episodes, out, **{"format": "lerobot-v3", "robot": ROBOT, **options})
    assert not out.exists() or not (out / "meta").exists()
    return str(caught.value)


def test_what_cannot_be_exported_is_refused_in_one_sentence(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    out = tmp_path / "out"
    assert "no format called 'lerobot-3'; did you mean 'lerobot-v3'?" in refused(episodes, out, format="lerobot-3")
    assert "has no actions for the robot 'aloha'" in refused(episodes, out, robot="aloha")
    assert "fps must be a whole number from 1 on" in refused(episodes, out, fps=0)
    (out / "mine").mkdir(parents=True)
    assert "exists already" in refused(episodes, out)
    for episode in episodes:
        edit_actions(episode, lambda track: {"valid": np.zeros(len(track.t_ns), bool)})
    assert "nothing to export: none of 2 episodes can be" in refused(episodes, tmp_path / "none")


def test_episodes_that_differ_in_joints_or_frame_are_refused_by_name(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    edit_actions(episodes[1], lambda track: {"joint_names": ("opening",)})
    said = refused(episodes, tmp_path / "out")
    assert "must share their right joints" in said
    assert episodes[1].id in said
    hands = read_hands(episodes[1].hands_path)
    episodes[1].hands_path.unlink()
    replace(hands, frame="world", T_world_cam=np.tile(np.eye(4), (40, 1, 1))).write(episodes[1].hands_path)
    assert episode_rows(episodes[1], ROBOT).frame == "camera"  # the actions decide


def test_a_folder_that_is_no_dataset_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match=r"not a dataset of a known format \(there are: lerobot-v3"):
        validate(tmp_path)


def test_what_an_annotator_rejected_is_left_out(episodes: list[Episode], tmp_path: Path) -> None:
    write_annotation(episodes[1].annotations_path, Annotation(40, "fill the bowl", flags=("rejected",)))
    report = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT)
    assert report.episodes == 1 and report.left_out == ((episodes[1].id, "an annotator rejected it"),)
    with pytest.raises(FirsthandError, match="nothing to export"):
        export(episodes[1:], tmp_path / "none", format="lerobot-v3", robot=ROBOT)
    assert not (tmp_path / "none").exists()
