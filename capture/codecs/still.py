"""One picture, one file: JPEG for colour, 16-bit PNG for depth. Both open in anything."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from firsthand.capture.encode import Encoder, Packets, Picture, check_picture, refuse_settings, whole_number
from firsthand.capture.errors import FirsthandError
from firsthand.capture.stream import KEYFRAME, StreamSpec

QUALITY = 90


class StillEncoder:
    """Packs each picture by itself, with a function from the picture to its bytes."""

    def __init__(self, spec: StreamSpec, encoding: str, pack: Callable[[Any], bytes]) -> None:
        self.spec = replace(spec, encoding=encoding)
        self._pack = pack

    def encode(self, image: Picture) -> Packets:
        """One packet, from which decoding can start."""
        check_picture(self.spec, image)
        return [(self._pack(image), KEYFRAME)]

    def force_keyframe(self) -> None:
        """Each picture is one already."""

    def close(self) -> Packets:
        """Nothing is held."""
        return []


def open_jpeg(spec: StreamSpec, name: str, settings: Mapping[str, str]) -> Encoder:
    """JPEG of a quality from 1 to 100."""
    import cv2

    return StillEncoder(spec, "jpeg", _cv2(".jpg", [cv2.IMWRITE_JPEG_QUALITY, whole_number(name, settings, "quality", QUALITY, 1, 100)]))


def open_png(spec: StreamSpec, name: str, settings: Mapping[str, str]) -> Encoder:
    """PNG, lossless; for depth, 16 bits a pixel."""
    import cv2

    refuse_settings(name, settings)
    # The smallest on depth for about the least work: bench/encode.py.
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # OpenCV 4.12 on; before, it picks the filter by itself
        how += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
    return StillEncoder(spec, "png", _cv2(".png", how))


def _cv2(suffix: str, how: list[int]) -> Callable[[Any], bytes]:
    import cv2

    def pack(image: Any) -> bytes:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(image), how)
        if not done:
            raise FirsthandError(f"OpenCV cannot write a picture of shape {image.shape} as {suffix}")
        return bytes(data)

    return pack
