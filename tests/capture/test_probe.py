"""What may hang or crash does so in a process of its own."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.probe import ProbeError, apart
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.rescue import rescue
from firsthand.capture.stream import Sample, StreamSpec

ODD = """
import ctypes, os, signal, sys, time
from firsthand.capture.errors import FirsthandError

def doubles(x, progress):
    os.write(1, b"a library prints")
    for i in range(3):
        progress(i, 3)
        time.sleep(0.15)
    return 2 * x

def hangs(x, progress):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    while True:
        time.sleep(1)

def plods(x, progress):
    for i in range(8):
        time.sleep(0.2)
        progress(i, 8)
    return "there"

def crashes(x, progress):
    os.kill(os.getpid(), signal.SIGSEGV)

def raises(x, progress):
    raise KeyError("streams")

def refuses(x, progress):
    raise FirsthandError("not this one; take another")
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Functions that behave badly, where the other process finds them."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "odd_functions.py").write_text(ODD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    return tmp_path / "modules"


@pytest.mark.usefixtures("odd")
def test_a_call_elsewhere_gives_what_it_returns() -> None:
    seen: list[tuple[int, int]] = []
    assert apart("odd_functions:doubles", 21, stall_s=20, progress=lambda done, total: seen.append((done, total))) == 42
    assert seen and seen[-1] == (2, 3)


@pytest.mark.usefixtures("odd")
def test_progress_is_a_sign_of_life() -> None:
    assert apart("odd_functions:plods", None, stall_s=1.5) == "there"  # 1.6 s of work and the start of a process


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(("function", "kind", "words"), [
    ("hangs", ProbeError, "did not answer within 1 s"), ("crashes", ProbeError, "crashed \\(SIGSEGV\\)"),
    ("raises", ProbeError, "ended without an answer \\(KeyError: .streams.\\)"),
    ("refuses", FirsthandError, "^not this one; take another$"),
])
def test_what_hangs_crashes_or_raises_is_a_sentence_in_time(function: str, kind: type[Exception], words: str) -> None:
    start = time.monotonic()
    with pytest.raises(kind, match=words):
        apart(f"odd_functions:{function}", None, stall_s=1 if function == "hangs" else 20)
    assert time.monotonic() - start < 10


def left_behind(folder: Path) -> Path:
    """The files of an interrupted take; returns where its recording will be."""
    alive = folder.parent / "alive"
    writer = RecordingWriter(alive / "recording.h5")
    writer.add_stream(StreamSpec("imu", "numeric", "imu", names=("ax",), units=("m/s^2",)))
    for i in range(200):
        writer.append(Sample("imu", i * 5_000_000, i * 5_000_000, i, np.array([float(i)])))
    writer.sync()
    shutil.copytree(alive, folder)
    writer.discard()
    return folder / "recording.h5"


def test_a_take_that_crashes_the_reader_does_not_keep_the_others_from_being_saved(
        tmp_path: Path, odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = (left_behind(tmp_path / "session" / name) for name in ("001", "000"))
    # HDF5 crashes on some damaged files and waits for ever on others; here it is made to, in real processes.
    (odd / "sitecustomize.py").write_text(
        "import h5py, os, time\nopen_file = h5py.File.__init__\n"
        "def opened(self, name, *a, **k):\n"
        "    if '/000/' in str(name) and os.environ['BAD'] == 'crash': os.abort()\n"
        "    if '/000/' in str(name) and os.environ['BAD'] == 'hang': time.sleep(1000)\n"
        "    open_file(self, name, *a, **k)\nh5py.File.__init__ = opened\n")
    before = {p.name: p.stat().st_mtime_ns for p in bad.parent.iterdir()}
    monkeypatch.setenv("BAD", "crash")
    first, second = rescue(tmp_path / "session")
    assert first.path == bad and "crashed (SIGABRT)" in first.problem and "as they were" in first.problem
    assert second.path == good and not second.problem and second.saved["imu"] == 200
    assert {p.name: p.stat().st_mtime_ns for p in bad.parent.iterdir()} == before
    monkeypatch.setenv("BAD", "hang")
    with pytest.raises(FirsthandError, match=r"recording.h5.part did not answer within 4 s; they are as they were"):
        rescue(bad.with_name("recording.h5.part"), stall_s=4)
    monkeypatch.setenv("BAD", "")
    (third,) = rescue(tmp_path / "session")
    assert third.saved["imu"] == 200
    with Recording(bad) as recording:
        assert len(recording["imu"]) == 200


def test_files_that_are_no_recordings_are_named(tmp_path: Path) -> None:
    (tmp_path / "000").mkdir()
    (tmp_path / "000" / "recording.h5.part").write_bytes(b"not HDF5" * 100)
    (found,) = rescue(tmp_path)
    assert found.problem and "\n" not in found.problem and json.dumps(found.problem)
    with pytest.raises(FirsthandError, match="no interrupted recording"):
        rescue(tmp_path / "nowhere.part")
