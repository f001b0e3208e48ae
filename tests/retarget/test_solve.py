"""A robot hand in place of a human one: limits hold, tips match, pinches close, and what was not seen is not invented."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.action_track import ActionTrack
from firsthand.retarget.hand_targets import draw_targets, finger_scales, robot_reach
from firsthand.retarget.kinematics import link_positions
from firsthand.retarget.operator_frame import operator_frame
from firsthand.retarget.robot import HandModel, RobotModel, load_robot
from firsthand.retarget.solve import retarget
from firsthand.retarget.solve_hand import follow_with_hand, solve_targets
from firsthand.retarget.velocity import limit_velocity

ALLEGRO = load_robot("allegro_right")
assert ALLEGRO.hand is not None
HAND: HandModel = ALLEGRO.hand
TIPS = [4, 8, 12, 16]


def assert_within_limits(track: ActionTrack, robot: RobotModel) -> None:
    """Positions and speeds, exactly: not one bit beyond."""
    q = track.joints[track.valid]
    assert ((q >= robot.lower) & (q <= robot.upper)).all()
    dt_s = np.diff(track.t_ns) * 1e-9
    together = track.valid[1:] & track.valid[:-1]
    assert (np.abs(np.diff(track.joints, axis=0))[together] <= (robot.velocity * dt_s[:, None])[together]).all()


def thumb_gaps(tips: np.ndarray) -> np.ndarray:
    """Distance from the thumb's tip to each other, (N, F - 1), from tips (N, F, 3)."""
    return np.asarray(np.linalg.norm(tips[:, 1:] - tips[:, :1], axis=2))


def mirrored_card(tmp_path: Path) -> RobotModel:
    """The mirror image (y -> -y) of the Allegro's card, for a left hand."""
    import json
    import tomllib

    card = tomllib.loads((Path(__file__).parents[2] / "retarget" / "robots" / "allegro_right.toml").read_text(encoding="utf-8"))
    lines = [f"{key} = {json.dumps(value)}" for key, value in card.items() if not isinstance(value, dict)]
    lines = [line.replace("allegro_right", "mirrored").replace('"right"', '"left"') for line in lines]
    for name in ("wrist", "fingers"):
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in card[name].items())]
    for name, joint in card["joints"].items():
        x, y, z = joint["xyz"]
        roll, pitch, yaw = joint.get("rpy", (0, 0, 0))
        a, b, c = joint.get("axis", (0, 0, 1))
        joint = {**joint, "xyz": [x, -y, z], "rpy": [-roll, pitch, -yaw]}
        if "axis" in joint:
            joint["axis"] = [-a, b, -c]  # an axis of rotation is mirrored the other way round
        lines += [f'[joints."{name}"]', *(f"{key} = {json.dumps(value)}" for key, value in joint.items())]
    path = tmp_path / "mirrored.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return load_robot(str(path))


def test_limits_and_speeds_hold_exactly_on_a_moving_hand(motion: SimpleNamespace) -> None:
    track = follow_with_hand(motion.hand_track(motion.in_camera(motion.moving_hand())), ALLEGRO)
    assert track.valid.all()
    assert_within_limits(track, ALLEGRO)


def test_limits_and_speeds_hold_exactly_on_noise(motion: SimpleNamespace) -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (200, 21, 3))
    track = follow_with_hand(motion.hand_track(points), ALLEGRO)
    assert_within_limits(track, ALLEGRO)
    assert track.saturated.mean() > 0.9, "no hand can follow noise, and the track must say so"


def test_limits_and_speeds_hold_exactly_with_jittered_and_repeated_times(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    rng = np.random.default_rng(1)
    t_ns = np.sort((np.arange(90) / 30 + rng.uniform(-0.016, 0.016, 90)) * 1e9).astype(np.int64)
    t_ns[40:43] = t_ns[40]
    track = follow_with_hand(motion.hand_track(points, t_ns=t_ns), ALLEGRO)
    assert_within_limits(track, ALLEGRO)
    assert_array_equal(track.joints[41], track.joints[40])


def test_a_human_pinch_is_a_robot_pinch_and_an_open_hand_is_open(motion: SimpleNamespace) -> None:
    local = motion.moving_hand(150)
    track = follow_with_hand(motion.hand_track(motion.in_camera(local)), ALLEGRO)
    human, robot = thumb_gaps(local[:, TIPS]), thumb_gaps(link_positions(HAND.chain, track.joints, HAND.tips))
    for finger in range(3):
        assert human[:, finger].min() < 0.01, "the motion must pinch with each finger for this test to tell anything"
        assert robot[human[:, finger].argmin(), finger] < 0.008
    assert (robot[(human > 0.07).all(1)] > 0.05).all()


def test_tips_come_near_their_targets_and_the_residual_says_how_near(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    track = follow_with_hand(motion.hand_track(points), ALLEGRO)
    _, local = operator_frame(points, "right")
    wanted = local[:, TIPS] * finger_scales(local, ALLEGRO)[:, None]
    miss = np.linalg.norm(link_positions(HAND.chain, track.joints, HAND.tips) - wanted, axis=2).mean(1)
    assert_allclose(track.residual_m, miss, atol=1e-12)
    assert np.median(miss) < 0.02


def test_what_the_robot_can_do_it_does(motion: SimpleNamespace) -> None:
    """Tips taken from the robot itself, held still, are met to a tenth of a millimetre."""
    q = (ALLEGRO.lower + ALLEGRO.upper) / 2
    q[[1, 5, 9]] = 0.3
    points = np.repeat(motion.moving_hand(1), 60, axis=0)
    points[:, TIPS] = link_positions(HAND.chain, q[None], HAND.tips) / 1.0
    targets = draw_targets(points, np.arange(60) * 33_333_333, ALLEGRO, np.ones(4))
    assert (targets.weight == targets.weight[0]).all()
    solved = solve_targets(targets, np.arange(60) * 33_333_333, ALLEGRO).q
    assert np.linalg.norm(link_positions(HAND.chain, solved[-1:], HAND.tips) - targets.tips_m[-1:], axis=2).max() < 1e-4


def test_a_mirrored_hand_on_a_mirrored_robot_moves_its_joints_alike(motion: SimpleNamespace, tmp_path: Path) -> None:
    points = motion.in_camera(motion.moving_hand())
    right = follow_with_hand(motion.hand_track(points), ALLEGRO)
    left = follow_with_hand(motion.hand_track(points * [-1, 1, 1], "left"), mirrored_card(tmp_path))
    assert_allclose(left.joints, right.joints, atol=1e-6)
    assert_allclose(left.residual_m, right.residual_m, atol=1e-7)


def test_the_robots_wrist_is_on_the_persons_and_turns_with_it(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand())
    track = follow_with_hand(motion.hand_track(points), ALLEGRO)
    R, _ = operator_frame(points, "right")
    assert_allclose(track.T_frame_ee[:, :3, 3], points[:, 0], atol=1e-12)
    assert_allclose(track.T_frame_ee[:, :3, :3], R, atol=1e-12)


def test_where_the_hand_was_not_seen_there_is_no_action_and_the_rest_is_solved_afresh(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand(60))
    points[20:25, 7] = np.nan
    points[40] = 0.0
    track = follow_with_hand(motion.hand_track(points), ALLEGRO)
    away = np.isin(np.arange(60), [20, 21, 22, 23, 24, 40])
    assert_array_equal(track.valid, ~away)
    for values in (track.T_frame_ee, track.joints, track.residual_m):
        assert np.isnan(values[away]).all() and np.isfinite(values[~away]).all()
    assert not track.saturated[away].any()
    other = points.copy()
    other[:20] = motion.in_camera(motion.moving_hand(20))[::-1]
    again = follow_with_hand(motion.hand_track(other), robot_of_fixed_scale())
    first = follow_with_hand(motion.hand_track(points), robot_of_fixed_scale())
    assert_array_equal(again.joints[25:40], first.joints[25:40])  # what came before a gap has no say after it


def robot_of_fixed_scale() -> RobotModel:
    """The Allegro with its scale fixed, so that it does not depend on the recording."""
    from dataclasses import replace

    return replace(ALLEGRO, hand=replace(HAND, scale=(1.2,) * 4))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_short_recordings(motion: SimpleNamespace, frames: int) -> None:
    track = follow_with_hand(motion.hand_track(motion.moving_hand(frames)), ALLEGRO)
    assert track.joints.shape == (frames, 16) and track.valid.all() and np.isfinite(track.joints).all()


def test_a_hand_that_was_never_known_gives_a_track_without_actions(motion: SimpleNamespace) -> None:
    track = follow_with_hand(motion.hand_track(np.full((5, 21, 3), np.nan)), ALLEGRO)
    assert not track.valid.any() and np.isnan(track.joints).all()


def test_solving_twice_gives_the_same_bits(motion: SimpleNamespace) -> None:
    track = motion.hand_track(motion.in_camera(motion.moving_hand()))
    assert_array_equal(follow_with_hand(track, ALLEGRO).joints, follow_with_hand(track, ALLEGRO).joints)


def test_a_larger_person_is_scaled_to_the_same_robot_pose(motion: SimpleNamespace) -> None:
    """Only pinches know absolute size, so this holds where nothing is near one."""
    open_hand = np.repeat(motion.moving_hand(1), 10, axis=0)
    open_hand[:, 1:5] *= 1.2
    small, large = (follow_with_hand(motion.hand_track(size * open_hand), ALLEGRO) for size in (1.0, 1.15))
    assert thumb_gaps(open_hand[:, TIPS]).min() > 0.05
    assert_allclose(large.joints, small.joints, atol=1e-3)


def test_the_reach_of_a_straight_finger_is_the_sum_of_its_links() -> None:
    straight = 0.095 + 0.0007 + 0.0164 + 0.054 + 0.0384 + 0.0267
    assert straight - 1e-4 < robot_reach(ALLEGRO, HAND.tips[2]) <= straight


def test_speeds_are_limited_without_lag_and_untouched_where_slow() -> None:
    t_ns = np.arange(61) * 33_333_333
    q = np.where(np.arange(61) < 30, 0.0, 1.0)[:, None] + np.zeros((1, 2))
    slow = limit_velocity(q, t_ns, np.array([3.0, 100.0]))
    assert np.abs(np.diff(slow[:, 0])).max() <= 3.0 * 0.033333333
    assert abs(float(np.interp(0.5, slow[:, 0], np.arange(61.0))) - 29.5) < 0.6, "the step stays where it was"
    assert_array_equal(slow[:, 1], q[:, 1])
    assert slow.min() >= 0 and slow.max() <= 1


def test_a_right_robot_hand_follows_only_the_right_hand_and_a_gripper_both(motion: SimpleNamespace) -> None:
    points = motion.in_camera(motion.moving_hand(10))
    both = motion.hands(motion.hand_track(points), motion.hand_track(points * [-1, 1, 1], "left"))
    told = []
    assert set(retarget(both, ALLEGRO, progress=lambda done, total: told.append((done, total))).tracks) == {"right"}
    gripper = retarget(both, load_robot("panda_gripper"))
    assert set(gripper.tracks) == {"left", "right"}
    assert (gripper.robot, gripper.kind, gripper.frame) == ("panda_gripper", "gripper", "camera")
    assert told == [(1, 1)]


def test_no_hand_at_all_is_no_track_and_no_error(motion: SimpleNamespace) -> None:
    assert retarget(motion.hands(), ALLEGRO).tracks == {}


def test_without_numba_a_robot_hand_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from firsthand.retarget.compiled import compiled

    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(FirsthandError, match=r"robot hands need numba; install it with: pip install 'firsthand\[retarget\]'"):
        compiled(lambda x: x)


def test_a_package_that_cannot_be_written_to_is_compiled_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    from firsthand.retarget.compiled import compiled

    real = numba.njit

    def njit(*args: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function 'f': no locator available for file")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda x: x + 1)(1.0) == 2.0


def test_on_recorded_hands_limits_are_exact_pinches_close_and_tips_match(motion: SimpleNamespace, real_hand: np.ndarray) -> None:
    track = follow_with_hand(motion.hand_track(real_hand), ALLEGRO)
    assert track.valid.all()
    assert_within_limits(track, ALLEGRO)
    human, robot = thumb_gaps(real_hand[:, TIPS]), thumb_gaps(link_positions(HAND.chain, track.joints, HAND.tips))
    pinched = human < 0.03
    assert robot[pinched].mean() < 0.004 and np.mean(robot[pinched] < 0.005) > 0.85
    assert track.residual_m.mean() < 0.0125
    rms_jerk = np.sqrt(np.mean((np.diff(track.joints, 3, axis=0) * 30**3) ** 2))
    assert rms_jerk < 450
