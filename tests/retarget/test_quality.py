"""What is told of an episode's hands, and that nothing is told when all is well."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, METRIC, Hands, HandTrack
from firsthand.retarget.quality import assess, told

DEPTH = METRIC.index("depth")


def steady(motion: SimpleNamespace, frames: int = 120) -> HandTrack:
    track: HandTrack = motion.hand_track(motion.in_camera(motion.moving_hand(frames)))
    camera = CameraCalibration.from_hfov(640, 480, 70)
    return replace(track, points_px=track.points_m[..., :2] / track.points_m[..., 2:] * camera.K[0, 0] + camera.K[:2, 2])


def sentences(motion: SimpleNamespace, track: HandTrack) -> list[str]:
    hands: Hands = motion.hands(track)
    return told(assess(hands), len(hands.t_ns))


def changed(track: HandTrack, points: np.ndarray) -> HandTrack:
    return replace(track, points_m=points)


def test_a_good_hand_is_worth_no_sentence_and_its_figures_are_json(motion: SimpleNamespace) -> None:
    track = steady(motion)
    assert sentences(motion, track) == []
    (quality,) = assess(motion.hands(track))
    document = json.loads(json.dumps(quality.to_json()))
    assert document["seen"] == document["frames"] == 120 and document["depth_ratio"] is None and document["bone_spread"] < 0.02


def test_no_hand_at_all_is_one_sentence() -> None:
    assert told([], 48) == ["no hand was seen in any of the 48 frames"]


def test_gaps_and_what_was_filled_are_told(motion: SimpleNamespace) -> None:
    track = steady(motion)
    provenance, points = track.provenance.copy(), track.points_m.copy()
    provenance[40:90], points[40:90] = ABSENT, np.nan
    provenance[0:10] = INTERPOLATED
    assert sentences(motion, replace(track, provenance=provenance, points_m=points)) == [
        "the right hand was seen in 70 of 120 frames (58 %)", "the right hand was out of sight for more than 1 s once, at most 1.7 s",
        "the right hand was filled in between others in 10 of the 70 frames it is known in"]


def test_a_jump_no_arm_can_make_is_told_even_where_it_was_smoothed(motion: SimpleNamespace) -> None:
    track = steady(motion)
    points = track.points_m.copy()
    points[60:] += (0.3, 0, 0)
    assert sentences(motion, replace(track, raw_m=points)) == ["the right hand jumps once, faster than an arm can move"]
    provenance = track.provenance.copy()
    provenance[50:70], points[50:70] = ABSENT, np.nan
    assert not any("jumps" in s for s in sentences(motion, replace(track, points_m=points, provenance=provenance)))  # it had the time


def test_bones_that_change_their_lengths_are_told(motion: SimpleNamespace) -> None:
    track = steady(motion)
    noise = np.random.default_rng(0).normal(0, 0.008, track.points_m.shape)
    (sentence,) = sentences(motion, changed(track, track.points_m + noise))
    assert "bones change their lengths" in sentence


def test_depth_that_disagrees_with_the_hands_size_is_told(motion: SimpleNamespace) -> None:
    track = replace(steady(motion), metric=np.full(120, DEPTH))
    assert not any("depth image" in s for s in sentences(motion, track))
    (sentence,) = sentences(motion, changed(track, track.points_m * 0.6))
    assert "puts the right hand" in sentence and "nearer than its size suggests" in sentence
