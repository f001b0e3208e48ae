"""Files and folders appear whole or not at all; names lead to code or to a helpful sentence."""

from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.arrays import frozen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file, whole_folder
from firsthand.capture.library import Episode, find_episodes, new_session, slug
from firsthand.capture.plugins import find


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    with whole_file(target) as part:
        part.write_text("one")
        assert not target.exists()
    with pytest.raises(KeyboardInterrupt), whole_file(target) as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "one" and [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "set") as part:
        (part / "half").write_text("")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with whole_folder(tmp_path / "set") as part:
        (part / "file").write_text("")
    with pytest.raises(FirsthandError, match="exists already"), whole_folder(tmp_path / "set"):
        pass
    assert (tmp_path / "set" / "file").exists()


def test_a_failed_session_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_session(tmp_path / "library", "Kitchen, morning") as session:
        assert (session / "session.json").exists()
        raise RuntimeError
    assert list((tmp_path / "library").iterdir()) == []


def test_episodes_are_found_from_any_level(tiny_library: Path) -> None:
    episodes = find_episodes(tiny_library)
    assert [e.path.name for e in episodes] == ["000", "001"]
    assert find_episodes(episodes[0].path.parent) == episodes and find_episodes(episodes[1].path) == [episodes[1]]
    assert episodes[0].robots() == ["panda_gripper"] and episodes[0].session()["wearer"] == "w01"
    assert episodes[0].id == f"{episodes[0].path.parent.name}/000"


@pytest.mark.parametrize(("folder", "says"), [("nowhere", "no library at"), ("", "no episode in")])
def test_no_library_is_said(tmp_path: Path, folder: str, says: str) -> None:
    with pytest.raises(FirsthandError, match=says):
        find_episodes(tmp_path / folder)


def test_a_session_without_its_document_is_said(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match=r"session\.json is missing"):
        Episode(tmp_path / "session" / "000").session()


def test_slugs_are_plain() -> None:
    assert slug("Küche – Morgen / 2") == "k-che-morgen-2" and slug("///") == "session"


def test_an_unknown_name_lists_the_near_and_the_known() -> None:
    table = {"synthetic": "x:y", "webcam": "x:z"}
    with pytest.raises(FirsthandError, match=r"no driver called 'sinthetic'; did you mean 'synthetic'\? \(there are: synthetic, webcam\)"):
        find("drivers", table, "sinthetic")


def test_a_frozen_array_is_checked_and_cannot_be_changed() -> None:
    mine = np.zeros((4, 3))
    value = frozen("HandTrack.points_m", mine, np.float64, (None, 3))
    mine[0] = 1
    assert value[0, 0] == 0
    with pytest.raises(ValueError, match="read-only"):
        value[0] = 1
    with pytest.raises(ValueError, match=r"HandTrack\.points_m must have shape \(N, 2\), got \(4, 3\)"):
        frozen("HandTrack.points_m", mine, np.float64, (None, 2))
