"""LeRobot v3.0, written without LeRobot: Parquet rows, episodes back to back in H.264, statistics of every feature."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.files import write_json
from firsthand.capture.library import Episode
from firsthand.datasets import lerobot_v3_layout as layout
from firsthand.datasets.formats import ExportFormat
from firsthand.datasets.lerobot_v3_check import recognises, validate
from firsthand.datasets.rolling_files import TableFiles, VideoFiles
from firsthand.datasets.rows import UNLABELLED, Rows
from firsthand.datasets.selection import Progress, Selection
from firsthand.datasets.statistics import Stats, as_json, column_stats, picture_histogram, picture_stats
from firsthand.datasets.video_writer import VideoOptions, VideoWriter

LONG_S = 1000
"""LeRobot compares times in a video file as float32; from 1024 s on that is coarser than its tolerance of 0.1 ms, and it refuses rows."""

EPISODES_IN_A_GROUP = 256


def write(selection: Selection, folder: Path, video: VideoOptions, progress: Progress | None = None, *,
          data_bytes: int = layout.DATA_MB * 2**20, video_bytes: int = layout.VIDEO_MB * 2**20,
          video_s: int = LONG_S) -> Sequence[str]:
    """Fill an empty folder with the dataset, one picture in memory at a time; returns what was lost."""
    import pyarrow as pa

    tasks: dict[str, int] = {}
    subtasks: dict[str, int] = {UNLABELLED: 0}
    pictures = np.zeros((3, 256), np.int64)
    first = 0
    waiting: list[Any] = []  # a row group of one episode's 200 columns would be mostly Parquet's own metadata

    def open_video(number: int) -> VideoWriter:
        return VideoWriter(folder / _path(layout.VIDEO, number), selection.fps, selection.width_px, selection.height_px, video)

    with (TableFiles(lambda number: folder / _path(layout.DATA, number), data_bytes) as data,
          TableFiles(lambda _: folder / _path(layout.EPISODES, 0), sys.maxsize) as episodes,
          VideoFiles(open_video, video_bytes, video_s * selection.fps) as videos):
        for number, (episode, count) in enumerate(selection.episodes):
            rows = selection.rows(episode)
            for name in rows.subtask:
                subtasks.setdefault(name, len(subtasks))
            table = layout.columns_of(rows, selection.columns, episode=number, first=first, task=tasks.setdefault(rows.task, len(tasks)),
                                      subtasks=subtasks)
            data_file = data.append(_arrow(table))
            clip = videos.next_episode(count)
            start = clip.frames
            histogram = _append_pictures(clip, episode, rows, first, selection.frames, progress)
            pictures += histogram
            stats = {layout.IMAGE: picture_stats(histogram, count), **{name: column_stats(values) for name, values in table.items()}}
            waiting.append(_episode_row(selection, episode, rows, number, first, data_file, (videos.number, start), stats))
            if len(waiting) == EPISODES_IN_A_GROUP or number + 1 == len(selection.episodes):
                episodes.append(pa.concat_tables(waiting).combine_chunks())
                waiting.clear()
            first += count

    _names(folder / layout.TASKS, "task", tasks)
    _names(folder / layout.SUBTASKS, "subtask", subtasks)
    write_json(folder / layout.INFO, layout.info(selection, len(tasks)))
    columns = [name for name, feature in layout.features(selection).items() if feature["dtype"] != "video"]
    stats = {layout.IMAGE: picture_stats(pictures, selection.frames),
             **{name: column_stats(layout.read_columns(folder, [name])[name]) for name in columns}}
    write_json(folder / layout.STATS, as_json(stats))
    return _losses(selection, video)


def _path(pattern: str, number: int) -> str:
    chunk, file = divmod(number, layout.FILES_IN_A_CHUNK)
    return pattern.format(video_key=layout.IMAGE, chunk_index=chunk, file_index=file)


def _arrow(table: layout.Table) -> Any:
    import pyarrow as pa

    def column(values: Any) -> Any:
        return pa.array(values) if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])

    return pa.table({name: column(values) for name, values in table.items()})


def _append_pictures(clip: VideoWriter, episode: Episode, rows: Rows, done: int, total: int, progress: Progress | None) -> Any:
    """Encode the picture of every row; returns the histogram of the encoded pictures before compression."""
    histogram = np.zeros((3, 256), np.int64)
    shown = np.bincount(rows.grid.source)  # how many rows show each frame
    with episode.recording() as recording:
        written = 0
        for times, picture in zip(shown, recording[rows.camera].images(0, len(shown)), strict=True):
            one = picture_histogram(picture) if times else histogram
            for _ in range(times):
                clip.write(picture, keyframe=written == 0)
                histogram += one
                written += 1
                if progress:
                    progress(done + written, total)
    return histogram


def _episode_row(selection: Selection, episode: Episode, rows: Rows, number: int, first: int, data_file: int, clip: tuple[int, int],
                 stats: Mapping[str, Stats]) -> Any:
    import pyarrow as pa

    said, n = rows.annotation, len(rows)
    video_file, start = clip
    place = {
        "data": divmod(data_file, layout.FILES_IN_A_CHUNK), f"videos/{layout.IMAGE}": divmod(video_file, layout.FILES_IN_A_CHUNK),
        "meta/episodes": (0, 0),  # a row is a few kilobytes: one file holds tens of thousands of episodes
    }  # fmt: skip
    row = {
        "episode_index": number, "tasks": [rows.task], "length": n, "dataset_from_index": first, "dataset_to_index": first + n,
        **{f"{what}/{kind}_index": index for what, pair in place.items() for kind, index in zip(("chunk", "file"), pair, strict=True)},
        f"videos/{layout.IMAGE}/from_timestamp": start / selection.fps, f"videos/{layout.IMAGE}/to_timestamp": (start + n) / selection.fps,
        "source_episode": episode.id, "success": -1 if said is None or said.success is None else int(said.success),
        "grade": 0 if said is None or said.grade is None else said.grade,
    }  # fmt: skip
    arrays: dict[str, Any] = {name: pa.array([value]) for name, value in row.items()}
    arrays["flags"] = pa.array([list(said.flags) if said else []], pa.list_(pa.string()))
    for feature, values in as_json(stats).items():
        arrays.update({f"stats/{feature}/{name}": pa.array([value]) for name, value in values.items()})
    return pa.table(arrays)


def _names(path: Path, name: str, numbers: Mapping[str, int]) -> None:
    """A table of texts in the order of their numbers; pandas keeps the index as a column of its name."""
    import pandas as pd

    frame = pd.DataFrame({f"{name}_index": list(numbers.values())}, index=pd.Index(list(numbers), name=name, dtype=object))
    frame.to_parquet(path)


def _losses(selection: Selection, video: VideoOptions) -> list[str]:
    told = [
        f"poses are in the {selection.frame} frame, as x y z in metres and the first two columns of the rotation matrix; "
        "the transform between camera and world is not included",
        "time stamps are row / fps; capture_time_ns keeps when each picture was taken, raw device stamps and clock fits are not included",
        "of the human hand only the robot's targets and the wrist's sigma are kept; its 21 joints, their provenance and pixels are not",
        "depth, inertial, glove and audio streams, further cameras, and the camera calibration are not included",
        f"pictures are H.264 4:2:0 with a quality of CRF {video.crf}; statistics are of the pictures before compression",
    ]  # fmt: skip
    if selection.width_px % 2 or selection.height_px % 2:
        told.append(f"pictures of {selection.width_px}x{selection.height_px} pixels got an odd edge repeated, as H.264 wants even sizes")
    long = [episode.id for episode, rows in selection.episodes if rows / selection.fps > LONG_S]
    if long:
        told.append(f"{len(long)} episodes are longer than {LONG_S} s, where LeRobot's float32 times are coarser than its tolerance and "
                    f"it may refuse windows of pictures ({', '.join(long[:3])}): cut them")
    return told


FORMAT = ExportFormat("lerobot-v3", write, validate, recognises, report_in="meta")
