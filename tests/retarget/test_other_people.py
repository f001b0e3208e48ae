"""Whose hands these are, and a track that slid from one hand to the other."""

import numpy as np

from firsthand.retarget.association import Identity, associate
from firsthand.retarget.pieces import Piece, part_where_hands_met
from firsthand.retarget.tracker import Detection

WIDTH = 640
OPEN_PX = np.array([[0, 0], *[[-30 + 15 * f, -20 - 12 * k - (f > 0) * 15] for f in range(5) for k in range(4)]], float)
"""A hand with its fingers up the picture, wrist at 0."""


def hand(x: float, y: float, rightness: float, *, down: bool = False) -> Detection:
    """A hand whose arm comes from below, or (`down`) from above."""
    return Detection(OPEN_PX * (-1 if down else 1) + (x, y), np.zeros((21, 3)), rightness, 0.9)


def seen(identity: Identity) -> dict[str, set[int]]:
    return {side: {f for piece in pieces for f in piece.detections} for side, pieces in identity.hands.items()}


def own(i: int) -> list[Detection]:
    return [hand(420 + 10 * np.sin(i / 9), 330, 0.9), hand(220, 330 + 8 * np.cos(i / 7), -0.9)]


def test_hands_from_across_the_table_are_left_out_and_told() -> None:
    frames = [[*own(i), *([hand(330, 100, 0.95, down=True)] if 20 <= i < 60 else [])] for i in range(100)]
    identity = associate(frames, WIDTH)
    assert seen(identity) == {"left": set(range(100)), "right": set(range(100))}
    assert all(d.points_px[0, 1] > 200 for pieces in identity.hands.values() for p in pieces for d in p.detections.values())
    assert identity.findings == ["another person's hands, their arms from the top of the picture, were seen in 40 frames and left out"]


def test_they_do_not_take_the_place_of_a_hand_that_is_away() -> None:
    """The visitor's is the only right hand in half of the frames, and the surer one."""
    frames = [[hand(220, 330, -0.9), hand(420, 330, 0.6) if i < 50 else hand(400, 120, 0.99, down=True)] for i in range(100)]
    assert seen(associate(frames, WIDTH)) == {"left": set(range(100)), "right": set(range(50))}


def test_where_all_arms_come_from_above_nothing_is_left_out_and_that_is_said() -> None:
    """A camera worn upside down, or a film of somebody from in front: right is left there."""
    frames = [[hand(220, 150, 0.9, down=True), hand(420, 150, -0.9, down=True)] for _ in range(60)]
    identity = associate(frames, WIDTH)
    assert seen(identity) == {"left": set(range(60)), "right": set(range(60))}
    assert identity.hands["right"][0].detections[0].points_px[0, 0] == 220
    assert len(identity.findings) == 1 and "it is upside down" in identity.findings[0]


def test_a_third_hand_from_the_wearers_own_side_is_left_out_and_told() -> None:
    frames = [[*own(i), *([hand(560, 300, 0.5)] if i >= 70 else [])] for i in range(100)]
    identity = associate(frames, WIDTH)
    assert seen(identity) == {"left": set(range(100)), "right": set(range(100))}
    assert identity.findings == ["a third hand was seen in 30 frames and left out: it may be another person's, or one of the two may be"]


def test_the_arm_tells_the_side_where_the_network_cannot() -> None:
    frames = [[hand(420, 330, 0.02), hand(220, 330, 0.04)] for _ in range(40)]
    hands = associate(frames, WIDTH).hands
    assert {side: pieces[0].detections[0].points_px[0, 0] for side, pieces in hands.items()} == {"left": 220, "right": 420}


def test_a_track_that_slid_to_the_other_hand_is_parted_where_they_met() -> None:
    """The left hand goes under the right one, its track stays on the right hand, whose own track ends."""
    slid = Piece({i: hand(300, 330, -0.9 if i < 30 else 0.9) for i in range(60)})
    right = Piece({i: hand(310 + 4 * (30 - i), 330, 0.9) for i in range(31)})
    parts = part_where_hands_met([slid, right])
    assert sorted((p.first, p.last, bool(p.vote > 0)) for p in parts) == [(0, 29, False), (0, 30, True), (30, 59, True)]


def test_a_hand_that_met_none_is_one_hand_however_it_is_called() -> None:
    doubtful = Piece({i: hand(300, 330, -0.9 if i < 30 else 0.9) for i in range(60)})
    far = Piece({i: hand(600, 330, 0.9) for i in range(60)})
    assert part_where_hands_met([doubtful, far]) == [doubtful, far]
