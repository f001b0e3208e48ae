"""Project Aria's recordings: everything they hold but what tells who, where and what the eyes did; optics kept as they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.capture.importer import import_file, import_take, look
from firsthand.capture.importers.aria_hands import LANDMARKS, canonical
from firsthand.capture.importers.aria_mps import hand_tracks, trajectory
from firsthand.capture.importers.fisheye import at_size, rotation_of, turned, upright
from firsthand.capture.importers.vrs import HEADER, missing_bytes
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import JOINTS
from firsthand.capture.summary import check_recording

LENS = np.array([878.0, 992.0, 752.4, -0.0306, 0.0204, 0.1211, -0.2203, 0.1344, -0.0290, -9e-4, 1e-4, 5e-4, 7e-4, -5e-4, 2e-4])
"""Much like the RGB camera of a Gen 2."""


def test_a_binned_picture_sees_the_same_at_half_the_pixels() -> None:
    half = at_size(LENS, (2880, 2880), 1408, 1408)
    assert half is not None
    full, small = upright(LENS, 2880, 2880, np.eye(4), 0), upright(half, 1408, 1408, np.eye(4), 0)
    rays = np.random.default_rng(0).normal(size=(50, 3)) * 0.3 + [0, 0, 1]
    np.testing.assert_allclose(small.project(rays), (full.project(rays) - 32 + 0.5) / 2 - 0.5)
    assert at_size(LENS, (2880, 2880), 1000, 1000) is None


def test_a_picture_turned_upright_keeps_its_lens_exactly() -> None:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation_of([0.9, 0.1, 0.2, 0.3]), [0.01, 0.02, 0.03]
    stored, shown = (upright(LENS, 2016, 1512, T, turns, readout_s=0.016) for turns in (0, 1))
    points = np.random.default_rng(1).uniform([-0.3, -0.3, 0.2], [0.3, 0.3, 0.6], (100, 3))  # in the rig
    px, turned_px = (camera.project((points - camera.T_rig_cam[:3, 3]) @ camera.T_rig_cam[:3, :3]) for camera in (stored, shown))
    np.testing.assert_allclose(turned_px, np.stack([1512 - 1 - px[:, 1], px[:, 0]], 1), atol=1e-9)
    np.testing.assert_allclose(shown.exposed_s(turned_px), stored.exposed_s(px), atol=1e-12)  # the first row is now the last column
    np.testing.assert_allclose(stored.exposed_s(np.array([[0.0, 0.0], [0.0, 1511.0]])), [-0.008, 0.008], rtol=1e-3)
    assert (shown.width_px, shown.height_px) == (1512, 2016)
    np.testing.assert_allclose(turned(T, 4), T, atol=1e-12)


def test_landmarks_become_our_joints_and_the_base_of_the_thumb_is_missing() -> None:
    marks = np.arange(21 * 3, dtype=float).reshape(1, 21, 3)
    joints = canonical(marks)
    assert np.isnan(joints[0, JOINTS.index("thumb_cmc")]).all() and sorted(LANDMARKS) == list(range(-1, 20))
    for joint, landmark in (("wrist", 5), ("thumb_tip", 0), ("index_mcp", 8), ("little_tip", 4)):
        assert joints[0, JOINTS.index(joint), 0] == 3 * landmark


@pytest.fixture
def media(shared: Path) -> Path:
    pytest.importorskip("pyvrs", reason="Meta's reader of VRS files is not installed (pip install 'firsthand[aria]')")
    folder = shared / "data" / "media" / "aria"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.fixture
def gen2(media: Path, tmp_path: Path) -> Episode:
    return import_file(media / "gen2_unit_test.vrs", tmp_path / "library")[0]


def test_a_gen2_comes_in_with_everything_but_the_private(gen2: Episode, media: Path) -> None:
    with gen2.recording() as recording:
        counts = {name: len(stream) for name, stream in recording.streams.items() if len(stream)}
        slam = ("slam-front-left", "slam-front-right", "slam-side-left", "slam-side-right")
        assert counts == {"head": 3, "head-exposure": 3, **dict.fromkeys(slam, 9), **{f"{name}-exposure": 9 for name in slam},
                          "imu-left": 239, "imu-right": 238, "magnetometer": 30, "barometer": 15,
                          "vio": 237, "vio-frames": 3, "head-pose": 237, "hand-left": 9, "hand-right": 9}
        assert recording.source == "egocentric" and recording.camera().t_ns.tolist() == [7385797614063, 7385898450896, 7385996779437]
        assert np.linalg.norm(recording["imu-left"].values[:, :3], axis=1).mean() == pytest.approx(9.8, abs=0.7)
        assert 1.5e-5 < np.linalg.norm(recording["magnetometer"].values, axis=1).mean() < 8e-5
        assert set(recording.calibration.cameras) == {"head", *slam}
        kept = recording["slam-side-left"].spec.extra["calibration"]
        assert kept["Projection"]["Name"] == "FisheyeRadTanThinPrism" and len(kept["Projection"]["Params"]) == 15
    stored = gen2.recording_path.read_bytes()
    assert b"1M0YCN3G8V0062" not in stored and b"58:08:ca" not in stored  # serial number, a neighbour's Bluetooth address
    assert b"SerialNumber" not in stored and b"P8P017_W13X31Y19" not in stored  # of a camera, inside the calibration
    assert check_recording(gen2.recording_path) == []


def test_on_device_hands_lie_on_the_hand_in_the_picture(gen2: Episode, media: Path) -> None:
    """Against pictures undistorted, and landmarks projected, without any of our code."""
    truth = json.loads((media / "gen2_rgb_pinhole.json").read_text())
    with gen2.recording() as recording:
        camera, hand = recording.calibration.cameras["head"], recording["hand-left"]
        for frame in truth["frames"]:
            at = int(np.argmin(np.abs(hand.t_ns - frame["capture_timestamp_ns"])))
            joints = hand.values[at, :63].reshape(21, 3)
            back = np.linalg.inv(camera.T_rig_cam)
            ours = joints @ back[:3, :3].T + back[:3, 3]
            theirs = np.array(frame["hands"]["left"]["landmarks_camera_m"])
            for joint, landmark in enumerate(LANDMARKS):
                if landmark >= 0:
                    np.testing.assert_allclose(ours[joint], theirs[landmark], atol=2e-6)
        index = int(np.argmin(np.abs(recording["vio"].t_ns - recording["head"].t_ns[0])))
        assert np.isfinite(recording["head-pose"].values).all() and recording["head-pose"].spec.about == "head"
        head, device = recording["head-pose"].values[index], recording["vio"].values[index]
        R = rotation_of(device[3:7])
        np.testing.assert_allclose(head[:3], device[:3] + R @ camera.T_rig_cam[:3, 3], atol=1e-9)


def test_eyes_come_only_when_asked_for(media: Path, tmp_path: Path) -> None:
    asked, source = Asked(keep_eyes=True), media / "gen2_unit_test.vrs"
    episode, _ = import_take(source, look(source, asked), 0, tmp_path / "library", asked)
    with episode.recording() as recording:
        assert {name: len(recording[name]) for name in ("eye-left", "eye-right", "gaze")} == {"eye-left": 2, "eye-right": 2, "gaze": 9}
        assert np.linalg.norm(recording["gaze"].values[:, 3:], axis=1) == pytest.approx(1, abs=1e-3)
    assert check_recording(episode.recording_path) == []


def test_a_gen1_comes_in_upright_with_its_own_jpegs(media: Path, tmp_path: Path) -> None:
    episode, _ = import_file(media / "gen1_unit_test_timecode.vrs", tmp_path / "library")
    with episode.recording() as recording:
        counts = {name: len(stream) for name, stream in recording.streams.items() if len(stream)}
        names = ("head", "slam-left", "slam-right")
        assert counts == {**dict.fromkeys(names, 4), **{f"{name}-exposure": 4 for name in names},
                          "imu-left": 121, "imu-right": 150, "magnetometer": 2, "barometer": 8,
                          "utc": 1, "timecode": 5}
        head = recording["head"]
        assert recording["head-exposure"].values[0] == pytest.approx([0.008231, 15.0588], rel=1e-4)
        np.testing.assert_array_equal(recording["head-exposure"].t_ns, head.t_ns)
        assert {camera.model for camera in recording.calibration.cameras.values()} == {"fisheye624"}
        assert set(recording.calibration.cameras) == {"head", "slam-left", "slam-right"}
        assert head.payload(0)[:3] == b"\xff\xd8\xff" and len(head.payload(0)) == 327653
        assert head.image(0).shape == (1408, 1408, 3) and recording["slam-left"].image(0).shape == (640, 480, 3)
        down = recording["imu-right"].values[:, :3].mean(0) / 9.81
        assert np.linalg.norm(down) == pytest.approx(1, abs=0.05)
        assert recording["utc"].values[0, 0] + recording["utc"].spec.extra.get("offset", {}).get("real_ns", 0) == 23842336890389000
    assert check_recording(episode.recording_path) == []


def test_results_of_mps_beside_a_recording_come_in_with_it(media: Path, tmp_path: Path) -> None:
    shutil.copy(media / "gen1_unit_test_timecode.vrs", tmp_path / "walk.vrs")
    shutil.copytree(media / "mps_gen1", tmp_path / "mps_walk_vrs")
    episode, _ = import_file(tmp_path / "walk.vrs", tmp_path / "library")
    with episode.recording() as recording:
        poses, left = recording["mps-trajectory"], recording["mps-hand-left"]
        assert len(poses) == len(recording["head-pose"]) > 50 and np.allclose(np.linalg.norm(poses.values[:, 3:7], axis=1), 1, atol=1e-6)
        assert not any("ecef" in name for stream in recording.streams.values() for name in stream.spec.names)
        seen = np.isfinite(left.values[:, -1])
        assert np.isnan(left.values[~seen, :3]).all()
    assert check_recording(episode.recording_path) == []


def test_both_versions_of_mps_hands_are_read(media: Path) -> None:
    for version in ("v1", "v2"):
        left, right = hand_tracks(media / "mps_gen1" / "hand_tracking" / f"hand_tracking_results_{version}.csv")
        rows = np.array([sample.data for track in (left, right) for sample in track.samples])
        seen = np.isfinite(rows[:, -1])
        assert len(rows) and np.isnan(rows[~seen, :66]).all()
        bones = np.linalg.norm(rows[seen, 15:18] - rows[seen, 0:3], axis=1)  # wrist to index knuckle
        assert np.all((bones > 0.05) & (bones < 0.13))
    t_ns, _, quality = trajectory(media / "mps_gen1" / "trajectory" / "closed_loop_trajectory_geo_available.csv")
    assert np.all(np.diff(t_ns) > 0) and np.all((quality >= 0) & (quality <= 1))


@pytest.mark.parametrize("name", ["synthetic.vrs", "sample_file.vrs"])
def test_other_vrs_files_are_refused_politely(media: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(FirsthandError, match="not of Project Aria's glasses"):
        import_file(media.parent / "vrs" / name, tmp_path / "library")


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.99])
def test_a_recording_that_is_cut_off_is_refused(media: Path, tmp_path: Path, keep: float) -> None:
    whole = (media / "gen2_unit_test.vrs").read_bytes()
    (tmp_path / "cut.vrs").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(FirsthandError, match=r"cut\.vrs: it is cut off or damaged, \d+ bytes are missing"):
        import_file(tmp_path / "cut.vrs", tmp_path / "library")
    assert not list((tmp_path / "library").glob("*"))


def test_a_header_that_is_cut_off_lacks_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.vrs").write_bytes(b"VisionRe" + bytes(10))
    assert missing_bytes(tmp_path / "x.vrs") == HEADER.size - 18
