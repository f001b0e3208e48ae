"""A library whose files were broken: every command names the file in one sentence, and goes on with the rest where it can."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importer import import_file
from firsthand.capture.library import Episode, find_episodes
from firsthand.capture.summary import summarise
from firsthand.datasets.formats import export
from firsthand.pipeline import process
from firsthand.validation import check


def without(file: str, name: str, episode: Episode) -> None:
    with h5py.File(episode.path / file, "a") as opened:
        if name in opened:
            del opened[name]
        else:
            del opened.attrs[name]


def overwritten(file: str, share: float, episode: Episode) -> None:
    data = bytearray((episode.path / file).read_bytes())
    at = int(len(data) * share)
    data[at : at + 2000] = bytes(2000)
    (episode.path / file).write_bytes(data)


def holding(file: str, content: bytes, episode: Episode) -> None:
    (episode.path / file).write_bytes(content)


def of_another_episode(file: str, episode: Episode) -> None:
    shutil.copy(episode.path.parent / "001" / file, episode.path / file)


DAMAGE: list[tuple[str, Callable[[Episode], None]]] = [
    ("recording.h5", partial(without, "recording.h5", "streams/head/clock")),
    ("recording.h5", partial(without, "recording.h5", "streams/head/index")),
    ("recording.h5", partial(without, "recording.h5", "task")),
    ("recording.h5", partial(holding, "recording.h5", b"")),
    ("hands.h5", partial(without, "hands.h5", "tracks/right/points_m")),
    ("hands.h5", partial(overwritten, "hands.h5", 0.3)),
    ("hands.h5", partial(overwritten, "hands.h5", 0.7)),
    ("hands.h5", partial(of_another_episode, "hands.h5")),
    ("actions-panda_gripper.h5", partial(overwritten, "actions-panda_gripper.h5", 0.6)),
    ("actions-panda_gripper.h5", partial(of_another_episode, "actions-panda_gripper.h5")),
    ("annotations.json", partial(holding, "annotations.json", b"[]")),
    ("annotations.json", partial(holding, "annotations.json", b"\xff\xfe")),
    ("annotations.json", partial(holding, "annotations.json", b'{"format": "firsthand.annotations", "episode": 5}')),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_the_damaged_file_is_named(tiny_library: Path, tmp_path: Path, name: str, damage: Callable[[Episode], None]) -> None:
    episodes = find_episodes(tiny_library)
    damage(episodes[0])
    _, faults = check(tiny_library, lambda *_: None)
    assert len(faults) == 1 and name in faults[0] and "\n" not in faults[0]
    with pytest.raises(Exception, match="000") as error:
        export(episodes, tmp_path / "out", format="lerobot-v3", robot="panda_gripper")
    assert name in str(error.value) and not (tmp_path / "out").exists()


def test_processing_goes_on_after_a_damaged_episode(tiny_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = find_episodes(tiny_library)
    holding("recording.h5", b"", first)
    monkeypatch.setattr("firsthand.pipeline.make_hands", lambda episode, **_: summarise(episode.recording()) and _hands(episode))
    faults: list[str] = []
    (done,) = process([first, second], ["panda_gripper"], faults=faults)
    assert done.episode == second and len(faults) == 1 and first.id in faults[0]
    with pytest.raises(DamagedError):
        process([first, second], ["panda_gripper"])


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tiny_library: Path) -> None:
    """HDF5 crashes the process when the disk fills while it writes; a limit on file sizes stands for the full disk."""
    resource = pytest.importorskip("resource")
    episode = find_episodes(tiny_library)[0]
    before = {path.name: path.read_bytes() for path in episode.path.iterdir()}
    code = ("import sys; from pathlib import Path; from firsthand.retarget.hand_track import read_hands\n"
            "from firsthand.capture.errors import FirsthandError\n"
            "path = Path(sys.argv[1]); hands = read_hands(path)\n"
            "try: hands.write(path)\n"
            "except FirsthandError as error: sys.exit(str(error))\n")
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    done = subprocess.run([sys.executable, "-c", code, str(episode.hands_path)], preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 1 and "cannot write" in done.stderr and "hands.h5" in done.stderr and "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in episode.path.iterdir()} == before


def test_an_import_that_does_not_fit_on_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(bytes(5_000_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with pytest.raises(FirsthandError, match=r"6\.1 MB are needed and 5\.0 MB are free"):
        import_file(tmp_path / "clip.mp4", tmp_path / "library")
    assert not list((tmp_path / "library").iterdir())


def _hands(episode: Episode) -> object:
    from firsthand.retarget.hand_track import read_hands

    return read_hands(episode.hands_path)


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
def test_a_session_without_its_document_is_not_sound(tiny_library: Path, content: bytes | None) -> None:
    (document,) = tiny_library.glob("*/session.json")
    document.unlink() if content is None else document.write_bytes(content)
    _, faults = check(tiny_library, lambda *_: None)
    assert len(faults) == 1 and "session.json" in faults[0]


def test_a_robot_without_its_hand_is_said(tiny_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from firsthand.retarget.hand_track import read_hands

    episode = find_episodes(tiny_library)[0]
    hands = read_hands(episode.hands_path)
    replace(hands, tracks={"left": replace(hands.tracks["right"], side="left")}).write(episode.hands_path)
    monkeypatch.setattr("firsthand.pipeline.make_hands", lambda episode, **_: read_hands(episode.hands_path))
    (done,) = process([episode], ["panda_gripper", "allegro_right"])
    assert done.actions["panda_gripper"] == {"left": 44} and not done.actions["allegro_right"]
    assert json.dumps(done.findings).count("allegro_right has no action in any frame: it follows the right hand and only the left") == 1
