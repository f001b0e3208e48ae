"""What was recorded as H.264 or HEVC is reviewed and exported as JPEGs and imported videos are."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from firsthand.annotate.proxy import make_proxy
from firsthand.capture.encode import open_encoder
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample
from firsthand.datasets.formats import export, validate
from firsthand.datasets.video_reader import decode_all


def barcode(picture: np.ndarray) -> int:
    """The number a picture of the tiny library carries; any size."""
    height, width = picture.shape[:2]
    top = picture[height // 12 : height // 6].mean((0, 2))
    return sum(1 << bit for bit in range(16) if top[(2 * bit + 1) * width // 32] > 127)


@pytest.fixture(params=["h264", "hevc"])
def encoded(request: pytest.FixtureRequest, episodes: list[Episode]) -> list[Episode]:
    """The tiny library with its pictures recorded as video packets, key frames a third of a second apart."""
    for episode in episodes:
        with episode.recording() as recording:
            head, calibration = recording["head"], recording.calibration
            pictures, device_ns, host_ns = list(head.images()), head.device_ns, head.host_ns
        episode.recording_path.unlink()
        encoder = open_encoder(head.spec, f"{request.param}:keyframe_s=0.33,crf=16")
        with RecordingWriter(episode.recording_path, source="simulation", calibration=calibration) as writer:
            writer.add_stream(encoder.spec)
            for i, picture in enumerate(pictures):
                for payload, flags in encoder.encode(picture):
                    writer.append(Sample("head", int(device_ns[i]), int(host_ns[i]), i, payload, flags))
    return episodes


def test_the_export_has_every_picture_at_its_row(encoded: list[Episode], tmp_path: Path) -> None:
    dataset = export(encoded, tmp_path / "dataset", format="lerobot-v3", robot="panda_gripper").path
    assert validate(dataset) == []
    video = next((dataset / "videos").rglob("*.mp4"))
    assert [barcode(frame.to_ndarray(format="rgb24")) for frame in decode_all(video)] == [*range(48), *range(256, 256 + 40)]
    colour = next(decode_all(video)).to_ndarray(format="rgb24")[100, 5]
    np.testing.assert_allclose(colour, (150, 120, 90), atol=4)


def test_the_player_has_every_picture_at_its_time(encoded: list[Episode]) -> None:
    proxy = make_proxy(encoded[0])
    with encoded[0].recording() as recording:
        t_s = (recording["head"].t_ns - recording["head"].t_ns[0]) * 1e-9
    assert proxy.pts_s() == pytest.approx(t_s, abs=1e-4)
    with av.open(str(proxy.video)) as container:
        assert [barcode(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)] == list(range(48))


def test_ffmpeg_takes_the_packets_as_they_are(encoded: list[Episode], tmp_path: Path) -> None:
    """They go into an mp4 without being encoded again, codec configuration and all."""
    with encoded[0].recording() as recording, av.open(str(tmp_path / "clip.mp4"), "w") as container:
        head = recording["head"]
        video = container.add_stream(f"lib{'x264' if head.spec.encoding == 'h264' else 'x265'}", rate=30)
        video.width, video.height, video.pix_fmt = head.spec.width_px, head.spec.height_px, "yuv420p"
        video.codec_context.extradata = head.spec.extradata
        for i in range(len(head)):
            packet = av.Packet(head.payload(i))
            packet.pts = packet.dts = i
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 30), video, bool(head.rows["flags"][i])
            container.mux(packet)
    assert [barcode(frame.to_ndarray(format="bgr24")) for frame in decode_all(tmp_path / "clip.mp4")] == list(range(48))
