"""What a LeRobot dataset says of itself: v3.0, and v2.1 or v2.0, as one list of episodes and where each one's rows and pictures are."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError

VERSIONS = ("v3.0", "v2.1", "v2.0")
PLACE = re.compile(r"\{([a-z_]*)(?::0?\d{1,2}d?)?\}")


@dataclass(frozen=True)
class Dataset:
    """The index of one dataset."""

    root: Path
    version: str
    fps: float
    features: Mapping[str, Mapping[str, Any]]
    robot: str
    info: Mapping[str, Any]
    tasks: Mapping[int, str]
    subtasks: Mapping[int, str]

    @property
    def cameras(self) -> list[str]:
        """Features that are videos."""
        return [name for name, feature in self.features.items() if feature.get("dtype") == "video"]


@dataclass(frozen=True)
class Entry:
    """One episode in the index."""

    number: int
    length: int
    data: Path
    videos: Mapping[str, tuple[Path, Fraction, Fraction | None]]
    """By feature: the file, and from where to where in seconds the episode lies in it; None for up to its end."""
    tasks: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the index says of it, such as ``success`` or ``sub_tasks``."""


def open_dataset(root: Path) -> Dataset:
    """Read ``meta/``, but for the list of episodes. Raises `DamagedError`."""
    info = read_json(root, root / "meta" / "info.json")
    version, fps, features = info.get("codebase_version"), info.get("fps"), info.get("features")
    if version not in VERSIONS:
        raise DamagedError(f"cannot import {root}: it is of LeRobot's version {version!r}; {' and '.join(VERSIONS[:2])} are read")
    if not isinstance(fps, int | float) or not 1e-3 < fps < 100_000:
        raise DamagedError(f"cannot import {root}: meta/info.json says {fps!r} rows a second")
    if not isinstance(features, dict) or not all(isinstance(feature, dict) for feature in features.values()):
        raise DamagedError(f"cannot import {root}: meta/info.json has no features")
    if version == "v3.0":
        tasks, subtasks = _texts(root, "task"), _texts(root, "subtask")
    else:
        tasks = {line["task_index"]: str(line["task"]) for line in _lines(root, "tasks", ("task_index", "task"))}
        subtasks = {}
    return Dataset(root, version, float(fps), features, str(info.get("robot_type") or ""), info, tasks, subtasks)


def entries(dataset: Dataset) -> list[Entry]:
    """Every episode, in order. Raises `DamagedError`."""
    found = list(_entries_v3(dataset) if dataset.version == "v3.0" else _entries_v2(dataset))
    total = dataset.info.get("total_episodes", len(found))
    if len(found) != total or not found:
        raise DamagedError(f"cannot import {dataset.root}: its index lists {len(found)} episodes and meta/info.json says {total}")
    return found


def _entries_v3(dataset: Dataset) -> Iterator[Entry]:
    root = dataset.root
    files = sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet"))
    if not files:
        raise DamagedError(f"cannot import {root}: there is nothing in meta/episodes")
    for file in files:
        with reading_parquet(file):
            rows = read_table(file, lambda name: not name.startswith("stats/")).to_pylist()
        for row in rows:
            try:
                videos = {}
                for key in dataset.cameras:
                    place = {"video_key": key, **{f"{part}_index": row[f"videos/{key}/{part}_index"] for part in ("chunk", "file")}}
                    start, stop = (_on_grid(row[f"videos/{key}/{edge}_timestamp"], dataset.fps) for edge in ("from", "to"))
                    videos[key] = (_at(dataset, "video_path", place), start, stop)
                data = _at(dataset, "data_path", {f"{part}_index": row[f"data/{part}_index"] for part in ("chunk", "file")})
                yield Entry(int(row["episode_index"]), int(row["length"]), data, videos, tuple(map(str, row.get("tasks") or ())),
                            {name: value for name, value in row.items() if "/" not in name})
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise DamagedError(f"cannot import {root}: {file.relative_to(root)} lacks what a row needs ({error})") from error


def _entries_v2(dataset: Dataset) -> Iterator[Entry]:
    size = dataset.info.get("chunks_size", 1000)
    if not isinstance(size, int) or size < 1:
        raise DamagedError(f"cannot import {dataset.root}: meta/info.json says {size!r} episodes a chunk")
    for line in _lines(dataset.root, "episodes", ("episode_index", "length")):
        place = {"episode_index": line["episode_index"], "episode_chunk": line["episode_index"] // size}
        videos = {key: (_at(dataset, "video_path", {"video_key": key, **place}), Fraction(0), None) for key in dataset.cameras}
        yield Entry(line["episode_index"], line["length"], _at(dataset, "data_path", place), videos,
                    tuple(map(str, line.get("tasks") or ())), line)


def _on_grid(seconds: float, fps: float) -> Fraction:
    """A time that was rounded, as the exact time of the frame it means; one that means none is kept."""
    rate = Fraction(fps).limit_denominator(1001)
    frame = round(Fraction(seconds) * rate)
    exact = Fraction(frame) / rate
    return exact if abs(float(exact) - seconds) < 1e-3 else Fraction(seconds)


def _at(dataset: Dataset, which: str, place: Mapping[str, Any]) -> Path:
    """A path of the dataset, by its own pattern, which may hold nothing but the places it should and must stay inside."""
    pattern = dataset.info.get(which)
    known = isinstance(pattern, str) and all(name in place for name in PLACE.findall(pattern))
    if not isinstance(pattern, str) or not known or re.search(r"[{}]", PLACE.sub("", pattern)):
        raise DamagedError(f"cannot import {dataset.root}: {which} is {pattern!r}, no pattern of LeRobot's")
    path = Path(pattern.format(**place))
    if path.is_absolute() or ".." in path.parts:
        raise DamagedError(f"cannot import {dataset.root}: {path} points out of the dataset; it is not to be trusted")
    return dataset.root / path


def _texts(root: Path, name: str) -> dict[int, str]:
    """``meta/tasks.parquet`` or ``meta/subtasks.parquet``: texts by number; empty when there is none."""
    file = root / "meta" / f"{name}s.parquet"
    if not file.exists():
        return {}
    with reading_parquet(file):
        import pyarrow as pa

        table = read_table(file)
    texts = [column for column in table.column_names if pa.types.is_string(table.schema.field(column).type)
             or pa.types.is_large_string(table.schema.field(column).type)]
    numbers = f"{name}_index"
    if numbers not in table.column_names or not texts:
        raise DamagedError(f"cannot import {root}: meta/{file.name} has the columns {', '.join(table.column_names)}, and no text by number")
    column = name if name in texts else texts[0]
    pairs: Any = zip(table[numbers].to_pylist(), table[column].to_pylist(), strict=True)
    return {number: str(text) for number, text in pairs}


def _lines(root: Path, name: str, wanted: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The objects of ``meta/<name>.jsonl``, each with what is wanted; an ``_index`` and a length are whole numbers."""
    file = root / "meta" / f"{name}.jsonl"
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                found = json.loads(line)
                if not isinstance(found, dict) or any(key not in found for key in wanted) or any(
                        type(found[key]) is not int or found[key] < 0 for key in wanted if key != "task"):
                    raise DamagedError(f"cannot import {root}: line {number} of meta/{file.name} lacks {' or '.join(wanted)}")
                yield found
    except (OSError, ValueError) as error:
        raise DamagedError(f"cannot import {root}: meta/{file.name} is missing or no JSON lines") from error


def read_json(root: Path, file: Path) -> dict[str, Any]:
    """A document of a dataset."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"cannot import {root}: {file.relative_to(root)} is missing or no JSON") from error
    if not isinstance(document, dict):
        raise DamagedError(f"cannot import {root}: {file.relative_to(root)} is no JSON object")
    return document


def read_table(file: Path, wanted: Callable[[str], bool] = lambda name: True, episode: int | None = None) -> Any:
    """The rows of a Parquet file, or those of one episode; columns by name.

    Row group by row group, in this thread, and without a look at the statistics: on some damaged files PyArrow's data sets hang, and its
    column metadata ends the process.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file, pre_buffer=False) as parquet:
        names = [name for name in parquet.schema_arrow.names if wanted(name)]
        tables = []
        for group in range(parquet.num_row_groups):
            mine: Any = None
            if episode is not None:
                numbers = parquet.read_row_group(group, columns=["episode_index"], use_threads=False)["episode_index"].to_pylist()
                mine = [row for row, number in enumerate(numbers) if number == episode]
                if not mine:
                    continue
            table = parquet.read_row_group(group, columns=names, use_threads=False)
            tables.append(table if mine is None else table.take(mine))
        return pa.concat_tables(tables) if tables else parquet.schema_arrow.empty_table().select(names)


class reading_parquet:  # noqa: N801 - used as `with reading_parquet(file):`
    """Turn what PyArrow says of a damaged file into one sentence."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise FirsthandError("reading Parquet needs PyArrow; install it with: pip install 'firsthand[import]'") from error

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError | ValueError | KeyError | NotImplementedError):  # PyArrow's errors are of these
            what = str(error).partition("\n")[0][:200]
            missing = isinstance(error, FileNotFoundError)
            raise DamagedError(f"cannot import {self._file}: it is {'not there' if missing else f'damaged ({what})'}") from error
