"""Suggestions on motions whose phases are known exactly."""

from itertools import pairwise

import numpy as np
import pytest

from firsthand.annotate.motion import rate, smooth
from firsthand.annotate.suggest import suggest_segments
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP, Side
from firsthand.retarget.hand_track import ABSENT, MEASURED, Hands, HandTrack

FPS = 30
PHASES = (("idle", 30), ("reach", 30), ("grasp", 15), ("transport", 40), ("release", 15), ("idle", 30))
"""A pick and place: what happens, and for how many frames."""


def hand(phases: tuple[tuple[str, int], ...] = PHASES, side: Side = "right", step_m: float = 0.01) -> HandTrack:
    """A hand that moves `step_m` a frame while reaching and transporting, and closes and opens by 8 cm."""
    step, opening = [], [0.08]
    for phase, frames in phases:
        step += [step_m if phase in ("reach", "transport") else 0.0] * frames
        opening += [opening[-1] + {"grasp": -0.07, "release": 0.07}.get(phase, 0.0) * (k + 1) / frames for k in range(frames)]
    n = len(step)
    points = np.zeros((n, 21, 3))
    points[..., 0] = np.cumsum(step)[:, None]
    points[:, THUMB_TIP, 1] = -np.array(opening[1:])
    points[:, INDEX_TIP, 1] = 0
    t_ns = np.arange(n) * 1_000_000_000 // FPS
    return track_of(t_ns, points, side)


def track_of(t_ns: np.ndarray, points: np.ndarray, side: Side = "right") -> HandTrack:
    """A track of points that were all measured."""
    n, measured = len(t_ns), np.full((len(t_ns), 21), MEASURED)
    return HandTrack(side, t_ns, points, np.zeros((n, 21, 2)), points, np.full((n, 21), 0.01), measured, np.full(n, 2), np.ones(n))


def hands(*tracks: HandTrack) -> Hands:
    """Hands in one camera's frame."""
    return Hands("head", tracks[0].t_ns, "camera", CameraCalibration.from_hfov(640, 480, 70), {track.side: track for track in tracks})


def unseen(track: HandTrack, a: int, b: int) -> HandTrack:
    """The track with frames [a, b) not seen."""
    points, provenance = np.array(track.points_m), np.array(track.provenance)
    points[a:b], provenance[a:b] = np.nan, ABSENT
    return HandTrack(track.side, track.t_ns, points, track.points_px, points, track.sigma_m, provenance, track.metric, track.score)


def test_a_pick_and_place_is_found_phase_by_phase_within_five_frames() -> None:
    found = suggest_segments(hands(hand()), FPS)["right"]
    assert [segment.label for segment in found] == [label for label, _ in PHASES]
    edges = np.cumsum([frames for _, frames in PHASES])
    assert np.abs(np.array([segment.b for segment in found]) - edges).max() <= 5
    assert all(segment.source == "rule" for segment in found)


def test_segments_of_a_hand_that_is_always_seen_leave_no_gap_and_no_crumb() -> None:
    found = suggest_segments(hands(hand()), FPS)["right"]
    assert found[0].a == 0 and found[-1].b == sum(frames for _, frames in PHASES)
    assert all(one.b == two.a for one, two in pairwise(found))
    assert min(segment.b - segment.a for segment in found) >= 5


def test_frames_in_which_the_hand_was_not_seen_belong_to_no_segment() -> None:
    found = suggest_segments(hands(unseen(hand(), 80, 100)), FPS)["right"]
    assert all(segment.b <= 80 or segment.a >= 100 for segment in found)
    assert any(segment.b == 80 for segment in found) and any(segment.a == 100 for segment in found)


def test_a_hand_never_seen_gives_nothing() -> None:
    assert suggest_segments(hands(unseen(hand(), 0, 160)), FPS) == {}


def test_a_hand_that_rests_is_idle_and_noise_is_no_grip() -> None:
    track = hand((("idle", 90),))
    noisy = np.array(track.points_m) + np.random.default_rng(0).normal(0, 0.001, track.points_m.shape)
    assert [(s.a, s.b, s.label) for s in suggest_segments(hands(track_of(track.t_ns, noisy)), FPS)["right"]] == [(0, 90, "idle")]


def test_subtasks_come_from_the_hand_that_moves_more() -> None:
    slow, fast = hand(side="left", step_m=0.004), hand((("reach", 100), ("idle", 60)), side="right")
    found = suggest_segments(hands(slow, fast), FPS)
    assert [(s.a, s.b, s.label) for s in found["subtask"]] == [(s.a, s.b, s.label) for s in found["right"]]
    assert set(found) == {"left", "right", "subtask"}


def test_twice_the_frame_rate_finds_the_same_phases_at_twice_the_frames() -> None:
    track = hand()
    t = np.arange(2 * len(track.t_ns) - 1) / 2
    columns = track.points_m.reshape(len(track.t_ns), 63).T
    points = np.stack([np.interp(t, np.arange(len(track.t_ns)), column) for column in columns], 1).reshape(len(t), 21, 3)
    double = track_of((t * 1e9 / FPS).astype(np.int64), points)
    once, twice = suggest_segments(hands(track), FPS)["right"], suggest_segments(hands(double), 2 * FPS)["right"]
    assert [s.label for s in twice] == [s.label for s in once]
    assert np.abs(np.array([s.b for s in twice]) / 2 - [s.b for s in once]).max() <= 1


def test_smoothing_keeps_a_constant_and_invents_nothing_where_nothing_was_seen() -> None:
    values = np.full(40, 3.0)
    values[10:15] = np.nan
    smoothed = smooth(values, 3)
    assert np.array_equal(np.isnan(smoothed), np.isnan(values))
    assert smoothed[~np.isnan(values)] == pytest.approx(3.0)


def test_the_rate_of_a_line_is_its_slope_also_beside_a_hole() -> None:
    t = np.arange(20) * 0.1
    values = 2 * t
    values[8] = np.nan
    slope = rate(values, t)
    assert slope[np.isfinite(values)] == pytest.approx(2.0) and np.isnan(slope[8])
