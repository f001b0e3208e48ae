"""GoPro files: GPMF to the byte, times on the video's line, and no place left in them."""

import struct
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importer import import_file, import_take, look
from firsthand.capture.importers.gopro import Payload, _tracks
from firsthand.capture.importers.gpmf import read_payload, without_places
from firsthand.capture.intake import Asked
from firsthand.capture.summary import check_recording


def klv(key: str, kind: str, size: int, data: bytes) -> bytes:
    """One item, as the published format says: key, type, size, count, data padded to 4 bytes."""
    return key.encode() + struct.pack(">cBH", kind.encode(), size, len(data) // size) + data + bytes(-len(data) % 4)


def nest(key: str, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return key.encode() + b"\0" + struct.pack(">BH", 1, len(data)) + data


def shorts(*values: int) -> bytes:
    return struct.pack(f">{len(values)}h", *values)


def sensor(stamp_us: int | None, total: int, *rows: tuple[int, ...], key: str = "ACCL", orin: str = "XzY", scale: int = 100) -> bytes:
    stamp = [klv("STMP", "J", 8, struct.pack(">Q", stamp_us))] if stamp_us is not None else []
    return nest("STRM", *stamp, klv("TSMP", "L", 4, struct.pack(">I", total)), klv("STNM", "c", 1, b"Accelerometer"),
                klv("ORIN", "c", 1, orin.encode()), klv("SIUN", "c", 4, b"m/s\xb2"), klv("SCAL", "s", 2, shorts(scale)),
                klv(key, "s", 2 * len(rows[0]), b"".join(shorts(*row) for row in rows)))


GPS = nest("STRM", klv("STNM", "c", 1, b"GPS (Lat., Long.)"), klv("UNIT", "c", 3, b"degdegm\0\0"),
           klv("SCAL", "l", 4, struct.pack(">3i", 10**7, 10**7, 1000)), klv("GPS5", "l", 12, struct.pack(">3i", 331267700, -1173273436, 9)))


def device(*streams: bytes) -> bytes:
    return nest("DEVC", klv("DVID", "L", 4, bytes(4)), klv("DVNM", "c", 1, b"Hero"), *streams)


def test_numbers_are_scaled_and_axes_sorted_with_their_signs() -> None:
    (series,) = read_payload(device(sensor(7, 2, (100, -200, 300), (1, 2, 3))))
    assert (series.device, series.key, series.units) == ("Hero", "ACCL", ("m/s²",) * 3)
    assert (series.axes, series.first_us, series.total) == ("XzY", 7, 2)
    np.testing.assert_allclose(series.values, [[1, -2, 3], [0.01, 0.02, 0.03]])
    track = _tracks(Path("x.mp4"), [Payload(0, 10**9, device(sensor(7, 2, (100, -200, 300), (1, 2, 3))))], False)[1][0]
    assert (track.spec.names, track.spec.units) == (("ax", "ay", "az"), ("m/s^2",) * 3)
    np.testing.assert_allclose([s.data for s in track.samples], [[1, 3, 2], [0.01, 0.03, -0.02]])  # x, y, z from X, -z, Y


def test_samples_are_spread_from_stamp_to_stamp_and_aligned_by_what_is_written_once_a_frame() -> None:
    rows = [(n, n, n) for n in range(10)]
    payloads = [Payload(n * 10**9, 10**9, device(sensor(50_000 + n * 1_000_010, 10 * (n + 1), *rows),
                                                sensor(60_000 + n * 1_000_000, 2 * (n + 1), (1,), (2,), key="ISOE"))) for n in range(3)]
    tracks = {t.spec.name: list(t.samples) for t in _tracks(Path("x.mp4"), payloads, False)[1]}
    assert [s.device_ns for s in tracks["iso"]] == [n * 500_000_000 for n in range(6)]
    times = np.array([s.device_ns for s in tracks["accelerometer"]])
    np.testing.assert_array_equal(times, -10_000_000 + np.arange(30) * 100_001_000)
    unstamped = [Payload(n * 10**9, 10**9, device(sensor(None, 10 * (n + 1), *rows))) for n in range(2)]
    samples = list(_tracks(Path("x"), unstamped, False)[1][0].samples)
    assert [s.device_ns for s in samples[8:12]] == [8 * 10**8, 9 * 10**8, 10**9, 11 * 10**8]


def test_samples_the_camera_counted_but_did_not_write_are_a_gap() -> None:
    rows = [(n, n, n) for n in range(10)]
    payloads = [Payload(n * 10**9, 10**9, device(sensor(n * 1_000_000, total, *rows))) for n, total in enumerate((110, 125))]
    samples = list(_tracks(Path("x"), payloads, False)[1][0].samples)
    assert [s.sequence for s in samples[8:12]] == [8, 9, 15, 16]
    assert samples[10].device_ns - samples[9].device_ns == pytest.approx(6 / 15 * 1e9, abs=2)


def test_places_are_cut_out_and_the_rest_stays_byte_for_byte() -> None:
    keep = sensor(7, 1, (1, 2, 3))
    assert without_places(device(keep, GPS, keep)) == device(keep, keep)
    position = nest("STRM", klv("UNIT", "c", 3, b"degdegm\0\0"), klv("ODDK", "l", 4, bytes(4)))  # a drone's, under a key nobody listed
    assert without_places(device(position, keep)) == device(keep)


@pytest.mark.parametrize("cut", [1, 7, 9, 30, 60])
def test_a_payload_that_is_cut_off_is_damaged(cut: int) -> None:
    whole = device(sensor(7, 2, (1, 2, 3), (4, 5, 6)))
    with pytest.raises(DamagedError, match="GPMF is damaged"):
        read_payload(whole[:-cut])


def test_times_that_are_none_are_refused() -> None:
    """They overflowed, and the importer was blamed."""
    with pytest.raises(DamagedError, match=f"STMP is {2**63}"):
        read_payload(device(sensor(2**63, 1, (1, 2, 3))))
    far = [Payload(0, 10**9, device(sensor(0, 1, (1, 2, 3)))), Payload(2**61, 10**9, device(sensor(2**49, 5, *[(1, 2, 3)] * 20)))]
    with pytest.raises(DamagedError, match=r"cannot import x\.mp4: the times of ACCL are none"):
        _tracks(Path("x.mp4"), far, False)


def test_mutated_payloads_never_crash_the_parser() -> None:
    """20 000 payloads with up to four wrong bytes each; a longer run is in the tests of the parsers."""
    whole = device(sensor(7, 2, (1, 2, 3), (4, 5, 6)), GPS, nest("STRM", klv("TYPE", "c", 1, b"Lf"), klv("MIXD", "?", 8, bytes(16))))
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(20_000):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 5)):
            data[at] = rng.integers(256)
        try:
            read_payload(bytes(data))
            without_places(bytes(data))
            read += 1
        except DamagedError:
            pass
    assert 1000 < read < 20_000


@pytest.fixture
def media(shared: Path) -> Path:
    folder = shared / "data" / "media" / "gopro"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def test_every_stream_of_a_real_film_comes_in_and_no_place_does(media: Path, tmp_path: Path) -> None:
    episode, _ = import_file(media / "max-heromode.mp4", tmp_path / "library")
    with episode.recording() as recording:
        counts = {name: len(stream) for name, stream in recording.streams.items()}
        assert {**counts, "head": 315, "accelerometer": 2082, "gyroscope": 2082, "exposure": 316, "iso": 316, "gravity": 316,
                "camera-orientation": 316, "image-orientation": 316, "magnetometer": 260, "gpmf": 11} == counts
        assert "gps" not in counts and not recording.gaps
        # GoPro's own parser gives the first sample of the accelerometer this time before the first frame.
        assert recording["accelerometer"].t_ns[0] - recording["head"].t_ns[0] == -5_031_000
        up = recording["accelerometer"].values.mean(0)
        assert np.linalg.norm(up) == pytest.approx(9.8, abs=0.3) and up.argmax() == 2
        gravity, level = recording["gravity"].values.mean(0), up / np.linalg.norm(up)
        assert abs(gravity[1] - level[2]) < 0.05  # told by the camera itself
        raw = b"".join(recording["gpmf"].payload(i) for i in range(11))
        assert b"ACCL" in raw and b"GPS" not in raw
    assert check_recording(episode.recording_path) == []
    stored = episode.recording_path.read_bytes()
    assert b"33.1268" not in stored and b"GPS5" not in stored


def test_places_are_kept_when_asked_for(media: Path, tmp_path: Path) -> None:
    asked = Asked(keep_gps=True)
    episode, _ = import_take(media / "max-heromode.mp4", look(media / "max-heromode.mp4", asked), 0, tmp_path / "library", asked)
    with episode.recording() as recording:
        gps = recording["gps"]
        assert len(gps) == 191 and gps.values[0, :2].round(3).tolist() == [33.127, -117.327] and gps.spec.units[:3] == ("deg", "deg", "m")


@pytest.mark.parametrize(("name", "counts"), [("Fusion.raw", {"accelerometer": 197, "gyroscope": 3300, "magnetometer": 25}),
                                              ("hero5.raw", {"accelerometer": 199, "gyroscope": 399, "exposure": 24}),
                                              ("hero6.raw", {"accelerometer": 204, "gyroscope": 204, "iso": 30}),
                                              ("hero6+ble.raw", {"accelerometer": 198, "iso": 24, "gpmf-acc1": 82}),
                                              ("karma.raw", {"accelerometer": 196, "gyroscope": 392, "gpmf-simu": 4})])
def test_bare_payloads_of_each_camera_come_in(media: Path, tmp_path: Path, name: str, counts: dict[str, int]) -> None:
    episode, _ = import_file(media / name, tmp_path / "library")
    with episode.recording() as recording:
        assert {key: len(recording[key]) for key in counts} == counts
        names = recording["accelerometer"].spec.names
        assert names == ("ax", "ay", "az") and b"GPS" not in recording["gpmf"].payload(0)
    assert check_recording(episode.recording_path) == []


def test_a_film_whose_metadata_is_damaged_is_refused(media: Path, tmp_path: Path) -> None:
    data = (media / "max-heromode.mp4").read_bytes()
    (tmp_path / "bad.mp4").write_bytes(data.replace(b"GYROs\x06", b"GYROs\xff"))
    with pytest.raises(FirsthandError, match=r"bad\.mp4: its GPMF is damaged"):
        import_file(tmp_path / "bad.mp4", tmp_path / "library")
