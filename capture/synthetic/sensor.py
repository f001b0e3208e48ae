"""From a perfect picture to what a camera and a depth sensor deliver: noise, holes, whole millimetres, bytes."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

DEPTH_UNIT_M = 0.001
DEPTH_NOISE_M = 0.0025
"""One sigma of the depth at half a metre; grows with the square of the distance."""
_JPEG_QUALITY = 92
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
if hasattr(cv2, "IMWRITE_PNG_FILTER"):  # OpenCV 4.12 on; trying out every filter takes longer than compressing
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG]
_NOISE_SIGMA = 2.0
_SPARE_PX = 64
_EDGE_M = 0.015
_MOST_M = 6.0


@dataclass(frozen=True, eq=False)
class Sensor:
    """Banks of noise larger than a picture; a frame takes a window of each at a place drawn from its number."""

    seed: int
    brightness: float
    """Of what a bright room would give."""
    grey: bool
    """Whether it sees no colours."""
    colour_noise: npt.NDArray[np.int16]
    depth_noise: npt.NDArray[np.float32]

    @classmethod
    def make(cls, seed: int, width_px: int, height_px: int, light: float = 1.0, grey: bool = False) -> "Sensor":
        """The noise of one take, in a room with this share of a bright one's light: half of the lack, in stops, is made up for by gain."""
        rng = np.random.default_rng([seed, 11])
        shape = (height_px + _SPARE_PX, width_px + _SPARE_PX)
        colour = np.rint(rng.standard_normal((*shape, 3), np.float32) * (_NOISE_SIGMA / light)).astype(np.int16)
        # A stereo sensor's noise is smooth over a few pixels: its matching window.
        depth = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 1.2)
        return cls(seed, light**0.5, grey, colour, np.asarray(depth / depth.std(), np.float32))

    def _window(self, frame: int, kind: int) -> tuple[int, int]:
        y, x = np.random.default_rng([self.seed, kind, frame]).integers(0, _SPARE_PX, 2)
        return int(y), int(x)

    def jpeg(self, frame: int, image: npt.NDArray[np.uint8]) -> bytes:
        """The picture with sensor noise, as JPEG."""
        y, x = self._window(frame, 12)
        height, width = image.shape[:2]
        seen = image if self.brightness == 1 else cv2.convertScaleAbs(image, alpha=self.brightness)
        noisy = cv2.add(seen, self.colour_noise[y : y + height, x : x + width], dtype=cv2.CV_8U)
        noisy = cv2.cvtColor(cv2.cvtColor(noisy, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if self.grey else noisy
        return bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])

    def depth_png(self, frame: int, depth_m: npt.NDArray[np.float32]) -> bytes:
        """The depth in whole millimetres as a 16-bit PNG; 0 where the sensor sees nothing: past its range, and along outlines."""
        y, x = self._window(frame, 13)
        height, width = depth_m.shape
        depth = np.minimum(depth_m, np.float32(_MOST_M))
        kernel = np.ones((3, 3), np.uint8)
        unseen = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel) > np.float32(_EDGE_M)
        unseen |= depth_m > _MOST_M
        noise = self.depth_noise[y : y + height, x : x + width]
        measured = depth + depth * depth * noise * np.float32(DEPTH_NOISE_M / 0.25)
        units = np.where(unseen, 0, np.rint(measured / np.float32(DEPTH_UNIT_M))).astype(np.uint16)
        return bytes(cv2.imencode(".png", units, _PNG)[1])
