"""What is missing is told once, with its cause; a device that counts anew is not a hole of a million samples."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.recover import recover
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording

SPEC = StreamSpec("a", "numeric", "glove", names=("x",), units=("1",), rate_hz=100)
PERIOD_NS = 10_000_000


def taken(path: Path, rows: Sequence[tuple[int, int, int] | Callable[[RecordingWriter], None]]) -> list[tuple[str, int, int]]:
    """Record samples (sequence, device tick, host tick) and what else is done between; returns the gaps: (cause, first, missing).

    The same take, recovered instead of finished, must come to the same bytes.
    """
    writer = RecordingWriter(path / "alive" / "recording.h5", sync_s=1e6)
    writer.add_stream(SPEC)
    for row in rows:
        if callable(row):
            row(writer)
        else:
            sequence, device, host = row
            writer.append(Sample("a", device * PERIOD_NS, 10**12 + host * PERIOD_NS, sequence, np.array([float(sequence)])))
    writer.sync()
    shutil.copytree(path / "alive", path / "left")
    writer.finish()
    [result] = recover(path / "left")
    assert result.gaps == 0 and result.path.read_bytes() == writer.path.read_bytes()
    assert check_recording(writer.path) == []
    with Recording(writer.path) as recording:
        return [(gap["cause"], gap["first_sequence"], gap["missing"]) for _, gap in recording.gaps]


def steady(first: int, past: int, device: int, host: int) -> list[tuple[int, int, int]]:
    """Samples one period apart, the first at these ticks."""
    return [(i, device + i - first, host + i - first) for i in range(first, past)]


def test_a_jump_is_the_devices_own(tmp_path: Path) -> None:
    assert taken(tmp_path, [*steady(5, 10, 5, 5), *steady(13, 20, 13, 13)]) == [("device", 10, 3)]


@pytest.mark.parametrize("device", [0, 1010], ids=["its clock begins anew", "its clock goes on"])
def test_a_device_that_is_opened_again_counts_anew(tmp_path: Path, device: int) -> None:
    rows = [*steady(1000, 1300, 1000, 0), *steady(0, 50, device, 500), *steady(52, 300, device + 52, 552)]
    assert taken(tmp_path, rows) == [("device", 50, 2)]
    with Recording(tmp_path / "alive" / "recording.h5") as recording:
        [timing] = certify(recording).streams
        assert (timing.gaps, timing.missing, timing.segments) == (1, 2, 2)
        assert np.abs(recording["a"].t_ns - recording["a"].host_ns).max() < 1000


def test_a_sample_that_others_overtook_begins_no_new_count(tmp_path: Path) -> None:
    rows = [(0, 0, 0), (1, 1, 1), (4, 4, 4), (2, 2, 5), (3, 3, 6), (5, 5, 7), (6, 6, 8)]
    assert taken(tmp_path, rows) == [("device", 2, 2)]  # as it looked then


def test_a_counter_that_stands_still_has_no_gaps(tmp_path: Path) -> None:
    assert taken(tmp_path, [(7, i, i) for i in range(50)]) == []


def test_what_we_dropped_is_not_the_devices_fault(tmp_path: Path) -> None:
    def ring(writer: RecordingWriter) -> None:
        writer.gap("a", 10**12 + 12 * PERIOD_NS, 10, 4, "ring")

    def encoder(writer: RecordingWriter) -> None:
        writer.gap("a", 10**12 + 13 * PERIOD_NS, 14, 1, "encoder")

    rows = [*steady(0, 10, 0, 0), ring, encoder, *steady(17, 20, 17, 17)]
    assert taken(tmp_path, rows) == [("ring", 10, 4), ("encoder", 14, 1), ("device", 15, 2)]


@pytest.mark.parametrize(("sequence", "device"), [(0, 0), (700, 700), (10**9, 700)], ids=["anew", "on", "somewhere"])
def test_a_device_that_vanished_counts_anew_wherever(tmp_path: Path, sequence: int, device: int) -> None:
    def vanished(writer: RecordingWriter) -> None:
        writer.gap("a", 10**12 + 699 * PERIOD_NS, None, 600, "vanished", from_host_ns=10**12 + 99 * PERIOD_NS,
                   to_host_ns=10**12 + 699 * PERIOD_NS, estimated=True)  # fmt: skip

    rows = [*steady(0, 100, 0, 0), vanished, *steady(sequence, sequence + 100, device, 700)]
    assert taken(tmp_path, rows) == [("vanished", 100, 600)]
    with Recording(tmp_path / "alive" / "recording.h5") as recording:
        [(t_ns, gap)] = recording.gaps
        assert gap["estimated"] and t_ns == gap["to_host_ns"] == 10**12 + 699 * PERIOD_NS and gap["from_host_ns"] < t_ns


def test_recovery_tells_what_each_run_lost_and_only_that(tmp_path: Path) -> None:
    """Two runs of one counter with the same numbers: what was told of the second says nothing of the first."""
    writer = RecordingWriter(tmp_path / "alive" / "recording.h5", sync_s=1e6)
    writer.add_stream(SPEC)
    for sequence, device, host in [*steady(0, 200, 0, 0), *steady(0, 20, 0, 300), *steady(25, 40, 25, 325)]:
        writer.append(Sample("a", device * PERIOD_NS, 10**12 + host * PERIOD_NS, sequence, np.zeros(1)))
    writer.sync()
    shutil.copytree(tmp_path / "alive", tmp_path / "left")
    writer.discard()
    with h5py.File(tmp_path / "left" / "recording.h5.part", "r+") as file:
        file["streams/a/index"][20:25] = np.zeros(5, file["streams/a/index"].dtype)  # of the first run
        file["streams/a/index"][198:203] = np.zeros(5, file["streams/a/index"].dtype)  # its end, and the first three of the second
    [result] = recover(tmp_path / "left")
    assert (result.saved["a"], result.lost["a"], result.gaps) == (225, 10, 2)
    with Recording(result.path) as recording:
        told = [(gap["cause"], gap["first_sequence"], gap["missing"]) for _, gap in recording.gaps]
    assert told == [("recorder", 20, 5), ("recorder", 198, 5), ("device", 20, 5)]
