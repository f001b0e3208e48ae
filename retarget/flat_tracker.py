"""A tracker for pictures whose lens bends them: it looks at flat views of them, through trackers that know only such."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.flat_views import FlatView, flat_views
from firsthand.retarget.tracker import Detection, Tracker

Picture = npt.NDArray[np.uint8]


class FlatTracker:
    """One tracker a view. A hand that two views show is found twice; what joins detections over time keeps the surer."""

    def __init__(self, tracker: Tracker, views: Sequence[FlatView]) -> None:
        self._views = [(view, deepcopy(tracker)) for view in views]
        self._entered = ExitStack()
        self.parameters: Mapping[str, Any] = tracker.parameters
        """Those of the tracker it stands for: the views follow from the camera."""

    def detect(self, t_ns: int, image: Picture) -> list[Detection]:
        """The hands in one picture."""
        return [hand for view, tracker in self._views for hand in _back(view, tracker.detect(t_ns, view.flatten(image)))]

    def detect_all(self, frames: Iterable[tuple[int, Picture]]) -> list[list[Detection]]:
        """The hands in each picture of a video."""
        view, tracker = self._views[0]
        whole = getattr(tracker, "detect_all", None)
        if len(self._views) > 1 or whole is None:
            return [self.detect(t_ns, image) for t_ns, image in frames]
        return [_back(view, hands) for hands in whole((t_ns, view.flatten(image)) for t_ns, image in frames)]

    def __enter__(self) -> Self:
        for _, tracker in self._views:
            self._entered.enter_context(tracker)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._entered.close()


def flattened(tracker: Tracker, camera: CameraCalibration) -> Tracker:
    """A tracker for a camera's pictures: the one given, not entered yet, where they are flat enough as they are."""
    views = flat_views(camera)
    return FlatTracker(tracker, views) if views else tracker


def _back(view: FlatView, hands: Iterable[Detection]) -> list[Detection]:
    return [there for hand in hands if (there := view.in_picture(hand)) is not None]
