"""LeRobot datasets, v3.0 and v2.1: a take an episode, with its own video packets, every column, the task and the sub-tasks."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.clip import Part, open_clip
from firsthand.capture.importers.lerobot_index import Dataset, Entry, entries, open_dataset, read_table, reading_parquet
from firsthand.capture.importers.tracks import Track, grid_ns, numbers, pictures, stream_name, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Rung, Take
from firsthand.capture.places import tell_place
from firsthand.capture.source_labels import SourceLabels, Span
from firsthand.capture.stream import StreamSpec

STAGE = "import-lerobot/1"
COUNTED = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""Columns that say where a row is; they become times, sequence and labels."""
NOTHING = ("", "unlabelled")
UNITS = {"_m": "m", "_rad": "rad", "_s": "s", "_ns": "ns"}
"""What the ends of names mean in a dataset that firsthand wrote."""
LAST_S = 9e9
"""Nanoseconds of later times do not fit 64 bits."""
OFF_S = 1e-3
"""A time stamp further than this from its place on the grid is kept."""


def lerobot(source: Path, asked: Asked) -> Found | None:
    """A folder with ``meta/info.json`` of a LeRobot version."""
    index = source / "meta" / "info.json"
    if not source.is_dir() or not index.is_file():
        return None
    try:
        dataset = open_dataset(source)
        listed = entries(dataset)
    except FirsthandError as error:
        told = error

        def refuse(intake: Intake) -> None:
            raise told

        return Found((Take(source.name, refuse),), identity=(source / "meta",))
    takes = tuple(Take(f"episode_{entry.number}", lambda intake, entry=entry: _write(dataset, entry, intake))  # type: ignore[misc]
                  for entry in listed)
    return Found(takes, identity=(source / "meta",), tasks=tuple(dict.fromkeys(dataset.tasks.values())))


def _write(dataset: Dataset, entry: Entry, intake: Intake) -> None:
    table = _rows(dataset, entry)
    t_ns, stamped = _times(dataset, entry, table)
    told = {"times": "as stamped by the source" if stamped else f"row / {dataset.fps:g}: the source has no times"}
    left_out: list[str] = []
    tracks: list[Track] = []
    with ExitStack() as clips:
        for key, feature in dataset.features.items():
            taken = [track.spec.name for track in tracks]
            name = stream_name(key.removeprefix("observation.images."), taken)
            kind = feature.get("dtype")
            if kind == "video":
                file, start, stop = entry.videos[key]
                depth = bool((feature.get("info") or {}).get("video.is_depth_map"))
                part = Part(start, stop, Fraction(1, 2) / Fraction(dataset.fps).limit_denominator(1001))
                tracks.append(clips.enter_context(open_clip(file, str(file), name, part, role="other" if depth else "camera",
                                                            count=entry.length, extra={"from": key, **told})))
            elif kind == "image" and key in table.column_names:
                tracks.append(_stills(dataset, key, name, table[key], t_ns, told))
            elif key in table.column_names and key not in COUNTED:
                values = _values(dataset, key, feature, table[key])
                if isinstance(values, str):
                    left_out.append(f"{key}: {values}")
                    continue
                names = _names(feature, values.shape[1])
                if not intake.asked.keep_gps and tell_place([key, *names]):
                    left_out.append(f"{key}: a place, which was not asked for")
                    continue
                units = [_unit(n) for n in names] if "firsthand" in dataset.info else None
                tracks.append(numbers(name, "other", names, units, t_ns, values, rate_hz=dataset.fps, extra={"from": key, **told}))
        labels = _labels(dataset, entry, table, t_ns)
        with intake.recording(STAGE, source=_rung(dataset), task=labels.instruction, robot=dataset.robot, episode=entry.number,
                              codebase_version=dataset.version, left_out=left_out) as writer:
            writer.add_stream(labels.spec)
            write_tracks(writer, tracks, intake.progress)
            for sample in labels.samples(0):
                writer.append(sample)


def _rung(dataset: Dataset) -> Rung:
    return "egocentric" if "firsthand" in dataset.info or dataset.robot.lower().startswith(("human", "hand")) else "teleop"


def _rows(dataset: Dataset, entry: Entry) -> Any:
    """The episode's rows, checked to be all of them and in order."""
    with reading_parquet(entry.data):
        if not entry.data.exists():
            raise FileNotFoundError(entry.data)
        table = read_table(entry.data, episode=entry.number)
    missing = [name for name in ("frame_index", "timestamp") if name not in table.column_names]
    if missing:
        raise DamagedError(f"cannot import {entry.data}: there is no column {missing[0]}")
    if len(table) != entry.length or table["frame_index"].to_pylist() != list(range(len(table))):
        raise DamagedError(f"cannot import {entry.data}: episode {entry.number} has {len(table)} rows where the index says {entry.length}, "
                           "or not in order")
    return table


def _times(dataset: Dataset, entry: Entry, table: Any) -> tuple[npt.NDArray[np.int64], bool]:
    """Times of the rows; stamps that are ``row / fps`` are taken for what they are, free of float32's error."""
    grid = grid_ns(entry.length, dataset.fps)
    stamps_s = np.asarray(table["timestamp"].to_numpy(), np.float64)
    if stamps_s.shape != grid.shape or not (np.abs(stamps_s) < LAST_S).all():
        raise DamagedError(f"cannot import {entry.data}: the time stamps of episode {entry.number} are no seconds")
    if np.abs(stamps_s - grid * 1e-9).max(initial=0) <= OFF_S:
        return grid, False
    return np.rint(stamps_s * 1e9).astype(np.int64), True


def _values(dataset: Dataset, key: str, feature: Any, column: Any) -> npt.NDArray[Any] | str:
    """A column of numbers, or of lists of them, as (N, C); or why it is left out."""
    import pyarrow as pa

    width = _width(feature)
    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], flat.type)
    while pa.types.is_list(flat.type) or pa.types.is_large_list(flat.type) or pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type) or pa.types.is_boolean(flat.type)):
        return f"{flat.type}, no numbers"
    values = flat.to_numpy(zero_copy_only=False)
    if width is None or len(values) != len(column) * width:
        raise DamagedError(f"cannot import {dataset.root}: {key} has {len(values)} numbers in {len(column)} rows, and the shape "
                           f"{feature.get('shape')!r} in meta/info.json")
    return np.asarray(values.reshape(len(column), width))


def _width(feature: Any) -> int | None:
    shape = feature.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        return None
    return int(np.prod(shape)) if shape else 1


def _names(feature: Any, width: int) -> list[str]:
    """One name per column: those of the dataset, which may be nested, where they fit."""
    found = list(_flat(feature.get("names")))
    if len(found) == width and all(found):
        return found
    shape = feature.get("shape") or [width]
    return ["".join(f"[{i}]" for i in place) for place in np.ndindex(*shape)]


def _flat(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif isinstance(names, list):
        for name in names:
            yield from _flat(name)
    elif isinstance(names, dict):
        for name in names.values():
            yield from _flat(name)


def _unit(name: str) -> str:
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "1")


def _stills(dataset: Dataset, key: str, name: str, column: Any, t_ns: npt.NDArray[np.int64], told: dict[str, str]) -> Track:
    """Pictures that stand in the rows, as the bytes they are."""
    payloads: list[Any] = [row.get("bytes") if isinstance(row, dict) else None for row in column.to_pylist()]
    kinds = {"jpeg" if p and p[:2] == b"\xff\xd8" else "png" if p and p[:8] == b"\x89PNG\r\n\x1a\n" else "" for p in payloads}
    if len(kinds) != 1 or "" in kinds:
        raise DamagedError(f"cannot import {dataset.root}: {key} holds something else than the bytes of JPEG or of PNG pictures")
    shape = dataset.features[key].get("shape") or []
    sizes = [int(size) for size in shape if size not in (1, 3)][:2] if len(shape) == 3 else []
    height, width = sizes if len(sizes) == 2 else (None, None)
    spec = StreamSpec(name, "encoded", "camera", encoding=kinds.pop(), rate_hz=dataset.fps, width_px=width, height_px=height, clock="media",
                      extra={"from": key, **told})
    return pictures(spec, t_ns, payloads)


def _labels(dataset: Dataset, entry: Entry, table: Any, t_ns: npt.NDArray[np.int64]) -> SourceLabels:
    said, edges = entry.said, np.append(t_ns, t_ns[-1] + round(1e9 / dataset.fps))
    tasks = _texts_of(table, "task_index", dataset.tasks)
    instruction = entry.tasks[0] if entry.tasks else next((text for text in tasks if text), "")
    spans = list(_runs(tasks, edges, "task")) if len(set(tasks)) > 1 else []
    spans += _runs(_texts_of(table, "subtask_index", dataset.subtasks), edges, "subtask")
    for sub in said.get("sub_tasks") or () if isinstance(said.get("sub_tasks"), list) else ():  # GR00T's
        a, b = (sub.get("start"), sub.get("end")) if isinstance(sub, dict) else (None, None)
        if not isinstance(a, int) or not isinstance(b, int) or not 0 <= a < b <= entry.length:
            raise DamagedError(f"cannot import {dataset.root}: a sub-task of episode {entry.number} is from {a!r} to {b!r} of "
                               f"{entry.length} rows")
        spans.append(Span(int(edges[a]), int(edges[b]), str(sub.get("text", ""))))
    success: bool | None = None
    if isinstance(given := said.get("success"), bool | int):
        success = None if given not in (0, 1) else bool(given)
    elif "next.success" in table.column_names:
        success = any(map(bool, np.ravel(_values(dataset, "next.success", dataset.features.get("next.success", {"shape": [1]}),
                                                 table["next.success"]))))
    grade = said.get("grade")
    flags = said.get("flags")
    return SourceLabels("" if instruction in NOTHING else instruction, success, grade if grade in (1, 2, 3, 4, 5) else None,
                        tuple(map(str, flags)) if isinstance(flags, list) else (), tuple(spans))


def _texts_of(table: Any, column: str, texts: Any) -> list[str]:
    if column not in table.column_names or not texts:
        return []
    return [texts.get(number, "") for number in table[column].to_pylist()]


def _runs(texts: list[str], edges: npt.NDArray[np.int64], tier: Any) -> Iterator[Span]:
    """A span for each run of one text."""
    start = 0
    for i in range(1, len(texts) + 1):
        if i == len(texts) or texts[i] != texts[start]:
            if texts[start] not in NOTHING:
                yield Span(int(edges[start]), int(edges[i]), texts[start], tier)
            start = i
