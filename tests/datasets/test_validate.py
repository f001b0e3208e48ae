"""Each test breaks a sound dataset in one way that LeRobot itself may load without complaint; validate must say so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest

from firsthand.datasets.formats import validate as validate_all
from firsthand.datasets.lerobot_v3_check import validate

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.images.main/chunk-000/file-000.mp4"

# The checks of the format itself; that every file has the hash it was exported with is tested apart.
Edit = Callable[[Path, Callable[[Any], Any]], None]


def found(dataset: Path, *words: str) -> None:
    findings = validate(dataset)
    assert any(all(word in finding for word in words) for finding in findings), findings


def with_column(table: Any, name: str, values: Any) -> Any:
    at = table.schema.get_field_index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def test_a_video_cut_off_is_found(dataset: Path) -> None:
    path = dataset / VIDEO
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found(dataset, "cannot open", "file-000.mp4")


def test_a_video_with_damaged_pictures_is_found(dataset: Path) -> None:
    data = bytearray((dataset / VIDEO).read_bytes())
    at = data.index(b"mdat")
    data[at + 2000 : at + 6000] = bytes(4000)
    (dataset / VIDEO).write_bytes(data)
    found(dataset, "file-000.mp4")


@pytest.mark.parametrize("name", [DATA, VIDEO, "meta/stats.json", "meta/tasks.parquet", "meta/subtasks.parquet", EPISODES])
def test_a_missing_file_is_found(dataset: Path, name: str) -> None:
    (dataset / name).unlink()
    assert validate(dataset)


def test_a_row_removed_is_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / DATA, lambda table: pa.concat_tables([table.slice(0, 20), table.slice(21)]))
    found(dataset, "87 rows", "88")


def test_a_changed_number_is_found(dataset: Path, edit_parquet: Edit) -> None:
    def change(table: Any) -> Any:
        values = table["action"].combine_chunks().flatten().to_numpy().copy()
        values[37] += 0.001
        at = table.schema.get_field_index("action")
        return table.set_column(at, "action", pa.FixedSizeListArray.from_arrays(pa.array(values), 10))

    edit_parquet(dataset / DATA, change)
    found(dataset, "stats.json", "action", "the rows give")


def test_a_value_that_is_not_a_number_is_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / DATA, lambda table: with_column(table, "image_age_s", [np.nan, *table["image_age_s"].to_pylist()[1:]]))
    found(dataset, "image_age_s", "row 0 is not finite")


@pytest.mark.parametrize("shift", [1 / 30, -1 / 30])
def test_an_episode_said_to_start_a_frame_off_is_found(dataset: Path, edit_parquet: Edit, shift: float) -> None:
    key = "videos/observation.images.main/from_timestamp"
    edit_parquet(dataset / EPISODES, lambda table: with_column(table, key, [0.0, 48 / 30 + shift]))
    found(dataset, "episode 1 is said to lie at")


def test_swapped_episodes_are_found(dataset: Path, edit_parquet: Edit) -> None:
    key = "videos/observation.images.main/from_timestamp"
    edit_parquet(dataset / EPISODES, lambda table: with_column(table, key, table[key].to_pylist()[::-1]))
    found(dataset, "episode 0 is said to lie at")


def test_bounds_that_overlap_are_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / EPISODES, lambda table: with_column(table, "dataset_from_index", [0, 47]))
    found(dataset, "episode 1: rows 47..88 with length 40 do not follow row 48")


def test_a_time_stamp_that_is_not_frame_over_rate_is_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / DATA, lambda table: with_column(table, "timestamp", [0.001, *table["timestamp"].to_pylist()[1:]]))
    found(dataset, "column timestamp: row 0")


def test_a_task_number_without_a_task_is_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / DATA, lambda table: with_column(table, "task_index", [7] * 88))
    found(dataset, "tasks.parquet has 2 entries, rows point at 7..7")


def test_tasks_in_another_order_than_their_numbers_are_found(dataset: Path, edit_parquet: Edit) -> None:
    edit_parquet(dataset / "meta/tasks.parquet", lambda table: table.take([1, 0]))
    found(dataset, "tasks.parquet", "must count up from 0")


@pytest.mark.parametrize("key", ["action", "observation.images.main"])
def test_lost_names_are_found(dataset: Path, key: str) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    info["features"][key]["names"] = None
    (dataset / "meta/info.json").write_text(json.dumps(info))
    found(dataset, f"feature {key} has 0 names")


def test_lost_camera_statistics_are_found(dataset: Path) -> None:
    stats = json.loads((dataset / "meta/stats.json").read_text())
    del stats["observation.images.main"]
    (dataset / "meta/stats.json").write_text(json.dumps(stats))
    found(dataset, "lacks statistics of observation.images.main")


def encode_again(path: Path, options: dict[str, str], rate: int = 30) -> None:
    """Replace a video by the same pictures compressed in another way."""
    with av.open(str(path)) as source:
        pictures = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))


def test_a_video_with_b_frames_is_found(dataset: Path) -> None:
    encode_again(dataset / VIDEO, {"bf": "2", "g": "12", "x264-params": "b-adapt=0"})
    found(dataset, "B-frames")


def test_an_episode_that_does_not_begin_with_a_keyframe_is_found(dataset: Path) -> None:
    encode_again(dataset / VIDEO, {"bf": "0", "g": "250", "sc_threshold": "0"})
    found(dataset, "does not begin with a keyframe")


def test_a_video_of_another_rate_is_found(dataset: Path) -> None:
    encode_again(dataset / VIDEO, {"bf": "0", "g": "2"}, rate=25)
    found(dataset, "frame 1 is shown at 0.0400 s, wanted 0.0333 s")


@pytest.mark.parametrize("name", [DATA, VIDEO, "meta/subtasks.parquet"])
def test_a_single_bit_changed_anywhere_is_found(dataset: Path, name: str) -> None:
    assert validate_all(dataset) == []
    data = bytearray((dataset / name).read_bytes())
    data[len(data) // 3] ^= 1
    (dataset / name).write_bytes(data)
    assert f"{name} is not what was exported" in validate_all(dataset)


@pytest.mark.parametrize("where", [("features",), ("features", "action", "shape"), ("fps",), ("video_path",)])
def test_metadata_of_any_other_shape_is_found_and_nothing_is_raised(dataset: Path, where: tuple[str, ...]) -> None:
    info = json.loads((dataset / "meta/info.json").read_text())
    for value in (None, "x", 3, [], {}):
        node = info
        for key in where[:-1]:
            node = node[key]
        node[where[-1]] = value
        (dataset / "meta/info.json").write_text(json.dumps(info))
        assert validate(dataset), value


def test_a_dataset_of_someone_else_has_no_report_and_may_be_sound(dataset: Path) -> None:
    (dataset / "meta/loss_report.json").unlink()
    assert validate_all(dataset) == []
