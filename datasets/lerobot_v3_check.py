"""Is a LeRobot v3.0 dataset sound? Every row, every picture and every number in the metadata is looked at."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.datasets import lerobot_v3_layout as layout
from firsthand.datasets.lerobot_v3_video_check import check_video
from firsthand.datasets.selection import Progress
from firsthand.datasets.statistics import column_stats

STATISTICS = ("min", "max", "mean", "std", "count")
TOTALS = ("fps", "total_episodes", "total_frames", "total_tasks", "features", "data_path", "video_path", "splits", "robot_type",
          "chunks_size")  # fmt: skip


def recognises(path: Path) -> bool:
    """Whether the folder says it is LeRobot v3.0."""
    try:
        return bool(json.loads((path / layout.INFO).read_text(encoding="utf-8")).get("codebase_version") == layout.VERSION)
    except (OSError, ValueError, AttributeError):
        return False


def validate(path: Path, progress: Progress | None = None) -> list[str]:
    """What is wrong with the dataset, one sentence each; empty when it is sound. Progress is in pictures."""
    findings: list[str] = []
    try:
        _validate(path, findings, progress)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        findings.append(f"the metadata is not as LeRobot v3.0 has it ({type(error).__name__}: {error})")
    return findings


def _validate(path: Path, findings: list[str], progress: Progress | None) -> None:
    """Add findings as they come; metadata of another shape than the format's may raise on the way."""
    try:
        info = json.loads((path / layout.INFO).read_text(encoding="utf-8"))
        missing = [name for name in TOTALS if name not in info]
        missing += [name for name in (layout.STATS, layout.TASKS) if not (path / name).is_file()]
        if missing:
            findings.append(f"missing: {', '.join(missing)}")
            return
        stats = json.loads((path / layout.STATS).read_text(encoding="utf-8"))
        episodes = _episodes(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        findings.append(f"the metadata cannot be read: {error}")
        return
    numeric = [name for name, feature in info["features"].items() if feature["dtype"] not in ("video", "image", "string")]
    findings += _check_names(info, stats) + _check_episodes(info, episodes)
    try:
        rows = layout.read_columns(path, numeric)
    except (OSError, ValueError, KeyError) as error:
        findings.append(f"the rows under data/ cannot be read: {error}")
        return
    findings += _check_files(path, info, episodes) + _check_rows(info, episodes, rows)
    findings += _check_index(path, layout.TASKS, rows["task_index"], info["total_tasks"])
    if "subtask_index" in rows:
        findings += _check_index(path, layout.SUBTASKS, rows["subtask_index"], None)
    findings += [finding for name in numeric for finding in _check_stats(name, rows[name], stats.get(name, {}))]
    done = 0
    for name in (name for name, feature in info["features"].items() if feature["dtype"] == "video"):
        for file, clips in _clips(info, name, episodes):
            report: Callable[[], None] | None = None
            if progress:
                def report() -> None:
                    nonlocal done
                    done += 1
                    progress(done, info["total_frames"])
            findings += check_video(path / file, file, clips, info, info["features"][name], report)
        findings += _check_camera_stats(name, stats.get(name, {}))


def _episodes(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    files = layout.parquet_files(path, "meta/episodes")
    if not files:
        raise FileNotFoundError("meta/episodes holds no Parquet file")
    rows: list[dict[str, Any]] = []
    for file in files:
        names = [name for name in pq.read_schema(file).names if not name.startswith("stats/")]
        rows += pq.read_table(file, columns=names).to_pylist()
    return rows


def _check_names(info: dict[str, Any], stats: dict[str, Any]) -> list[str]:
    findings = []
    for name, feature in info["features"].items():
        wanted = 3 if feature["dtype"] in ("video", "image") else feature["shape"][0]
        if len(feature["names"] or []) != wanted:
            findings.append(f"feature {name} has {len(feature['names'] or [])} names, wanted {wanted}")
        if feature["dtype"] != "string" and not set(STATISTICS) <= set(stats.get(name, {})):
            findings.append(f"{layout.STATS} lacks statistics of {name}")
    return findings


def _check_episodes(info: dict[str, Any], episodes: list[dict[str, Any]]) -> list[str]:
    findings, at = [], 0
    if len(episodes) != info["total_episodes"]:
        findings.append(f"meta/episodes lists {len(episodes)} episodes, {layout.INFO} says {info['total_episodes']}")
    for number, row in enumerate(episodes):
        bounds = (row["dataset_from_index"], row["dataset_to_index"])
        if row["episode_index"] != number or bounds != (at, at + row["length"]) or row["length"] < 1:
            findings.append(f"episode {number}: rows {bounds[0]}..{bounds[1]} with length {row['length']} do not follow row {at}")
        at = bounds[1]
    if at != info["total_frames"]:
        findings.append(f"the episodes end at row {at}, {layout.INFO} says {info['total_frames']} frames")
    return findings


def _check_files(path: Path, info: dict[str, Any], episodes: list[dict[str, Any]]) -> list[str]:
    """Whether each episode's rows lie in the file its entry names."""
    import pyarrow.parquet as pq

    held: dict[str, set[Any]] = {}
    findings = []
    for row in episodes:
        name = info["data_path"].format(chunk_index=row["data/chunk_index"], file_index=row["data/file_index"])
        if name not in held:
            held[name] = set()
            if (path / name).is_file():
                held[name].update(pq.read_table(path / name, columns=["episode_index"])["episode_index"].unique().to_pylist())
        if row["episode_index"] not in held[name]:
            findings.append(f"episode {row['episode_index']}: {name} is missing or holds no row of it")
    return findings


def _check_rows(info: dict[str, Any], episodes: list[dict[str, Any]], rows: layout.Table) -> list[str]:
    count = len(rows["index"])
    lengths = [row["length"] for row in episodes]
    if count != info["total_frames"] or sum(lengths) != count:
        return [f"data/ holds {count} rows, {layout.INFO} says {info['total_frames']}, the episodes add up to {sum(lengths)}"]
    frame = np.concatenate([np.arange(n) for n in lengths])
    wanted = {"index": np.arange(count), "frame_index": frame, "episode_index": np.repeat(np.arange(len(lengths)), lengths),
              "timestamp": (frame / info["fps"]).astype(np.float32)}
    findings = []
    for name, want in wanted.items():
        wrong = np.flatnonzero(rows[name] != want)
        if len(wrong):
            findings.append(f"column {name}: row {wrong[0]} is {rows[name][wrong[0]]}, wanted {want[wrong[0]]} ({len(wrong)} such rows)")
    for name, values in rows.items():
        shape, dtype = tuple(info["features"][name]["shape"]), info["features"][name]["dtype"]
        if values.shape[1:] != (() if shape == (1,) else shape) or str(values.dtype) != dtype:
            findings.append(f"column {name} is {values.dtype} {values.shape[1:]}, {layout.INFO} says {dtype} {shape}")
        bad = np.flatnonzero(~np.isfinite(values.reshape(count, -1)).all(1))
        if len(bad):
            findings.append(f"column {name}: row {bad[0]} is not finite ({len(bad)} such rows)")
    return findings


def _check_index(path: Path, file: str, used: npt.NDArray[np.int64], total: int | None) -> list[str]:
    """Texts are looked up by position: the numbers must count up, the texts must be there, every row must point at one."""
    import pandas as pd

    try:
        table = pd.read_parquet(path / file)
    except (OSError, ValueError) as error:
        return [f"{file} cannot be read: {error}"]
    texts, numbers = list(table.index), list(table.iloc[:, 0])
    findings = []
    if numbers != list(range(len(texts))) or (total is not None and total != len(texts)):
        findings.append(f"{file}: the numbers {numbers[:5]}.. must count up from 0" + (f" to {total - 1}" if total is not None else ""))
    if not all(isinstance(text, str) and text.strip() for text in texts):
        findings.append(f"{file}: the index must hold texts, and none may be empty")
    if len(used) and (used.min() < 0 or used.max() >= len(texts)):
        findings.append(f"{file} has {len(texts)} entries, rows point at {used.min()}..{used.max()}")
    return findings


def _check_stats(name: str, values: npt.NDArray[Any], stated: dict[str, Any]) -> list[str]:
    """Compare the stored statistics with those of the rows; a changed number shows here."""
    for statistic, want in column_stats(values).items():
        if statistic not in stated:
            continue
        got = np.asarray(stated[statistic], np.float64).reshape(-1)
        scale = np.maximum(np.abs(want), 1e-9)
        if got.shape != want.shape or not np.all(np.abs(got - want) <= 1e-6 * scale + 1e-12):
            return [f"{layout.STATS}: {statistic} of {name} is {_short(got)}, the rows give {_short(want)}"]
    return []


def _short(values: npt.NDArray[Any]) -> str:
    return np.array2string(values, precision=6, threshold=6)


def _check_camera_stats(name: str, stated: dict[str, Any]) -> list[str]:
    values = {statistic: np.asarray(stated[statistic], np.float64) for statistic in STATISTICS[:4] if statistic in stated}
    return [f"{layout.STATS}: {statistic} of {name} must have shape (3, 1, 1) and lie in 0..1" for statistic, value in values.items()
            if value.shape != (3, 1, 1) or not np.all((value >= 0) & (value <= 1))]


def _clips(info: dict[str, Any], name: str, episodes: list[dict[str, Any]]) -> Iterator[tuple[str, list[tuple[int, int, float, float]]]]:
    """Each video file with its clips: (episode, frames, from, to) in the order of episodes."""
    files: dict[str, list[tuple[int, int, float, float]]] = {}
    for row in episodes:
        key = f"videos/{name}"
        file = info["video_path"].format(video_key=name, chunk_index=row[f"{key}/chunk_index"], file_index=row[f"{key}/file_index"])
        files.setdefault(file, []).append((row["episode_index"], row["length"], row[f"{key}/from_timestamp"], row[f"{key}/to_timestamp"]))
    yield from files.items()


