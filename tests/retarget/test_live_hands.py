"""The tracker as the capture coach uses it: small pictures, three a second."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from firsthand.capture.coach.coach import Coach
from firsthand.capture.coach.seen_hand import HAND_DETECTORS, FindHands
from firsthand.capture.plugins import find

S = 1_000_000_000


@pytest.fixture(scope="module", params=HAND_DETECTORS)
def find_hands(request: pytest.FixtureRequest) -> Iterator[FindHands]:
    found = find("hand_detectors", HAND_DETECTORS, request.param)()
    yield found
    found.close()


@pytest.mark.parametrize(("right_px", "wanted"), [(1280, set()), (560, {"hands"}), (740, {"hands-cut"})], ids=["whole", "away", "cut"])
def test_the_coach_sees_whether_a_real_hand_is_in_view(shared: Path, find_hands: FindHands, right_px: int, wanted: set[str]) -> None:
    """The hand is between 600 and 900 of the picture's 1280 pixels; the picture ends at `right_px`."""
    coach, video = Coach(), cv2.VideoCapture(str(shared / "data/media/hands/human_hand_video.mp4"))
    for k in range(24):
        for _ in range(10):
            video.grab()
        picture = video.retrieve()[1][:, :right_px]
        small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        coach.hands(k * S // 3, find_hands(small))
    assert {advice.gate for advice in coach.advice(8 * S)} == wanted
