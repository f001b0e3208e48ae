"""Importing video files: their own packets and times, or one clear sentence and nothing left behind."""

import errno
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.importer import import_file
from firsthand.capture.library import find_episodes
from firsthand.capture.summary import check_recording


def make_video(path: Path, frames: int = 40, *, variable: bool = False, b_frames: int = 0, options: dict | None = None) -> list[int]:
    """Write a clip whose frame n is filled with grey 5*n; returns the presentation times in 1/90000 s."""
    rng = np.random.default_rng(0)
    steps = rng.integers(1500, 9000, frames) if variable else np.full(frames, 3000)
    times = [int(t) for t in np.cumsum(steps) - steps[0]]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        base = stream.time_base = stream.codec_context.time_base = Fraction(1, 90000)
        stream.options = {"g": "12", "bf": str(b_frames)}
        for n, t in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 5 * n, np.uint8), format="bgr24")
            frame.pts, frame.time_base = t, base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return times


@pytest.mark.parametrize("variable", [False, True], ids=["constant", "variable"])
@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_real_times_and_frames_come_through(tmp_path: Path, variable: bool, b_frames: int, suffix: str) -> None:
    times = make_video(tmp_path / f"clip{suffix}", variable=variable, b_frames=b_frames)
    episode, new = import_file(tmp_path / f"clip{suffix}", tmp_path / "library", task="wave")
    assert new
    with episode.recording() as recording:
        camera = recording.camera()
        tolerance = 600_000 if suffix == ".mkv" else 1  # Matroska keeps milliseconds
        np.testing.assert_allclose(camera.t_ns - camera.t_ns[0], np.array(times) * 1e9 / 90000, atol=tolerance)
        shades = [float(image.mean()) for image in camera.images()]
        np.testing.assert_allclose(shades, np.arange(40) * 5, atol=4)
        assert recording.task == "wave" and recording.source == "egocentric"


def test_names_in_a_file_that_are_no_unicode_do_no_harm(tmp_path: Path) -> None:
    """PyAV refused to open it."""
    make_video(tmp_path / "clip.mp4")
    data = (tmp_path / "clip.mp4").read_bytes()
    assert b"VideoHandler" in data
    (tmp_path / "clip.mp4").write_bytes(data.replace(b"VideoHandler", b"K\xe9m\xe9raHandle"))
    with import_file(tmp_path / "clip.mp4", tmp_path / "library")[0].recording() as recording:
        assert len(recording.camera()) == 40


@pytest.mark.parametrize(("name", "codec", "pixels"), [("clip.mp4", "libsvtav1", "yuv420p"), ("clip.mp4", "libx265", "yuv420p10le"),
                                                       ("clip.webm", "libvpx-vp9", "yuv420p"), ("clip.avi", "mjpeg", "yuvj420p"),
                                                       ("clip.avi", "mpeg4", "yuv420p"), ("clip.mov", "prores_ks", "yuv422p10le")])
def test_codecs_cameras_use_come_through(tmp_path: Path, name: str, codec: str, pixels: str, capfd: pytest.CaptureFixture[str]) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, pixels
        for n in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((96, 160, 3), 10 * n, np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    episode, _ = import_file(tmp_path / name, tmp_path / "library")
    with episode.recording() as recording:
        shades = [float(image.mean()) for image in recording.camera().images()]
    np.testing.assert_allclose(shades, np.arange(20) * 10, atol=6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_may_go_on_after_the_last_frame(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=30), container.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for n in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 96, 3), n, np.uint8), format="bgr24")))
        container.mux(video.encode(None))
        for n in range(150):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate, frame.pts = 48000, n * 1024
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    episode, _ = import_file(path, tmp_path / "library")
    with episode.recording() as recording:
        assert len(recording.camera()) == 10
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(FirsthandError, match="cut off"):
        import_file(path, tmp_path / "library")


def test_frames_that_share_a_time_are_sound(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = {"bf": "0"}
        base = stream.codec_context.time_base = Fraction(1, 90000)
        for n in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 5 * n, np.uint8), format="bgr24")
            frame.pts, frame.time_base = 3000 * (n // 2) + n % 2, base  # Matroska keeps milliseconds
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    episode, _ = import_file(tmp_path / "clip.mkv", tmp_path / "library")
    with episode.recording() as recording:
        assert len(np.unique(recording.camera().t_ns)) < 20
    assert check_recording(episode.recording_path) == []


def test_two_at_once_make_one_session(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: import_file(tmp_path / "clip.mp4", tmp_path / "library"), range(4)))
    assert len({episode for episode, _ in made}) == 1 and sum(new for _, new in made) == 1


def test_what_was_removed_from_a_library_can_be_imported_again(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    first, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    shutil.rmtree(first.path)
    again, new = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    assert new and again.recording_path.exists()


def test_a_file_name_need_not_be_unicode(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.mp4"))
    try:
        (tmp_path / "clip.mp4").rename(odd)
    except OSError:
        pytest.skip("this system's file names are Unicode")
    import_file(odd, tmp_path / "library")
    assert not import_file(odd, tmp_path / "library")[1]


@pytest.mark.parametrize("content", [b'{"a":', b"[]", b"\xff\xfe"])
def test_a_broken_session_is_named(tmp_path: Path, content: bytes) -> None:
    make_video(tmp_path / "clip.mp4")
    episode, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    (episode.path.parent / "session.json").write_bytes(content)
    with pytest.raises(FirsthandError, match=r"session\.json"):
        import_file(tmp_path / "clip.mp4", tmp_path / "library")


@pytest.mark.parametrize("at", [0, 1, 11, 12, 13, 25, 39])
def test_any_frame_is_found_alone(tmp_path: Path, at: int) -> None:
    make_video(tmp_path / "clip.mp4", b_frames=2)
    episode, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    with episode.recording() as recording:
        assert recording.camera().image(at).mean() == pytest.approx(5 * at, abs=4)


def test_pictures_can_be_left_half_read_at_any_moment(tmp_path: Path) -> None:
    """FFmpeg's threads hand packets back to Python; ending a decoder while they do has stopped the process for ever."""
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rng.integers(0, 255, (480, 640, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    episode, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    code = ("import sys; from pathlib import Path; from firsthand.capture.recording import Recording\n"
            "with Recording(Path(sys.argv[1])) as recording:\n"
            "    for n in range(120):\n"
            "        pictures = recording.camera().images()\n"
            "        [next(pictures) for _ in range(1 + n % 5)]\n"
            "        pictures.close()\n")
    subprocess.run([sys.executable, "-c", code, str(episode.recording_path)], check=True, timeout=120)


def test_nothing_is_encoded_again(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    episode, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    with episode.recording() as recording:
        camera = recording.camera()
        assert [camera.row_payload(i) for i in range(len(camera.rows))] == packets


def test_a_phone_held_upright_is_shown_upright(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    matrix = data.find(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)  # a quarter turn clockwise
    (tmp_path / "phone.mp4").write_bytes(data)
    episode, _ = import_file(tmp_path / "phone.mp4", tmp_path / "library", hfov_deg=70)
    with episode.recording() as recording:
        assert recording.camera().image(0).shape == (96, 64, 3)
        assert recording.calibration.cameras["head"].width_px == 64


def test_the_same_file_is_not_imported_twice(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    first, _ = import_file(tmp_path / "clip.mp4", tmp_path / "library")
    (tmp_path / "copy.mp4").write_bytes((tmp_path / "clip.mp4").read_bytes())
    again, new = import_file(tmp_path / "copy.mp4", tmp_path / "library")
    assert again == first and not new and find_episodes(tmp_path / "library") == [first]


def cut(path: Path, keep: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def text(path: Path) -> None:
    path.write_text("not a video\n" * 100)


def plain_cut(path: Path) -> None:
    make_video(path)
    cut(path, 0.6)


def faststart_cut(path: Path) -> None:
    make_video(path, options={"movflags": "faststart"})
    cut(path, 0.7)


def almost_whole(path: Path) -> None:
    make_video(path)
    path.write_bytes(path.read_bytes()[:-1])


def reordered_without_times(path: Path) -> None:
    make_video(path, b_frames=2)


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def no_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()


FAULTS = {
    "clip.mp4": [(text, "not a video file"), (plain_cut, "cut off or damaged"), (faststart_cut, "cut off"), (sound_only, "no video stream"),
                 (no_frames, "no video stream"), (Path.touch, "is empty"), (almost_whole, "cut off")],
    "clip.mkv": [(plain_cut, "cut off"), (almost_whole, "1 bytes are missing")],
    "clip.avi": [(plain_cut, "cut off"), (almost_whole, "1 bytes are missing"), (reordered_without_times, "keeps no times")],
    "clip.txt": [(text, "no kind of file firsthand imports")],
}


@pytest.mark.parametrize(("name", "make", "says"), [(n, m, s) for n, cases in FAULTS.items() for m, s in cases])
def test_a_bad_file_is_one_sentence_and_leaves_nothing(tmp_path: Path, name: str, make, says: str) -> None:
    make(tmp_path / name)
    with pytest.raises(FirsthandError, match=says) as error:
        import_file(tmp_path / name, tmp_path / "library")
    assert "\n" not in str(error.value) and name in str(error.value)
    assert not (tmp_path / "library").exists() or not list((tmp_path / "library").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells files by Linux' list of them")
def test_a_disk_that_is_full_names_the_source_and_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It named a hidden folder that was gone already."""
    make_video(tmp_path / "clip.mp4")

    def full(write: Callable[..., int], handle: int, *given: object) -> int:
        if "recording.h5" in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, *given)

    for name in ("pwrite", "pwritev"):
        monkeypatch.setattr(os, name, partial(full, getattr(os, name)))
    with pytest.raises(FirsthandError, match=f"^cannot import {tmp_path}/clip.mp4 into {tmp_path}/library: No space left on device$"):
        import_file(tmp_path / "clip.mp4", tmp_path / "library")
    assert list((tmp_path / "library").glob("*")) == []


def test_a_library_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    (tmp_path / "taken").write_text("a file")
    for library in (tmp_path / "taken", tmp_path / "taken" / "library", Path("/proc/nowhere")):
        with pytest.raises(FirsthandError, match="cannot write"):
            import_file(tmp_path / "clip.mp4", library)
