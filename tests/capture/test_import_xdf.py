"""XDF: chunks to the byte, and stamps of several clocks on one time line."""

import struct
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importer import import_file
from firsthand.capture.importers.xdf import read_xdf
from firsthand.capture.summary import check_recording


def chunk(tag: int, content: bytes) -> bytes:
    """A chunk as the specification says: how many bytes the length has, the length, tag, content."""
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def header(number: int, name: str, form: str, channels: int, rate: float, labels: str = "") -> bytes:
    xml = (f"<?xml version='1.0'?><info><name>{name}</name><type>IMU</type><channel_count>{channels}</channel_count>"
           f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format><desc>{labels}</desc></info>")
    return chunk(2, struct.pack("<I", number) + xml.encode())


def samples(number: int, *rows: tuple[float | None, bytes]) -> bytes:
    body = b"".join((b"\0" if t is None else struct.pack("<Bd", 8, t)) + data for t, data in rows)
    return chunk(3, struct.pack("<IBB", number, 1, len(rows)) + body)


def offset(number: int, at_s: float, value_s: float) -> bytes:
    return chunk(4, struct.pack("<Idd", number, at_s, value_s))


LABELS = "<channels><channel><label>ax</label><unit>m/s^2</unit></channel><channel><label>ay</label><unit>m/s^2</unit></channel></channels>"


def write(path: Path) -> None:
    path.write_bytes(b"XDF:" + chunk(1, b"<info><version>1.0</version></info>") + header(1, "glove imu", "int16", 2, 10, LABELS)
                     + header(2, "notes", "string", 1, 0)
                     + samples(1, (100.0, struct.pack("<hh", 1, -1)), (None, struct.pack("<hh", 2, -2)))
                     + offset(1, 100.0, -40.0) + offset(1, 110.0, -39.99)
                     + samples(2, (61.5, b"\1\5hello")) + samples(1, (110.0, struct.pack("<hh", 3, -3))) + chunk(6, b"\1\0\0\0<info/>"))


def test_each_stream_keeps_its_stamps_and_is_mapped_by_its_offsets(tmp_path: Path) -> None:
    write(tmp_path / "lab.xdf")
    episode, _ = import_file(tmp_path / "lab.xdf", tmp_path / "library")
    with episode.recording() as recording:
        imu = recording["glove-imu"]
        assert (imu.spec.names, imu.spec.units, imu.spec.role) == (("ax", "ay"), ("m/s^2",) * 2, "imu")
        assert imu.values.tolist() == [[1, -1], [2, -2], [3, -3]]
        assert imu.device_ns.tolist() == [100_000_000_000, 100_100_000_000, 110_000_000_000]  # the second by the nominal rate
        np.testing.assert_allclose(imu.host_ns, [60e9, 60.1e9 + 1e5, 70.01e9], atol=1)
        assert recording.events("notes") == [(61_500_000_000, {"values": ["hello"]})]
        assert recording["glove-imu-clock"].values[:, 0].tolist() == [-40.0, -39.99]
    assert check_recording(episode.recording_path) == []


@pytest.mark.parametrize("cut", [1, 20, 60, 200])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    write(tmp_path / "lab.xdf")
    (tmp_path / "lab.xdf").write_bytes((tmp_path / "lab.xdf").read_bytes()[:-cut])
    with pytest.raises(FirsthandError, match=r"lab\.xdf: it is cut off or damaged near byte"):
        import_file(tmp_path / "lab.xdf", tmp_path / "library")


@pytest.mark.parametrize(("part", "why"), [
    (chunk(2, b"\1\0\0\0<?xml version='1.0' encoding='none'?><info/>"), "unknown encoding"),
    (header(1, "a", "int16", 2, float("nan")), "a rate of nan Hz"),
    (header(1, "a", "int16", 2, 0) + samples(1, (1.0, bytes(4))) + offset(1, 1.0, 1e300), "clock offsets that are no times"),
])  # fmt: skip
def test_what_no_recorder_writes_is_refused_with_a_reason(tmp_path: Path, part: bytes, why: str) -> None:
    """Each was a LookupError, a warning or an overflow of the reader's own."""
    (tmp_path / "lab.xdf").write_bytes(b"XDF:" + part)
    with pytest.raises(DamagedError, match=why):
        import_file(tmp_path / "lab.xdf", tmp_path / "library")


def test_mutated_files_never_crash_the_reader(tmp_path: Path) -> None:
    write(tmp_path / "lab.xdf")
    whole, rng, read = (tmp_path / "lab.xdf").read_bytes(), np.random.default_rng(0), 0
    for _ in range(3000):
        data = bytearray(whole)
        for at in rng.integers(4, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        (tmp_path / "bad.xdf").write_bytes(data)
        try:
            read_xdf(tmp_path / "bad.xdf")
            read += 1
        except DamagedError:
            pass
    assert 100 < read < 3000


@pytest.mark.parametrize(("name", "counts", "ends"), [
    ("minimal", {"SendDataC": 9, "SendDataString": 9}, {"SendDataC": (5.0, 5.8)}),
    ("clock_resets", {"BioSemi": 27815, "MyMarkerStream": 175},
     {"BioSemi": (810.0948, 1383.0923), "MyMarkerStream": (812.9279, 1380.8195)}),
    ("empty_streams", {"Data-stream-test-stream-0-counter": 10, "ctrl": 1},
     {"Data-stream-test-stream-0-counter": (91725.2139, 91734.2139)})])
def test_sample_files_come_in_with_their_clocks(shared: Path, tmp_path: Path, name: str, counts: dict[str, int],
                                                ends: dict[str, tuple[float, float]]) -> None:
    """The times are those that pyxdf gives, whose fit is another: to a millisecond."""
    source = shared / "data" / "media" / "lsl" / f"{name}.xdf"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    episode, _ = import_file(source, tmp_path / "library")
    with episode.recording() as recording:
        assert {stream: len(recording[stream]) for stream in counts} == counts
        for stream, wanted in ends.items():
            np.testing.assert_allclose(recording[stream].t_ns[[0, -1]] * 1e-9, wanted, atol=1e-3)
    assert check_recording(episode.recording_path) == []
