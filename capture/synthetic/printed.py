"""Printed boards and tags on the synthetic table, for cameras that no device tracks."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from firsthand.capture.anchor import Anchor
from firsthand.capture.errors import unknown
from firsthand.capture.synthetic.table import PX_PER_M, Table, on_texture

ANCHORS: dict[str, tuple[Anchor, tuple[float, float]]] = {
    "mat": (Anchor("mat", "charuco", 0.055, columns=5, rows=4, marker_m=0.042, dictionary="4x4_50"), (-0.14, 0.52)),
    "tag-left": (Anchor("tag-left", "apriltag", 0.09, id=3), (-0.37, 0.40)),
    "tag-right": (Anchor("tag-right", "apriltag", 0.09, id=7), (0.28, 0.40)),
}
"""By name: what is printed, and where its top left corner lies, world x and y in metres."""
_MARGIN = 1 / 8
"""Of white paper around a tag, or a board, as a share of its height."""
_TONES = (35, 225)
"""Printer's black and paper's white under the lamp."""


def printed(table: Table, names: Sequence[str]) -> Table:
    """The table with these anchors lying on it. Raises `FirsthandError` for a name that there is not."""
    texture = table.texture.copy()
    for name in names:
        if name not in ANCHORS:
            raise unknown("anchor of the synthetic wearer", name, ANCHORS)
        anchor, (x, y) = ANCHORS[name]
        width_m = anchor.size_m * max(anchor.columns, 1)
        height_m = anchor.size_m * max(anchor.rows, 1)
        size = round(width_m * PX_PER_M), round(height_m * PX_PER_M)
        margin = round(height_m * PX_PER_M * _MARGIN)
        sheet = cv2.copyMakeBorder(_print(anchor, size), *(margin,) * 4, cv2.BORDER_CONSTANT, value=(255,))
        tones = np.interp(sheet, (0, 255), _TONES).astype(np.uint8)
        column, row = (round(v) - margin for v in on_texture(x, y))
        texture[row : row + sheet.shape[0], column : column + sheet.shape[1]] = tones[..., None]
    return replace(table, texture=texture)


def _print(anchor: Anchor, size: tuple[int, int]) -> np.ndarray:
    name = "APRILTAG_36h11" if anchor.kind == "apriltag" else anchor.dictionary.upper()
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{name}"))
    if anchor.kind == "apriltag":
        return np.asarray(cv2.aruco.generateImageMarker(dictionary, anchor.id, size[0]))
    board = cv2.aruco.CharucoBoard((anchor.columns, anchor.rows), anchor.size_m, anchor.marker_m, dictionary)
    return np.asarray(board.generateImage(size, marginSize=0))
