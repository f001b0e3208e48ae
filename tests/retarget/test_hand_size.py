"""The wearer's hands: measured where something shows their size, kept in the library, refused where nothing does."""

from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.retarget.hand_depth import JointDepths
from firsthand.retarget.hand_fit import ADULT_BONES_M, rotations
from firsthand.retarget.hand_measure import measure, measure_by_depths
from firsthand.retarget.hand_place import place_by_size
from firsthand.retarget.hand_shape import shaped
from firsthand.retarget.hand_size import ADULT, HandSize, read_sizes, tracker_identity, wearer_path, write_sizes
from firsthand.retarget.hand_track import METRIC

LARGE = 1.12


def large_hands(n: int = 90) -> np.ndarray:
    """One hand, 12 % larger than the adult's, before a camera in `n` frames, (n, 21, 3)."""
    random = np.random.default_rng(3)
    shape = shaped(random.uniform(-0.04, 0.04, (1, 21, 3)), "right", ADULT_BONES_M * LARGE)
    turn = rotations(np.cumsum(random.normal(0, 0.1, (n, 3)), 0))
    points = np.einsum("nij,kj->nki", turn, shape[0])
    return points - points[:, :1] + np.stack([np.zeros(n), np.zeros(n), 0.45 + 0.05 * np.sin(np.arange(n) / 9)], 1)[:, None]


def test_a_hand_whose_joints_are_seen_is_measured() -> None:
    points = large_hands()
    noisy = points + np.random.default_rng(1).normal(0, 0.003, points.shape)
    noisy[np.random.default_rng(2).random(points.shape[:2]) < 0.3] = np.nan
    size = measure(noisy, 0.003, method="device", what="the take")
    np.testing.assert_allclose(size.bones_m, ADULT_BONES_M * LARGE, rtol=0.05)
    assert size.method == "device" and (size.sigma_m / size.bones_m < 0.05).all()


def test_lengths_that_no_hand_has_do_not_carry_the_others_with_them() -> None:
    points = large_hands()
    points[:, 20] = points[:, 19]  # a fingertip the tracker never gets right
    size = measure(points, 0.0, method="depth", what="the take")
    np.testing.assert_allclose(size.bones_m, ADULT_BONES_M * LARGE, rtol=0.06)


def test_depths_tell_size_and_how_the_tracker_misjudges_distance() -> None:
    points = large_hands()
    xy, flat = points[..., :2] / points[..., 2:], points * [1, 1, 0.6]  # the tracker sees hands flatter than they are
    depths = JointDepths(points[..., 2], np.full(points.shape[:2], 0.004), METRIC.index("depth"))
    size = measure_by_depths(flat, xy, depths, "right", tracker="model", what="the take")
    by_size = place_by_size(flat, xy, "right", size)[:, 0, 2]
    adult = place_by_size(flat, xy, "right")[:, 0, 2]
    assert abs(np.median(by_size / points[:, 0, 2]) - 1) < 0.01 < 0.03 < abs(np.median(adult / points[:, 0, 2]) - 1)
    assert size.seen_by("model") is size
    other = size.seen_by("another")
    assert other.distance == 1 and other.distance_sigma > size.distance_sigma and (other.bones_m == size.bones_m).all()


@pytest.mark.parametrize("seen", [0, 12])
def test_too_little_is_refused(seen: int) -> None:
    points = large_hands()
    points[seen:] = np.nan
    with pytest.raises(FirsthandError, match=f"size of the hand cannot be told from session-7: {seen} frames"):
        measure(points, 0.004, method="depth", what="session-7")


def test_a_hand_of_twice_the_size_is_a_wrong_depth() -> None:
    with pytest.raises(FirsthandError, match="its depths or optics are wrong"):
        measure(large_hands() * 2, 0.004, method="depth", what="the take")


def test_what_is_written_is_read_and_serves_the_other_hand_too(tmp_path: Path) -> None:
    size = HandSize(ADULT_BONES_M * 1.05, ADULT_BONES_M * 0.03, 0.957, 0.04, "abc", "depth", 412, ("s/000", "s/001"))
    assert read_sizes(tmp_path, "w07") == {}
    path = write_sizes(tmp_path, "w07", {"right": size})
    assert path == wearer_path(tmp_path, "w07") == tmp_path / "wearers" / "w07.toml"
    found = read_sizes(tmp_path, "w07")
    assert found["right"].to_json() == size.to_json()
    assert (found["left"].sigma_m > found["right"].sigma_m).all() and found["left"].distance == 0.957
    np.testing.assert_allclose(found["left"].bones_m, size.bones_m, atol=1e-5)


@pytest.mark.parametrize("text", ["nonsense", 'format = "other"', 'format = "firsthand.wearer"\nversion = 1\n[hand.left]\nbones_mm = [1]'])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = wearer_path(tmp_path, "w07")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(DamagedError, match=r"w07\.toml.*measure again with 'firsthand measure-hand', or delete it"):
        read_sizes(tmp_path, "w07")


def test_two_trackers_on_one_model_misjudge_alike() -> None:
    assert tracker_identity({"tracker": "a", "model_sha256": "m"}) == tracker_identity({"tracker": "b", "model_sha256": "m"}) == "m"
    assert tracker_identity({"tracker": "a"}) == "a" and ADULT.seen_by("a") is ADULT
