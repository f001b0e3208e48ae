"""The hand tracker as the capture coach wants it: one small picture in, the hands in it out."""

from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from firsthand.capture.coach.seen_hand import SeenHand
from firsthand.retarget.tracker import DEFAULT_TRACKER, open_tracker

EVERY_NS = 333_000_000
"""Between two looks of the coach; the tracker only wants its stamps to rise."""


class LiveHands:
    """Called with a BGR picture (H, W, 3), it returns the hands in it. A few hundred pixels across are enough."""

    def __init__(self, tracker: str) -> None:
        self._exit = ExitStack()
        self._tracker = self._exit.enter_context(open_tracker(tracker))
        self._looks = 0

    def __call__(self, picture: npt.NDArray[np.uint8]) -> list[SeenHand]:
        """The hands in one picture; pictures come in order of time."""
        self._looks += 1
        size = (picture.shape[1], picture.shape[0])
        return [SeenHand((found.points_px + 0.5) / size, found.score) for found in self._tracker.detect(self._looks * EVERY_NS, picture)]

    def close(self) -> None:
        """Let the tracker go; do so before the interpreter ends."""
        self._exit.close()


def open_hands(tracker: str = DEFAULT_TRACKER) -> LiveHands:
    """A hand detector that is ready. Raises `FirsthandError` when the tracker cannot be opened."""
    return LiveHands(tracker)


def open_mediapipe() -> LiveHands:
    """The same with MediaPipe's own tracker."""
    return LiveHands("mediapipe")
