"""JPEGs that carry their number, in a comment and in the picture, at the cost of joining bytes: nothing is encoded for a frame.

A JPEG with restart intervals is a row of pieces that decode each by itself. One piece is one cell of the barcode, so a number is
written by choosing black or white pieces made beforehand.
"""

import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.pattern.barcode import BITS, MCU_PX, Barcode, bits

_COMMENT = b"firsthand pattern "
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
"""Inside the compressed data 0xFF is followed by 0, so these are the markers and nothing else."""
_SOI, _EOI, _COM, _SOS = b"\xff\xd8", b"\xff\xd9", b"\xff\xfe", 0xDA


class NumberedJpegs:
    """A loop of pictures, encoded once, of which each number gives a JPEG of its own."""

    def __init__(self, pictures: Sequence[npt.NDArray[np.integer[Any]]], quality: int) -> None:
        height, width = pictures[0].shape[:2]
        self._interval = Barcode.of(width, height).cell_px // MCU_PX
        self._quality = quality
        black, white = (self._pieces(np.full((height, width, 3), level, np.uint8))[1][0] for level in (0, 255))
        ends = [b"\xff" + bytes([0xD0 + i % 8]) for i in range(BITS)]
        self._cells = [(black + end, white + end) for end in ends]
        self._loop = [self._around(picture) for picture in pictures]

    def _pieces(self, picture: npt.NDArray[np.integer[Any]]) -> tuple[bytes, list[bytes], bytes]:
        """The headers after the start marker, the pieces without their markers, and everything after the cells."""
        settings = [cv2.IMWRITE_JPEG_QUALITY, self._quality, cv2.IMWRITE_JPEG_RST_INTERVAL, self._interval,
                    cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
        jpeg = bytes(cv2.imencode(".jpg", picture, settings)[1])
        at = 2
        while jpeg[at + 1] != _SOS:
            at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        start = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        ends = [found.start() for found in _RESTART.finditer(jpeg, start)]
        starts = [start, *(end + 2 for end in ends)]
        pieces = [jpeg[a:b] for a, b in zip(starts[:BITS], ends, strict=False)]
        return jpeg[2:start], pieces, jpeg[starts[BITS]:]

    def _around(self, picture: npt.NDArray[np.integer[Any]]) -> tuple[bytes, bytes]:
        """What comes before and after the cells."""
        header, _, rest = self._pieces(picture)
        return header, rest

    def jpeg(self, number: int) -> bytes:
        """The picture whose turn it is, with `number` in it."""
        header, rest = self._loop[number % len(self._loop)]
        text = _COMMENT + b"%d" % number
        comment = _COM + (len(text) + 2).to_bytes(2, "big") + text
        cells = [cell[bit] for cell, bit in zip(self._cells, bits(number), strict=True)]
        return b"".join((_SOI, comment, header, *cells, rest))


def read_comment(jpeg: bytes) -> int | None:
    """The whole number in the comment of a JPEG, None where there is none; the one in the picture is this modulo `barcode.MODULUS`."""
    text = jpeg[6 : 6 + 64] if jpeg[2:4] == _COM else b""
    found = re.match(re.escape(_COMMENT) + rb"(\d+)", text)
    return int(found[1]) if found else None


