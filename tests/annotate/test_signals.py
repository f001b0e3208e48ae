"""What the player draws, as it reads it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.signals import episode_signals
from firsthand.capture.library import Episode, find_episodes
from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP
from firsthand.retarget.action_track import read_actions
from firsthand.retarget.hand_track import read_hands

FRAMES = 48


@pytest.fixture
def episode(tiny_library: Path) -> Episode:
    """The first episode of the tiny library: a right hand, unseen in frames 10 to 13."""
    return find_episodes(tiny_library)[0]


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Header, lane curves by "name side", joints by side; read as player.js does."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    values = np.frombuffer(data, "<f4", offset=4 + length)
    n, at, lanes, joints = header["frames"], 0, {}, {}
    for lane in header["lanes"]:
        for side in lane["sides"]:
            lanes[f"{lane['name']} {side}"], at = values[at : at + n], at + n
    for side in header["joints"]:
        joints[side], at = values[at : at + n * 63].reshape(n, 21, 3), at + n * 63
    assert at == len(values) and (4 + length) % 4 == 0
    return header, lanes, joints


def test_lanes_are_the_tracks_and_the_actions_in_the_units_they_name(episode: Episode) -> None:
    header, lanes, _ = unpack(episode_signals(episode, FRAMES, (1.0, 1.0)))
    track = read_hands(episode.hands_path).tracks["right"]
    opening = np.linalg.norm(track.points_m[:, THUMB_TIP] - track.points_m[:, INDEX_TIP], axis=1)
    assert lanes["thumb to index right"] == pytest.approx(opening * 100, nan_ok=True, rel=1e-5)
    assert lanes["confidence right"] == pytest.approx(track.score, nan_ok=True)
    width = read_actions(episode.actions_path("panda_gripper")).tracks["right"].joints[:, 0]
    assert lanes["panda_gripper right"] == pytest.approx(width * 100, nan_ok=True, rel=1e-5)
    assert {lane["name"]: lane["unit"] for lane in header["lanes"]} == {
        "wrist speed": "m/s", "thumb to index": "cm", "confidence": "", "panda_gripper": "cm"}
    assert np.isnan(lanes["wrist speed right"][10:14]).all() and np.isfinite(lanes["wrist speed right"][14:]).all()


def test_joints_are_scaled_to_the_proxy_and_carry_how_they_are_known(episode: Episode) -> None:
    _, _, joints = unpack(episode_signals(episode, FRAMES, (0.5, 0.25)))
    track = read_hands(episode.hands_path).tracks["right"]
    assert joints["right"][..., 0] == pytest.approx((track.points_px[..., 0] + 0.5) * 0.5, nan_ok=True, rel=1e-5)
    assert joints["right"][..., 1] == pytest.approx((track.points_px[..., 1] + 0.5) * 0.25, nan_ok=True, rel=1e-5)
    assert np.array_equal(joints["right"][..., 2], track.provenance)


def test_derived_files_of_another_recording_are_left_out_and_said(episode: Episode) -> None:
    header, lanes, joints = unpack(episode_signals(episode, FRAMES + 1, (1.0, 1.0)))
    assert lanes == {} and joints == {}
    assert header["notes"] == ["hands.h5 has 48 rows for 49 frames; run 'firsthand process' again"]


def test_an_episode_without_hands_has_nothing_to_draw_and_a_damaged_one_says_why(episode: Episode) -> None:
    for path in (episode.hands_path, episode.actions_path("panda_gripper")):
        path.unlink()
    assert unpack(episode_signals(episode, FRAMES, (1.0, 1.0)))[0]["lanes"] == []
    episode.hands_path.write_bytes(b"cut off")
    assert "is not HDF5, or cut off" in unpack(episode_signals(episode, FRAMES, (1.0, 1.0)))[0]["notes"][0]
