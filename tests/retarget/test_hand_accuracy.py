"""How near tracked hands come to the truth: a take of the synthetic wearer, and glasses with hand tracking of their own."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.library import Episode
from firsthand.capture.recorder import record
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.hand_place import place_by_size
from firsthand.retarget.hand_track import METRIC, Hands
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.metric import face_ray, rays, solve_translation
from firsthand.retarget.tracker import open_tracker


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hands, Truth, np.ndarray]:
    """Four seconds of two hands at 20 fps: tracked hands, the truth, and the truth's row of each frame."""
    episode = Episode(tmp_path_factory.mktemp("library") / "session" / "000")
    wearer = Wearer(seed=3, task="pick-and-place", duration_s=4.0, fps=20, skin=2)
    record(wearer.drivers(), episode.recording_path, source="simulation")
    wearer.write_truth(episode.truth_path)
    with episode.recording() as recording:
        rows = np.array(recording["head"].sequence)
    return make_hands(episode), read_truth(episode.truth_path), rows


def test_both_hands_are_found_on_their_own_sides(take: tuple[Hands, Truth, np.ndarray]) -> None:
    hands, truth, rows = take
    for side in SIDES:
        true, track = truth.hands[side], hands.tracks[side]
        visible, palm = true.visible[rows], np.linalg.norm(true.points_px[rows, 9] - true.points_px[rows, 0], axis=1)
        off = np.linalg.norm(track.points_px - true.points_px[rows], axis=-1).mean(1) / palm
        assert (off[visible] < 0.5).mean() >= 0.98  # NaN, a hand not found, is not
        assert np.nanmedian(off[visible]) < 0.12


def test_with_depth_joints_are_within_a_finger_of_the_truth(take: tuple[Hands, Truth, np.ndarray]) -> None:
    hands, truth, rows = take
    assert hands.frame == "world"
    errors = {side: np.linalg.norm(hands.tracks[side].points_m - truth.hands[side].points_m[rows], axis=-1) for side in SIDES}
    both = np.concatenate(list(errors.values()))
    assert np.nanmedian(both[:, 0]) < 0.012  # wrist
    assert np.nanmedian(both.mean(1)) < 0.015
    placed = [METRIC[code] for track in hands.tracks.values() for code in track.metric]
    assert placed.count("depth") >= 0.95 * len(placed)
    sure = both / np.concatenate([hands.tracks[side].sigma_m for side in SIDES])
    assert 0.4 < np.nanmedian(sure) < 1.5  # sigma says about how far off it is


def test_without_depth_a_hand_of_adult_size_is_nearer_than_the_trackers_own(take: tuple[Hands, Truth, np.ndarray]) -> None:
    hands, truth, rows = take
    T = truth.T_world_cam[rows]
    adult, own = [], []
    for side, track in hands.tracks.items():
        xy, seen = rays(track.points_px, hands.intrinsics), track.valid
        true = np.einsum("nji,nkj->nki", T[:, :3, :3], truth.hands[side].points_m[rows] - T[:, None, :3, 3])[seen]
        local = face_ray(track.local_m, xy)
        adult.append(np.linalg.norm(place_by_size(track.local_m, xy, side)[seen] - true, axis=-1))
        own.append(np.linalg.norm((local + solve_translation(local, xy)[:, None])[seen] - true, axis=-1))
    assert np.median(np.concatenate(adult)[:, 0]) < 0.060
    assert np.median(np.concatenate(adult)) < 0.85 * np.median(np.concatenate(own))


def test_real_hands_before_glasses_are_placed_without_depth(shared: Path) -> None:
    """Two frames in which the hand is found; with the tracker's own size and tilt the wrists would be 60 mm off."""
    folder = shared / "data/media/aria"
    truth = json.loads((folder / "gen2_rgb_pinhole.json").read_text())
    camera = CameraCalibration(np.array(truth["camera_matrix"]), *truth["image_size"])
    wrist_row = truth["landmark_order"].index("wrist")
    errors = []
    for frame in truth["frames"]:
        true = np.array(frame["hands"]["left"]["landmarks_camera_m"])[wrist_row]
        image = cv2.imread(str(folder / frame["image"]))
        with open_tracker("mediapipe") as tracker:
            found = [tracker.detect(i * 33_000_000, image) for i in range(4)][-1]
        wrists = [place_by_size(d.local_m[None], rays(d.points_px[None], camera), "left")[0, 0] for d in found]
        errors += [min(np.linalg.norm(wrist - true) for wrist in wrists)] if wrists else []
    assert len(errors) >= 2 and np.sort(errors)[:2].max() < 0.040
