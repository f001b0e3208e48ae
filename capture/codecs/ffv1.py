"""Depth as FFV1, each picture by itself: half the size of PNG, and any FFmpeg reads it."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.encode import Encoder, Packets, Picture, check_picture, refuse_settings, size_of
from firsthand.capture.errors import DamagedError
from firsthand.capture.stream import KEYFRAME, StreamSpec

OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}
"""Version 3, every picture a key frame, four parts with a checksum each."""


class Ffv1Encoder:
    """Encodes 16-bit depth."""

    def __init__(self, spec: StreamSpec) -> None:
        self._codec = _codec("w", *size_of(spec))
        self._codec.time_base = Fraction(1, 1000)
        self._codec.options = dict(OPTIONS)
        self._codec.open()
        self._count = 0
        self.spec = replace(spec, encoding="ffv1", extradata=bytes(self._codec.extradata))

    def encode(self, image: Picture) -> Packets:
        """One packet, from which decoding can start."""
        import av

        check_picture(self.spec, image)
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="gray16le")  # type: ignore[arg-type]
        frame.pts, self._count = self._count, self._count + 1
        return [(bytes(packet), KEYFRAME) for packet in self._codec.encode(frame)]

    def force_keyframe(self) -> None:
        """Each picture is one already."""

    def close(self) -> Packets:
        """Nothing is held."""
        return []


def open_ffv1(spec: StreamSpec, name: str, settings: Mapping[str, str]) -> Encoder:
    """The encoder; there is nothing to set."""
    refuse_settings(name, settings)
    return Ffv1Encoder(spec)


def decode_ffv1(payload: bytes, spec: StreamSpec) -> npt.NDArray[np.uint16]:
    """One 16-bit picture (H, W). Raises `DamagedError`."""
    import av
    from av.error import FFmpegError

    codec = _codec("r", *size_of(spec))
    codec.extradata = spec.extradata
    try:
        pictures = codec.decode(av.Packet(payload))
    except FFmpegError as error:
        raise DamagedError(f"a depth image does not decode as FFV1 ({error.strerror})") from error
    if not pictures or pictures[0].format.name != "gray16le":
        raise DamagedError("a depth image is not 16-bit FFV1")
    return pictures[0].to_ndarray()  # type: ignore[no-any-return]


def _codec(mode: str, width: int, height: int) -> Any:
    import av

    codec: Any = av.CodecContext.create("ffv1", mode)  # type: ignore[call-overload]
    codec.width, codec.height, codec.pix_fmt = width, height, "gray16le"
    codec.thread_count = 1  # pictures are small, and a device's process encodes several streams
    return codec
