"""Hands by MediaPipe's Tasks API, on the CPU, with the networks `hand_model` packs."""

import os
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.hand_model import Progress, hand_model, model_identity
from firsthand.retarget.quiet import quiet
from firsthand.retarget.tracker import Detection

HANDS = 2
THRESHOLD = 0.3
"""For detection, presence and tracking alike: on two-hand egocentric video 0.3 finds hands in 86 % of frames, 0.5 in 78 %."""


class MediapipeTracker:
    """MediaPipe HandLandmarker in video mode."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._exit = ExitStack()
        self._landmarker: Any = None
        self._last_ms: int | None = None
        self._first_ns = 0
        self._said_all = False

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Model and thresholds."""
        return {"tracker": "mediapipe", "model_sha256": model_identity(), "hands": HANDS, "threshold": THRESHOLD}

    def __enter__(self) -> Self:
        self._last_ms = None
        os.environ.setdefault("GLOG_minloglevel", "2")
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise FirsthandError(f"the mediapipe hand tracker cannot be imported ({error}); pip install 'firsthand[hands]'") from error
        model = hand_model(self._progress)
        options = vision.HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model)), running_mode=vision.RunningMode.VIDEO, num_hands=HANDS,
            min_hand_detection_confidence=THRESHOLD, min_hand_presence_confidence=THRESHOLD, min_tracking_confidence=THRESHOLD,
        )  # fmt: skip
        try:
            with quiet():
                self._landmarker = self._exit.enter_context(vision.HandLandmarker.create_from_options(options))
        except (RuntimeError, ValueError, FileNotFoundError) as error:  # the last one: a part is missing inside the model
            raise FirsthandError(f"{model} is not a hand model that mediapipe can load: {error}") from error
        except OSError as error:  # its shared library is loaded here, by ctypes
            raise FirsthandError(_library_message(error)) from error
        self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._landmarker = None
        self._exit.close()  # not left to the garbage collector, which would do it with a TypeError at exit

    def detect(self, t_ns: int, image: npt.NDArray[np.uint8]) -> list[Detection]:
        """The hands in one BGR picture, at most two."""
        if self._last_ms is None:
            self._first_ns, self._last_ms = t_ns, -1
        self._last_ms = max((t_ns - self._first_ns) // 1_000_000, self._last_ms + 1)  # stamps must rise, in whole milliseconds
        picture = self._image(self._format, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        with nullcontext() if self._said_all else quiet():
            found = self._landmarker.detect_for_video(picture, int(self._last_ms))
        self._said_all |= bool(found.hand_landmarks)  # the landmark network says its last words when first used
        size = np.array([image.shape[1], image.shape[0]], np.float64)  # MediaPipe counts from the corner of a pixel, OpenCV from its centre
        return [Detection(points_px=np.array([(p.x, p.y) for p in points]) * size - 0.5, local_m=np.array([(p.x, p.y, p.z) for p in local]),
                          rightness=rightness(hand[0].category_name, hand[0].score), score=float(hand[0].score))
                for points, local, hand in zip(found.hand_landmarks, found.hand_world_landmarks, found.handedness, strict=True)]


def rightness(label: str, score: float) -> float:
    """MediaPipe's label and its score, 0.5..1, as -1 for a sure left hand to 1 for a sure right one.

    The Tasks API calls a real right hand in an un-mirrored picture "Right", so its label is kept.
    (The older ``mp.solutions`` calls the same hand "Left".)
    """
    certainty = 2.0 * min(max(float(score), 0.5), 1.0) - 1.0
    return certainty if label == "Right" else -certainty


def _library_message(error: OSError) -> str:
    return (f"mediapipe cannot load its library: {error}; it needs libEGL.so.1 and libGLESv2.so.2 of the system "
            "(on Debian and Ubuntu: apt install libegl1 libgles2)")
