"""What one small picture, or two that follow each other, say about the camera."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Grey = npt.NDArray[np.float32]

WIDTH_PX = 320
"""Every picture is judged at this width: limits mean the same for every camera, and much of the sensor's noise is averaged away."""
CELLS = (64, 48)
SHIFT_WIDTH_PX = 128


@dataclass(frozen=True, eq=False)
class Look:
    """Measures of one picture."""

    t_ns: int
    mean: float
    """Grey level, 0..255."""
    clipped: float
    """Share of pixels above 250."""
    contrast: float
    """Deviation over mean, of `cells`."""
    detail: float
    """Fine over coarse detail, see `detail`; NaN where there is nothing coarse either."""
    texture: float
    """Mean square of the coarse detail, squared grey levels."""
    cells: Grey
    """Grey level in `CELLS`, shape (48, 64)."""
    outline: Grey
    """The grey picture for `shift_widths`, `SHIFT_WIDTH_PX` across."""


def look(t_ns: int, picture: Picture) -> Look:
    """Measure a BGR picture, shape (H, W, 3), of any size."""
    import cv2

    height = max(round(picture.shape[0] * WIDTH_PX / picture.shape[1]), 16)
    how = cv2.INTER_AREA if picture.shape[1] > WIDTH_PX else cv2.INTER_LINEAR
    grey: Any = cv2.cvtColor(cv2.resize(picture, (WIDTH_PX, height), interpolation=how), cv2.COLOR_BGR2GRAY)
    cells = np.asarray(cv2.resize(grey, CELLS, interpolation=cv2.INTER_AREA), np.float32)
    outline = cv2.resize(grey, (SHIFT_WIDTH_PX, max(height * SHIFT_WIDTH_PX // WIDTH_PX, 8)), interpolation=cv2.INTER_AREA)
    mean, (fine, coarse) = float(grey.mean()), detail(grey)
    return Look(t_ns, mean, float((grey > 250).mean()), float(cells.std()) / max(mean, 1.0),
                float(np.sqrt(fine / coarse)) if coarse else float("nan"), coarse, cells, np.asarray(outline, np.float32))


def detail(grey: npt.NDArray[Any]) -> tuple[float, float]:
    """Mean squares of what a picture has between 1 and 2 pixels of Gaussian blur, and between 3 and 6.

    Scenes look alike at every scale, so the root of their ratio hardly depends on the scene: defocus and motion lower it. Of sensor
    noise next to nothing lies in either band.
    """
    import cv2

    levels = [cv2.GaussianBlur(grey.astype(np.float32), (0, 0), sigma) for sigma in (1.0, 2.0, 3.0, 6.0)]
    return float(((levels[0] - levels[1]) ** 2).mean()), float(((levels[2] - levels[3]) ** 2).mean())


def shift_widths(before: Look, after: Look) -> float | None:
    """How far the scene moved between two pictures, in widths of the picture; None where too little of it is the same to tell."""
    import cv2

    if before.outline.shape != after.outline.shape:
        return None
    size = (before.outline.shape[1], before.outline.shape[0])
    (x, y), response = cv2.phaseCorrelate(before.outline, after.outline, cv2.createHanningWindow(size, cv2.CV_32F))
    return float(np.hypot(x, y)) / SHIFT_WIDTH_PX if response > 0.05 else None
