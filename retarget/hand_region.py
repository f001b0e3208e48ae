"""The square of a picture that a hand is cut out of: turned, so that the fingers point up in it.

Places here count from the corner of a pixel, as MediaPipe's do. Geometry and constants are those of MediaPipe's hand landmark graph
(``mediapipe/modules/hand_landmark``).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PALM_SHIFT, PALM_SCALE = 0.5, 2.6
"""From the box around a palm to the hand: towards the fingers in box heights, and how much wider."""
HAND_SHIFT, HAND_SCALE = 0.1, 2.0
"""The same from the box around a hand's steady joints."""
STEADY = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Joints that stay where they are while fingers bend."""


@dataclass(frozen=True)
class Region:
    """A turned square of the picture."""

    x_px: float
    y_px: float
    """Its centre."""
    side_px: float
    turn_rad: float
    """How far it is turned, clockwise in the picture; at 0 the fingers point up."""

    def axes(self) -> Floats:
        """Its rightward and its downward direction in the picture, the columns of (2, 2)."""
        c, s = np.cos(self.turn_rad), np.sin(self.turn_rad)
        return np.array([[c, -s], [s, c]])

    def affine(self, size: int) -> Floats:
        """Takes points of the cut-out, `size` pixels wide, to the picture, shape (2, 3)."""
        axes = self.axes() * (self.side_px / size)
        centre = np.array([self.x_px, self.y_px])
        return np.column_stack([axes, centre - axes @ np.array([size / 2, size / 2])])

    def overlap(self, other: "Region") -> float:
        """Of the two upright squares with these centres and sides: intersection over union."""
        sides = (self.side_px + other.side_px) / 2
        width, height = (min(max(sides - abs(a - b), 0.0), self.side_px, other.side_px)
                         for a, b in ((self.x_px, other.x_px), (self.y_px, other.y_px)))
        both = width * height
        return both / (self.side_px**2 + other.side_px**2 - both)


def region_of_palm(box: Floats, wrist: Floats, middle: Floats) -> Region:
    """Where the hand is whose palm was found: `box` (x0, y0, x1, y1), wrist and knuckle of the middle finger (2,), all px."""
    turn = _turn(middle - wrist)
    size = box[2:] - box[:2]
    fingers = np.array([np.sin(turn), -np.cos(turn)])
    x, y = (box[:2] + box[2:]) / 2 + PALM_SHIFT * size[1] * fingers
    return Region(float(x), float(y), PALM_SCALE * float(size.max()), turn)


def region_of_hand(points_px: Floats) -> Region:
    """Where to look for a hand in the next picture that had these joints in this one, shape (21, 2)."""
    knuckles = ((points_px[5] + points_px[13]) / 2 + points_px[9]) / 2
    turn = _turn(knuckles - points_px[0])
    axes = Region(0.0, 0.0, 1.0, turn).axes()
    along = points_px[STEADY, :] @ axes
    low, high = along.min(0), along.max(0)
    x, y = axes @ ((low + high) / 2 - np.array([0.0, HAND_SHIFT * (high - low)[1]]))
    return Region(float(x), float(y), HAND_SCALE * float((high - low).max()), turn)


def _turn(towards: Floats) -> float:
    """The turn of a region in which this direction is up."""
    return float(np.arctan2(towards[0], -towards[1]))
