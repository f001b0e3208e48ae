"""Distances over time: steady where single frames are wrong, unchanged where they are right."""

import numpy as np

from firsthand.retarget.distance import misfit, steady

T_NS = (np.arange(120) / 30 * 1e9).astype(np.int64)
REACH = 0.45 + 0.12 * np.sin(2 * np.pi * T_NS * 1e-9 / 2)
"""A hand to and fro once in two seconds."""


def test_what_a_hand_can_do_is_kept() -> None:
    np.testing.assert_allclose(steady(T_NS, REACH, np.full(120, 0.1)), REACH, rtol=0.05)


def test_frames_that_are_a_quarter_off_for_a_while_count_for_little() -> None:
    """As round a held object; once they were taken as they were, and put the wrist 0.2 m off."""
    seen = REACH * np.random.default_rng(0).normal(1, 0.02, 120)
    seen[50:62] *= 0.7
    out = steady(T_NS, seen, np.full(120, 0.1))
    assert np.abs(out / REACH - 1).max() < 0.15 and np.abs(out / REACH - 1)[:45].max() < 0.05


def test_what_is_sure_is_met() -> None:
    sigma = np.full(120, 0.2)
    sigma[::10] = 0.005
    out = steady(T_NS, np.where(sigma < 0.1, REACH, REACH * 1.15), sigma)
    np.testing.assert_allclose(out[::10], REACH[::10], rtol=0.01)


def test_a_pause_joins_nothing_and_equal_times_change_nothing() -> None:
    t_ns = np.concatenate([T_NS[:60], T_NS[60:] + 2_000_000_000])
    z = np.where(np.arange(120) < 60, 0.3, 0.6)
    np.testing.assert_allclose(steady(t_ns, z, np.full(120, 0.1)), z, rtol=1e-6)
    doubled = np.repeat(T_NS[:60], 2)
    np.testing.assert_array_equal(steady(doubled, REACH, np.full(120, 0.1)), REACH)
    np.testing.assert_array_equal(steady(T_NS[:3], REACH[:3], np.full(3, 0.1)), REACH[:3])


def test_a_hand_that_meets_its_picture_fits() -> None:
    points = np.random.default_rng(1).uniform((-0.08, -0.08, 0.42), (0.08, 0.08, 0.58), (4, 21, 3))
    xy = points[..., :2] / points[..., 2:]
    np.testing.assert_allclose(misfit(points, xy), 0, atol=1e-12)
    assert (misfit(points, xy * 1.2) > 0.3).all()
