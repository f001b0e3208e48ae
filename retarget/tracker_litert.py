"""Hands by MediaPipe's networks run directly by LiteRT: for less than by its Tasks API, and better followed.

A hand once found is followed: the region to look in comes from its joints in the picture before. The palm network, which looks at whole
pictures, runs when a hand was lost and then every `PALM_EVERY_NS` while one is missing. A hand that is found is followed back in time too.
"""

import zipfile
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.hand_landmarks import HandLandmarks, Landmarks
from firsthand.retarget.hand_model import MODEL_SHA256, PARTS, Progress, hand_model, model_identity
from firsthand.retarget.hand_region import Region
from firsthand.retarget.int8_network import to_int8
from firsthand.retarget.network import Network, Pixels
from firsthand.retarget.palm_detection import PalmDetection
from firsthand.retarget.tracker import Detection

HANDS = 2
"""A wearer has, one of each side."""
MOST_HANDS = 4
"""Other people's hands must not keep the wearer's from being found."""
PALM_THRESHOLD = 0.3
PRESENCE_THRESHOLD = 0.3
PALM_EVERY_NS, SURVEY_EVERY_NS = 250_000_000, 2_000_000_000
"""Between looks at the whole picture: while a hand of the wearer's is missing, and while none seems to be."""
SAME_REGION = 0.5
"""A palm whose region overlaps a followed hand's by more is that hand: intersection over union."""
SAME_HAND = 0.2
"""Two hands whose joints are closer on average, in shares of a hand's extent, are one."""
LOOK_BACK_NS = 500_000_000
LOOK_BACK_BYTES = 128_000_000
"""A hand that was found is followed back in time too, through so many pictures."""


Precision = Literal["int8", "float32"]


class LitertTracker:
    """Hands, each followed until the landmark network no longer sees one.

    With `precision` ``int8`` that network runs mostly in 8-bit integers, in about half the time; of a model that is not the published one
    it always runs in single precision.
    """

    def __init__(self, progress: Progress | None = None, *, precision: Precision = "int8") -> None:
        self._progress = progress
        self._wanted = precision
        self._palms: Any = None
        self._landmarks: Any = None
        self._hands: list[Landmarks] = []
        self._palms_ns: int | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Model, thresholds and intervals."""
        model = model_identity()
        return {"tracker": "litert", "model_sha256": model, "precision": self._precision(model), "hands": HANDS,
                "most_hands": MOST_HANDS, "palm_threshold": PALM_THRESHOLD, "presence_threshold": PRESENCE_THRESHOLD,
                "palm_every_ns": PALM_EVERY_NS, "survey_every_ns": SURVEY_EVERY_NS, "same_region": SAME_REGION,
                "same_hand": SAME_HAND, "look_back_ns": LOOK_BACK_NS, "look_back_bytes": LOOK_BACK_BYTES}

    def __enter__(self) -> Self:
        if self._landmarks is None:
            self._load(hand_model(self._progress))
        self._hands, self._palms_ns = [], None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass  # there is nothing to close; the networks stay for the next video

    def _load(self, model: Path) -> None:
        try:
            with zipfile.ZipFile(model) as parts:
                palms, landmarks = (parts.read(name) for name in PARTS)
            if self._precision(model_identity()) == "int8":
                landmarks = to_int8(landmarks)
            self._palms, self._landmarks = PalmDetection(Network(palms)), HandLandmarks(Network(landmarks))
        except ImportError as error:
            raise FirsthandError(f"the litert hand tracker cannot be imported ({error}); pip install 'firsthand[hands]'") from error
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise FirsthandError(f"{model} is not a hand model that LiteRT can load: {error}") from error

    def _precision(self, model: str) -> Precision:
        return self._wanted if model == MODEL_SHA256 else "float32"

    def detect(self, t_ns: int, image: Pixels) -> list[Detection]:
        """The hands in one BGR picture."""
        self._step(t_ns, image)
        return [_detection(hand) for hand in self._hands]

    def detect_all(self, frames: Iterable[tuple[int, Pixels]]) -> list[list[Detection]]:
        """The hands in each of the pictures of one video, given with their times.

        As `detect`, and besides a hand that is found is followed back to where it came into sight, or was lost.
        """
        found: list[list[Landmarks]] = []
        recent: deque[tuple[int, Pixels]] = deque()
        for t_ns, image in frames:
            new = self._step(t_ns, image)
            found.append(list(self._hands))
            for hand in new:
                self._follow_back(hand, recent, found)
            recent.append((t_ns, image))
            while recent and (t_ns - recent[0][0] > LOOK_BACK_NS or len(recent) * image.nbytes > LOOK_BACK_BYTES):
                recent.popleft()
        return [[_detection(hand) for hand in hands] for hands in found]

    def _step(self, t_ns: int, image: Pixels) -> list[Landmarks]:
        """Look at the next picture; returns the hands that were not followed into it but found."""
        before = len(self._hands)
        self._hands = distinct([hand for last in self._hands if (hand := self._look(image, last.next_region))])
        every_ns = SURVEY_EVERY_NS if len(self._hands) >= HANDS and len({hand.rightness > 0 for hand in self._hands}) > 1 else PALM_EVERY_NS
        if self._palms_ns is not None and 0 <= t_ns - self._palms_ns < every_ns and len(self._hands) >= min(before, HANDS):
            return []
        self._palms_ns = t_ns
        new: list[Landmarks] = []
        for palm in self._palms(image, PALM_THRESHOLD):
            if len(self._hands) == MOST_HANDS:
                break
            if any(palm.region.overlap(hand.next_region) > SAME_REGION for hand in self._hands):
                continue
            hand = self._look(image, palm.region)
            if hand and all(hand.apart(other) > SAME_HAND for other in self._hands):
                self._hands.append(hand)
                new.append(hand)
        return new

    def _look(self, image: Pixels, region: Region) -> Landmarks | None:
        """The hand in a region, if there is one."""
        if not (region.side_px >= 4 and -region.side_px < region.x_px < image.shape[1] + region.side_px
                and -region.side_px < region.y_px < image.shape[0] + region.side_px):
            return None
        hand: Landmarks = self._landmarks(image, region)
        return hand if hand.presence >= PRESENCE_THRESHOLD else None

    def _follow_back(self, hand: Landmarks, recent: Iterable[tuple[int, Pixels]], found: list[list[Landmarks]]) -> None:
        """Add a hand to the pictures before the last of `found`, as far as it is seen and was not known."""
        for hands, (_, image) in zip(reversed(found[:-1]), reversed(recent), strict=False):  # type: ignore[call-overload]
            earlier = self._look(image, hand.next_region) if len(hands) < MOST_HANDS else None
            if earlier is None or any(earlier.apart(other) <= SAME_HAND for other in hands):
                return
            hands.append(earlier)
            hand = earlier


def distinct(hands: list[Landmarks]) -> list[Landmarks]:
    """Those hands that are not a surer one seen twice, in their order."""
    return [hand for i, hand in enumerate(hands)
            if not any(hand.apart(other) <= SAME_HAND and (other.presence, -j) > (hand.presence, -i)
                       for j, other in enumerate(hands) if j != i)]


def _detection(hand: Landmarks) -> Detection:
    return Detection(hand.points_px - 0.5, hand.local_m, hand.rightness, hand.presence)  # OpenCV counts from the centre of a pixel


def float_tracker() -> LitertTracker:
    """The tracker with every network in single precision: MediaPipe's joints to the fraction of a pixel, at twice the cost."""
    return LitertTracker(precision="float32")
