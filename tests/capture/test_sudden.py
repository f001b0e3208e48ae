"""Claps and flashes, matched one to one."""

import numpy as np
import pytest

from firsthand.capture.sudden import match_events, spikes, steps

CLAPS_S = np.array([2.0, 3.1, 5.3, 6.0, 8.7])


def shock(t_s: np.ndarray, seed: int) -> np.ndarray:
    """Gravity, noise, and at each clap a spike of a few milliseconds."""
    bumps = 40 * np.exp(-(((t_s[:, None] - CLAPS_S) / 0.004) ** 2)).sum(1)
    return 9.8 + np.random.default_rng(seed).normal(0, 0.2, len(t_s)) + bumps


def ns(seconds: np.ndarray) -> np.ndarray:
    return np.rint(seconds * 1e9).astype(np.int64) + 10**14


def test_claps_felt_by_two_sensors_give_their_lag() -> None:
    t = np.arange(0, 10, 0.005)
    a, b = spikes(ns(t), shock(t, 0)), spikes(ns(t + 0.0012 + 0.037), shock(t + 0.0012, 1))
    assert len(a) == len(b) == 5
    lag = match_events(a, b, grain_s=0.007, what="claps")
    assert lag.observable and lag.lag_ns is not None and lag.error_ns is not None
    assert abs(lag.lag_ns - 37e6) <= min(lag.error_ns, 3e6)


def test_flashes_in_two_cameras_give_their_lag_to_a_part_of_a_frame() -> None:
    lit = [np.arange(0, 10, 1 / 30), np.arange(0.011, 10, 1 / 25)]
    on = [((t[:, None] > CLAPS_S) & (t[:, None] < CLAPS_S + 0.4)).any(1) for t in lit]
    noise = np.random.default_rng(0)
    a, b = (steps(ns(t), 80.0 + 60 * o + noise.normal(0, 0.5, len(t))) for t, o in zip(lit, on, strict=True))
    lag = match_events(a, b + 20_000_000, grain_s=0.052, what="flashes")
    assert lag.observable and lag.lag_ns is not None and lag.error_ns is not None
    assert abs(lag.lag_ns - 20e6) <= lag.error_ns < 25e6


def test_a_missed_clap_and_a_knock_on_the_table_are_left_over() -> None:
    a = ns(CLAPS_S)
    lag = match_events(a[1:], np.sort(np.r_[a[:-1], ns(np.array([7.4]))]) + 15_000_000, grain_s=0.005)
    assert lag.observable and lag.lag_ns == pytest.approx(15e6, abs=1)


@pytest.mark.parametrize(("a", "b", "problem"), [
    (CLAPS_S[:2], CLAPS_S, "there are 2 and 5 claps; make 3 or more"),
    (CLAPS_S, CLAPS_S + 30, "no two claps are within"),
    (np.arange(9) * 0.3, np.arange(9) * 0.3 + 0.02, "so evenly that they match at several lags"),
    (CLAPS_S, np.array([1.7, 3.3, 4.9, 6.35, 8.9]), "have a partner"),
], ids=["too few", "apart", "even", "unrelated"])  # fmt: skip
def test_events_that_do_not_tell_are_refused(a: np.ndarray, b: np.ndarray, problem: str) -> None:
    lag = match_events(ns(a), ns(b), grain_s=0.005, what="claps")
    assert problem in lag.problem


def test_noise_has_no_events() -> None:
    t = np.arange(0, 10, 0.005)
    assert len(spikes(ns(t), np.random.default_rng(0).normal(0, 1, len(t)))) == 0
    assert len(spikes(ns(t), np.full(len(t), np.nan))) == 0
