"""LeRobot v2.1 and v3.0 written as published: rows, stamps, packets, task, sub-tasks; what is broken in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import DamagedError
from firsthand.capture.import_many import import_many
from firsthand.capture.importer import look
from firsthand.capture.importers.lerobot_index import entries, open_dataset, read_table, reading_parquet
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode

LENGTHS = (7, 5)
TASKS = ("put the cube into the bowl", "close the drawer")
CAMERA = "observation.images.top"
FEATURES = {
    CAMERA: {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channels"], "info": {"video.fps": 30.0}},
    "observation.state": {"dtype": "float32", "shape": [3], "names": {"motors": ["shoulder", "elbow", "gripper"]}},
    "observation.tactile": {"dtype": "float32", "shape": [2, 2], "names": None},
    "action": {"dtype": "float32", "shape": [3], "names": None},
    "capture_time_ns": {"dtype": "int64", "shape": [1], "names": ["capture_time_ns"]},
    "next.success": {"dtype": "bool", "shape": [1], "names": None},
    "language": {"dtype": "string", "shape": [1], "names": None},
    **{name: {"dtype": "int64", "shape": [1], "names": None} for name in ("frame_index", "episode_index", "index", "task_index")},
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
}  # fmt: skip
EPOCH = 1_770_000_000_000_000_001


def rows(episode: int, first: int) -> dict[str, Any]:
    n, rng = LENGTHS[episode], np.random.default_rng(episode)

    def vectors(width: int) -> Any:
        return pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(0, 1, n * width).astype(np.float32)), width)

    return {
        "observation.state": vectors(3), "action": vectors(3),
        "observation.tactile": pa.array([[[1.0 * i, 2.0], [3.0, 4.0]] for i in range(n)], pa.list_(pa.list_(pa.float32()))),
        "capture_time_ns": pa.array(EPOCH + np.arange(n) * 33_333_333), "language": pa.array(["x"] * n),
        "next.success": pa.array([i == n - 1 and episode == 0 for i in range(n)]), "episode_index": pa.array(np.full(n, episode)),
        "timestamp": pa.array((np.arange(n) / 30).astype(np.float32)), "frame_index": pa.array(np.arange(n)),
        "index": pa.array(np.arange(first, first + n)),
        "task_index": pa.array([episode if episode == 0 or i < 3 else 0 for i in range(n)]),
    }  # fmt: skip


def info(version: str, **more: Any) -> dict[str, Any]:
    return {"codebase_version": version, "robot_type": "so101", "total_episodes": 2, "total_frames": sum(LENGTHS), "total_tasks": 2,
            "chunks_size": 1000, "fps": 30, "splits": {"train": "0:2"}, "features": FEATURES, **more}


@pytest.fixture
def v21(tmp_path: Path, film: Callable[..., bytes]) -> Path:
    """A dataset of two episodes in v2.1, with GR00T's sub-tasks in the index."""
    root = tmp_path / "v21"
    places = {"data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
              "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"}
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info("v2.1", **places, total_videos=2, total_chunks=1)))
    (root / "meta/tasks.jsonl").write_text("".join(json.dumps({"task_index": i, "task": t}) + "\n" for i, t in enumerate(TASKS)))
    lines = [{"episode_index": 0, "tasks": [TASKS[0]], "length": 7, "sub_tasks": [{"start": 0, "end": 4, "text": "reach"}]},
             {"episode_index": 1, "tasks": list(TASKS[::-1]), "length": 5}]
    (root / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for episode, n in enumerate(LENGTHS):
        data = root / places["data_path"].format(episode_chunk=0, episode_index=episode)
        video = root / places["video_path"].format(episode_chunk=0, video_key=CAMERA, episode_index=episode)
        for path in (data, video):
            path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(rows(episode, 7 * episode)), data)
        video.write_bytes(film(n, b_frames=2))
    return root


@pytest.fixture
def v30(tmp_path: Path, film: Callable[..., bytes]) -> Path:
    """The same in v3.0: one table, one video, in which the second episode does not begin at a keyframe."""
    root = tmp_path / "v30"
    places = {"data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
              "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"}
    for folder in ("meta/episodes/chunk-000", "data/chunk-000", f"videos/{CAMERA}/chunk-000"):
        (root / folder).mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info("v3.0", **places)))
    import pandas as pd

    pd.DataFrame({"task_index": [0, 1]}, index=list(TASKS)).to_parquet(root / "meta/tasks.parquet")
    pq.write_table(pa.concat_tables([pa.table(rows(e, 7 * e)) for e in (0, 1)]), root / "data/chunk-000/file-000.parquet")
    (root / f"videos/{CAMERA}/chunk-000/file-000.mp4").write_bytes(film(sum(LENGTHS), b_frames=2, gop=5))
    key = f"videos/{CAMERA}"
    pq.write_table(pa.table({
        "episode_index": [0, 1], "tasks": [[TASKS[0]], list(TASKS[::-1])], "length": list(LENGTHS), "data/chunk_index": [0, 0],
        "data/file_index": [0, 0], "dataset_from_index": [0, 7], "dataset_to_index": [7, 12], f"{key}/chunk_index": [0, 0],
        f"{key}/file_index": [0, 0], f"{key}/from_timestamp": [0.0, 7 / 30], f"{key}/to_timestamp": [7 / 30, 12 / 30],
        "meta/episodes/chunk_index": [0, 0], "meta/episodes/file_index": [0, 0], "stats/action/mean": [[0.0], [0.0]],
    }), root / "meta/episodes/chunk-000/file-000.parquet")  # fmt: skip
    return root


@pytest.fixture(params=["v21", "v30"])
def dataset(request: pytest.FixtureRequest) -> Path:
    """Either."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.mark.parametrize("episode", [0, 1])
def test_rows_and_pictures_come_in_equal(dataset: Path, bring_in: Callable[..., Episode], episode: int) -> None:
    n, stored = LENGTHS[episode], rows(episode, 7 * episode)
    with bring_in(dataset, episode).recording() as recording:
        for key, width in (("observation.state", 3), ("action", 3), ("next.success", 1)):
            want = np.array(stored[key].to_pylist(), np.float32).reshape(n, width)
            np.testing.assert_array_equal(recording[key.replace(".", "-")].values, want)
        tactile = recording["observation-tactile"]
        assert tactile.spec.names == ("[0][0]", "[0][1]", "[1][0]", "[1][1]")
        np.testing.assert_array_equal(tactile.values[:, 0], np.arange(n))
        state = recording["observation-state"].spec
        assert state.names == ("shoulder", "elbow", "gripper") and state.units == ("1",) * 3
        assert "does not state units" in state.extra["units"]
        camera = recording["top"]
        with av.open(str(sorted((dataset / "videos").rglob("*.mp4"))[episode if dataset.name == "v21" else 0])) as container:
            shown = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        first = 7 * episode if dataset.name == "v30" else 0
        for got, want in zip(camera.images(), shown[first : first + n], strict=True):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(camera.t_ns, np.rint(np.arange(n) * 1e9 / 30))
        np.testing.assert_array_equal(camera.t_ns, recording["action"].t_ns)
        assert recording.source == "teleop" and camera.spec.clock == "media"
        assert recording.provenance.parameters["left_out"] == ["language: string, no numbers"]


def test_whole_numbers_too_large_for_a_float_are_kept_exactly(dataset: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(dataset).recording() as recording:
        stream = recording["capture_time_ns"]
        exact = [int(v) + stream.spec.extra["offset"]["capture_time_ns"] for v in stream.values[:, 0]]
        assert exact == [EPOCH + i * 33_333_333 for i in range(7)]


def test_task_success_and_spans_become_the_annotation(v21: Path, bring_in: Callable[..., Episode]) -> None:
    first, second = (read_annotation(bring_in(v21, n).annotations_path) for n in (0, 1))
    assert first and second
    assert (first.instruction, first.success) == (TASKS[0], True)
    assert [(s.a, s.b, s.label) for s in first.tiers["subtask"]] == [(0, 4, "reach")]
    assert (second.instruction, second.success) == (TASKS[1], False)
    assert [(s.a, s.b, s.label) for s in second.tiers["task"]] == [(0, 3, TASKS[1]), (3, 5, TASKS[0])]


def test_packets_before_an_episodes_first_picture_are_kept_but_not_shown(v30: Path, bring_in: Callable[..., Episode]) -> None:
    from firsthand.capture.stream import DISCARD

    with bring_in(v30, 1).recording() as recording:
        flags = recording["top"].rows["flags"]
        assert (flags & DISCARD).any() and int(((flags & DISCARD) == 0).sum()) == 5


def test_real_stamps_are_kept(v21: Path, bring_in: Callable[..., Episode]) -> None:
    file = next((v21 / "data").rglob("episode_000000.parquet"))
    stamps = np.array([0, 0.04, 0.07, 0.11, 0.15, 0.19, 0.21])
    table = pq.read_table(file)
    pq.write_table(table.set_column(table.column_names.index("timestamp"), "timestamp", pa.array(stamps)), file)
    with bring_in(v21).recording() as recording:
        np.testing.assert_allclose(recording["action"].t_ns, stamps * 1e9, atol=1)
        assert recording["action"].spec.extra["times"] == "as stamped by the source"


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_stamps_that_are_no_seconds_are_told(v21: Path, bring_in: Callable[..., Episode], bad: float) -> None:
    file = next((v21 / "data").rglob("episode_000000.parquet"))
    table = pq.read_table(file)
    stamps = pa.array([0, 0.1, 0.2, bad, 0.4, 0.5, 0.6])
    pq.write_table(table.set_column(table.column_names.index("timestamp"), "timestamp", stamps), file)
    with pytest.raises(DamagedError, match="are no seconds"):
        bring_in(v21)


def test_pictures_in_the_rows_are_kept_as_they_are(v21: Path, bring_in: Callable[..., Episode], jpegs: Callable[..., list[bytes]]) -> None:
    edit(v21, lambda document: document["features"].update(wrist={"dtype": "image", "shape": [48, 64, 3], "names": None}))
    file = next((v21 / "data").rglob("episode_000000.parquet"))
    pictures = pa.array([{"bytes": data, "path": None} for data in jpegs(7)])
    pq.write_table(pq.read_table(file).append_column("wrist", pictures), file)
    with bring_in(v21).recording() as recording:
        assert [recording["wrist"].payload(i) for i in range(7)] == jpegs(7)
        assert (recording["wrist"].spec.width_px, recording["wrist"].spec.height_px) == (64, 48)


def edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = root / "meta/info.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


@pytest.mark.parametrize(("change", "why"), [
    ({"codebase_version": "v1.6"}, "version 'v1.6'; v3.0 and v2.1 are read"), ({"fps": 0}, "says 0 rows a second"),
    ({"features": None}, "has no features"), ({"total_episodes": 3}, "lists 2 episodes and meta/info.json says 3"),
    ({"data_path": "../../etc/passwd"}, "points out of the dataset"), ({"data_path": "/etc/passwd"}, "points out of the dataset"),
    ({"video_path": "{video_key.__class__}"}, "no pattern of LeRobot's"), ({"video_path": "{video_key:999999999d}"}, "no pattern"),
    ({"video_path": "{nothing}"}, "no pattern of LeRobot's"),
])  # fmt: skip
def test_an_index_that_cannot_be_trusted_is_told(dataset: Path, bring_in: Callable[..., Episode], change: dict[str, Any], why: str) -> None:
    edit(dataset, lambda document: document.update(change))
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(dataset)
    assert str(dataset) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("size", [0, 100, 900])
def test_a_table_cut_off_is_told(dataset: Path, bring_in: Callable[..., Episode], size: int) -> None:
    file = sorted((dataset / "data").rglob("*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(DamagedError, match="damaged") as told:
        bring_in(dataset)
    assert str(file) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("what", ["data", "videos"])
def test_a_missing_file_is_told(dataset: Path, bring_in: Callable[..., Episode], what: str) -> None:
    sorted(path for path in (dataset / what).rglob("*") if path.is_file())[0].unlink()
    with pytest.raises(DamagedError, match="it is not there"):
        bring_in(dataset)


def test_a_broken_index_is_told_and_not_passed_over(dataset: Path, bring_in: Callable[..., Episode]) -> None:
    index = next(path for path in (dataset / "meta").rglob("*") if path.name in ("episodes.jsonl", "file-000.parquet"))
    index.write_bytes(b"{")
    assert len(look(dataset, Asked()).takes) == 1
    with pytest.raises(DamagedError, match=r"no JSON lines|damaged"):
        bring_in(dataset)


def test_rows_that_are_missing_or_in_disorder_are_told(v30: Path, bring_in: Callable[..., Episode]) -> None:
    file = v30 / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    for order in ([0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5, 6]):
        pq.write_table(table.take(order), file)
        with pytest.raises(DamagedError, match="or not in order"):
            bring_in(v30)


def test_a_byte_changed_anywhere_in_a_table_neither_hangs_nor_ends_the_process(v30: Path) -> None:
    """Through PyArrow's data sets one such file hung; its column metadata ended the process."""
    dataset, whole = open_dataset(v30), (v30 / "data/chunk-000/file-000.parquet").read_bytes()
    entry, told, rng = entries(dataset)[1], 0, np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(whole)
        bad[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        entry.data.write_bytes(bad)
        try:
            with reading_parquet(entry.data):
                read_table(entry.data, episode=1)
        except DamagedError as error:
            assert "\n" not in str(error)
            told += 1
    assert told > 50


def test_processes_of_their_own_bring_all_episodes_in(v30: Path, tmp_path: Path) -> None:
    report = import_many([v30.parent], tmp_path / "library", Asked(), workers=2, silent_s=60)
    assert [done.take for done in report.imported] == ["episode_0", "episode_1"] and not report.faults and not report.passed_over


def test_a_length_that_cannot_be_is_told(v21: Path, bring_in: Callable[..., Episode]) -> None:
    index = v21 / "meta/episodes.jsonl"
    index.write_text(index.read_text().replace('"length": 7', '"length": 7000000000000'))
    with pytest.raises(DamagedError, match="7 rows where the index says 7000000000000"):
        bring_in(v21)


def test_numbers_that_do_not_fit_their_shape_are_told(v30: Path, bring_in: Callable[..., Episode]) -> None:
    edit(v30, lambda document: document["features"]["action"].update(shape=[4]))
    with pytest.raises(DamagedError, match=r"action has 21 numbers in 7 rows"):
        bring_in(v30)


def test_a_video_with_too_few_frames_is_told(v21: Path, bring_in: Callable[..., Episode], film: Callable[..., bytes]) -> None:
    next((v21 / "videos").rglob("episode_000000.mp4")).write_bytes(film(6))
    with pytest.raises(DamagedError, match="6 frames where 7 are wanted"):
        bring_in(v21)
