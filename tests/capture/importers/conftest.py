"""Small real sources, and a way to bring a take of one into a library."""

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from firsthand.capture.importer import import_take, look
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode
from firsthand.capture.summary import check_recording


@pytest.fixture
def bring_in(tmp_path: Path) -> Callable[..., Episode]:
    """Import take `number` of a source, all checksums and pictures of which must be sound; returns its episode."""

    def run(path: Path, number: int = 0, **asked: Any) -> Episode:
        wanted = Asked(**asked)
        episode, new = import_take(path, look(path, wanted), number, tmp_path / "library", wanted)
        assert new
        assert check_recording(episode.recording_path) == []
        return episode

    return run


@pytest.fixture
def film() -> Callable[..., bytes]:
    """An MP4 whose frame n is grey 5 * n, 64 x 48 at 30 a second."""

    def make(frames: int = 12, *, codec: str = "libx264", b_frames: int = 0, gop: int = 4) -> bytes:
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 15360)
            stream.options = {"g": str(gop), "bf": str(b_frames)}
            for n in range(frames):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * n, np.uint8), format="bgr24")
                frame.pts, frame.time_base = n * 512, Fraction(1, 15360)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.getvalue()

    return make


@pytest.fixture
def jpegs() -> Callable[..., list[bytes]]:
    """JPEG pictures, frame n grey 5 * n."""

    def make(count: int, width: int = 64, height: int = 48) -> list[bytes]:
        return [cv2.imencode(".jpg", np.full((height, width, 3), 5 * n, np.uint8))[1].tobytes() for n in range(count)]

    return make


def greys(stream: Any) -> list[float]:
    """Mean of each picture of a stream."""
    return [float(picture.mean()) for picture in stream.images()]
