"""A hand as the coach wants to know it, and what a hand detector for it looks like."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

WRIST, MIDDLE_KNUCKLE = 0, 9
FINGERS = slice(5, 21)
"""All joints of the four fingers; thumb and wrist may be outside on a hand that is well in view."""


@dataclass(frozen=True, eq=False)
class SeenHand:
    """One hand in one picture."""

    points: npt.NDArray[np.float64]
    """21 joints in MediaPipe order, shape (21, 2), in shares of the picture's width and height; outside 0..1 where cut."""
    score: float
    """The detector's confidence, 0..1."""

    def __post_init__(self) -> None:
        set_frozen(self, "points", np.float64, (21, 2))


FindHands = Callable[[npt.NDArray[np.uint8]], list[SeenHand]]
"""BGR picture (H, W, 3) -> the hands in it. Pictures come in order of time."""

HAND_DETECTORS: dict[str, str] = {
    "litert": "firsthand.retarget.live_hands:open_hands",
    "mediapipe": "firsthand.retarget.live_hands:open_mediapipe",
}
"""Name -> ``"module:function"`` that returns a `FindHands`. One line a detector; nothing of a later layer is imported before it is asked
for."""


def points_outside(hand: SeenHand) -> tuple[int, str]:
    """How many finger joints lie outside the picture, and past which of its edges most of them do."""
    x, y = hand.points[FINGERS].T
    edges = {"left": x < 0, "right": x > 1, "upper": y < 0, "lower": y > 1}
    outside = int(np.any(list(edges.values()), axis=0).sum())
    return outside, max(edges, key=lambda edge: int(edges[edge].sum()))


def palm_widths(hand: SeenHand, shape: tuple[Any, ...]) -> float:
    """From the wrist to the middle knuckle, in widths of a picture of this shape (H, W)."""
    along = (hand.points[MIDDLE_KNUCKLE] - hand.points[WRIST]) * (1.0, shape[0] / shape[1])
    return float(np.hypot(*along))
