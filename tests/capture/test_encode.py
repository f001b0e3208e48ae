"""Encoders: what a rig file may ask for, what comes out, and that it reads back as what went in."""

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.codecs.annex_b import parameter_sets
from firsthand.capture.codecs.yuv import yuv_frame
from firsthand.capture.decode import decode_depth
from firsthand.capture.encode import DEPTH, ENCODERS, open_encoder
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import KEYFRAME, Sample, StreamSpec
from firsthand.capture.summary import check_recording

VIDEO = pytest.mark.parametrize("how", ["h264", "h264:crf=23,preset=superfast", "hevc"])
SIZE = pytest.mark.parametrize("size", [(320, 240), (318, 242), (161, 121)], ids=str)


def camera(width: int = 320, height: int = 240, rate: float = 30) -> StreamSpec:
    return StreamSpec("head", "encoded", "camera", encoding="raw", rate_hz=rate, width_px=width, height_px=height)


def depth_spec(width: int = 160, height: int = 120) -> StreamSpec:
    return StreamSpec("head-depth", "encoded", "depth", encoding="raw", rate_hz=30, width_px=width, height_px=height, about="head",
                      extra={"depth_unit_m": 0.001})


def numbered(number: int, width: int = 320, height: int = 240) -> np.ndarray:
    """A smooth picture with its number as a barcode of ten columns across the top."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    image = np.stack([200 * x, 60 + 120 * y, 40 + 150 * (1 - x) * y], -1).astype(np.uint8)
    for bit in range(10):
        image[: height // 4, bit * width // 10 : (bit + 1) * width // 10] = 235 if number >> bit & 1 else 20
    cv2.circle(image, ((number * 7) % width, height * 2 // 3), height // 8, (40, 60, 220), -1)
    return image


def number_of(image: np.ndarray) -> int:
    height, width = image.shape[:2]
    top = image[4 : height // 4 - 4].mean((0, 2))
    return sum(1 << bit for bit in range(10) if top[(2 * bit + 1) * width // 20] > 127)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def record(path: Path, how: str, pictures: list[np.ndarray], spec: StreamSpec) -> list[int]:
    """Record pictures as a device's process does; returns each packet's flags."""
    encoder = open_encoder(spec, how)
    flags = []
    with RecordingWriter(path) as writer:
        writer.add_stream(encoder.spec)
        for i, picture in enumerate(pictures):
            ((payload, flag),) = encoder.encode(picture)
            writer.append(Sample(spec.name, i * 33_333_333, 7_000_000_000 + i * 33_333_333, i, payload, flag))
            flags.append(flag)
    assert encoder.close() == []
    return flags


@VIDEO
@SIZE
def test_a_recorded_video_is_the_pictures_it_was_made_from(tmp_path: Path, how: str, size: tuple[int, int]) -> None:
    pictures = [numbered(i, *size) for i in range(70)]
    flags = record(tmp_path / "recording.h5", how, pictures, camera(*size))
    assert [i for i, flag in enumerate(flags) if flag & KEYFRAME] == [0, 30, 60]
    with Recording(tmp_path / "recording.h5") as recording:
        stream = recording["head"]
        assert (stream.spec.width_px, stream.spec.height_px) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        read = [image[: size[1], : size[0]] for image in stream.images()]
        assert [number_of(image) for image in read] == list(range(70))
        assert min(psnr(a, b) for a, b in zip(pictures, read, strict=True)) > 30
        for i in (69, 0, 33, 30, 29, 61):
            assert number_of(stream.image(i)) == i
    assert check_recording(tmp_path / "recording.h5") == []


@VIDEO
def test_any_key_frame_can_be_the_first_of_a_take(tmp_path: Path, how: str) -> None:
    encoder = open_encoder(camera(), f"{how}{',' if ':' in how else ':'}keyframe_s=0.5")
    packets = [packet for i in range(40) for packet in encoder.encode(numbered(i))]
    assert [i for i, (_, flags) in enumerate(packets) if flags & KEYFRAME] == [0, 15, 30]
    for payload, flags in packets:
        assert bool(parameter_sets(payload, encoder.spec.encoding)) == bool(flags & KEYFRAME)
    with RecordingWriter(tmp_path / "recording.h5") as writer:
        writer.add_stream(encoder.spec)
        for i in range(15, 40):
            writer.append(Sample("head", i, i, i, *packets[i]))
    with Recording(tmp_path / "recording.h5") as recording:
        assert [number_of(image) for image in recording["head"].images()] == list(range(15, 40))


@VIDEO
def test_after_a_lost_packet_decoding_goes_on_at_the_forced_key_frame(tmp_path: Path, how: str) -> None:
    encoder = open_encoder(camera(), how)
    with RecordingWriter(tmp_path / "recording.h5") as writer:
        writer.add_stream(encoder.spec)
        for i in range(28):
            if i == 12:
                encoder.force_keyframe()
            ((payload, flags),) = encoder.encode(numbered(i))
            assert bool(flags & KEYFRAME) == (i in (0, 12)), "no scene cut adds one, none is only called so"
            if not 9 <= i < 12:
                writer.append(Sample("head", i, i, i, payload, flags))
    with Recording(tmp_path / "recording.h5") as recording:
        assert [number_of(image) for image in recording["head"].images()] == [*range(9), *range(12, 28)]
        assert [gap["missing"] for _, gap in recording.gaps] == [3]


@pytest.mark.parametrize("pixels", ["yuv420p", "nv12"])
@SIZE
def test_encoders_are_given_the_picture_in_whichever_form_they_take(pixels: str, size: tuple[int, int]) -> None:
    """``nv12`` is for chips, which are not here: FFmpeg's own conversion must find the picture in it again."""
    width, height = size[0] + size[0] % 2, size[1] + size[1] % 2
    picture = numbered(341, *size)
    for given in (picture, picture[:, ::-1][:, ::-1], np.asfortranarray(picture)):
        back = yuv_frame(given, width, height, pixels).to_ndarray(format="bgr24")
        assert back.shape == (height, width, 3) and number_of(back) == 341
        assert psnr(back[: size[1], : size[0]], picture) > 30
    grey = yuv_frame(picture[..., 0], width, height, pixels).to_ndarray(format="bgr24")[: size[1], : size[0]]
    assert psnr(grey[..., 1], picture[..., 0]) > 38


def test_still_pictures_are_what_went_in(tmp_path: Path) -> None:
    sizes = []
    for how, least in (("jpeg:50", 28.0), ("", 32.0), ("jpeg:98", 38.0)):
        path = tmp_path / f"as-{how.replace(':', '')}.h5"
        record(path, how, [numbered(i) for i in range(3)], camera())
        with Recording(path) as recording:
            assert recording["head"].spec.encoding == "jpeg"
            assert psnr(recording["head"].image(2), numbered(2)) > least
            sizes.append(len(recording["head"].payload(2)))
    assert sizes == sorted(sizes) and sizes[0] < sizes[2]
    grey = numbered(5)[..., 0]
    ((payload, _),) = open_encoder(camera(), "png").encode(grey)
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_UNCHANGED), grey)


def depth_pictures(width: int, height: int) -> list[np.ndarray]:
    """A slope with noise and holes, and every extreme of 16 bits."""
    rng = np.random.default_rng(3)
    slope = np.linspace(400, 3000, width * height).reshape(height, width) + rng.normal(0, 3, (height, width))
    real = np.where(rng.random((height, width)) < 0.1, 0, slope).astype(np.uint16)
    extremes = rng.choice(np.array([0, 1, 32767, 32768, 65534, 65535], np.uint16), (height, width))
    return [real, extremes, np.zeros_like(real), np.full_like(real, 65535)]


@pytest.mark.parametrize("how", ["", "png", "ffv1", "depth-zstd", "depth-zstd:9"])
@pytest.mark.parametrize("size", [(160, 120), (161, 123), (35, 9)], ids=str)
def test_depth_comes_back_bit_for_bit(tmp_path: Path, how: str, size: tuple[int, int]) -> None:
    pictures = depth_pictures(*size)
    flags = record(tmp_path / "recording.h5", how, pictures, depth_spec(*size))
    assert flags == [KEYFRAME] * len(pictures)
    with Recording(tmp_path / "recording.h5") as recording:
        stream = recording["head-depth"]
        for i in (3, 0, 1, 2):
            metres = stream.depth_m(i)
            np.testing.assert_array_equal(np.isnan(metres), pictures[i] == 0)
            np.testing.assert_array_equal(np.rint(np.nan_to_num(metres) * 1000).astype(np.uint16), pictures[i])
    assert check_recording(tmp_path / "recording.h5") == []


@pytest.mark.parametrize("how", ["ffv1", "depth-zstd"])
def test_damaged_depth_is_a_sentence(how: str) -> None:
    encoder = open_encoder(depth_spec(), how)
    ((payload, _),) = encoder.encode(depth_pictures(160, 120)[0])
    for broken in (b"", payload[:7], payload[: len(payload) // 2], bytes(8) + payload[8:]):
        with pytest.raises(DamagedError, match="a depth image"):
            decode_depth(broken, 0.001, encoder.spec)


@pytest.mark.parametrize(("spec", "how", "words"), [
    (camera(), "h265", ["no encoder called 'h265'", "hevc", "jpeg", "depth-zstd"]),
    (camera(), "jpeg:0", ["quality of 1 to 100", "'0'"]),
    (camera(), "jpeg:q=5", ["no setting 'q'", "jpeg:90"]),
    (camera(), "jpeg:90,80", ["jpeg:90,80", "write a name and settings"]),
    (camera(), "h264:presett=fast", ["no setting presett"]),
    (camera(), "h264:preset=snail", ["preset=snail", "does not work"]),
    (camera(), "h264:keyframe_s=often", ["keyframe_s", "seconds"]),
    (camera(), "ffv1", ["no depth", "jpeg"]),
    (depth_spec(), "jpeg", ["depth", "spoil", "png, ffv1 or depth-zstd"]),
    (depth_spec(), "png:9", ["takes no settings"]),
    (camera(), "h264_mf", ["no encoder h264_mf", "use h264"]),
])
def test_what_cannot_be_had_is_one_sentence(spec: StreamSpec, how: str, words: list[str]) -> None:
    with pytest.raises(FirsthandError) as fault:
        open_encoder(spec, how)
    for word in words:
        assert word in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", [name for name in ENCODERS if "_" in name])
def test_a_chip_either_encodes_or_says_that_it_does_not(name: str) -> None:
    """Listing an encoder means nothing: FFmpeg lists those of cards that are not there."""
    try:
        encoder = open_encoder(camera(), name)
    except FirsthandError as error:
        assert "hardware" in name or name in str(error)
        return
    ((_, flags),) = encoder.encode(numbered(0))
    assert flags & KEYFRAME


def test_a_picture_of_another_size_is_refused() -> None:
    for how in ("jpeg", "h264"):
        with pytest.raises(FirsthandError, match=r"delivered a picture of uint8 \(24, 32, 3\); it announced uint8 \(240, 320, 3\)"):
            open_encoder(camera(), how).encode(np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(FirsthandError, match="delivered a picture of uint8"):
        open_encoder(depth_spec(), "png").encode(np.zeros((120, 160), np.uint8))


@pytest.mark.parametrize("how", ["jpeg", "h264", "hevc", "png", "ffv1", "depth-zstd"])
def test_the_interpreter_is_free_while_encoding(how: str) -> None:
    """A device's thread must stamp on time beside the encoder's: no longer wait than one of Python's own turns."""
    rng = np.random.default_rng(0)
    if how in DEPTH:
        spec, picture = depth_spec(1920, 1080), cv2.GaussianBlur(rng.integers(0, 5000, (1080, 1920)).astype(np.uint16), (0, 0), 3)
    else:
        spec, picture = camera(1920, 1080), cv2.GaussianBlur(rng.integers(0, 255, (1080, 1920, 3)).astype(np.uint8), (0, 0), 2)
    encoder = open_encoder(spec, how)
    encoder.encode(picture)
    start, took = threading.Event(), []

    def encode() -> None:
        start.wait()
        for _ in range(6):
            begun = time.perf_counter()
            encoder.encode(picture)
            took.append(time.perf_counter() - begun)

    thread = threading.Thread(target=encode)
    thread.start()
    start.set()
    turns = 0
    while thread.is_alive():
        time.sleep(0.0005)
        turns += 1
    thread.join()
    # Held all through, the loop would get one turn a picture.
    assert turns > max(3 * len(took), 0.25 * sum(took) / 0.0015), f"{turns} turns in {sum(took) * 1e3:.0f} ms"


def test_each_encoder_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "encoding.md").read_text()
    assert [name for name in ENCODERS if f"`{name}`" not in page] == []
