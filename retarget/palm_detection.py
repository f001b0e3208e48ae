"""Palms in a whole picture, by MediaPipe's palm network. Parameters are those of ``mediapipe/modules/palm_detection``."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.retarget.hand_region import Region, region_of_palm
from firsthand.retarget.network import Network, Pixels

Floats = npt.NDArray[np.float64]

GRIDS = ((24, 2), (12, 6))
"""Cells across, and anchors a cell."""
SAME_PALM = 0.3
"""Boxes that overlap by more are of one palm: intersection over union."""
WRIST, MIDDLE_MCP = 0, 2
"""Of a palm's seven key points."""


@dataclass(frozen=True)
class Palm:
    """A palm that was found."""

    region: Region
    score: float
    """0..1."""


def anchors() -> Floats:
    """The centres that the network's boxes count from, in shares of its picture, shape (2016, 2)."""
    grids = []
    for cells, repeats in GRIDS:
        y, x = np.divmod(np.arange(cells * cells), cells)
        grids.append(np.repeat((np.stack([x, y], 1) + 0.5) / cells, repeats, axis=0))
    return np.concatenate(grids)


class PalmDetection:
    """The palm network with its anchors and buffers."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._anchors = anchors()
        self._canvas = np.zeros((network.size, network.size, 3), np.uint8)
        self._inside = (0, 0, 0, 0)

    def __call__(self, image: Pixels, threshold: float) -> list[Palm]:
        """The palms of a BGR picture, surest first."""
        height, width = image.shape[:2]
        size = self._network.size
        scale = size / max(width, height)
        w, h = max(round(width * scale), 1), max(round(height * scale), 1)
        x, y = (size - w) // 2, (size - h) // 2
        if self._inside != (x, y, w, h):  # the border is black; pictures of one video have one shape
            self._canvas[:] = 0
            self._inside = (x, y, w, h)
        cv2.resize(image, (w, h), dst=self._canvas[y : y + h, x : x + w], interpolation=cv2.INTER_AREA)
        boxes, logits = self._network(self._canvas)
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -100, 100)))
        likely = np.flatnonzero(scores >= threshold)
        if len(likely) == 0:
            return []
        raw = boxes.reshape(len(scores), -1)[likely].astype(np.float64)
        centres = raw[:, :2] / size + self._anchors[likely]
        halves = raw[:, 2:4] / size / 2
        points = raw[:, 4:].reshape(len(likely), -1, 2) / size + self._anchors[likely, None]
        found = np.concatenate([centres - halves, centres + halves, points.reshape(len(likely), -1)], 1)
        # From shares of the network's picture to pixels of ours.
        found = (found.reshape(len(likely), -1, 2) * size - (x, y)) * (width / w, height / h)
        return [Palm(region_of_palm(palm[:2].reshape(4), palm[2 + WRIST], palm[2 + MIDDLE_MCP]), score)
                for palm, score in blend(found, scores[likely])]


def blend(found: Floats, scores: Floats) -> list[tuple[Floats, float]]:
    """Boxes of one palm as one: their mean weighted by score, with the best score; surest first.

    `found` (N, 2 + K, 2) are two corners and K points each, `scores` (N,).
    """
    out = []
    left = np.argsort(-scores, kind="stable")
    while len(left):
        same = _overlap(found[left, :2], found[left[0], :2]) > SAME_PALM
        same[0] = True
        these = left[same]
        out.append((np.average(found[these], axis=0, weights=scores[these]), float(scores[left[0]])))
        left = left[~same]
    return out


def _overlap(boxes: Floats, box: Floats) -> Floats:
    """Intersection over union of boxes (N, 2, 2) with one (2, 2)."""
    both = np.clip(np.minimum(boxes[:, 1], box[1]) - np.maximum(boxes[:, 0], box[0]), 0, None).prod(1)
    return np.asarray(both / ((boxes[:, 1] - boxes[:, 0]).prod(1) + (box[1] - box[0]).prod() - both))
