"""Datasets that the real LeRobot wrote or converted, imported: every row and picture is the one LeRobot reads."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.importer import import_take, look
from firsthand.capture.intake import Asked
from firsthand.capture.library import find_episodes
from firsthand.capture.summary import check_recording

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).parent / "write_lerobot.py"
CAMERA = "observation.images.top"


def same(root: Path, library: Path, read: dict[str, list[Any]]) -> None:
    """Import every episode of a dataset and hold it against what LeRobot read."""
    found = look(root, Asked())
    episodes = np.array(read["episode"])
    assert len(found.takes) == episodes.max() + 1
    for number in range(len(found.takes)):
        mine = np.flatnonzero(episodes == number)
        episode, _ = import_take(root, found, number, library, Asked())
        assert check_recording(episode.recording_path) == []
        with episode.recording() as recording:
            for stream, name in (("observation-state", "state"), ("action", "action")):
                np.testing.assert_array_equal(recording[stream].values, np.array(read[name])[mine].astype(np.float32))
            np.testing.assert_allclose(recording["action"].t_ns * 1e-9, np.array(read["timestamp"])[mine], atol=1e-6)
            np.testing.assert_array_equal(recording["top"].t_ns, recording["action"].t_ns)
            np.testing.assert_allclose([picture.mean() for picture in recording["top"].images()], np.array(read["grey"])[mine], atol=1.5)
            assert recording.task == read["task"][mine[0]]
        said = read_annotation(episode.annotations_path)
        assert said and said.instruction == read["task"][mine[0]] and said.n_frames == len(mine)


@pytest.mark.parametrize("codec", ["libsvtav1", "h264"])
def test_what_lerobot_wrote_comes_in_as_lerobot_reads_it(codec: str, tmp_path: Path, in_lerobot: Callable[..., str]) -> None:
    out = in_lerobot(SCRIPT, "write", str(tmp_path / "made"), codec)
    same(tmp_path / "made", tmp_path / "library", json.loads(out.strip().splitlines()[-1]))


@pytest.mark.parametrize("pictures", ["video", "image"])
def test_what_the_last_lerobot_of_v21_wrote_comes_in_as_it_reads_it(pictures: str, tmp_path: Path,
                                                                    in_old_lerobot: Callable[..., str]) -> None:
    root, library = tmp_path / "made", tmp_path / "library"
    read = json.loads(in_old_lerobot(SCRIPT.with_name("write_lerobot_v21.py"), pictures, str(root)).strip().splitlines()[-1])
    assert json.loads((root / "meta/info.json").read_text())["codebase_version"] == "v2.1"
    same(root, library, read)
    episodes = np.array(read["episode"])
    for episode in find_episodes(library):
        mine = np.flatnonzero(episodes == int(episode.path.name))
        with episode.recording() as recording:
            grid = recording["observation-grid"]
            offset = [grid.spec.extra.get("offset", {}).get(name, 0) for name in grid.spec.names]
            np.testing.assert_array_equal(grid.values.astype(np.int64) + offset, np.array(read["grid"])[mine].reshape(-1, 4))
            np.testing.assert_array_equal(recording["next-success"].values[:, 0], np.array(read["success"])[mine])
        assert read_annotation(episode.annotations_path).success is True  # type: ignore[union-attr]


def test_v21_comes_in_as_lerobot_converts_it(tmp_path: Path, in_lerobot: Callable[..., str]) -> None:
    root = tmp_path / "old"
    write_v21(root)
    shutil.copytree(root, tmp_path / "kept")
    read = json.loads(in_lerobot(SCRIPT, "convert", str(root)).strip().splitlines()[-1])
    assert json.loads((root / "meta/info.json").read_text())["codebase_version"] == "v3.0"
    same(root, tmp_path / "new library", read)
    same(tmp_path / "kept", tmp_path / "old library", read)


def write_v21(root: Path) -> None:
    """Two episodes in LeRobot's v2.1."""
    joints = {"dtype": "float32", "shape": [3], "names": ["shoulder", "elbow", "gripper"]}
    numbers = dict.fromkeys(("observation.state", "action"), joints)
    one = {"dtype": "int64", "shape": [1], "names": None}
    counts = dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), one)
    picture = {"dtype": "video", "shape": [64, 96, 3], "names": ["height", "width", "channels"], "info": {
        "video.height": 64, "video.width": 96, "video.codec": "h264", "video.pix_fmt": "yuv420p", "video.is_depth_map": False,
        "video.fps": 30, "video.channels": 3, "has_audio": False}}  # fmt: skip
    features = {CAMERA: picture, **numbers, "timestamp": {"dtype": "float32", "shape": [1], "names": None}, **counts}
    lengths, tasks, rng = (20, 13), ("put the cube into the bowl", "close the drawer"), np.random.default_rng(0)
    info = {"codebase_version": "v2.1", "robot_type": "so101", "total_episodes": 2, "total_frames": 33, "total_tasks": 2, "total_videos": 2,
            "total_chunks": 1, "chunks_size": 1000, "fps": 30, "splits": {"train": "0:2"}, "features": features,
            "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
            "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"}
    for folder in ("meta", "data/chunk-000", f"videos/chunk-000/{CAMERA}"):
        (root / folder).mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    lines: dict[str, list[Any]] = {"tasks": [{"task_index": i, "task": t} for i, t in enumerate(tasks)], "episodes": [],
                                   "episodes_stats": []}
    first = 0
    for episode, n in enumerate(lengths):
        table: dict[str, np.ndarray] = {name: rng.normal(0, 1, (n, 3)).astype(np.float32) for name in numbers}
        table |= {"timestamp": (np.arange(n) / 30).astype(np.float32), "frame_index": np.arange(n), "episode_index": np.full(n, episode),
                  "index": np.arange(first, first + n), "task_index": np.full(n, episode)}
        first += n
        columns = {name: pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), 3) if v.ndim == 2 else pa.array(v)
                   for name, v in table.items()}
        pq.write_table(pa.table(columns), root / f"data/chunk-000/episode_{episode:06d}.parquet")
        with av.open(str(root / f"videos/chunk-000/{CAMERA}/episode_{episode:06d}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt, stream.options = 96, 64, "yuv420p", {"g": "2", "bf": "0"}
            for i in range(n):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 96, 3), 30 + 8 * i, np.uint8), format="rgb24")))
            container.mux(stream.encode(None))
        kinds = ("min", "max", "mean", "std")
        stats: dict[str, Any] = {name: {**{kind: np.atleast_1d(getattr(v.astype(float), kind)(0)).tolist() for kind in kinds}, "count": [n]}
                                 for name, v in table.items()}
        stats[CAMERA] = {**{kind: [[[0.5]]] * 3 for kind in kinds}, "count": [n]}
        lines["episodes"].append({"episode_index": episode, "tasks": [tasks[episode]], "length": n})
        lines["episodes_stats"].append({"episode_index": episode, "stats": stats})
    for name, documents in lines.items():
        (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
