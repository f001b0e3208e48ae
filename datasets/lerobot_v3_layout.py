"""What a LeRobot v3.0 dataset of ours looks like: file names, features and the columns of one episode."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.datasets.columns import Columns
from firsthand.datasets.rows import Rows
from firsthand.datasets.selection import Selection
from firsthand.datasets.video_writer import even

VERSION = "v3.0"
IMAGE = "observation.images.main"
"""The one camera, under the name that Cosmos 3 also reads."""
INFO, STATS, TASKS, SUBTASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet", "meta/subtasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_IN_A_CHUNK = 1000
DATA_MB, VIDEO_MB = 100, 200

Table = dict[str, npt.NDArray[Any]]


def features(selection: Selection) -> dict[str, dict[str, Any]]:
    """The features of ``info.json``: dtype, shape and an explicit name for every column."""
    columns = selection.columns
    state, sides = columns.state_names, columns.sides
    height, width = even(selection.height_px), even(selection.width_px)
    return {
        IMAGE: {"dtype": "video", "shape": [height, width, 3], "names": ["height", "width", "channels"], "info": {
            "video.height": height, "video.width": width, "video.codec": "h264", "video.pix_fmt": "yuv420p", "video.is_depth_map": False,
            "video.fps": selection.fps, "video.channels": 3, "has_audio": False}},
        "observation.state": _numbers("float32", state),
        "action": _numbers("float32", state),
        "observation.valid": _numbers("float32", sides),
        "action.valid": _numbers("float32", sides),
        "observation.sigma_m": _numbers("float32", sides),
        "image_age_s": _numbers("float32", ["image_age_s"]),
        "capture_time_ns": _numbers("int64", ["capture_time_ns"]),
        "subtask_index": _numbers("int64", ["subtask_index"]),
        "timestamp": _numbers("float32", ["timestamp"]),
        **{name: _numbers("int64", [name]) for name in ("frame_index", "episode_index", "index", "task_index")},
    }  # fmt: skip


def _numbers(dtype: str, names: Sequence[str]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [len(names)], "names": list(names)}


def columns_of(rows: Rows, columns: Columns, *, episode: int, first: int, task: int, subtasks: Mapping[str, int]) -> Table:
    """The numeric columns of one episode: (N,) for one number a row, else (N, C). The action of a row is the state of the next one."""
    n = len(rows)
    state, valid = columns.state(rows), columns.valid(rows).astype(np.float32)
    after = np.minimum(np.arange(n) + 1, n - 1)
    table: Table = {
        "observation.state": state, "action": state[after], "observation.valid": valid, "action.valid": valid[after],
        "observation.sigma_m": columns.sigma_m(rows), "image_age_s": rows.grid.age_s.astype(np.float32),
        "capture_time_ns": rows.capture_time_ns, "subtask_index": np.array([subtasks[name] for name in rows.subtask], np.int64),
        "timestamp": (np.arange(n) / rows.grid.fps).astype(np.float32), "frame_index": np.arange(n), "episode_index": np.full(n, episode),
        "index": np.arange(first, first + n), "task_index": np.full(n, task),
    }  # fmt: skip
    return {name: values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values for name, values in table.items()}


def info(selection: Selection, tasks: int) -> dict[str, Any]:
    """The document ``info.json``. The key ``firsthand`` is ours; LeRobot ignores it."""
    return {
        "codebase_version": VERSION, "robot_type": selection.robot, "total_episodes": len(selection.episodes),
        "total_frames": selection.frames, "total_tasks": tasks, "chunks_size": FILES_IN_A_CHUNK, "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": VIDEO_MB, "fps": selection.fps, "splits": {"train": f"0:{len(selection.episodes)}"},
        "data_path": DATA, "video_path": VIDEO, "features": features(selection),
        "firsthand": {"frame": selection.frame, "sides": list(selection.columns.sides), "action": "the state of the next row",
                      "rotation": "rot6d: the rotation matrix's x column, then its y column"},
    }  # fmt: skip


def parquet_files(folder: Path, below: str) -> list[Path]:
    """The Parquet files of ``data`` or ``meta/episodes``, in row order."""
    return sorted((folder / below).glob("chunk-*/file-*.parquet"))


def read_columns(folder: Path, names: list[str]) -> Table:
    """Columns of all rows as contiguous arrays, (N,) or (N, C)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([pq.read_table(path, columns=names) for path in parquet_files(folder, "data")])
    return {name: as_array(table[name]) for name in names}


def as_array(column: Any) -> npt.NDArray[Any]:
    """An Arrow column of numbers or of fixed-size lists as an array (N,) or (N, C)."""
    import pyarrow as pa

    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = flat.chunk(0) if flat.num_chunks else pa.array([], column.type)
    if pa.types.is_fixed_size_list(flat.type):
        return np.asarray(flat.flatten().to_numpy(zero_copy_only=False)).reshape(len(flat), flat.type.list_size)
    return np.asarray(flat.to_numpy(zero_copy_only=False))
