"""Smoothing: no lag, no softened contact, nothing across a gap."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP
from firsthand.retarget.hand_track import FIXED, INTERPOLATED, Hands, HandTrack, read_hands
from firsthand.retarget.smooth import smooth_path, smoothed

FPS = 30


def paths(seconds: float = 4.0, fps: float = FPS) -> tuple[np.ndarray, np.ndarray]:
    """Times and a wrist that goes back and forth by 20 cm in the picture plane, half a metre away."""
    t_s = np.arange(round(seconds * fps)) / fps
    return t_s, np.stack([0.1 * np.sin(2 * np.pi * 0.7 * t_s), 0.03 * np.cos(3 * t_s), np.full(len(t_s), 0.5)], 1)


def smooth(points: np.ndarray, t_s: np.ndarray, measured: np.ndarray | None = None) -> np.ndarray:
    return smooth_path(points, t_s, np.ones(len(t_s), bool) if measured is None else measured, np.tile([0.0, 0, 1], (len(t_s), 1)))


def jitter(errors: np.ndarray) -> float:
    return float(np.sqrt((np.diff(errors, 2, axis=0) ** 2).sum(-1).mean()))


def noisy(points: np.ndarray, lateral_m: float, depth_m: float) -> np.ndarray:
    return points + np.random.default_rng(0).normal(0, (lateral_m, lateral_m, depth_m), points.shape)


def test_noise_goes_and_the_movement_stays() -> None:
    t_s, true = paths()
    shaken = noisy(true, 0.0015, 0.008)
    path = smooth(shaken, t_s)
    assert jitter(path - true) < jitter(shaken - true) / 8
    assert np.sqrt(((path - true) ** 2).sum(1).mean()) < 0.5 * np.sqrt(((shaken - true) ** 2).sum(1).mean())


def test_there_is_no_lag() -> None:
    t_s, true = paths()
    path = smooth(noisy(true, 0.002, 0.002), t_s)
    step_s = 0.001
    lags = np.arange(-40, 41) * step_s
    late = [np.abs(np.interp(t_s[10:-10] - lag, t_s, true[:, 0]) - path[10:-10, 0]).mean() for lag in lags]
    assert abs(lags[int(np.argmin(late))]) <= 0.002


def test_time_reversed_is_the_path_reversed() -> None:
    t_s, true = paths(2.0)
    shaken = noisy(true, 0.002, 0.006)
    np.testing.assert_allclose(smooth(shaken[::-1], t_s), smooth(shaken, t_s)[::-1], atol=1e-9)


@pytest.mark.parametrize("speed_m_s", [0.2, 0.8])
def test_a_sudden_stop_stays_within_two_millimetres(speed_m_s: float) -> None:
    """A moving average of the same jitter would round the corner by centimetres."""
    t_s = np.arange(90) / FPS
    true = np.stack([np.minimum(speed_m_s * t_s, speed_m_s * 1.5), np.zeros(90), np.full(90, 0.5)], 1)
    shaken = noisy(true, 0.001, 0.004)
    path = smooth(shaken, t_s)
    around = slice(42, 50)
    assert np.abs(path[around, 0] - true[around, 0]).max() < 0.002
    rest = np.r_[10:35, 55:85]
    assert jitter(path[rest] - true[rest]) < jitter(shaken[rest] - true[rest]) / 4


def test_a_pinch_keeps_its_smallest_opening(motion: SimpleNamespace) -> None:
    true = motion.in_camera(motion.moving_hand(120))
    track = motion.hand_track(noisy(true, 0.001, 0.003))
    after = smoothed(track, None)
    opening = [np.linalg.norm(p[:, THUMB_TIP] - p[:, INDEX_TIP], axis=1) for p in (true, after.points_m)]
    tight = opening[0] < opening[0].min() + 0.004
    assert np.abs(opening[1] - opening[0])[tight].mean() < 0.0015


def test_the_beat_of_the_frames_does_not_matter() -> None:
    """Twice the frames, or some of them late: the same path where the times are the same."""
    t_s, true = paths(3.0, 60)
    shaken = true + np.cumsum(np.random.default_rng(1).normal(0, 0.0004, true.shape), 0)
    late = np.sort(t_s + np.random.default_rng(2).uniform(0, 0.006, len(t_s)))
    at = np.stack([np.interp(late, t_s, true[:, k]) for k in range(3)], 1)
    np.testing.assert_allclose(smooth(at, late), at, atol=0.002)
    np.testing.assert_allclose(smooth(shaken, t_s)[::2], smooth(shaken[::2], t_s[::2]), atol=0.003)


def test_what_is_not_measured_is_carried_by_the_frames_around_it() -> None:
    t_s, true = paths()
    measured = np.ones(len(t_s), bool)
    measured[40:44] = False
    broken = true.copy()
    broken[40:44] = 99.0
    assert np.linalg.norm(smooth(broken, t_s, measured)[38:46] - true[38:46], axis=1).max() < 0.003


def test_a_gap_is_neither_filled_nor_felt(motion: SimpleNamespace) -> None:
    """Two stretches with an absence between: each comes out as if it were alone."""
    points = noisy(motion.in_camera(motion.moving_hand(80)), 0.001, 0.003)
    points[30:50] = np.nan
    whole = smoothed(motion.hand_track(points), None)
    alone = smoothed(motion.hand_track(points[50:]), None)
    np.testing.assert_allclose(whole.points_m[50:], alone.points_m, atol=1e-9)
    assert np.isnan(whole.points_m[30:50]).all() and np.isfinite(np.delete(whole.points_m, np.s_[30:50], 0)).all()


def test_what_it_was_before_is_kept_and_written(tmp_path: object, motion: SimpleNamespace) -> None:
    track = motion.hand_track(noisy(motion.in_camera(motion.moving_hand(40)), 0.001, 0.003))
    after = smoothed(track, None)
    assert after.raw_m is not None and (after.raw_m == track.points_m).all() and not np.allclose(after.points_m, track.points_m)
    path = tmp_path / "hands.h5"  # type: ignore[operator]
    motion.hands(after).write(path)
    read: Hands = read_hands(path)
    np.testing.assert_allclose(read.tracks["right"].raw_m, track.points_m, atol=1e-6)
    motion.hands(track).write(path)
    assert read_hands(path).tracks["right"].raw_m is None


def test_what_a_person_fixed_stays(motion: SimpleNamespace) -> None:
    track: HandTrack = motion.hand_track(noisy(motion.in_camera(motion.moving_hand(40)), 0.001, 0.003))
    provenance = track.provenance.copy()
    provenance[20, INDEX_TIP], provenance[10] = FIXED, INTERPOLATED
    after = smoothed(replace(track, provenance=provenance), None)
    assert (after.points_m[20, INDEX_TIP] == track.points_m[20, INDEX_TIP]).all()
    assert (after.provenance == provenance).all()


def test_runs_too_short_to_tell_and_frames_of_one_time_are_left_alone(motion: SimpleNamespace) -> None:
    points = noisy(motion.in_camera(motion.moving_hand(4)), 0.001, 0.003)
    assert (smoothed(motion.hand_track(points), None).points_m == points).all()
    t_ns = np.array([0, 1, 1, 2, 3, 4, 5, 6]) * 33_000_000
    points = noisy(motion.in_camera(motion.moving_hand(8)), 0.001, 0.003)
    assert (smoothed(motion.hand_track(points, t_ns=t_ns), None).points_m == points).all()
