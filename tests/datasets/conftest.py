"""Fixtures of the export tests: a dataset made from the tiny library, and ways to change a Parquet file."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from firsthand.annotate.annotation import Annotation, Segment, write_annotation
from firsthand.capture.library import Episode, find_episodes
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample
from firsthand.datasets.formats import export
from firsthand.retarget.action_track import ActionTrack, read_actions
from firsthand.retarget.hand_track import read_hands

ROBOT = "panda_gripper"


@pytest.fixture
def episodes(tiny_library: Path) -> list[Episode]:
    """The two episodes of the tiny library, the first one labelled."""
    found = find_episodes(tiny_library)
    spans = (Segment(0, 20, "reach"), Segment(20, 40, "grasp", "grasp the red cube"))
    said = Annotation(48, "put the red cube into the blue bowl", True, 4, ("blur",), {"subtask": spans}, "a01")
    write_annotation(found[0].annotations_path, said)
    return found


@pytest.fixture
def dataset(episodes: list[Episode], tmp_path: Path) -> Path:
    """The two episodes as LeRobot v3.0."""
    return export(episodes, tmp_path / "dataset", format="lerobot-v3", robot=ROBOT).path


@pytest.fixture
def edit_parquet() -> Callable[[Path, Callable[[Any], Any]], None]:
    """Change the table of a Parquet file in place, its pandas metadata kept."""

    def edit(path: Path, change: Callable[[Any], Any]) -> None:
        pq.write_table(change(pq.read_table(path)), path)

    return edit


@pytest.fixture
def edit_actions() -> Callable[..., None]:
    """Write an episode's actions again with some fields of a side's track changed."""

    def edit(episode: Episode, change: Callable[[ActionTrack], dict[str, Any]], side: Any = "right") -> None:
        path = episode.actions_path(ROBOT)
        actions = read_actions(path)
        track = replace(actions.tracks["right"], side=side)
        path.unlink()
        replace(actions, tracks={**actions.tracks, side: replace(track, **change(track))}).write(path)

    return edit




@pytest.fixture
def gappy(episodes: list[Episode]) -> Episode:
    """The second episode again, its camera's frames 20 to 29 lost."""
    source, kept = episodes[1], np.r_[0:20, 30:40]
    episode = Episode(source.path.with_name("002"))
    with source.recording() as recording, RecordingWriter(episode.recording_path, task=recording.task) as writer:
        camera = recording["head"]
        writer.add_stream(camera.spec)
        for i in kept:
            writer.append(Sample("head", int(camera.device_ns[i]), int(camera.host_ns[i]), int(camera.sequence[i]), camera.payload(i)))
    with episode.recording() as recording:
        t_ns = np.array(recording["head"].t_ns)
    hands, actions = read_hands(source.hands_path), read_actions(source.actions_path(ROBOT))
    seen = {side: some_rows(track, kept, t_ns) for side, track in hands.tracks.items()}
    done = {side: some_rows(track, kept, t_ns) for side, track in actions.tracks.items()}
    replace(hands, t_ns=t_ns, tracks=seen).write(episode.hands_path)
    replace(actions, tracks=done).write(episode.actions_path(ROBOT))
    return episode


def some_rows(track: Any, kept: np.ndarray, t_ns: np.ndarray) -> Any:
    """A track with only some of its rows, at other times."""
    arrays = {f.name: getattr(track, f.name)[kept] for f in fields(track) if isinstance(getattr(track, f.name), np.ndarray)}
    return replace(track, **{**arrays, "t_ns": t_ns})
