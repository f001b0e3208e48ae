"""The recording file: what is written is what is read, and damage is found."""

import json
import subprocess
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording, summarise

GLOVE = StreamSpec("glove-right", "numeric", "glove", names=("index_mcp_flex", "thumb_mcp_flex"), units=("rad", "rad"), rate_hz=120,
                   side="right", extra={"serial": "G7"})
CAMERA = StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=30, width_px=32, height_px=24)
DEPTH = StreamSpec("depth", "encoded", "depth", encoding="png", about="head", extra={"depth_unit_m": 0.001})


def picture(i: int) -> bytes:
    return cv2.imencode(".jpg", np.full((24, 32, 3), i * 20, np.uint8))[1].tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recording.h5"
    K = np.array([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]])
    with RecordingWriter(path, task="stack the cups", calibration=Calibration({"head": CameraCalibration(K, 32, 24)})) as writer:
        for spec in (GLOVE, CAMERA, DEPTH):
            writer.add_stream(spec)
        for i in range(1300):
            writer.append(Sample("glove-right", 10**18 + i * 8_333_333, 5 * 10**9 + i * 8_333_333 + 1000, i, np.array([i * 0.001, -1.5])))
        for i in [*range(5), 8, 9]:  # 5, 6 and 7 were dropped
            writer.append(Sample("head", i * 33_000_000, 7 * 10**9 + i * 33_000_000, i, picture(i)))
            depth = np.full((24, 32), 500 + i, np.uint16)
            depth[0] = 0
            writer.append(Sample("depth", i * 33_000_000, 7 * 10**9 + i * 33_000_000, i, cv2.imencode(".png", depth)[1].tobytes()))
        writer.mark(6 * 10**9, "start", "first cup")
    return path


def test_what_is_written_is_what_is_read(path: Path) -> None:
    with Recording(path) as recording:
        assert recording.task == "stack the cups"
        glove = recording["glove-right"]
        assert glove.spec == GLOVE
        np.testing.assert_array_equal(glove.values, [[i * 0.001, -1.5] for i in range(1300)])
        np.testing.assert_array_equal(glove.device_ns, 10**18 + np.arange(1300) * 8_333_333)
        np.testing.assert_array_equal(glove.host_ns, 5 * 10**9 + np.arange(1300) * 8_333_333 + 1000)
        head = recording["head"]
        assert [head.payload(k) for k in range(len(head))] == [picture(i) for i in [*range(5), 8, 9]]
        assert [int(image[5, 5, 0]) for image in head.images(1, 4)] == pytest.approx([20, 40, 60], abs=2)
        depth = recording["depth"].depth_m(2)
        assert np.isnan(depth[0]).all()
        np.testing.assert_allclose(depth[1:], 0.502, atol=1e-6)
        np.testing.assert_array_equal(recording.calibration.cameras["head"].K[0], [30, 0, 16])
        assert recording.markers == [(6 * 10**9, {"kind": "start", "text": "first cup"})]
        assert check_recording(path) == []


def test_nanoseconds_since_1970_survive_the_clock_exactly(path: Path) -> None:
    with Recording(path) as recording:
        glove = recording["glove-right"]
        assert abs(glove.t_ns - glove.host_ns).max() <= 1


def test_every_drop_is_a_gap_with_its_length(path: Path) -> None:
    with Recording(path) as recording:
        gaps = [fields for _, fields in recording.gaps]
        assert [(g["stream"], g["first_sequence"], g["missing"]) for g in gaps] == [("head", 5, 3), ("depth", 5, 3)]
        missing = {s["name"]: s["missing"] for s in summarise(recording)["streams"]}
        assert missing == {"glove-right": 0, "head": 3, "depth": 3}


def test_plain_h5py_reads_it_without_us(path: Path) -> None:
    with h5py.File(path) as file:
        values = file["streams/glove-right/values"]
        assert values.shape == (1300, 2) and list(values.attrs["units"]) == ["rad", "rad"]
        row = file["streams/head/index"][3]
        jpeg = file["streams/head/heap"][row["offset"] : row["offset"] + row["size"]]
        assert cv2.imdecode(jpeg, cv2.IMREAD_COLOR).shape == (24, 32, 3)
        assert json.loads(file["provenance"].attrs["parameters"]) == {}


def test_an_old_h5dump_walks_it(path: Path) -> None:
    try:
        done = subprocess.run(["h5dump", "-H", str(path)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("h5dump is not installed (Debian: hdf5-tools)")
    assert done.returncode == 0 and "device_ns" in done.stdout, done.stderr


@pytest.mark.parametrize("field", ["device_ns", "sequence"])
def test_a_changed_stamp_fails_its_checksum(path: Path, field: str) -> None:
    with h5py.File(path, "r+") as file:
        index = file["streams/head/index"]
        rows = index[()]
        rows[field][2] += 1
        index[...] = rows
    assert check_recording(path) == ["stream head: 1 of 7 rows fail their checksum, first row 2"]


def test_a_flipped_byte_fails_its_checksum(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["streams/glove-right/values"][100, 1] = -1.6
    assert check_recording(path) == ["stream glove-right: 1 of 1300 rows fail their checksum, first row 100"]


def test_a_file_cut_off_is_said_to_be(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])
    assert check_recording(path) == [f"cannot open {path} as a recording: not an HDF5 file, or cut off"]


def test_other_hdf5_is_refused(tmp_path: Path) -> None:
    h5py.File(tmp_path / "other.h5", "w").close()
    with pytest.raises(FirsthandError, match="not a firsthand recording"):
        Recording(tmp_path / "other.h5")


def test_a_recording_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FirsthandError, match="exists already"):
        RecordingWriter(path)
    assert path.read_bytes() == before


def test_until_it_is_finished_it_has_another_name(tmp_path: Path) -> None:
    path = tmp_path / "recording.h5"

    def interrupted() -> None:
        with RecordingWriter(path) as writer:
            writer.add_stream(CAMERA)
            writer.append(Sample("head", 0, 0, 0, picture(1)))
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        interrupted()
    assert not path.exists()
    with h5py.File(tmp_path / "recording.h5.part") as file:
        assert len(file["streams/head/index"]) == 1


def test_an_unknown_stream_names_the_near_ones(path: Path) -> None:
    with Recording(path) as recording, pytest.raises(FirsthandError, match="no stream called 'haed'; did you mean 'head'"):
        recording["haed"]
