"""Detection in units: one result for any number of processes, and a plain end when one dies."""

import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.detect import LEAD_FRAMES, UNIT_FRAMES, Found, read_found, write_found
from firsthand.retarget.detect_many import detect
from firsthand.retarget.tracker import Detection

FRAMES = 2 * UNIT_FRAMES + 50
PERIOD_NS = 20_000_000
CAMERA = CameraCalibration.from_hfov(32, 24, 70)

TRACKER = '''
"""Trackers that remember: each hand tells the time, the brightness seen, and how many pictures came before it since it was entered."""
import os, signal, sys
import numpy as np
from firsthand.capture.errors import DamagedError
from firsthand.retarget.tracker import Detection

class Counting:
    parameters = {"tracker": "counting"}
    def __enter__(self):
        self.seen = 0
        return self
    def __exit__(self, *_):
        pass
    def detect(self, t_ns, image):
        self.seen += 1
        points = np.full((21, 2), t_ns / 7), np.full((21, 3), image.mean() / 3)
        return [Detection(*points, k, self.seen) for k in range(t_ns // 20_000_000 % 3)]

class Whole(Counting):
    def detect_all(self, frames):
        return [self.detect(*frame) for frame in frames]

class Dying(Counting):
    def detect(self, t_ns, image):
        if 400 < t_ns // 20_000_000 < 450:
            print("out of paper", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return []

class Damaged(Counting):
    def detect(self, t_ns, image):
        raise DamagedError("picture 7 is torn")
'''


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    """Small pictures, each of another brightness, in two and a bit units."""
    episode = Episode(tmp_path_factory.mktemp("library") / "session" / "000")
    jpegs = [cv2.imencode(".jpg", np.full((24, 32, 3), grey, np.uint8))[1].tobytes() for grey in range(256)]
    with RecordingWriter(episode.recording_path) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", clock="media"))
        for i in range(FRAMES):
            writer.append(Sample("head", i * PERIOD_NS, i * PERIOD_NS, i, jpegs[i % 256]))
    return episode


@pytest.fixture
def run(episode: Episode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """Detect with one of the trackers above, in this many processes."""
    (tmp_path / "own_trackers.py").write_text(TRACKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def detect_it(name: str, workers: int, progress: Callable[[int, int], None] | None = None) -> Found:
        with episode.recording() as recording:
            return detect(recording.camera(), f"own_trackers:{name}", CAMERA, workers=workers, progress=progress)

    return detect_it


def note(steps: list[tuple[int, int]], done: int, frames: int) -> None:
    steps.append((done, frames))


def plain(found: Found) -> list[list[tuple[bytes, bytes, float, float]]]:
    return [[(d.points_px.tobytes(), d.local_m.tobytes(), d.rightness, d.score) for d in hands] for hands in found]


def test_any_number_of_processes_finds_the_same(run: Callable[..., Found]) -> None:
    alone = run("Counting", 1)
    assert [len(hands) for hands in alone] == [i % 3 for i in range(FRAMES)]
    assert [alone[i][0].score for i in (1, UNIT_FRAMES + 1, 2 * UNIT_FRAMES + 2)] == [2, LEAD_FRAMES + 2, LEAD_FRAMES + 3]
    for workers in (2, 3):
        steps: list[tuple[int, int]] = []
        assert plain(run("Counting", workers, partial(note, steps))) == plain(alone)
        assert steps == sorted(steps) and steps[-1] == (FRAMES, FRAMES)
    assert plain(run("Whole", 1)) == plain(alone)


def test_a_process_that_dies_is_one_sentence_and_the_others_end(run: Callable[..., Found], tmp_path: Path) -> None:
    with pytest.raises(FirsthandError) as told:
        run("Dying", 2)
    assert "recording.h5 was not tracked: a worker looked at frames from 300 on when its process was ended by SIGKILL (out of paper)" in \
        str(told.value) and "fewer workers" in str(told.value)
    assert_nothing_left(tmp_path)


def test_what_is_wrong_with_a_video_is_told_as_it_is_in_one_process(run: Callable[..., Found], tmp_path: Path) -> None:
    for workers in (1, 2):
        with pytest.raises(DamagedError, match=r"^picture 7 is torn$"):
            run("Damaged", workers)
    assert_nothing_left(tmp_path)


def test_interrupted_it_ends_at_once_and_leaves_nothing(run: Callable[..., Found], tmp_path: Path) -> None:
    def interrupt(done: int, frames: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("Counting", 2, interrupt)
    assert_nothing_left(tmp_path)


def assert_nothing_left(folder: Path) -> None:
    workers = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "detect_worker"], capture_output=True, text=True, check=False)
    assert workers.stdout == "" and not list(folder.glob("firsthand-hands-*"))


def test_an_unknown_tracker_is_named_before_anything_is_started(episode: Episode) -> None:
    with episode.recording() as recording, pytest.raises(FirsthandError, match="'litter'; did you mean 'litert'"):
        detect(recording.camera(), "litter", CAMERA, workers=2)


def test_hands_in_a_file_are_the_hands(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = [[Detection(rng.normal(size=(21, 2)), rng.normal(size=(21, 3)), *rng.normal(size=2)) for _ in range(n)] for n in (0, 2, 1, 0)]
    for hands in (found, [[], []]):
        write_found(tmp_path / "hands.npz", hands)
        assert plain(read_found(tmp_path / "hands.npz")) == plain(hands)
