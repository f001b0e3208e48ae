"""The pattern device: what it delivers can be checked to the bit, and what it loses is written down."""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.driver import DRIVERS, Driver
from firsthand.capture.drivers.pattern import open_pattern
from firsthand.capture.errors import FirsthandError
from firsthand.capture.pattern.barcode import Barcode, read_barcode
from firsthand.capture.pattern.losses import Loss, read_losses
from firsthand.capture.pattern.numbered_jpeg import NumberedJpegs, read_comment
from firsthand.capture.pattern.rows import pattern_rows
from firsthand.capture.pattern.scene import colour_loop
from firsthand.capture.plugins import find
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.stream import Sample

SMALL = {"size_px": [160, 120], "loop": 3}
IMU = {"name": "imu", "columns": 6, "rate_hz": 200, "role": "imu"}


def drain(driver: Driver, seconds: float = 60.0) -> list[Sample]:
    samples, until = [], time.monotonic() + seconds
    while time.monotonic() < until and (more := driver.read(0.05)) is not None:
        samples += more
    return samples


def open_one(**options: Any) -> Driver:
    (driver,) = open_pattern(**options)
    return driver


@pytest.mark.parametrize("size", [(1920, 1080), (1000, 700), (640, 480), (128, 96)])
@pytest.mark.parametrize("number", [0, 1, 123_456, 2**24 + 5])
def test_a_jpeg_carries_its_number_in_its_comment_and_in_its_picture(size: tuple[int, int], number: int) -> None:
    jpeg = NumberedJpegs(colour_loop(*size, 2, 0), 82).jpeg(number)
    assert read_comment(jpeg) == number
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (size[1], size[0], 3)
    assert read_barcode(picture) == number % 2**24
    worse = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR)
    assert worse is not None and read_barcode(worse) == number % 2**24


def test_a_numbered_jpeg_is_the_picture_that_was_encoded_but_for_its_number() -> None:
    loop = colour_loop(320, 240, 2, 3)
    picture = cv2.imdecode(np.frombuffer(NumberedJpegs(loop, 82).jpeg(7), np.uint8), cv2.IMREAD_COLOR)
    plain = cv2.imdecode(cv2.imencode(".jpg", loop[1], [cv2.IMWRITE_JPEG_QUALITY, 82])[1], cv2.IMREAD_COLOR)
    assert picture is not None and plain is not None
    np.testing.assert_array_equal(picture[48:], plain[48:])


def test_jpegs_are_as_large_as_a_camera_s() -> None:
    assert 250_000 < len(NumberedJpegs(colour_loop(1920, 1080, 1, 0), 82).jpeg(0)) < 350_000


def test_a_picture_without_a_number_has_none() -> None:
    for level in (0, 255):
        assert read_barcode(np.full((120, 160, 3), level, np.uint8)) is None
    picture = np.array(colour_loop(320, 240, 1, 0)[0])
    code = Barcode.of(320, 240)
    code.draw(picture, 99)
    picture[:16, :16] = 255 - picture[:16, :16]
    assert code.read(picture) is None


def test_numbers_survive_h264() -> None:
    av = pytest.importorskip("av")
    make = open_one(cameras=[{"name": "cam", "picture": "raw", "size_px": [320, 240], "fps": 60}], seconds=0.3)
    with make:
        pictures = {sample.sequence: np.array(sample.data) for sample in drain(make)}
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.options = 320, 240, "yuv420p", {"crf": "30", "tune": "zerolatency"}
    encoder.time_base = Fraction(1, 60)
    decoder, read = av.CodecContext.create("h264", "r"), []
    for picture in pictures.values():
        for packet in encoder.encode(av.VideoFrame.from_ndarray(picture, "bgr24").reformat(format="yuv420p")):
            read += [read_barcode(frame.to_ndarray(format="bgr24")) for frame in decoder.decode(packet)]
    read += [read_barcode(frame.to_ndarray(format="bgr24")) for frame in decoder.decode(None)]
    assert read == list(pictures)[: len(read)] and len(read) > 10


def test_a_recording_of_a_pattern_is_exact(tmp_path: Path) -> None:
    cameras = [{"name": "head", **SMALL}, {"name": "wrist", **SMALL, "fps": 15}]
    drivers = find("drivers", DRIVERS, "pattern")(cameras=cameras, sensors=[IMU, {"name": "glove", "columns": 22, "rate_hz": 120}],
                                                  seconds=1.5, drop_rate=0.05, log=str(tmp_path / "lost"))
    counts = record(drivers, tmp_path / "recording.h5")
    assert counts["imu"] > 250
    lost = read_losses(tmp_path / "lost")
    with Recording(tmp_path / "recording.h5") as recording:
        for name in ("head", "wrist"):
            stream = recording[name]
            assert [read_comment(stream.payload(i)) for i in range(len(stream))] == stream.sequence.tolist()
            assert [read_barcode(image) for image in stream.images()] == stream.sequence.tolist()
        for name, columns in (("imu", 6), ("glove", 22)):
            np.testing.assert_array_equal(recording[name].values, pattern_rows(recording[name].sequence, columns))
        told = sorted((g["stream"], g["first_sequence"], g["missing"]) for _, g in recording.gaps)
        last = {name: int(recording[name].sequence[-1]) for name in ("head", "wrist", "imu", "glove")}
        runs = [loss for loss in merged(lost) if loss.first_sequence < last[loss.stream]]
        assert told == sorted((loss.stream, loss.first_sequence, loss.missing) for loss in runs)
        assert {loss.why for loss in lost} >= {"transport"}


def merged(losses: list[Loss]) -> list[Loss]:
    """Runs that touch, as one: a gap does not say why."""
    runs: list[Loss] = []
    for loss in sorted(losses, key=lambda loss: (loss.stream, loss.boot, loss.first_sequence)):
        before = runs[-1] if runs else None
        if before and (before.stream, before.boot, before.first_sequence + before.missing) == (loss.stream, loss.boot, loss.first_sequence):
            runs[-1] = Loss(before.stream, before.boot, before.first_sequence, before.missing + loss.missing, before.why)
        else:
            runs.append(loss)
    return runs


def test_samples_come_at_the_pace_of_the_wall_clock_and_are_stamped_on_it() -> None:
    driver = open_one(sensors=[IMU], drift_ppm=0.0)
    with driver:
        began_ns = time.monotonic_ns()
        samples = drain(driver, 1.0)
    assert 180 <= len(samples) <= 205
    assert all(began_ns <= s.host_ns <= time.monotonic_ns() for s in samples)
    device = np.array([s.device_ns for s in samples])
    assert abs(float(np.mean(np.diff(device))) - 5e6) < 5e3
    late = np.array([s.host_ns for s in samples]) - device
    assert late.min() < late.max() < late.min() + 400_000_000


def test_the_same_seed_gives_the_same_samples() -> None:
    def content(seed: int) -> list[tuple[int, int, Any]]:
        driver = open_one(sensors=[IMU], seconds=0.4, drop_rate=0.1, seed=seed)
        with driver:
            return [(s.sequence, s.device_ns, np.asarray(s.data).tolist()) for s in drain(driver)]

    first = content(1)
    assert content(1) == first and content(2) != first


def test_what_is_not_read_in_time_is_lost_in_the_device_and_written_down(tmp_path: Path) -> None:
    driver = open_one(cameras=[{"name": "cam", **SMALL, "buffer": 3, "fps": 50}], log=str(tmp_path / "lost"))
    with driver:
        samples = driver.read(1.0) or []
        time.sleep(0.5)
        samples += driver.read(1.0) or []
        samples += driver.read(1.0) or []
    (loss,) = read_losses(tmp_path / "lost")
    sequence = [s.sequence for s in samples]
    assert loss.why == "buffer" and loss.missing >= 18
    assert sequence == [*range(loss.first_sequence), *range(loss.first_sequence + loss.missing, sequence[-1] + 1)]


def test_a_raw_picture_that_somebody_holds_is_not_written_over() -> None:
    driver = open_one(cameras=[{"name": "cam", **SMALL, "picture": "raw", "fps": 100}], seconds=0.5)
    with driver:
        held = drain(driver)
    assert len(held) > 40
    assert [read_barcode(np.asarray(s.data)) for s in held] == [s.sequence for s in held]
    with open_one(cameras=[{"name": "cam", **SMALL, "picture": "raw", "fps": 100}], seconds=0.5) as driver:
        ids = set()
        while (more := driver.read(0.1)) is not None:
            ids |= {id(s.data) for s in more}
            del more
    assert len(ids) <= 6


def test_depth_is_raw_millimetres_with_its_number() -> None:
    with open_one(cameras=[{"name": "d", **SMALL, "picture": "depth", "about": "head"}], seconds=0.2) as driver:
        spec, samples = driver.streams[0], drain(driver)
    assert (spec.role, spec.encoding, spec.about, spec.extra) == ("depth", "raw", "head", {"depth_unit_m": 0.001})
    depth = np.asarray(samples[1].data)
    assert depth.dtype == np.uint16 and read_barcode(depth) == 1 and (depth == 0).any()


def test_a_device_that_vanishes_says_so_and_comes_back_with_a_new_counter_and_clock(tmp_path: Path) -> None:
    driver = open_one(sensors=[IMU], vanish_at_s=0.4, back_after_s=0.4, log=str(tmp_path / "lost"))
    with driver:
        before: list[Sample] = []
        with pytest.raises(FirsthandError, match=r"imu is gone; its pattern was told to vanish after 0\.4 s"):
            drain_into(driver, before)
    assert 60 <= len(before) <= 85
    with pytest.raises(FirsthandError, match="imu is not there"), driver:
        pass
    time.sleep(0.5)
    with driver:
        after = drain(driver, 0.4)
    boots = {loss.boot: loss for loss in read_losses(tmp_path / "lost") if loss.why == "away"}
    assert after[0].sequence == boots[1].missing < 40 and after[0].device_ns < 2_000_000_000 < before[0].device_ns
    np.testing.assert_array_equal([s.data for s in after], pattern_rows([s.sequence for s in after], 6))


def drain_into(driver: Driver, samples: list[Sample]) -> list[Sample]:
    """Fills the list it is given, so that what came before a fault is not lost."""
    while (more := driver.read(0.05)) is not None:
        samples += more
    return samples


def test_a_device_that_was_out_of_range_goes_on_counting(tmp_path: Path) -> None:
    driver = open_one(sensors=[IMU], vanish_at_s=0.3, back_after_s=0.2, on_return="continued", log=str(tmp_path / "lost"))
    before: list[Sample] = []
    with driver, pytest.raises(FirsthandError, match="is gone"):
        drain_into(driver, before)
    time.sleep(0.3)
    with driver:
        after = drain(driver, 0.3)
    losses = [(loss.first_sequence, loss.missing, loss.boot) for loss in merged(read_losses(tmp_path / "lost"))]
    assert losses == [(before[-1].sequence + 1, after[0].sequence - before[-1].sequence - 1, 0)]
    assert after[0].device_ns - before[-1].device_ns > 200_000_000


def test_a_device_that_never_comes_back_stays_away() -> None:
    driver = open_one(sensors=[IMU], vanish_at_s=0.1)
    with driver, pytest.raises(FirsthandError, match="is gone"):
        drain(driver)
    for _ in range(2):
        with pytest.raises(FirsthandError, match="is not there"), driver:
            pass


def test_a_restart_of_the_clock_comes_without_a_sign() -> None:
    with open_one(sensors=[IMU], restart_at_s=0.3, seconds=0.6) as driver:
        samples = drain(driver)
    (at,) = np.flatnonzero(np.diff([s.sequence for s in samples]) != 1)
    assert samples[at + 1].sequence == 0 and 50 <= at <= 62
    assert samples[at + 1].device_ns < 1_100_000_000 < samples[at].device_ns


def test_it_lives_from_a_given_start(tmp_path: Path) -> None:
    start_ns = time.monotonic_ns() - 1_000_000_000
    with open_one(sensors=[IMU], start_ns=start_ns, log=str(tmp_path / "lost")) as driver:
        samples = driver.read(1.0)
    assert samples and 195 <= samples[0].sequence <= 300
    assert read_losses(tmp_path / "lost") == [Loss("imu", 0, 0, samples[0].sequence, "away")]


def test_with_nothing_named_there_is_a_camera() -> None:
    (driver,) = open_pattern()
    assert driver.streams[0].width_px == 1280 and driver.streams[0].encoding == "jpeg"


@pytest.mark.parametrize(("options", "message"), [
    ({"cameras": [{"name": "a", "fsp": 30}]}, "no option of a PatternCamera called 'fsp'; did you mean 'fps'"),
    ({"cameras": [{"fps": 30}]}, "a PatternCamera has no name"),
    ({"cameras": [{"name": "a", "picture": "gif"}]}, "picture is 'gif'; it is 'mjpeg', 'raw' or 'depth'"),
    ({"cameras": [{"name": "a", "size_px": [64, 48]}]}, "64 x 48 has no room for its number"),
    ({"sensors": [{"name": "a", "rate_hz": 0}]}, "'a' needs a rate above 0"),
    ({"drop_rate": 1.5}, "drop_rate is 1.5"),
    ({"back_after_s": 1}, "say with vanish_at_s"),
    ({"vanish_at_s": 9, "seconds": 5}, "ends after 5 s"),
    ({"vanish_at_s": -1}, "vanish_at_s is -1"),
    ({"on_return": "new"}, "on_return is 'new'"),
])  # fmt: skip
def test_impossible_patterns_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        open_pattern(**options)
