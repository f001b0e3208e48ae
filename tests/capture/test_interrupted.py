"""Takes that are killed, cut off, filled up or stopped while finishing; bench/kill.py tells how, and has the long form."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.capture.compact import compact
from firsthand.capture.disk import has_holes
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter, Storage
from firsthand.capture.recover import finish_take, recover
from firsthand.capture.segment import Capacity
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording

CAMERA = StreamSpec("head", "encoded", "other", encoding="bytes")
GLOVE = StreamSpec("glove", "numeric", "glove", names=("a", "b", "c"), units=("rad",) * 3)
SMALL = Capacity(heap_bytes=40_000, rows=64, event_bytes=4096)
BOTH = pytest.mark.parametrize("storage", ["segments", "journal"])


def begun(path: Path, storage: Storage = "segments", capacity: Capacity = SMALL, n: int = 40) -> RecordingWriter:
    """A take with `n` samples of two streams, synced and still open."""
    writer = RecordingWriter(path, capacity=capacity, storage=storage, sync_s=1e6)
    writer.add_stream(CAMERA)
    writer.add_stream(GLOVE)
    for i in range(n):
        writer.append(Sample("head", i * 1000, 5000 + i * 1000, i, bytes([i]) * (500 + i)))
        writer.append(Sample("glove", i * 1000, 5000 + i * 1000, i, np.array([i, -i, 0.5])))
    writer.sync()
    return writer


def left_behind(tmp_path: Path, storage: Storage = "segments", capacity: Capacity = SMALL, n: int = 40) -> Path:
    """The files of a take whose process is gone, copied from under it; returns where its recording will be."""
    writer = begun(tmp_path / "alive" / "recording.h5", storage, capacity, n)
    shutil.copytree(tmp_path / "alive", tmp_path / "left")
    writer.discard()
    return tmp_path / "left" / "recording.h5"


def test_killed_cut_off_or_stopped_while_finishing_nothing_promised_is_lost() -> None:
    script = Path(__file__).parents[2] / "bench" / "kill.py"
    done = subprocess.run([sys.executable, str(script), "--kills", "15", "--cuts", "15", "--seed", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])["figures"]
    assert figures["segments kills"]["recovered"] > 5 and figures["segments cuts"]["rows_torn"] > 0
    assert figures["segments finishes"]["stops"] > 10 and figures["journal finishes"]["stops"] > 2


def test_a_full_disk_is_one_sentence_at_any_point() -> None:
    script = Path(__file__).parents[2] / "bench" / "full.py"
    done = subprocess.run([sys.executable, str(script), "--points", "4", "--on", "tmpfs"], capture_output=True, text=True)
    if done.returncode == 2:
        pytest.skip("a small disk cannot be mounted here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["figures"]["tmpfs segments"]["whole"] < 4


@pytest.mark.parametrize("how", [[], ["--recover"]], ids=["finished", "recovered"])
def test_memory_does_not_grow_with_the_take(how: list[str]) -> None:
    """The short form of a day: twenty minutes in many segments, then finished in a process of its own."""
    script = Path(__file__).parents[2] / "bench" / "long.py"
    done = subprocess.run([sys.executable, str(script), "--hours", "0.34", "--rows", "8192", *how], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["figures"]["segments"] > 20


FINISH = """
import json, sys
from pathlib import Path
from firsthand.capture.recover import finish_take
print(finish_take(Path(sys.argv[1]), json.loads(sys.argv[2])), finish_take(Path(sys.argv[1])))
"""


@BOTH
def test_another_process_finishes_and_may_be_asked_twice(tmp_path: Path, storage: Storage) -> None:
    writer = begun(tmp_path / "recording.h5", storage)
    with pytest.raises(FirsthandError, match="in use"):
        finish_take(writer.path)
    counts = writer.close()
    assert counts == {"gaps": 0, "markers": 0, "head": 40, "glove": 40} and not writer.path.exists()
    done = subprocess.run([sys.executable, "-c", FINISH, str(writer.path), json.dumps(counts)], capture_output=True, text=True)
    assert done.stdout.startswith("Recovered(") and done.stdout.endswith(" None\n"), done.stderr
    assert os.listdir(tmp_path) == ["recording.h5"] and check_recording(writer.path) == []


def test_counts_that_the_files_do_not_hold_are_not_believed(tmp_path: Path) -> None:
    counts = begun(tmp_path / "recording.h5").close()
    with pytest.raises(FirsthandError, match="does not hold the samples"):
        finish_take(tmp_path / "recording.h5", counts | {"head": 41})
    assert finish_take(tmp_path / "recording.h5", counts) is not None


def test_a_take_in_progress_opens_and_reads(tmp_path: Path) -> None:
    writer = begun(tmp_path / "recording.h5", capacity=Capacity())
    with Recording(writer.part) as live:
        assert len(live["head"]) == len(live["glove"]) == 40
        assert live["head"].payload(7) == bytes([7]) * 507
        np.testing.assert_array_equal(live["glove"].values[:, 1], -np.arange(40.0))
        assert abs(live["glove"].t_ns - live["glove"].host_ns).max() <= 1
    with h5py.File(writer.part) as file:  # and with nothing of ours
        index = file["streams/head/index"]
        assert index[39]["size"] == 539 and index[40].tobytes() == bytes(64) and not file["streams/glove/values"][40:].any()
    writer.finish()


def test_room_takes_no_space(tmp_path: Path) -> None:
    writer = begun(tmp_path / "recording.h5", capacity=Capacity(), n=3)
    found = writer.part.stat()
    assert found.st_size > 1e9 and found.st_blocks * 512 < 1e6
    writer.finish()
    assert (tmp_path / "recording.h5").stat().st_size < 50_000 and os.listdir(tmp_path) == ["recording.h5"]


def test_a_row_that_is_not_whole_becomes_a_gap(tmp_path: Path) -> None:
    path = left_behind(tmp_path, capacity=Capacity())
    with h5py.File(path.with_name("recording.h5.part"), "r+") as file:
        file["streams/head/heap"][600] ^= 1  # in the payload of row 1
        file["streams/glove/index"][10:13] = np.zeros(3, file["streams/glove/index"].dtype)  # as if their page had not been written
    [result] = recover(path.parent)
    assert (result.saved["head"], result.lost["head"], result.saved["glove"], result.lost["glove"], result.gaps) == (39, 1, 37, 3, 2)
    with Recording(path) as recording:
        told = [(g["stream"], g["first_sequence"], g["missing"], g["from_device_ns"], g["to_device_ns"]) for _, g in recording.gaps]
        assert told == [("head", 1, 1, 0, 2000), ("glove", 10, 3, 9000, 13000)]
        assert recording["head"].payload(1) == bytes([2]) * 502
        np.testing.assert_array_equal(recording["glove"].values[9:11, 0], [9, 13])
    assert check_recording(path) == []


def test_a_drop_that_was_told_is_not_told_again(tmp_path: Path) -> None:
    writer = begun(tmp_path / "alive" / "recording.h5", capacity=Capacity(), n=0)
    for sequence in (0, 1, 5, 6, 7):
        writer.append(Sample("head", sequence, sequence, sequence, bytes(10 + sequence)))
    shutil.copytree(tmp_path / "alive", tmp_path / "left")
    with h5py.File(tmp_path / "left" / "recording.h5.part", "r+") as file:
        file["streams/head/heap"][30] ^= 1  # row 2, which is sequence 5
    [result] = recover(tmp_path / "left")
    with Recording(result.path) as recording:
        assert [(g["first_sequence"], g["missing"]) for _, g in recording.gaps] == [(2, 3), (5, 1)]
    writer.discard()


@BOTH
def test_recovering_is_finishing_and_can_be_repeated(tmp_path: Path, storage: Storage) -> None:
    path = left_behind(tmp_path, storage, n=200)
    shutil.copytree(path.parent, tmp_path / "again")
    [result] = recover(path.parent)
    assert result.path == path and result.saved["glove"] == 200 and result.lost == {} and os.listdir(path.parent) == ["recording.h5"]
    [second] = recover(tmp_path / "again" / ("recording.h5.part" if storage == "segments" else "recording.h5.journal"))
    assert second.path.read_bytes() == path.read_bytes()
    assert recover(path.parent) == recover(path) == []
    assert check_recording(path) == []


def test_the_bytes_between_fields_are_zero_in_the_finished_file(tmp_path: Path) -> None:
    [result] = recover(left_behind(tmp_path, n=200).parent)
    with h5py.File(result.path) as file:
        index = file["streams/head/index"]
        rows = index[()].tobytes() if index.dtype.itemsize == 64 else b""
        assert len(rows) == 200 * 64
        at = index.id.get_offset()
    stored = result.path.read_bytes()[at : at + 200 * 64]
    assert all(stored[i + 44 : i + 64] == bytes(20) for i in range(0, len(stored), 64))


@BOTH
def test_a_take_that_is_being_recorded_is_left_alone(tmp_path: Path, storage: Storage) -> None:
    writer = begun(tmp_path / "recording.h5", storage)
    [result] = recover(tmp_path)
    assert "is in use" in result.problem
    with pytest.raises(FirsthandError, match="stop that one first"):
        recover(next(p for p in tmp_path.iterdir() if p.suffix in (".part", ".journal")))
    with pytest.raises(FirsthandError, match="exists already"):
        RecordingWriter(tmp_path / "recording.h5")
    writer.finish()
    assert check_recording(tmp_path / "recording.h5") == []


def test_a_stop_between_the_name_and_the_clearing_up_is_cleared_up(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    files = sorted(p for p in path.parent.iterdir())
    compact(files, path, path.with_name("recording.h5.tmp"))
    before = path.read_bytes()
    [result] = recover(path.parent)
    assert result.saved["head"] == 40 and path.read_bytes() == before and os.listdir(path.parent) == ["recording.h5"]


def test_another_takes_recording_is_never_replaced(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    with RecordingWriter(tmp_path / "other.h5"):
        pass
    os.replace(tmp_path / "other.h5", path)
    [result] = recover(path.parent)
    assert "exists already" in result.problem and path.with_name("recording.h5.part").exists()


def test_one_ruined_take_does_not_keep_the_others(tmp_path: Path) -> None:
    path = left_behind(tmp_path)
    (tmp_path / "ruined").mkdir()
    (tmp_path / "ruined" / "recording.h5.part").write_bytes(b"\x89HDF" + bytes(100))
    good, bad = recover(tmp_path)
    assert good.path == path and check_recording(path) == []
    assert "not an HDF5 file, or cut off" in bad.problem


def test_an_error_leaves_a_small_part_that_recovers(tmp_path: Path) -> None:
    path = tmp_path / "recording.h5"
    with pytest.raises(RuntimeError), begun(path, n=200):
        raise RuntimeError("the camera went away")
    assert os.listdir(tmp_path) == ["recording.h5.part"]
    with Recording(path.with_name("recording.h5.part")) as part:
        assert len(part["glove"]) == 200
    [result] = recover(tmp_path)
    assert result.saved["head"] == 200 and check_recording(path) == []


def test_a_take_that_ended_before_its_first_sample_leaves_nothing_behind(tmp_path: Path) -> None:
    new = tmp_path / "recording.h5.part.new"
    new.write_bytes(b"half laid out")
    assert recover(tmp_path) == [] and new.exists()  # it may be in the making
    os.utime(new, (0, 0))
    assert recover(tmp_path) == [] and not new.exists()


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="no interrupted recording"):
        recover(tmp_path / "recording.h5.part")
    assert recover(tmp_path) == []


FILL = """
import sys
from pathlib import Path
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
try:
    with RecordingWriter(Path(sys.argv[1]), storage=sys.argv[2]) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "other", encoding="bytes"))
        for i in range(1000):
            writer.append(Sample("head", i, i, i, bytes([i % 251]) * 50_000))
            print(i, flush=True)
except FirsthandError as error:
    print(error)
"""


@BOTH
def test_a_full_disk_ends_the_take_with_a_sentence_and_keeps_it(tmp_path: Path, storage: Storage) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk cannot be mounted here")
    try:
        path = disk / "recording.h5"
        done = subprocess.run([sys.executable, "-c", FILL, str(path), storage], capture_output=True, text=True)
        *numbers, sentence = done.stdout.splitlines()
        assert done.returncode == 0 and done.stderr == ""  # h5py's own writers segfault on the way out
        assert sentence.startswith("the disk is full, so the recording stopped; everything before is in")
        part = next(disk.iterdir())
        if storage == "segments":
            with h5py.File(part) as file:
                assert file["streams/head/index"][int(numbers[-1])]["size"] == 50_000
        with pytest.raises(FirsthandError, match="the disk is full; every sample is in"):
            recover(part)
        roomy = tmp_path / "roomy"
        roomy.mkdir()
        subprocess.run(["cp", "--sparse=always", str(part), str(roomy)], check=True)
        [result] = recover(roomy)
        assert result.saved["head"] >= len(numbers) - (storage == "journal") and check_recording(result.path) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_folder_decides_between_segments_and_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_holes(tmp_path)
    monkeypatch.setattr("firsthand.capture.recording_writer.has_holes", lambda _: False)
    writer = RecordingWriter(tmp_path / "a" / "recording.h5")
    writer.mark(5, "start")
    assert os.listdir(tmp_path / "a") == ["recording.h5.journal"]
    writer.finish()
    with Recording(tmp_path / "a" / "recording.h5") as recording:
        assert recording.markers == [(5, {"kind": "start", "text": ""})]
    monkeypatch.setenv("FIRSTHAND_STORAGE", "tape")
    with pytest.raises(FirsthandError, match="FIRSTHAND_STORAGE is 'segments' or 'journal', not 'tape'"):
        RecordingWriter(tmp_path / "b" / "recording.h5")
