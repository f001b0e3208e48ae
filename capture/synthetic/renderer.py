"""One frame of the synthetic world: a colour picture and the exact depth of every pixel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.canvas import Canvas
from firsthand.capture.synthetic.flesh import skin_spheres
from firsthand.capture.synthetic.raster import View
from firsthand.capture.synthetic.skin import Look, paint_hand
from firsthand.capture.synthetic.solids import Beads, Sheet, Solid
from firsthand.capture.synthetic.table import Shadows, Table

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Renderer:
    """Paints frames; holds nothing that changes, so any thread may use it."""

    table: Table
    look: Look
    other: Look
    """Of somebody else at the table."""

    def render(self, view: View, solids: Sequence[Solid], hands_m: Mapping[Side, Floats],
               others_m: Sequence[tuple[Side, Floats]] = ()) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """Colour (H, W, 3) BGR, and depth (H, W) in metres along the optical axis, infinite past the table.

        `hands_m`: the 21 world joints of each hand, shape (21, 3); `others_m`: of somebody else's.
        """
        image, depth = self.table.backdrop(view)
        canvas = Canvas(image, depth, np.zeros(depth.shape, np.uint8))
        cloths = [solid for solid in solids if isinstance(solid, Sheet)]
        for number, cloth in enumerate(cloths, 1):  # shadows fall on cloth as on the table
            cloth.paint(canvas, view, number)
        hands = [(side, points, self.look) for side, points in hands_m.items()]
        hands += [(side, points, self.other) for side, points in others_m]
        _darken(canvas.image, _shadows(solids, [points for _, points, _ in hands]).light(view))
        number = len(cloths)
        for solid in solids:
            if not isinstance(solid, Sheet):
                number += 1
                solid.paint(canvas, view, number)
        for side, points, look in hands:
            number += 1
            paint_hand(canvas, view, points, side, look, number)
        canvas.soften_edges()
        return canvas.image, canvas.depth


def _shadows(solids: Sequence[Solid], hands_m: Sequence[Floats]) -> Shadows:
    shadows = Shadows()
    for solid in solids:
        if isinstance(solid, Beads):
            shadows.spheres(solid.points_m, solid.radii_m)
        elif isinstance(solid, Sheet):
            for quad in solid.quads_m():
                if quad[:, 2].max() > 0.012:
                    shadows.hull(quad)
        else:
            shadows.hull(solid.outline_m())
    for points in hands_m:
        centres, radii = skin_spheres(points, sleeve=False)
        shadows.spheres(centres[::2], radii[::2])
    return shadows


def _darken(image: npt.NDArray[np.uint8], light: npt.NDArray[np.uint8]) -> None:
    cv2.multiply(image, cv2.merge([light, light, light]), dst=image, scale=1 / 255)
