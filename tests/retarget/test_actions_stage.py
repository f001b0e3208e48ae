"""The stage that adds a robot's actions to an episode."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256
from firsthand.capture.library import Episode, find_episodes
from firsthand.retarget.action_track import read_actions
from firsthand.retarget.actions_stage import make_actions
from firsthand.retarget.hand_track import Hands, read_hands
from firsthand.retarget.robot import load_robot


@pytest.fixture
def episode(tiny_library: Path) -> Episode:
    """An episode with hands and no actions yet."""
    episode = find_episodes(tiny_library)[0]
    episode.actions_path("panda_gripper").unlink()
    return episode


@pytest.mark.parametrize("robot", ["panda_gripper", "allegro_right"])
def test_what_is_written_is_what_is_read(episode: Episode, robot: str) -> None:
    made = make_actions(episode, robot)
    read = read_actions(episode.actions_path(robot))
    assert (read.robot, read.kind, read.frame, read.provenance) == (made.robot, made.kind, made.frame, made.provenance)
    assert set(read.tracks) == set(made.tracks) == {"right"}
    for name in ("t_ns", "T_frame_ee", "joints", "valid", "residual_m", "saturated"):
        assert_array_equal(getattr(read.tracks["right"], name), getattr(made.tracks["right"], name))


def test_rows_are_the_frames_of_the_hands_and_unseen_ones_are_not_valid(episode: Episode) -> None:
    track, hand = make_actions(episode, "panda_gripper").tracks["right"], read_hands(episode.hands_path).tracks["right"]
    assert_array_equal(track.t_ns, hand.t_ns)
    assert_array_equal(track.valid, hand.valid)
    assert np.isnan(track.joints[10:14]).all() and not hand.valid[10:14].any()


def test_the_file_says_what_it_was_made_from(episode: Episode) -> None:
    made = make_actions(episode, "allegro_right")
    assert made.provenance.inputs == {"hands.h5": sha256(episode.hands_path), "robot": load_robot("allegro_right").sha256}
    assert made.provenance.stage == "actions/1" and made.provenance.parameters["mu"] > 0


def test_a_second_run_is_skipped_and_a_forced_one_gives_the_same_bytes(episode: Episode) -> None:
    told = []
    path = episode.actions_path("allegro_right")
    make_actions(episode, "allegro_right", progress=lambda done, total: told.append((done, total)))
    first, written = path.read_bytes(), path.stat().st_mtime_ns
    make_actions(episode, "allegro_right", progress=lambda done, total: told.append((done, total)))
    assert path.stat().st_mtime_ns == written and told == [(1, 1)]
    make_actions(episode, "allegro_right", force=True)
    assert path.stat().st_mtime_ns > written and path.read_bytes() == first


def test_other_hands_or_another_card_make_it_again(episode: Episode, tmp_path: Path) -> None:
    card = tmp_path / "card.toml"
    text = (Path(__file__).parents[2] / "retarget" / "robots" / "panda_gripper.toml").read_text(encoding="utf-8")
    card.write_text(text, encoding="utf-8")
    wide = make_actions(episode, str(card)).tracks["right"]
    card.write_text(text.replace("[0.0, 0.08]", "[0.0, 0.03]"), encoding="utf-8")
    narrow = make_actions(episode, str(card)).tracks["right"]
    assert np.nanmax(wide.joints) > 0.03 and np.nanmax(narrow.joints) == 0.03

    hands = read_hands(episode.hands_path)
    Hands(hands.camera, hands.t_ns, hands.frame, hands.intrinsics, {}).write(episode.hands_path)
    assert make_actions(episode, str(card)).tracks == {}


def test_an_episode_without_any_hand_gets_a_file_without_tracks(episode: Episode) -> None:
    hands = read_hands(episode.hands_path)
    Hands(hands.camera, hands.t_ns, hands.frame, hands.intrinsics, {}, findings=("no hand was seen",)).write(episode.hands_path)
    assert make_actions(episode, "allegro_right").tracks == {}
    assert read_actions(episode.actions_path("allegro_right")).tracks == {}


def test_a_damaged_file_is_made_again(episode: Episode) -> None:
    path = episode.actions_path("panda_gripper")
    path.write_bytes(b"cut off")
    make_actions(episode, "panda_gripper")
    assert read_actions(path).tracks["right"].valid.any()


def test_poses_are_in_the_frame_of_the_hands(episode: Episode) -> None:
    camera = make_actions(episode, "panda_gripper").tracks["right"]
    hands = read_hands(episode.hands_path)
    T = np.tile(np.eye(4), (len(hands.t_ns), 1, 1))
    T[:, :3, :3], T[:, :3, 3] = [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], [1, 2, 3]
    track = hands.tracks["right"]
    moved = replace(track, points_m=track.points_m @ T[0, :3, :3].T + T[0, :3, 3])
    Hands(hands.camera, hands.t_ns, "world", hands.intrinsics, {"right": moved}, T).write(episode.hands_path)
    world = make_actions(episode, "panda_gripper")
    assert world.frame == "world"
    assert_allclose(world.tracks["right"].T_frame_ee, T @ camera.T_frame_ee, atol=1e-4)  # hands.h5 holds float32


def test_an_episode_without_hands_says_what_to_run(episode: Episode) -> None:
    episode.hands_path.unlink()
    with pytest.raises(FirsthandError, match=r"hands\.h5 is not there yet; run 'firsthand process' first"):
        make_actions(episode, "panda_gripper")


def test_an_unknown_robot_touches_nothing(episode: Episode) -> None:
    with pytest.raises(FirsthandError, match="no robot called 'pandagripper'; did you mean 'panda_gripper'"):
        make_actions(episode, "pandagripper")
    assert episode.robots() == []
