"""The browser's copy of the pictures: every frame, at its own time, and quick to seek."""

from pathlib import Path

import av
import numpy as np
import pytest

from firsthand.annotate import proxy
from firsthand.annotate.proxy import find_proxy, make_proxy, thumbnail
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode, find_episodes, new_session
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec


@pytest.fixture
def episode(tiny_library: Path) -> Episode:
    """The first episode of the tiny library: 48 frames with a barcode."""
    return find_episodes(tiny_library)[0]


def recorded(folder: Path, t_ns: np.ndarray, width: int, height: int) -> Episode:
    """An episode of grey JPEGs at given times."""
    import cv2

    with new_session(folder / "library", "odd") as session, RecordingWriter(session / "000" / "recording.h5") as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", width_px=width, height_px=height, clock="media"))
        for i, t in enumerate(t_ns):
            jpeg = cv2.imencode(".jpg", np.full((height, width, 3), 8 * i % 256, np.uint8))[1].tobytes()
            writer.append(Sample("head", int(t), int(t), i, jpeg))
    return find_episodes(folder / "library")[0]


def test_the_proxy_is_what_browsers_play_and_seek_well(episode: Episode) -> None:
    made = make_proxy(episode)
    with av.open(str(made.video)) as container:
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.size]
        assert (video.codec_context.name, video.codec_context.pix_fmt, video.codec_context.has_b_frames) == ("h264", "yuv420p", False)
    assert all(packet.pts == packet.dts for packet in packets)
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    assert max(np.diff([*keys, len(packets)])) <= proxy.KEYFRAME_EVERY
    data = made.video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first, so that playing starts before all is loaded"


def test_times_are_the_recordings_own_to_a_tick_however_uneven(tmp_path: Path) -> None:
    steps = np.array([33, 33, 70, 5, 33, 900, 12, 33, 33, 1])
    t_ns = 5_000_000_000 + np.concatenate([[0], np.cumsum(steps)]) * 1_000_000
    made = make_proxy(recorded(tmp_path, t_ns, 64, 48))
    pts_s = made.pts_s()
    assert np.all(np.diff(pts_s) > 0)
    assert pts_s == pytest.approx((t_ns - t_ns[0]) * 1e-9, abs=1 / proxy.TICKS)


def test_two_frames_at_one_instant_become_two_ticks(tmp_path: Path) -> None:
    made = make_proxy(recorded(tmp_path, np.array([0, 10, 10, 10, 50_000_000]) + 7, 64, 48))
    assert np.all(np.diff(made.pts_s()) > 0) and made.n_frames == 5


def test_large_odd_pictures_shrink_to_even_ones_of_the_same_shape(tmp_path: Path) -> None:
    made = make_proxy(recorded(tmp_path, np.arange(3) * 33_000_000, 1281, 721))
    assert (made.width_px, made.height_px, made.source_width_px, made.source_height_px) == (640, 360, 1281, 721)


def test_a_proxy_is_made_once_and_again_when_the_recording_changes(episode: Episode) -> None:
    calls: list[tuple[int, int]] = []
    made = make_proxy(episode, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (48, 48) and [done for done, _ in calls] == list(range(1, 49))
    before = made.video.stat().st_mtime_ns
    assert make_proxy(episode) == made and made.video.stat().st_mtime_ns == before
    episode.recording_path.touch()
    assert find_proxy(episode) is None
    assert make_proxy(episode).video.stat().st_mtime_ns > before


def test_a_proxy_that_was_interrupted_is_not_there(episode: Episode) -> None:
    def stop(done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_proxy(episode, stop)
    assert find_proxy(episode) is None
    assert list(proxy.cache_folder(episode).iterdir()) == []
    assert make_proxy(episode).n_frames == 48


def test_what_is_cached_does_not_look_like_an_episode(episode: Episode) -> None:
    make_proxy(episode)
    thumbnail(episode)
    assert len(find_episodes(episode.library)) == 2


def test_a_thumbnail_is_a_small_jpeg(episode: Episode) -> None:
    assert thumbnail(episode).read_bytes()[:2] == b"\xff\xd8" and thumbnail(episode).stat().st_size < 20_000


def test_pictures_that_do_not_decode_leave_one_sentence_and_no_proxy(tmp_path: Path) -> None:
    with new_session(tmp_path / "library", "bad") as session, RecordingWriter(session / "000" / "recording.h5") as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", width_px=64, height_px=48, clock="media"))
        writer.append(Sample("head", 0, 0, 0, b"no picture"))
    episode = find_episodes(tmp_path / "library")[0]
    with pytest.raises(FirsthandError, match="image 0 does not decode"):
        make_proxy(episode)
    assert find_proxy(episode) is None
