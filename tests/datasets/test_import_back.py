"""What we exported comes back equal when it is imported: rows, times, pictures, task, sub-tasks, success."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.importer import import_take, look
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode
from firsthand.capture.summary import check_recording
from firsthand.datasets import lerobot_v3_layout as layout
from firsthand.datasets.video_reader import decode_all

NUMBERS = ("observation.state", "action", "observation.valid", "action.valid", "observation.sigma_m", "image_age_s", "capture_time_ns",
           "subtask_index")  # fmt: skip
BOUNDS = ((0, 48), (48, 88))


@pytest.fixture
def back(dataset: Path, tmp_path: Path) -> Callable[[int], Episode]:
    """Import one episode of the exported dataset."""
    found = look(dataset, Asked())
    assert [take.name for take in found.takes] == ["episode_0", "episode_1"]

    def run(number: int) -> Episode:
        episode, new = import_take(dataset, found, number, tmp_path / "again", Asked())
        assert new and check_recording(episode.recording_path) == []
        return episode

    return run


@pytest.mark.parametrize("number", [0, 1])
def test_lerobot_v3_comes_back_equal(dataset: Path, back: Callable[[int], Episode], number: int) -> None:
    a, b = BOUNDS[number]
    stored = layout.read_columns(dataset, list(NUMBERS))
    features = json.loads((dataset / layout.INFO).read_text())["features"]
    shown = [frame.to_ndarray(format="bgr24") for frame in decode_all(dataset / layout.VIDEO.format(video_key=layout.IMAGE, chunk_index=0,
                                                                                                  file_index=0))][a:b]
    episode = back(number)
    with episode.recording() as recording:
        for key in NUMBERS:
            stream = recording[key.replace(".", "-")]
            np.testing.assert_array_equal(stream.values, stored[key][a:b].reshape(b - a, -1))
            assert list(stream.spec.names) == features[key]["names"]
            np.testing.assert_array_equal(stream.t_ns, np.rint(np.arange(b - a) * 1e9 / 30).astype(np.int64))
        state = recording["observation-state"].spec
        assert state.units[:3] == ("m", "m", "m") and state.units[-1] == "m" and state.units[3] == "1"
        camera = recording.camera()
        assert camera.spec.name == "main" and len(camera) == b - a
        np.testing.assert_array_equal(camera.t_ns, recording["action"].t_ns)
        for image, want in zip(camera.images(), shown, strict=True):
            np.testing.assert_array_equal(image, want)
        assert recording.task == "put the red cube into the blue bowl" if number == 0 else "put the red cube into the bowl"
        assert recording.source == "egocentric"


def test_labels_come_back(back: Callable[[int], Episode], episodes: list[Episode]) -> None:
    before, after = read_annotation(episodes[0].annotations_path), read_annotation(back(0).annotations_path)
    assert before and after
    assert (after.instruction, after.success, after.grade, after.flags, after.n_frames) == \
        (before.instruction, before.success, before.grade, before.flags, before.n_frames)
    assert [(s.a, s.b, s.label) for s in after.tiers["subtask"]] == [(0, 20, "reach"), (20, 40, "grasp the red cube")]
    unsaid = read_annotation(back(1).annotations_path)
    assert unsaid and unsaid.success is None and unsaid.grade is None and not unsaid.tiers
