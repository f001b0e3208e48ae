"""What becomes of a camera's picture before it is a sample: nothing, unless it is broken. Packets are stored as they came."""

from collections.abc import Callable
from typing import Any

from firsthand.capture.codecs.annex_b import START, parameter_sets
from firsthand.capture.stream import KEYFRAME
from firsthand.capture.wire_formats.jpeg import EOI, jpeg_size

Passed = tuple[Any, int]
"""What to store, and its flags."""
Gate = Callable[[Any], Passed | str | None]
"""A picture -> what to store; or why it is refused; or None for one that nobody could decode yet, and that is not to be counted."""


class JpegGate:
    """Lets whole JPEGs of one size pass."""

    def __init__(self) -> None:
        self.size_px: tuple[int, int] | None = None

    def __call__(self, data: bytes) -> Passed | str:
        if not data.endswith(EOI):  # cameras fill their buffers up
            data = data.rstrip(b"\0")
        size = jpeg_size(data)
        if isinstance(size, str):
            return size
        if self.size_px is None:
            self.size_px = size
        if size != self.size_px:
            return f"it is {size[0]}x{size[1]}, and the first was {self.size_px[0]}x{self.size_px[1]}"
        return data, KEYFRAME


class VideoGate:
    """Lets H.264 or HEVC byte streams pass from the first key frame on, each key frame with its parameter sets."""

    def __init__(self, codec: str, sets: bytes = b"") -> None:
        self._codec, self.sets = codec, sets
        self._begun = False

    def __call__(self, data: bytes) -> Passed | str | None:
        kinds = _kinds(data, self._codec)
        if not kinds:
            return "it has no start code"
        if found := parameter_sets(data, self._codec):
            self.sets = found
        key = any(kind == 5 if self._codec == "h264" else 16 <= kind <= 21 for kind in kinds)
        if key and not self.sets:
            return "it is a key frame, but no parameter sets came"
        if not key and not self._begun:
            return None
        self._begun = True
        return (data if found or not key else self.sets + data), KEYFRAME if key else 0


def _kinds(data: bytes, codec: str) -> list[int]:
    """Types of the units in a packet."""
    kinds, at = [], data.find(START)
    while 0 <= at < len(data) - len(START):
        first = data[at + len(START)]
        kinds.append(first & 31 if codec == "h264" else first >> 1 & 63)
        at = data.find(START, at + len(START))
    return kinds


def raw_gate(picture: Any) -> Passed:
    """Pictures that are arrays pass as they are."""
    return picture, KEYFRAME
