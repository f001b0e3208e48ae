"""What a hand tracker looks like to the hands stage, and where each one lives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.plugins import find

Floats = npt.NDArray[np.float64]

DEFAULT_TRACKER = "litert"

TRACKERS: dict[str, str] = {
    "litert": "firsthand.retarget.tracker_litert:LitertTracker",
    "litert-float32": "firsthand.retarget.tracker_litert:float_tracker",
    "mediapipe": "firsthand.retarget.tracker_mediapipe:MediapipeTracker",
}
"""Name -> ``"module:function"`` that returns a `Tracker`. One line a tracker."""


@dataclass(frozen=True, eq=False)
class Detection:
    """One hand seen in one picture."""

    points_px: Floats
    """21 joints in MediaPipe order, shape (21, 2), pixels of the picture given; may lie outside it."""
    local_m: Floats
    """The joints relative to the hand, shape (21, 3), metres, along the camera's axes (x right, y down, z forward)."""
    rightness: float
    """From -1, surely a left hand, to 1, surely a right hand: the wearer's, in an un-mirrored picture."""
    score: float
    """The tracker's confidence in 0..1."""

    def __post_init__(self) -> None:
        set_frozen(self, "points_px", np.float64, (21, 2))
        set_frozen(self, "local_m", np.float64, (21, 3))


class Tracker(Protocol):
    """Finds hands in the pictures of one video, opened with ``with``; entered again, it knows nothing of what it saw before.

    Heavy libraries are imported in ``__enter__``; a missing one raises `FirsthandError` naming the extra to install.
    """

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every setting that changes the result, as plain JSON; known before it is entered."""

    def detect(self, t_ns: int, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """The hands in one BGR picture, shape (H, W, 3). Pictures come in order of time; two may share a time."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


@runtime_checkable
class WholeTracker(Tracker, Protocol):
    """One that does better when it may look ahead."""

    def detect_all(self, frames: Iterable[tuple[int, npt.NDArray[np.uint8]]]) -> list[list[Detection]]:
        """The hands in each of a video's pictures, given with their times in order, each once and none kept for long."""


def open_tracker(name: str) -> Tracker:
    """The tracker called `name`, not yet entered. Raises `FirsthandError` for a name nobody knows."""
    tracker: Tracker = find("trackers", TRACKERS, name)()
    return tracker
