"""A device's joints at the times of frames: without lag, without bridging, and honest about what was measured."""

import numpy as np
import pytest

from firsthand.retarget.hand_resample import LONGEST_GAP_S, resample

JOINTS = np.random.default_rng(0).uniform(-0.05, 0.05, (3, 3))


def path(t_ns: np.ndarray) -> np.ndarray:
    """Three joints of a hand that swings and turns, (N, 3, 3)."""
    s = t_ns[:, None] * 1e-9
    angle = 0.8 * np.sin(4 * s)
    turned = np.stack([JOINTS[:, 0] * np.cos(angle) - JOINTS[:, 1] * np.sin(angle),
                       JOINTS[:, 0] * np.sin(angle) + JOINTS[:, 1] * np.cos(angle), JOINTS[:, 2] + 0 * angle], -1)
    return turned + np.stack([0.2 * np.sin(3 * s), 0.1 * np.cos(5 * s), 0.4 + 0 * s], -1)


@pytest.mark.parametrize(("rate_hz", "off_m"), [(90, 2e-5), (60, 1e-4), (30, 1e-3)])
def test_a_swinging_hand_comes_out_where_it_was_without_lag(rate_hz: int, off_m: float) -> None:
    at = np.arange(0, 2_000_000_000, 1_000_000_000 // rate_hz)
    frames = np.arange(100_000_000, 1_900_000_000, 33_333_333)
    found = resample(frames, at, path(at))
    np.testing.assert_allclose(found.points_m, path(frames), atol=off_m)
    assert found.measured.all()


def test_two_samples_of_one_time_and_samples_out_of_order_do_no_harm() -> None:
    at = np.arange(0, 1_000_000_000, 16_666_667)
    mixed = np.r_[at, at[5]][np.random.default_rng(1).permutation(len(at) + 1)]
    frames = np.arange(50_000_000, 900_000_000, 33_333_333)
    np.testing.assert_allclose(resample(frames, mixed, path(mixed)).points_m, path(frames), atol=2e-4)


def test_a_short_gap_is_interpolated_and_said_so_and_a_longer_one_is_not_crossed() -> None:
    at = np.arange(0, 2_000_000_000, 10_000_000)
    values = path(at)
    values[(at > 500_000_000) & (at < 650_000_000)] = np.nan  # 150 ms without it
    values[(at > 1_000_000_000) & (at < 1_000_000_000 + (LONGEST_GAP_S + 0.02) * 1e9)] = np.nan
    frames = np.arange(0, 1_990_000_000, 33_333_333)
    found = resample(frames, at, values)
    short = (frames > 506_000_000) & (frames < 644_000_000)
    long = (frames > 1_000_000_000) & (frames < 1_000_000_000 + int((LONGEST_GAP_S + 0.01) * 1e9))
    assert np.isfinite(found.points_m[short]).all() and not found.measured[short].any()
    assert np.isnan(found.points_m[long]).all() and not found.measured[long].any()
    assert np.isfinite(found.points_m[~long]).all() and found.measured[~long & ~short].all()
    assert found.curve_s2[short].max() > 100 * found.curve_s2[~short & ~long].max()


def test_nothing_is_held_beyond_the_ends_and_a_joint_that_is_never_told_stays_unknown() -> None:
    at = np.arange(500_000_000, 1_000_000_000, 10_000_000)
    values = path(at)
    values[:, 1] = np.nan
    found = resample(np.array([0, 499_999_999, 500_000_000, 990_000_000, 990_000_001]), at, values)
    assert np.isfinite(found.points_m[:, 0, 0]).tolist() == [False, False, True, True, False]
    assert np.isnan(found.points_m[:, 1]).all()


def test_a_joint_that_drops_out_leaves_the_others_as_they_are() -> None:
    at = np.arange(0, 1_000_000_000, 10_000_000)
    values = path(at)
    values[20:60, 2] = np.nan
    frames = np.arange(0, 990_000_000, 33_333_333)
    found = resample(frames, at, values)
    np.testing.assert_array_equal(found.points_m[:, :2], resample(frames, at, path(at)).points_m[:, :2])
    assert np.isnan(found.points_m[(frames > 200_000_000) & (frames < 590_000_000), 2]).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_samples_are_no_trouble(count: int) -> None:
    at = np.arange(count) * 10_000_000
    found = resample(np.array([0, 5_000_000]), at, path(at))
    assert np.isfinite(found.points_m[:, 0, 0]).tolist() == [count > 0, count > 1]
