import multiprocessing
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.datasets import lerobot_v3, loader
from firsthand.datasets.formats import export
from firsthand.datasets.lerobot_v3_layout import IMAGE, read_columns
from firsthand.datasets.loader import WindowDataset
from firsthand.datasets.selection import select
from firsthand.datasets.video_reader import VideoReader, decode_all
from firsthand.datasets.video_writer import VideoOptions
from firsthand.datasets.window import Window

ROBOT = "panda_gripper"
VIDEO = "videos/observation.images.main/chunk-000/file-000.mp4"


def barcode(picture: torch.Tensor) -> int:
    """The number a picture (3, H, W) of the tiny library carries."""
    top = picture[:, 10:20].float().mean((0, 1))
    return sum(1 << bit for bit in range(16) if top[bit * 10 + 3 : bit * 10 + 7].mean() > 127)


def number(item: dict[str, Any]) -> int:
    return int(item["episode_index"]) * 256 + int(item["frame_index"])


def test_an_item_is_what_the_dataset_holds(dataset: Path) -> None:
    windows = WindowDataset(dataset, Window(observation_steps=2, action_steps=4))
    rows = read_columns(dataset, ["observation.state", "action"])
    for i in (0, 20, len(windows) - 1):
        item, row = windows[i], windows.rows[i]
        assert {name: (tuple(v.shape), v.dtype) for name, v in item.items() if isinstance(v, torch.Tensor)} == {
            "observation.state": ((2, 10), torch.float32), "action": ((4, 10), torch.float32),
            "action.weight": ((4, 10), torch.float32), IMAGE: ((2, 3, 120, 160), torch.uint8)}  # fmt: skip
        np.testing.assert_array_equal(item["observation.state"], rows["observation.state"][row - 1 : row + 1])
        np.testing.assert_array_equal(item["action"], rows["action"][row : row + 4])
        assert [barcode(picture) for picture in item[IMAGE]] == [number(item) - 1, number(item)]
    assert windows[0]["task"] == "put the red cube into the blue bowl"
    assert windows[0]["subtask"] == "reach"


def test_no_window_crosses_an_episode_or_holds_a_filled_row(dataset: Path) -> None:
    windows = WindowDataset(dataset, Window(observation_steps=1, action_steps=8, images=False))
    items = [windows[i] for i in range(len(windows))]
    assert all((item["action.weight"] == 1).all() for item in items)
    # rows 10..13 are unseen, so is the action of row 9; the actions 40..47 of episode 0 are the last eight
    assert [item["frame_index"] for item in items if item["episode_index"] == 0] == [0, 1, *range(14, 41)]


def test_without_requirements_the_weight_tells_what_was_filled(dataset: Path) -> None:
    windows = WindowDataset(dataset, Window(action_steps=8, images=False, require="none"))
    assert windows[5]["frame_index"] == 5
    assert windows[5]["action.weight"][:, 0].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


def test_each_side_has_its_own_weight(episodes: list[Episode], tmp_path: Path, edit_actions: Any) -> None:
    edit_actions(episodes[0], lambda track: {}, side="left")
    out = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT).path
    windows = WindowDataset(out, Window(action_steps=2, images=False), episodes=[1])
    assert windows[0]["action.weight"].tolist() == [[1] * 10 + [0] * 10] * 2


def test_episodes_can_be_chosen(dataset: Path) -> None:
    chosen = WindowDataset(dataset, Window(images=False), episodes=[1])
    assert {chosen[i]["episode_index"] for i in range(len(chosen))} == {1}
    with pytest.raises(FirsthandError, match="no stretch of 1 observations and 60 actions"):
        WindowDataset(dataset, Window(action_steps=60))


def start(method: str) -> Any:
    return multiprocessing.get_context(method)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_workers_read_the_right_pictures_after_the_parent_has_read(dataset: Path, method: str) -> None:
    windows = WindowDataset(dataset, Window(observation_steps=2, action_steps=4))
    assert barcode(windows[7][IMAGE][1]) == number(windows[7])
    batches: DataLoader[Any] = DataLoader(windows, batch_size=8, shuffle=True, num_workers=2, multiprocessing_context=start(method))
    seen = 0
    for batch in batches:
        for episode, frame, pictures in zip(batch["episode_index"], batch["frame_index"], batch[IMAGE], strict=True):
            assert barcode(pictures[1]) == int(episode) * 256 + int(frame)
            seen += 1
        assert barcode(windows[seen % 20][IMAGE][1]) == number(windows[seen % 20])  # the parent reads on meanwhile
    assert seen == len(windows)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_its_own_video(dataset: Path) -> None:
    """A decoder inherited by fork shares its place in the file with the parent: LeRobot failed so with "Could not push packet"."""
    windows = WindowDataset(dataset)
    assert barcode(windows[0][IMAGE][0]) == number(windows[0])
    inherited = set(map(id, windows._readers.values()))

    def read_in_child() -> None:
        item = windows[5]
        own = [reader for (pid, _), reader in windows._readers.items() if pid == os.getpid()]
        assert barcode(item[IMAGE][0]) == number(item)
        assert [id(reader) in inherited for reader in own] == [False]

    child = start("fork").Process(target=read_in_child)
    child.start()
    child.join()
    assert child.exitcode == 0


def test_a_gap_is_in_no_window(gappy: Episode, tmp_path: Path) -> None:
    out = export([gappy], tmp_path / "out", format="lerobot-v3", robot=ROBOT).path
    windows = WindowDataset(out, Window(action_steps=4, images=False))
    frames = [windows[i]["frame_index"] for i in range(len(windows))]
    # The action of a row is the state of the next: rows 20..27 lead into the gap, the four rows before them too.
    assert frames == [*range(0, 6), 14, 15, 16, *range(29, 37)]


def test_few_videos_stay_open_and_all_can_be_read(episodes: list[Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lerobot_v3.write(select(episodes, ROBOT), tmp_path, VideoOptions(gop=15), video_bytes=1000)
    monkeypatch.setattr(loader, "OPEN_VIDEOS", 1)
    windows = WindowDataset(tmp_path)
    for i in (0, len(windows) - 1, 3):
        assert barcode(windows[i][IMAGE][0]) == number(windows[i])
        assert len(windows._readers) == 1
    assert not pickle.loads(pickle.dumps(windows))._readers


@pytest.mark.parametrize("gop", [2, 15])
def test_any_frames_in_any_order_are_those_of_a_sequential_decode(episodes: list[Episode], tmp_path: Path, gop: int) -> None:
    out = export(episodes, tmp_path / "out", format="lerobot-v3", robot=ROBOT, video=VideoOptions(gop=gop)).path
    whole = [frame.to_ndarray(format="rgb24").transpose(2, 0, 1).astype(int) for frame in decode_all(out / VIDEO)]
    reader = VideoReader(out / VIDEO)
    rng = np.random.default_rng(gop)
    for _ in range(60):
        first = int(rng.integers(0, 88))
        count = int(rng.integers(1, min(9, 89 - first)))
        for frame, want in zip(reader.read(first, count), whole[first : first + count], strict=True):
            assert np.abs(frame - want).max() <= 2  # planar and packed conversion round differently
    with pytest.raises(FirsthandError, match=r"has 88 frames; 80\.\.90 was asked for"):
        reader.read(80, 10)
    reader.close()


def test_pictures_can_be_scaled_while_they_are_read(dataset: Path) -> None:
    item = WindowDataset(dataset, Window(image_px=(30, 40)))[0]
    assert item[IMAGE].shape == (1, 3, 30, 40)
    np.testing.assert_allclose(item[IMAGE][0, :, 25, 1], (150, 120, 90), atol=4)


def test_statistics_are_ready_to_normalise_with(dataset: Path) -> None:
    stats = WindowDataset(dataset, Window(images=False)).stats
    assert stats["action"]["mean"].shape == (10,)
    assert stats[IMAGE]["std"].shape == (3, 1, 1)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match=r"is not a LeRobot v3\.0 dataset"):
        WindowDataset(tmp_path)
