"""The takes of a session while it is recorded: numbers that are used once, and a trash that loses nothing."""

from pathlib import Path

import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import RECORDING, find_episodes, read_session
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.rig import Device, Rig
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.takes import Takes

RIG = Rig("kitchen", (Device("head", "pattern"),))


def record(folder: Path) -> Path:
    with RecordingWriter(folder / RECORDING) as writer:
        writer.add_stream(StreamSpec("a", "numeric", "other", names=("x",), units=("1",)))
        writer.append(Sample("a", 1, 1, 0, [1.0]))  # type: ignore[arg-type]
    return folder


def test_a_session_is_there_before_its_first_take(tmp_path: Path) -> None:
    takes = Takes.begin(tmp_path, RIG, wearer="w07", tasks=("pour the tea",))
    document = read_session(takes.session)
    assert (document["wearer"], document["tasks"], document["rig"]["name"]) == ("w07", ["pour the tea"], "kitchen")
    assert takes.next() == takes.session / "000" and takes.kept() == []


def test_a_number_is_used_once_even_when_its_take_was_discarded(tmp_path: Path) -> None:
    takes = Takes.begin(tmp_path, RIG, wearer="w07", tasks=())
    folders = []
    for _ in range(3):
        folders.append(record(takes.next()))
        if len(folders) == 3:
            moved = takes.discard(folders[-1])
    assert [f.name for f in folders] == ["000", "001", "002"] and takes.next().name == "003"
    assert (moved / RECORDING).exists() and moved == takes.trash / "002"
    assert [e.path for e in find_episodes(tmp_path)] == [f.resolve() for f in folders[:2]] == [t.resolve() for t in takes.kept()]


def test_resuming_finds_the_newest_session_of_the_rig_and_wearer(tmp_path: Path) -> None:
    Takes.begin(tmp_path, RIG, wearer="w07", tasks=())
    newest = Takes.begin(tmp_path, RIG, wearer="w07", tasks=())
    Takes.begin(tmp_path, RIG, wearer="w08", tasks=())
    Takes.begin(tmp_path, Rig("lab", RIG.devices), wearer="w07", tasks=())
    assert Takes.resume(tmp_path, RIG, wearer="w07") == newest
    with pytest.raises(FirsthandError, match="no session of rig 'kitchen' and wearer 'w09'"):
        Takes.resume(tmp_path, RIG, wearer="w09")


def test_what_was_interrupted_is_recovered_on_resuming(tmp_path: Path) -> None:
    takes = Takes.begin(tmp_path, RIG, wearer="w07", tasks=())
    writer = RecordingWriter(takes.next() / RECORDING)
    writer.add_stream(StreamSpec("a", "numeric", "other", names=("x",), units=("1",)))
    writer.append(Sample("a", 1, 1, 0, [1.0]))  # type: ignore[arg-type]
    writer.close()
    assert takes.kept() == [] and takes.next().name == "001"
    assert [result.saved["a"] for result in Takes.resume(tmp_path, RIG, wearer="w07").recover()] == [1]
    assert len(takes.kept()) == 1
