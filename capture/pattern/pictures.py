"""What a pattern camera gives for a number: JPEG bytes, or raw pictures."""

import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.pattern.barcode import Barcode
from firsthand.capture.pattern.scene import Pictures, colour_loop, depth_loop

PictureKind = Literal["mjpeg", "raw", "depth"]
Picture = npt.NDArray[np.integer[Any]]
_OURS = 3
"""References to a picture of the pool that only the pool has: its list, the local name, and the call that counts them."""


def numbered(kind: PictureKind, width_px: int, height_px: int, *, loop: int, quality: int, seed: int) -> Callable[[int], bytes | Picture]:
    """A function from a number to its picture. Takes up to a second; what it returns takes next to nothing."""
    if kind == "mjpeg":
        from firsthand.capture.pattern.numbered_jpeg import NumberedJpegs

        return NumberedJpegs(colour_loop(width_px, height_px, loop, seed), quality).jpeg
    make = colour_loop if kind == "raw" else depth_loop
    return _Pool(make(width_px, height_px, loop, seed)).picture


class _Pool:
    """Raw pictures, written over only when nobody holds them any more: to copy six megabytes a frame would cost more than a camera does."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = [picture.copy() for picture in pictures]
        self._barcode = Barcode.of(pictures[0].shape[1], pictures[0].shape[0])

    def picture(self, number: int) -> Picture:
        at = number % len(self._pictures)
        picture = self._pictures[at]
        if sys.getrefcount(picture) > _OURS:  # still waiting for its encoder
            picture = self._pictures[at] = picture.copy()
        self._barcode.draw(picture, number)
        return picture
