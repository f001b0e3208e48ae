"""Gloves and vision together, on modelled hands of the synthetic wearer (bench/fusion.py in short)."""

import json
import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.skeleton import SIDES, TIPS, WRIST
from firsthand.capture.synthetic.hand import bone_lengths_m, glove_rad
from firsthand.capture.synthetic.hand import joints_m as true_joints_m
from firsthand.retarget.fusion import fuse
from firsthand.retarget.glove_calibration import GloveCalibration, calibrate_glove, channels_at, eye_m
from firsthand.retarget.glove_channels import columns_of, glove_values, linear_of
from firsthand.retarget.glove_file import read_gloves, write_gloves
from firsthand.retarget.glove_model import ANGLES, MIRROR, angles_of, by_angle, joints_m, shape_of
from firsthand.retarget.gloves_on import unseen, with_gloves
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_track import ABSENT, FIXED, FUSED, GLOVE, INTERPOLATED, MEASURED

BENCH = Path(__file__).parents[2] / "bench" / "fusion.py"
RIGHT = "right"


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A take of 22 s, its modelled hands, and the right glove's calibration by it."""
    bench = runpy.run_path(str(BENCH), run_name="fusion")
    wearer, recording, hands = bench["take"](5, tmp_path_factory.mktemp("worn"), seconds=22.0)
    calibration = calibrate_glove(recording, hands, RIGHT, bench["known_size"](5))
    truth = wearer.truth().hands[RIGHT].points_m
    with recording:
        yield SimpleNamespace(bench=bench, wearer=wearer, recording=recording, hands=hands, calibration=calibration, true=truth)


def channels_of(worn: SimpleNamespace) -> Any:
    glove, one = worn.recording[worn.calibration.stream], worn.calibration
    names, _, values = glove_values(glove)
    return channels_at(worn.hands.t_ns, glove.t_ns - one.late_ns, columns_of(one.linear, names, values))


def tips_mm(points: Any, true: Any) -> float:
    off = (points - points[:, :1] - true + true[:, :1])[:, list(TIPS)]
    return float(np.nanmedian(np.linalg.norm(off, axis=-1)) * 1e3)


# the forward model


def test_the_model_bends_as_the_synthetic_hand_does() -> None:
    """Given its bones, its palm and its angles: fingers to a few millimetres, the thumb by its own frame only roughly."""
    articulation = np.random.default_rng(0).uniform(0.1, 0.7, (40, 16))
    articulation[:, 12] = 1.0
    shape = replace(shape_of(bone_lengths_m()), palm_m=(true_joints_m(np.zeros((1, 16)))[0] * (1, -1, -1))[1::4])
    off = np.linalg.norm(joints_m(glove_rad(articulation), shape) - true_joints_m(articulation) * (1, -1, -1), axis=-1)
    assert off[:, 5:].max() < 0.008 and np.median(off[:, 5:]) < 0.001
    assert np.median(off[:, 4]) < 0.03


def test_angles_are_read_back_from_joints_whatever_the_hand_and_where_it_is() -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform(0, 0.5, (30, 20))
    angles[:, 3::4] = rng.uniform(-0.2, 0.2, (30, 5))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    for side in SIDES:
        points = joints_m(angles, shape_of(ADULT_BONES_M * 0.9), side) @ turn.T + (1, 2, 3)
        assert np.abs(angles_of(points, side) - angles).max() < 1e-9


def test_derivatives_agree_with_finite_differences() -> None:
    angles, shape = np.full((1, 20), 0.3), shape_of(ADULT_BONES_M)
    for k in (0, 3, 6, 11, 19):
        step = np.eye(20)[k] * 1e-4
        difference = (joints_m(angles + step, shape, "left") - joints_m(angles - step, shape, "left")) / 2e-4
        assert np.abs(by_angle(angles, shape, "left")[..., k] - difference).max() < 1e-6


def test_a_left_hand_is_the_mirror_image_of_a_right_one() -> None:
    angles, shape = np.random.default_rng(2).uniform(0, 1, (3, 20)), shape_of(ADULT_BONES_M)
    assert np.array_equal(joints_m(angles, shape, "left"), joints_m(angles, shape) * MIRROR["left"])


# channels


def test_joints_that_a_glove_does_not_measure_follow_those_it_does() -> None:
    names = tuple(name for name in ANGLES if "dip" not in name and name != "middle_spread")
    linear = linear_of("glove", names, ("deg",) * len(names), np.full((5, len(names)), 30.0))
    angles = dict(zip(ANGLES, linear.angles(np.full((1, len(names)), 30.0))[0], strict=True))
    assert angles["index_pip_flex"] == pytest.approx(np.pi / 6) and angles["index_dip_flex"] == pytest.approx(np.pi / 9)
    assert angles["middle_spread"] == pytest.approx(np.radians(-1))


def test_curls_are_angles_to_be_calibrated_and_what_says_nothing_of_fingers_is_refused() -> None:
    names = (*(f"{finger}_curl_{k}" for finger in ("thumb", "index", "middle", "ring", "little") for k in range(4)), "joystick_x")
    linear = linear_of("glove", names, ("1",) * 21, np.ones((4, 21)))
    assert (linear.angles(np.ones((1, 21)))[0, [4, 5, 6]] > 1).all() and "joystick_x" in linear.channels
    with pytest.raises(FirsthandError, match="stream glove has none of the channels that tell how fingers are bent"):
        linear_of("glove", ("pressure",), ("Pa",), np.ones((4, 1)))


def test_a_missing_sample_is_missing_in_what_hangs_on_it_alone() -> None:
    linear = linear_of("glove", ANGLES, ("rad",) * 20, np.zeros((1, 20)))
    row = np.zeros((1, 20))
    row[0, ANGLES.index("ring_pip_flex")] = np.nan
    assert np.flatnonzero(np.isnan(linear.angles(row)[0])).tolist() == [ANGLES.index("ring_pip_flex")]


def test_a_glove_that_has_dropped_out_is_not_bridged() -> None:
    t_ns = np.arange(0, 1_000_000_000, 10_000_000)
    values = np.stack([t_ns * 1e-9, np.ones(100)], 1)
    kept = (t_ns < 300_000_000) | (t_ns > 600_000_000)
    got = channels_at(np.array([-1, 105_000_000, 450_000_000, 2_000_000_000]), t_ns[kept], values[kept])
    assert np.isnan(got[[0, 2, 3]]).all() and got[1] == pytest.approx([0.105, 1])


# calibration


def test_a_glove_is_calibrated_by_free_movement(worn: SimpleNamespace) -> None:
    one = worn.calibration
    late_ms = worn.wearer.truth().streams[one.stream].min_latency_ns * 1e-6
    assert abs(one.late_ns * 1e-6 - late_ms) < 6
    turn_deg, offset_mm = worn.bench["mount_errors"](worn.wearer, worn.recording, worn.hands, one, np.arange(len(worn.hands.t_ns)))
    assert turn_deg < 5 and offset_mm < 18
    assert abs(one.shape.palm_length_m / 0.0911 - 1) < 0.06
    told = one.to_json()["told"]
    assert told["size"] > 0 and told["mount turn x"] > 0.9 and "gain index_pip_flex index_pip_flex" in told


@pytest.mark.parametrize(("case", "sentence"), [
    ("a finger never bent", r"ring \(\d degrees\) was hardly bent; bend and straighten every finger"),
    ("the hand never turned", r"wrist-right on the right hand cannot be told .* hardly turned about any axis"),
    ("the hand in view for 6 s", r"6\.\d s in common; record 20 to 30 s"),
    ("the glove of somebody else", "do not show the same movement"),
    ("a glove that is not moved", "no movement above its own noise"),
])  # fmt: skip
def test_movement_that_cannot_tell_is_refused_in_a_sentence(worn: SimpleNamespace, tmp_path: Path, case: str, sentence: str) -> None:
    if not hasattr(worn, "said"):
        worn.said = worn.bench["refusals"](tmp_path, seconds=22.0)
    assert re.search(sentence, worn.said[case]), worn.said[case]


def test_calibrations_are_kept_for_the_session_hand_by_hand(worn: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "gloves.json"
    assert read_gloves(path) == {}
    write_gloves(path, {"left": replace(worn.calibration, side="left")})
    write_gloves(path, {"right": worn.calibration})
    kept = read_gloves(path)
    assert set(kept) == {"left", "right"} and isinstance(kept["right"], GloveCalibration)
    assert np.array_equal(kept["right"].linear.gain, worn.calibration.linear.gain) and kept["right"].linear.channels == ANGLES
    assert np.array_equal(kept["right"].T_tracker_hand, worn.calibration.T_tracker_hand)
    path.write_text(json.dumps({"format": "firsthand.gloves", "version": 1, "gloves": {"left": {"side": "left"}}}))
    with pytest.raises(DamagedError, match=r"cannot read .*gloves\.json .*firsthand calibrate"):
        read_gloves(path)


# fusion


def test_glove_and_tracker_bring_fingertips_far_nearer_than_vision(worn: SimpleNamespace) -> None:
    fused = with_gloves(worn.recording, worn.hands, {RIGHT: worn.calibration}).tracks[RIGHT]
    seen = worn.hands.tracks[RIGHT].valid
    assert tips_mm(fused.points_m[seen], worn.true[seen]) < 0.5 * tips_mm(worn.hands.tracks[RIGHT].points_m[seen], worn.true[seen])
    assert fused.valid[5:-5].all(), "frames in which the hand was not seen are filled by tracker and glove"
    inside = np.arange(5, len(seen) - 5)  # of the glove's samples
    assert (fused.provenance[inside][seen[inside]] == FUSED).all() and (fused.provenance[inside][~seen[inside]] == GLOVE).all()
    off = (fused.points_m - worn.true) / fused.sigma_m[..., None]
    assert 0.3 < np.sqrt(np.nanmean(off**2)) < 1.4
    assert np.array_equal(fused.raw_m, worn.hands.tracks[RIGHT].points_m, equal_nan=True)


def test_a_tracker_whose_world_has_moved_since_is_found_again(worn: SimpleNamespace) -> None:
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]], (3, 1, 0)
    kept = worn.calibration
    away = replace(kept, T_world_base=moved @ kept.T_world_base)
    here, there = (with_gloves(worn.recording, worn.hands, {RIGHT: one}).tracks[RIGHT].points_m[5:-5] for one in (kept, away))
    assert np.median(np.linalg.norm(here - there, axis=-1)) < 0.006


def test_what_is_fused_falls_back_joint_by_joint(worn: SimpleNamespace) -> None:
    track, channels, eyes = worn.hands.tracks[RIGHT], channels_of(worn), eye_m(worn.hands)
    lost = np.arange(20, 60)
    channels[lost, 12:16] = np.nan  # the ring finger's sensors
    fused = fuse(track, worn.calibration, channels, eyes)
    rows = lost[track.valid[lost]]
    ring = [14, 15, 16]
    assert (fused.provenance[np.ix_(rows, ring)] == MEASURED).all() and (fused.provenance[rows][:, [8, 12, 20]] == FUSED).all()
    apart = np.linalg.norm(np.diff(track.points_m[rows][:, ring], axis=1), axis=-1)
    assert np.allclose(np.linalg.norm(np.diff(fused.points_m[rows][:, ring], axis=1), axis=-1), apart), "as the pictures show it"
    # without a tracker, a hand that is not seen is absent; what the glove feels has no place
    unseen_rows = ~track.valid
    assert (fused.provenance[unseen_rows] == ABSENT).all() and np.isnan(fused.points_m[unseen_rows]).all()
    # a tracker without the glove keeps the palm, and what was seen
    poses = np.tile(np.eye(4), (len(track.t_ns), 1, 1))
    tracked = fuse(unseen(RIGHT, track.t_ns), worn.calibration, np.full_like(channels, np.nan), eyes, poses)
    assert (tracked.provenance[:, WRIST] == GLOVE).all() and (tracked.provenance[:, list(TIPS)] == ABSENT).all()
    assert np.isnan(tracked.points_m[:, list(TIPS)]).all() and np.isfinite(tracked.points_m[:, WRIST]).all()


def test_an_interpolated_palm_stays_interpolated_and_what_a_person_fixed_stays(worn: SimpleNamespace) -> None:
    track = worn.hands.tracks[RIGHT]
    codes = track.provenance.copy()
    rows = np.flatnonzero(track.valid)[5:8]
    codes[rows] = INTERPOLATED
    codes[rows[-1] + 1, 8] = FIXED
    fused = fuse(replace(track, provenance=codes), worn.calibration, channels_of(worn), eye_m(worn.hands))
    assert (fused.provenance[rows][:, [0, 5, 17]] == INTERPOLATED).all() and (fused.provenance[rows][:, list(TIPS)] == GLOVE).all()
    assert fused.provenance[rows[-1] + 1, 8] == FIXED
    assert np.array_equal(fused.points_m[rows[-1] + 1, 8], track.points_m[rows[-1] + 1, 8], equal_nan=True)


def test_a_glove_that_cannot_be_used_is_a_finding_and_changes_nothing(worn: SimpleNamespace) -> None:
    short = replace(worn.hands, t_ns=worn.hands.t_ns[:200], T_world_cam=worn.hands.T_world_cam[:200], tracks={
        side: replace(track, **{name: getattr(track, name)[:200] for name in track.__dataclass_fields__ if name not in ("side", "raw_m")})
        for side, track in worn.hands.tracks.items()})  # fmt: skip
    kept = with_gloves(worn.recording, short, {})
    assert all(np.array_equal(kept.tracks[side].points_m, short.tracks[side].points_m, equal_nan=True) for side in SIDES)
    assert len(kept.findings) == 2 and "the glove on the left hand was not used: " in kept.findings[0]
    assert "'firsthand calibrate'" in kept.findings[0]
