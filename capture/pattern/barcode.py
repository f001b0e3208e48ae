"""A number in a picture: black and white cells along the top, large enough to survive JPEG and H.264."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError

BITS = 32
"""24 of the number, then 8 that check it."""
MODULUS = 1 << 24
"""Numbers start again at 0 there: after six days at 30 frames a second."""
MCU_PX = 16
"""The squares that a JPEG with halved colour is made of; each cell is a row of them."""
DEPTH_LEVELS = 500, 1500
"""What black and white are in a picture of 16-bit depth."""

Picture = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Barcode:
    """Where the cells lie in pictures of one size."""

    columns: int
    """Cells in a row of the whole width, used or not."""
    cell_px: int
    """Width of a cell, a multiple of `MCU_PX`; its height is `MCU_PX`."""

    @classmethod
    def of(cls, width_px: int, height_px: int) -> "Barcode":
        """The layout for a size. Raises `FirsthandError` where there is no room for it and a picture."""
        mcus = -(-width_px // MCU_PX)
        cell = max(n for n in range(1, max(mcus // BITS, 1) + 1) if mcus % n == 0)  # rows must end where a cell does
        code = cls(mcus // cell, cell * MCU_PX)
        if width_px < 4 * MCU_PX or (-(-BITS // code.columns) + 1) * MCU_PX > height_px:
            raise FirsthandError(f"a picture of {width_px} x {height_px} has no room for its number; ask for 128 x 96 or more")
        return code

    def draw(self, picture: Picture, number: int) -> None:
        """Put a number into a picture, in place: BGR (H, W, 3) uint8 or depth (H, W) uint16."""
        black, white = _levels(picture)
        for i, bit in enumerate(bits(number)):
            picture[self._cell(i)] = white if bit else black

    def read(self, picture: Picture) -> int | None:
        """The number in a picture, None where there is none that can be read."""
        black, white = _levels(picture)
        word = 0
        for i in range(BITS):
            rows, columns = self._cell(i)
            inner = picture[rows.start + 4 : rows.stop - 4, columns.start + 4 : columns.stop - 4]
            word = word << 1 | int(inner.size > 0 and inner.mean() > (black + white) / 2)
        number = word >> 8
        return number if word & 0xFF == _check(number) else None

    def _cell(self, i: int) -> tuple[slice, slice]:
        row, column = divmod(i, self.columns)
        return slice(row * MCU_PX, (row + 1) * MCU_PX), slice(column * self.cell_px, (column + 1) * self.cell_px)


def read_barcode(picture: Picture) -> int | None:
    """The number in a decoded picture of any size that has one, None where it cannot be read."""
    return Barcode.of(picture.shape[1], picture.shape[0]).read(picture)


def bits(number: int) -> list[bool]:
    """The cells of a number, first to last; True is white."""
    number %= MODULUS
    word = number << 8 | _check(number)
    return [bool(word >> (BITS - 1 - i) & 1) for i in range(BITS)]


def _check(number: int) -> int:
    """Eight bits that depend on all of the number, and are not 0 for 0: a black picture has no number."""
    return ((number * 0x9E3779B1) >> 24 & 0xFF) ^ (number & 0xFF) ^ 0xA5


def _levels(picture: Picture) -> tuple[int, int]:
    return DEPTH_LEVELS if picture.dtype == np.uint16 else (0, 255)
