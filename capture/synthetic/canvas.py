"""The picture being painted: colour, depth, and which body each pixel shows."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.raster import Box

Floats = npt.NDArray[np.floating[Any]]
LIGHT = np.array([-0.35, 0.15, 0.925]) / np.linalg.norm([-0.35, 0.15, 0.925])
"""Towards the lamp, in world axes: above, a little left and behind the table."""
_TIE_M = 2e-5
"""Neighbouring strips share their border pixels: what was painted first stays."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """Painted in place, from far to near or in any order: depth decides."""

    image: npt.NDArray[np.uint8]
    """BGR, shape (H, W, 3)."""
    depth: npt.NDArray[np.float32]
    """Metres along the optical axis, shape (H, W); infinite where nothing is."""
    body: npt.NDArray[np.uint8]
    """Number of the body seen, shape (H, W); 0 is the table and what is behind it."""

    def paint(self, box: Box, depth: Floats, colour: Floats, number: int) -> None:
        """Paint the pixels of a box where `depth` (H, W) is nearer than what is there; `colour` is (3,) or (H, W, 3)."""
        here = self.depth[box.slices]
        nearer = depth < here - np.float32(_TIE_M)
        np.copyto(here, depth.astype(np.float32, copy=False), where=nearer)
        np.copyto(self.image[box.slices], np.clip(colour, 0, 255).astype(np.uint8), where=nearer[..., None])
        self.body[box.slices][nearer] = number

    def soften_edges(self) -> None:
        """Blur the pixels on either side of every outline, as a lens and a pixel of some size do."""
        edge = np.zeros(self.body.shape, np.uint8)
        across, down = self.body[:, 1:] != self.body[:, :-1], self.body[1:] != self.body[:-1]
        edge[:, 1:] |= across
        edge[:, :-1] |= across
        edge[1:] |= down
        edge[:-1] |= down
        cv2.copyTo(cv2.GaussianBlur(self.image, (3, 3), 0.8), edge, self.image)
