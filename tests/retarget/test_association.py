"""From single detections to one left and one right hand."""

import numpy as np
import pytest

from firsthand.capture.skeleton import Side
from firsthand.retarget.association import associate
from firsthand.retarget.pieces import LONGEST_GAP, Piece, merge_duplicates
from firsthand.retarget.tracker import Detection

WIDTH = 640
SHAPE_PX = np.random.default_rng(0).uniform(-40, 40, (21, 2))


def hand(x: float, rightness: float = 0.9, score: float = 0.9, y: float = 240.0) -> Detection:
    """A hand about 80 px across at a place in the picture."""
    return Detection(SHAPE_PX + np.array([x, y]), np.zeros((21, 3)), rightness, score)


def sides(hands: dict[Side, list[Piece]]) -> dict[Side, list[int]]:
    """The frames of each hand, in order."""
    return {side: [f for piece in pieces for f in piece.detections] for side, pieces in hands.items()}


def test_the_vote_repairs_flipped_labels() -> None:
    random = np.random.default_rng(1)
    flip = np.where(random.random((2, 200)) < 0.3, -1.0, 1.0)
    frames = [[hand(450 + 40 * np.sin(i / 9), 0.8 * flip[0, i]), hand(180 + 30 * np.cos(i / 7), -0.8 * flip[1, i])] for i in range(200)]
    assert sides(associate(frames, WIDTH).hands) == {"left": list(range(200)), "right": list(range(200))}
    for side, x in (("left", 180), ("right", 450)):
        (piece,) = associate(frames, WIDTH).hands[side]  # type: ignore[index]
        assert all(abs(d.points_px.mean(0)[0] - x) < 60 for d in piece.detections.values())


def test_a_single_hand_is_one_side_throughout_however_often_it_is_lost() -> None:
    """Each reappearance is a new piece, and its first frames are often labelled wrongly; the last piece ends before it is right."""
    visit = [[hand(300 + i, -0.7 if i < 3 else 0.9)] for i in range(40)]
    gone: list[list[Detection]] = [[]] * 10
    hands = associate([*visit, *gone, *visit, *gone, *visit[:3]], WIDTH).hands
    assert set(hands) == {"right"} and len(hands["right"]) == 3


def test_no_frame_has_two_hands_of_one_side() -> None:
    random = np.random.default_rng(2)
    places = [random.uniform(50, 600, random.integers(0, 4)) for _ in range(300)]
    frames = [[hand(x, random.uniform(-1, 1), random.uniform(0.3, 1)) for x in xs] for xs in places]
    for found in sides(associate(frames, WIDTH).hands).values():
        assert len(found) == len(set(found))


def test_a_hand_labelled_like_the_surer_one_beside_it_is_the_other() -> None:
    frames = [[hand(450, 0.95), hand(180, 0.3)] for _ in range(30)]
    hands = associate(frames, WIDTH).hands
    assert hands["left"][0].detections[0].points_px.mean(0)[0] < 250


def test_one_hand_seen_double_is_one_hand() -> None:
    frames = [[hand(300, 0.9, 0.9), hand(306, -0.4, 0.6)] for _ in range(30)]
    assert sides(associate(frames, WIDTH).hands) == {"right": list(range(30))}
    assert [d.score for d in merge_duplicates(frames[0][::-1])] == [0.9]


def test_a_near_double_does_not_become_the_other_hand() -> None:
    """Too far to be merged, too near to be a second hand of the same side."""
    frames = [[hand(300, 0.9, 0.9), hand(340, 0.5, 0.6)] for _ in range(30)]
    assert len(merge_duplicates(frames[0])) == 2
    assert set(associate(frames, WIDTH).hands) == {"right"}


def test_two_hands_passing_each_other_keep_their_sides() -> None:
    """So fast that where they pass, the nearest joints are those of the other hand."""
    frames = [[hand(125 + 35 * i, 0.9), hand(525 - 35 * i, -0.9, y=269)] for i in range(12)]
    for found, step in zip(associate(frames, WIDTH).hands.values(), (-35, 35), strict=True):
        (piece,) = found
        np.testing.assert_allclose(np.diff([d.points_px.mean(0)[0] for d in piece.detections.values()]), step)


@pytest.mark.parametrize(("gap", "pieces"), [(LONGEST_GAP, 1), (LONGEST_GAP + 1, 2)])
def test_a_hand_missing_for_longer_starts_a_new_piece(gap: int, pieces: int) -> None:
    frames = [[hand(300)]] * 10 + [[]] * gap + [[hand(300)]] * 10
    assert len(associate(frames, WIDTH).hands["right"]) == pieces


def test_a_jump_across_the_picture_is_not_one_motion() -> None:
    frames = [[hand(300)]] * 10 + [[hand(300 + 0.13 * WIDTH)]] * 10
    assert len(associate(frames, WIDTH).hands["right"]) == 2


def test_a_flicker_is_noise() -> None:
    frames = [[hand(300)] for _ in range(40)]
    frames[20] = [hand(300), hand(80, -0.9, 0.4)]
    frames[21] = [hand(300), hand(80, -0.9, 0.4)]
    assert set(associate(frames, WIDTH).hands) == {"right"}


def test_a_single_picture_is_enough_when_there_is_no_more() -> None:
    assert sides(associate([[hand(300)]], WIDTH).hands) == {"right": [0]}


def test_nothing_seen_is_no_hand() -> None:
    assert associate([[], [], []], WIDTH).hands == {} == associate([], WIDTH).hands
