"""A torch dataset over an exported LeRobot v3.0 dataset: only legal windows, uint8 pictures, and weights where data was filled."""

import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.datasets import lerobot_v3_layout as layout
from firsthand.datasets.grid import GAP_FRAMES
from firsthand.datasets.lerobot_v3_check import recognises
from firsthand.datasets.video_reader import FrameTable, VideoReader
from firsthand.datasets.window import Window, legal_rows

if TYPE_CHECKING:
    from torch import Tensor

OPEN_VIDEOS = 8
"""How many videos one process keeps open; the one unused for longest is closed first."""


class WindowDataset:
    """The legal windows of a dataset, by number: what torch calls a map-style dataset. Items are dictionaries under LeRobot's names:

    ``observation.images.main`` uint8 (T, 3, H, W) RGB; ``observation.state`` float32 (T, D); ``action`` float32 (A, D);
    ``action.weight`` float32 (A, D), 0 where the action was filled, to multiply a loss with; ``task`` and ``subtask``, texts;
    ``episode_index``, ``frame_index`` and ``index`` of the newest observed row. Values are as recorded, neither scaled nor normalised.
    Works in forked and spawned workers: each process opens its own videos.
    """

    def __init__(self, path: Path | str, window: Window | None = None, *, episodes: Sequence[int] | None = None) -> None:
        path = Path(path)
        if not recognises(path):
            raise FirsthandError(f"{path} is not a LeRobot v3.0 dataset; make one with 'firsthand export LIBRARY OUT --format lerobot-v3'")
        self.path = path
        self.window = window or Window()
        self.info: dict[str, Any] = json.loads((path / layout.INFO).read_text(encoding="utf-8"))
        self.fps: int = self.info["fps"]
        features = self.info["features"].items()
        self.cameras = [name for name, feature in features if feature["dtype"] == "video" and self.window.images]
        self._read_tables()
        legal = legal_rows(self.window, self._numbers["episode_index"], self._observed, self._acted, self._covered)
        if episodes is not None:
            legal = legal[np.isin(self._numbers["episode_index"][legal], list(episodes))]
        if not len(legal):
            steps = f"{self.window.observation_steps} observations and {self.window.action_steps} actions"
            raise FirsthandError(f"{path} has no stretch of {steps} without a gap or a missing hand; "
                                 "ask for a shorter window, or for require='none'")
        self.rows: npt.NDArray[np.int64] = legal
        """The newest observed row of each item, shape (W,)."""
        self.episodes: npt.NDArray[np.int64] = self._numbers["episode_index"][legal]
        """The episode of each item, shape (W,); split by it, as neighbouring windows are nearly the same."""
        self._tables: dict[Path, FrameTable] = {}
        self._readers: OrderedDict[tuple[int, Path], VideoReader] = OrderedDict()

    def _read_tables(self) -> None:
        """Everything but pictures as contiguous arrays; forked workers share them."""
        import pandas as pd
        import pyarrow.parquet as pq

        features = self.info["features"]
        needed = ["observation.state", "action", "episode_index", "frame_index", "task_index"]
        ours = [name for name in ("observation.valid", "action.valid", "image_age_s", "subtask_index") if name in features]
        self._numbers = layout.read_columns(self.path, needed + ours)
        n = len(self._numbers["episode_index"])
        sides = features["observation.valid"]["names"] if "observation.valid" in features else ["all"]
        known = np.ones((n, len(sides)), np.float32)
        self._observed = self._numbers.get("observation.valid", known).reshape(n, -1) > 0
        self._acted = self._numbers.get("action.valid", known).reshape(n, -1) > 0
        self._covered = np.abs(self._numbers.get("image_age_s", np.zeros(n, np.float32))) <= GAP_FRAMES / self.fps
        # Which side each action column belongs to: names are "right.x_m".
        names = [str(name).split(".")[0] for name in features["action"]["names"] or []]
        side_of = [sides.index(name) if name in sides else 0 for name in names] or [0] * features["action"]["shape"][0]
        self._weight = np.ascontiguousarray(self._acted[:, side_of], np.float32)
        self._tasks = list(pd.read_parquet(self.path / layout.TASKS).index)
        self._subtasks = list(pd.read_parquet(self.path / layout.SUBTASKS).index) if (self.path / layout.SUBTASKS).exists() else []
        entries = [entry for file in layout.parquet_files(self.path, "meta/episodes") for entry in _without_stats(pq, file)]
        self._clips = {name: [(self.path / self.info["video_path"].format(
            video_key=name, chunk_index=entry[f"videos/{name}/chunk_index"], file_index=entry[f"videos/{name}/file_index"]),
            round(entry[f"videos/{name}/from_timestamp"] * self.fps)) for entry in entries] for name in self.cameras}

    @property
    def stats(self) -> "dict[str, dict[str, Tensor]]":
        """Statistics of each feature to normalise with, float32; of pictures for values in 0..1, shape (3, 1, 1)."""
        import torch

        document = json.loads((self.path / layout.STATS).read_text(encoding="utf-8"))
        return {feature: {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}
                for feature, values in document.items()}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> dict[str, Any]:
        import torch

        row = int(self.rows[item])
        first, end = row - self.window.observation_steps + 1, row + self.window.action_steps
        numbers = self._numbers
        episode, frame = int(numbers["episode_index"][row]), int(numbers["frame_index"][row])
        found: dict[str, Any] = {
            "observation.state": torch.tensor(numbers["observation.state"][first : row + 1]),
            "action": torch.tensor(numbers["action"][row:end]), "action.weight": torch.tensor(self._weight[row:end]),
            "task": self._tasks[int(numbers["task_index"][row])], "episode_index": episode, "frame_index": frame, "index": row,
        }  # fmt: skip
        if self._subtasks:
            found["subtask"] = self._subtasks[int(numbers["subtask_index"][row])]
        for camera in self.cameras:
            path, start = self._clips[camera][episode]
            oldest = start + frame - self.window.observation_steps + 1
            found[camera] = torch.from_numpy(self._reader(path).read(oldest, self.window.observation_steps, self.window.image_px))
        return found

    def _reader(self, path: Path) -> VideoReader:
        """This process's open video; a decoder inherited by fork shares its file position with the parent and must not be used."""
        key = (os.getpid(), path)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = VideoReader(path, self._tables.get(path))
            self._tables[path] = reader.table
            while len(self._readers) > OPEN_VIDEOS:
                self._readers.popitem(last=False)[1].close()
        self._readers.move_to_end(key)
        return reader

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": OrderedDict()}


def _without_stats(pq: Any, file: Path) -> list[dict[str, Any]]:
    names = [name for name in pq.read_schema(file).names if not name.startswith("stats/")]
    rows: list[dict[str, Any]] = pq.read_table(file, columns=names).to_pylist()
    return rows
