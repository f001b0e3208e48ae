from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.annotation import Annotation, write_annotation
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.datasets.columns import Columns
from firsthand.datasets.rows import UNKNOWN_SIGMA_M, UNLABELLED, episode_rows, held
from firsthand.retarget.action_track import read_actions
from firsthand.retarget.hand_track import read_hands

ROBOT = "panda_gripper"


def turned(angle_rad: float) -> np.ndarray:
    """A rotation about z."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def test_each_row_is_its_frame_and_rows_without_a_hand_hold_the_last_value_and_say_so(episodes: list[Episode]) -> None:
    rows = episode_rows(episodes[0], ROBOT)
    track = read_actions(episodes[0].actions_path(ROBOT)).tracks["right"]
    right = rows.sides["right"]
    assert len(rows) == 48
    np.testing.assert_array_equal(right.valid, track.valid)
    np.testing.assert_array_equal(right.state[right.valid, :3], track.T_frame_ee[track.valid, :3, 3])
    np.testing.assert_array_equal(right.state[10:14], np.tile(right.state[9], (4, 1)))
    np.testing.assert_array_equal(right.sigma_m[10:14], UNKNOWN_SIGMA_M)
    assert np.isfinite(right.state).all()


def test_the_rotation_is_the_matrix_columns_x_first(episodes: list[Episode], edit_actions: Any) -> None:
    R = turned(0.3)
    edit_actions(episodes[0], lambda track: {"T_frame_ee": with_rotation(track.T_frame_ee, R)})
    rot6d = episode_rows(episodes[0], ROBOT).sides["right"].state[0, 3:9]
    np.testing.assert_allclose(rot6d, [*R[:, 0], *R[:, 1]])


def with_rotation(T: np.ndarray, R: np.ndarray) -> np.ndarray:
    changed = T.copy()
    changed[:, :3, :3] = R
    return changed


def test_a_hand_unseen_at_the_start_takes_the_first_value_that_comes() -> None:
    values, valid = np.array([[np.nan], [np.nan], [3.0], [np.nan], [5.0]]), np.array([False, False, True, False, True])
    np.testing.assert_array_equal(held(values, valid)[:, 0], [3, 3, 3, 3, 5])


def test_a_side_an_episode_lacks_is_the_identity_pose_and_never_valid(episodes: list[Episode]) -> None:
    rows = episode_rows(episodes[0], ROBOT)
    columns = Columns({"right": ("width_m",), "left": ("width_m",)})
    np.testing.assert_array_equal(columns.state(rows)[:, 10:], np.tile([0, 0, 0, 1, 0, 0, 0, 1, 0, 0], (48, 1)))
    assert not columns.valid(rows)[:, 1].any()
    assert columns.state_names[:2] == ("right.x_m", "right.y_m")
    assert columns.state_names[10] == "left.x_m"


def test_subtasks_and_instruction_come_from_the_annotation(episodes: list[Episode]) -> None:
    rows = episode_rows(episodes[0], ROBOT)
    assert rows.task == "put the red cube into the blue bowl"
    assert [rows.subtask[i] for i in (0, 19, 20, 39, 40, 47)] == ["reach"] * 2 + ["grasp the red cube"] * 2 + [UNLABELLED] * 2
    assert episode_rows(episodes[1], ROBOT).task == "put the red cube into the bowl"


def test_half_the_rate_keeps_pictures_and_numbers_together(episodes: list[Episode]) -> None:
    full, half = episode_rows(episodes[0], ROBOT), episode_rows(episodes[0], ROBOT, fps=15)
    valid = half.sides["right"].valid
    np.testing.assert_array_equal(valid, full.sides["right"].valid[::2])
    np.testing.assert_array_equal(half.sides["right"].state[valid], full.sides["right"].state[::2][valid])
    np.testing.assert_array_equal(half.capture_time_ns, full.capture_time_ns[::2])


def test_rows_in_a_gap_of_the_camera_are_not_valid_though_the_hand_was_seen_around_it(gappy: Episode) -> None:
    rows = episode_rows(gappy, ROBOT)
    right = rows.sides["right"]
    assert (len(rows), rows.n_source) == (40, 30)
    np.testing.assert_array_equal(np.flatnonzero(~rows.grid.covered), np.arange(21, 29))
    assert not right.valid[21:29].any()
    assert right.valid[[20, 29]].all()
    np.testing.assert_array_equal(right.state[21:29], np.tile(right.state[20], (8, 1)))


def test_world_poses_can_be_had_in_the_camera(episodes: list[Episode]) -> None:
    episode = episodes[0]
    hands, actions = read_hands(episode.hands_path), read_actions(episode.actions_path(ROBOT))
    T_world_cam = np.tile(np.eye(4), (48, 1, 1))
    T_world_cam[:, :3, :3], T_world_cam[:, 0, 3] = turned(0.7), np.arange(48)
    before = episode_rows(episode, ROBOT).sides["right"].state
    track = actions.tracks["right"]
    for path in (episode.hands_path, episode.actions_path(ROBOT)):
        path.unlink()
    replace(hands, frame="world", T_world_cam=T_world_cam).write(episode.hands_path)
    moved = replace(track, T_frame_ee=T_world_cam @ track.T_frame_ee)
    replace(actions, frame="world", tracks={"right": moved}).write(episode.actions_path(ROBOT))
    in_world, in_camera = episode_rows(episode, ROBOT), episode_rows(episode, ROBOT, frame="camera")
    assert (in_world.frame, in_camera.frame) == ("world", "camera")
    np.testing.assert_allclose(in_camera.sides["right"].state, before, atol=1e-9)
    assert np.abs(in_world.sides["right"].state - before).max() > 1


def test_camera_poses_cannot_be_had_in_the_world(episodes: list[Episode]) -> None:
    with pytest.raises(FirsthandError, match="poses relative to the camera only"):
        episode_rows(episodes[0], ROBOT, frame="world")


def test_missing_actions_name_the_command_and_the_robots_that_are_there(episodes: list[Episode]) -> None:
    said = r"no actions for the robot 'shadow_hand' \(there are: panda_gripper\).*firsthand process .* --robot shadow"
    with pytest.raises(FirsthandError, match=said):
        episode_rows(episodes[0], "shadow_hand")


def test_an_annotation_of_other_frames_is_refused(episodes: list[Episode]) -> None:
    write_annotation(episodes[1].annotations_path, Annotation(48, "x"))
    with pytest.raises(FirsthandError, match=r"annotations\.json is about 48 frames but camera 'head' recorded 40"):
        episode_rows(episodes[1], ROBOT)
