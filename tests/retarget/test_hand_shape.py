"""The rigid palm: lengths and angles kept, whatever the tracker made of them."""

import numpy as np
import pytest

from firsthand.capture.skeleton import KNUCKLES, Side
from firsthand.retarget.hand_fit import ADULT_BONES_M, rotations
from firsthand.retarget.hand_shape import KNUCKLE_BONES, KNUCKLE_DIRECTIONS, best_rotations, shaped
from firsthand.retarget.metric import bone_lengths, scale_bones


def squeezed(side: Side, n: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Hands with the palm squeezed sideways by a fifth, turned at random, (n, 21, 3); and the rotations (n, 3, 3)."""
    random = np.random.default_rng(2)
    hand = scale_bones(random.uniform(-0.05, 0.05, (1, 21, 3)), ADULT_BONES_M)[0]
    hand -= hand[0]
    hand[list(KNUCKLES)] = KNUCKLE_DIRECTIONS * ADULT_BONES_M[KNUCKLE_BONES, None]
    hand *= [-1.0 if side == "left" else 1.0, 1.0, 1.0]
    R = rotations(random.normal(0, 1, (n, 3)))
    return np.einsum("nij,kj->nki", R, hand * [0.8, 1, 1]), R


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_palm_is_the_same_in_every_frame_and_turned_as_the_trackers(side: Side) -> None:
    hands, R = squeezed(side)
    made = shaped(hands, side, ADULT_BONES_M)
    np.testing.assert_allclose(bone_lengths(made), np.broadcast_to(ADULT_BONES_M, (len(made), 20)), atol=1e-12)
    palm = np.einsum("nji,nkj->nki", R, made[:, list(KNUCKLES)])  # in the hand's own axes
    wanted = KNUCKLE_DIRECTIONS * ADULT_BONES_M[KNUCKLE_BONES, None] * [-1.0 if side == "left" else 1.0, 1.0, 1.0]
    np.testing.assert_allclose(palm, np.broadcast_to(wanted, palm.shape), atol=0.003)


def test_fingers_keep_their_directions() -> None:
    hands, _ = squeezed("right")
    made = shaped(hands, "right", ADULT_BONES_M)
    for parent, joint in ((1, 2), (6, 7), (19, 20)):
        a, b = hands[:, joint] - hands[:, parent], made[:, joint] - made[:, parent]
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        np.testing.assert_allclose(cosine, 1, atol=1e-12)


def test_the_best_rotation_is_one_and_never_a_mirror_image() -> None:
    random = np.random.default_rng(0)
    points, R = random.normal(0, 1, (5, 3)), rotations(random.normal(0, 1, (8, 3)))
    np.testing.assert_allclose(best_rotations(points, np.einsum("nij,kj->nki", R, points) + 3.0), R, atol=1e-12)
    mirrored = best_rotations(points, np.broadcast_to(points * [-1, 1, 1], (1, 5, 3)))
    np.testing.assert_allclose(np.linalg.det(mirrored), 1)
