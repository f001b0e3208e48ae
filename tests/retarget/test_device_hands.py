"""Hands that devices tracked: each kind of source brought to the same frames, world and picture, and beside the pictures' own."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import cv2
import numpy as np
import pytest

from firsthand.annotate.overlay_video import overlay_video
from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.hand_stream import POSE_COLUMNS, POSE_UNITS, hand_row, hand_spec
from firsthand.capture.importer import import_file
from firsthand.capture.importers.aria_hands import canonical
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.skeleton import JOINTS, Side
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.datasets.rows import episode_rows
from firsthand.pipeline import process
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, MEASURED, METRIC, PREDICTED, Hands
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.head_pose import pose_rows
from firsthand.retarget.kinematics import axis_rotation
from firsthand.retarget.tracker import TRACKERS, Detection
from firsthand.validation import check as check_files

FRAMES, FPS, RATE = 40, 30, 60
MOUNT = np.array([[0.0, 0, 1, 0.05], [-1, 0, 0, 0.02], [0, -1, 0, 0.08], [0, 0, 0, 1]])
"""T_rig_cam: a camera that looks along the rig's x."""
PICTURE = CameraCalibration(np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]), 160, 120, T_rig_cam=MOUNT)
FRAME_NS = 1_000_000_000 + np.arange(FRAMES) * 1_000_000_000 // FPS
TOLD_NS = 950_000_000 + np.arange(int(RATE * (FRAMES / FPS + 0.1))) * 1_000_000_000 // RATE
POSE_NS = 900_000_000 + np.arange(160) * 10_000_000
EXTRA = {"device": "test", "axes": "x right, y forward, z up", "converted": "nothing"}
DEVICE, MONO = METRIC.index("device"), METRIC.index("mono")


def camera_in_world(t_ns: np.ndarray) -> np.ndarray:
    """T_world_cam (N, 4, 4), z up, of a head that looks about: forward is the world's y."""
    s = t_ns * 1e-9
    T = np.tile(np.eye(4), (len(s), 1, 1))
    look = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    T[:, :3, :3] = axis_rotation(np.array([0.0, 0, 1]), 0.5 * np.sin(2 * s)) @ look
    T[:, :3, 3] = np.stack([0.1 * np.sin(s), 0.05 * np.cos(s), 1.6 + 0 * s], 1)
    return T


@pytest.fixture
def in_world(motion: SimpleNamespace) -> Any:
    """Joints in the world (N, 21, 3) at any times, before the camera of most frames; the left hand is the mirrored right one."""
    flat = motion.moving_hand(1)[0][:, [1, 2, 0]] * [-1, 1, -1]  # fingers forward, palm down

    def at(t_ns: np.ndarray, side: Side = "right") -> np.ndarray:
        s = t_ns * 1e-9
        sign = 1 if side == "right" else -1
        R = axis_rotation(np.array([0.0, 0.6, 0.8]), 0.4 * np.sin(3 * s))
        wrist = np.stack([sign * 0.12 + 0.03 * np.sin(2 * s), 0.40 + 0.02 * np.cos(s), 1.55 + 0.03 * np.sin(1.5 * s)], 1)
        return np.einsum("nij,kj->nki", R, flat * [sign, 1, 1]) + wrist[:, None]

    return at


def moved(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ T[..., :3, :3].swapaxes(-1, -2) + T[..., None, :3, 3]


Told = tuple[StreamSpec, np.ndarray, np.ndarray]


def hand(side: Side, points: np.ndarray, origin: str, *, t_ns: np.ndarray = TOLD_NS, prefix: str = "", up: str | None = "z",
         more: Mapping[str, np.ndarray] | None = None, **extra: Any) -> Told:
    """A stream of a hand whose joints (M, 21, 3) a device told."""
    beside = dict(more or {})
    spec = hand_spec(side, prefix=prefix, rate_hz=RATE, extra={**EXTRA, "origin": origin, **({"up": up} if up else {}), **extra},
                     more=dict.fromkeys(beside, "1"), clock="media")
    known = np.isfinite(points).any((1, 2))
    quat = np.where(known[:, None], [1.0, 0, 0, 0], np.nan)
    rows = np.stack([np.concatenate([hand_row(p, q), [values[i] for values in beside.values()]])
                     for i, (p, q) in enumerate(zip(points, quat, strict=True))])
    return spec, t_ns, rows


def pose(name: str, T: np.ndarray, about: str = "", t_ns: np.ndarray = POSE_NS) -> Told:
    """A stream of poses (P, 4, 4)."""
    return StreamSpec(name, "numeric", "pose", names=POSE_COLUMNS, units=POSE_UNITS, about=about, clock="media"), t_ns, pose_rows(T)


def record(folder: Path, *streams: Told, camera: CameraCalibration | None = PICTURE, pictures: bool = True) -> Episode:
    """A recording of plain pictures and streams of numbers."""
    episode = Episode(folder / "library" / "session" / "000")
    with RecordingWriter(episode.recording_path, calibration=Calibration({"head": camera} if camera else {})) as writer:
        if pictures:
            writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", clock="media"))
        for spec, _, _ in streams:
            writer.add_stream(spec)
        jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 120, np.uint8))[1].tobytes()
        for i, t in enumerate(FRAME_NS if pictures else ()):
            writer.append(Sample("head", int(t), int(t), i, jpeg))
        for spec, times, rows in streams:
            for i, (t, row) in enumerate(zip(times, rows, strict=True)):
                writer.append(Sample(spec.name, int(t), int(t), i, row))
    return episode


def check(hands: Hands, side: Side, true_m: np.ndarray, off_m: float = 3e-4) -> None:
    """The hand is where it was, in the world and in the picture."""
    track = hands.tracks[side]
    np.testing.assert_allclose(track.points_m, true_m, atol=off_m)
    assert (track.provenance == MEASURED).all() and (track.metric == DEVICE).all() and (track.score == 1).all()
    assert ((track.sigma_m >= 0.01 - 1e-6) & (track.sigma_m < 0.013)).all()


def check_picture(hands: Hands, side: Side, true_m: np.ndarray) -> None:
    assert hands.T_world_cam is not None
    shown = PICTURE.project(moved(np.linalg.inv(camera_in_world(FRAME_NS)), true_m))
    np.testing.assert_allclose(hands.tracks[side].points_px, shown, atol=0.2)


def test_an_imported_hand_in_the_world_of_its_camera_is_where_it_was(tmp_path: Path, in_world: Any) -> None:  # EgoDex
    streams = [hand(side, in_world(TOLD_NS, side), "world") for side in ("left", "right")]
    hands = make_hands(record(tmp_path, *streams, pose("head-pose", camera_in_world(POSE_NS), "head")))
    assert hands.frame == "world" and hands.camera == "head" and hands.findings == ()
    for side in ("left", "right"):
        check(hands, side, in_world(FRAME_NS, side))
        check_picture(hands, side, in_world(FRAME_NS, side))


def test_a_headset_with_a_camera_on_it_brings_its_own_world(tmp_path: Path, in_world: Any) -> None:  # Quest, Vision Pro
    headset = camera_in_world(POSE_NS) @ np.linalg.inv(MOUNT)
    streams = [hand("right", in_world(TOLD_NS), "world", prefix="quest-"), pose("quest-head-pose", headset)]
    hands = make_hands(record(tmp_path, *streams), tracker="device")
    check(hands, "right", in_world(FRAME_NS))
    check_picture(hands, "right", in_world(FRAME_NS))
    assert hands.T_world_cam is not None and not any("head was" in finding for finding in hands.findings)
    np.testing.assert_allclose(hands.T_world_cam, camera_in_world(FRAME_NS), atol=1e-3)


def test_the_head_pose_of_another_device_is_of_another_world(tmp_path: Path, in_world: Any) -> None:
    headset = camera_in_world(POSE_NS) @ np.linalg.inv(MOUNT)
    episode = record(tmp_path, hand("right", in_world(TOLD_NS), "world", prefix="suit-"), pose("quest-head-pose", headset))
    hands = make_hands(episode, tracker="device")
    check(hands, "right", in_world(FRAME_NS))
    assert np.isnan(hands.tracks["right"].points_px).all() and np.isnan(hands.T_world_cam).all()
    assert [f for f in hands.findings if "suit-hand-right" in f and "T_rig_cam" in f]
    process([episode], ["panda_gripper"], tracker="device")
    assert len(episode_rows(episode, "panda_gripper").sides) == 1
    with pytest.raises(FirsthandError, match="poses relative to the world only"):
        episode_rows(episode, "panda_gripper", frame="camera")


@pytest.mark.parametrize("way", ["head-pose", "vio", "mps-trajectory"])
def test_a_hand_that_counts_from_the_device_is_where_it_was_in_the_world(tmp_path: Path, in_world: Any, way: str) -> None:  # Aria
    T_world_rig = camera_in_world(TOLD_NS) @ np.linalg.inv(MOUNT)
    points = moved(np.linalg.inv(T_world_rig), in_world(TOLD_NS))
    points[:, 1] = np.nan  # Aria has no base of the thumb
    prefix = "mps-" if way == "mps-trajectory" else ""
    poses = camera_in_world(POSE_NS) if way == "head-pose" else camera_in_world(POSE_NS) @ np.linalg.inv(MOUNT)
    stream = hand("right", points, "device", up=None, prefix=prefix)
    hands = make_hands(record(tmp_path, stream, pose(way, poses, "head" if way == "head-pose" else "")), tracker="device")
    track, true_m = hands.tracks["right"], in_world(FRAME_NS)
    others = np.delete(np.arange(21), 1)
    np.testing.assert_allclose(track.points_m[:, others], true_m[:, others], atol=4e-4)
    assert (track.provenance[:, others] == MEASURED).all() and (track.provenance[:, 1] == PREDICTED).all()
    assert np.linalg.norm(track.points_m[:, 1] - true_m[:, 1], axis=1).max() < 0.025 and (track.sigma_m[:, 1] > 0.014).all()
    assert not any("way is up" in finding for finding in hands.findings)


def test_without_any_pose_a_device_s_hands_are_in_the_camera(tmp_path: Path, in_world: Any) -> None:
    points = moved(np.linalg.inv(camera_in_world(TOLD_NS) @ np.linalg.inv(MOUNT)), in_world(TOLD_NS))
    hands = make_hands(record(tmp_path, hand("right", points, "device", up=None)), tracker="device")
    true_m = moved(np.linalg.inv(camera_in_world(FRAME_NS)), in_world(FRAME_NS))
    assert hands.frame == "camera"
    check(hands, "right", true_m, off_m=4e-4)
    np.testing.assert_allclose(hands.tracks["right"].points_px, PICTURE.project(true_m), atol=0.3)


def test_a_world_of_unknown_up_is_told_and_one_whose_y_is_up_is_turned(tmp_path: Path, in_world: Any) -> None:  # EgoVerse
    y_up = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    head = pose("head-pose", camera_in_world(POSE_NS), "head")
    unknown = make_hands(record(tmp_path / "a", hand("right", in_world(TOLD_NS), "world", up=None), head), tracker="device")
    assert any("which way is up in the world of hand-right is not known" in finding for finding in unknown.findings)
    T = camera_in_world(POSE_NS)
    T[:, :3] = y_up @ T[:, :3]
    streams = [hand("right", in_world(TOLD_NS) @ y_up.T, "world"), pose("head-pose", T, "head")]
    for spec, _, _ in streams:
        spec.extra["up"] = "y"
    hands = make_hands(record(tmp_path / "b", *streams), tracker="device")
    check(hands, "right", in_world(FRAME_NS))
    check_picture(hands, "right", in_world(FRAME_NS))


def test_without_known_optics_hands_are_in_the_world_and_not_in_the_picture(tmp_path: Path, in_world: Any) -> None:
    streams = [hand("right", in_world(TOLD_NS), "world"), pose("head-pose", camera_in_world(POSE_NS), "head")]
    hands = make_hands(record(tmp_path, *streams, camera=None), tracker="device")
    check(hands, "right", in_world(FRAME_NS))
    assert np.isnan(hands.tracks["right"].points_px).all()
    assert any("the optics of camera head are not known" in finding for finding in hands.findings)


@pytest.mark.parametrize(("gap_s", "code"), [(0.15, INTERPOLATED), (0.30, ABSENT)])
def test_gaps_are_bridged_only_where_they_are_short(tmp_path: Path, in_world: Any, gap_s: float, code: int) -> None:
    points, begin = in_world(TOLD_NS), 1_500_000_000
    points[(begin - 1 <= TOLD_NS) & (begin + gap_s * 1e9 >= TOLD_NS)] = np.nan
    streams = [hand("right", points, "world"), pose("head-pose", camera_in_world(POSE_NS), "head")]
    hands = make_hands(record(tmp_path, *streams), tracker="device")
    track, inside = hands.tracks["right"], (begin + 5_000_000 < FRAME_NS) & (begin + gap_s * 1e9 - 5_000_000 > FRAME_NS)
    assert (track.provenance[inside] == code).all() and (track.provenance[~inside][:, 0] != ABSENT).any()
    unknown = [track.points_m, track.points_px, track.sigma_m, track.score]
    if code == ABSENT:
        assert all(np.isnan(values[inside]).all() for values in unknown) and (track.metric[inside] == 0).all()
    else:
        np.testing.assert_allclose(track.points_m[inside], in_world(FRAME_NS)[inside], atol=0.01)
        assert (track.sigma_m[inside] > track.sigma_m[0]).all() and (track.metric[inside] == DEVICE).all()


def test_confidence_becomes_score_and_sigma_and_a_guess_is_predicted(tmp_path: Path, in_world: Any) -> None:
    half = len(TOLD_NS) // 2
    sure = np.where(np.arange(len(TOLD_NS)) < half, 0.9, 0.05)
    tip = np.full(len(TOLD_NS), 0.5)
    stream = hand("right", in_world(TOLD_NS), "world", more={"confidence": sure, "index_tip.confidence": tip}, estimated=["little_tip"])
    hands = make_hands(record(tmp_path, stream, pose("head-pose", camera_in_world(POSE_NS), "head")), tracker="device")
    track = hands.tracks["right"]
    wrist, index, little = (JOINTS.index(name) for name in ("wrist", "index_tip", "little_tip"))
    assert track.score[:10] == pytest.approx((0.9 * 20 + 0.5) / 21) and (track.score[-10:] < 0.1).all()
    assert track.sigma_m[:10, index] == pytest.approx(0.025, rel=0.05) and track.sigma_m[:10, wrist] == pytest.approx(0.013, rel=0.05)
    assert (track.provenance[:10, little] == PREDICTED).all() and (track.sigma_m[:10, little] > track.sigma_m[:10, wrist]).all()
    assert (track.provenance[-10:, wrist] == PREDICTED).all() and (track.provenance[-10:, index] == MEASURED).all()


@pytest.mark.parametrize("origin", ["world", "glove", "wrist"])
def test_a_recording_without_pictures_has_hands_at_their_own_times(tmp_path: Path, in_world: Any, origin: str) -> None:  # Rokoko, MANUS
    slow = TOLD_NS[::2] + 3_000_000
    streams = [hand("right", in_world(TOLD_NS), origin, up="z" if origin != "wrist" else None),
               hand("left", in_world(slow, "left"), origin, t_ns=slow, up="z" if origin != "wrist" else None)]
    hands = make_hands(record(tmp_path, *streams, camera=None, pictures=False))
    assert hands.camera == "hand-right" and hands.t_ns.tolist() == TOLD_NS.tolist() and hands.intrinsics.width_px == 0
    assert hands.frame == ("camera" if origin == "wrist" else "world")
    np.testing.assert_allclose(hands.tracks["right"].points_m, in_world(TOLD_NS), atol=1e-6)
    seen = hands.tracks["left"].valid
    assert seen.mean() > 0.9
    np.testing.assert_allclose(hands.tracks["left"].points_m[seen], in_world(TOLD_NS, "left")[seen], atol=2e-3)
    assert (hands.tracks["right"].metric == (DEVICE if origin == "world" else 0)).all()
    assert any("not where" in finding for finding in hands.findings) == (origin != "world")


def test_a_recording_without_pictures_goes_through_every_stage_that_needs_none(tmp_path: Path, in_world: Any) -> None:
    episode = record(tmp_path, hand("right", in_world(TOLD_NS), "world"), camera=None, pictures=False)
    done = process([episode], ["panda_gripper"])
    assert done[0].actions == {"panda_gripper": {"right": len(TOLD_NS)}} and done[0].coverage == {"right": 1.0}
    assert [fault for fault in check_files(episode.path, lambda *_: None)[1] if "session.json" not in fault] == []
    with pytest.raises(DamagedError, match="no camera images"):
        process([episode], [], tracker="litert")
    with pytest.raises(DamagedError, match="stream hand-right holds numbers, and there are no pictures"):
        overlay_video(episode, tmp_path / "look.mp4")


def test_a_recording_with_neither_pictures_nor_hands_says_so(tmp_path: Path) -> None:
    spec = StreamSpec("glove-right", "numeric", "glove", names=("index_pip_flex",), units=("rad",), side="right", clock="media")
    with pytest.raises(DamagedError, match="no camera images, only the angles of glove-right"):
        make_hands(record(tmp_path, (spec, TOLD_NS, np.zeros((len(TOLD_NS), 1))), camera=None, pictures=False))


def test_a_glove_that_does_not_know_where_it_is_is_no_device_beside_a_camera(tmp_path: Path, in_world: Any) -> None:
    episode = record(tmp_path, hand("right", in_world(TOLD_NS), "glove"))
    with pytest.raises(DamagedError, match=r"no hands of a device that knows where they were.*hand-right"):
        make_hands(episode, tracker="device")


def test_what_a_service_made_of_the_whole_recording_comes_first(tmp_path: Path, in_world: Any) -> None:
    head = pose("head-pose", camera_in_world(POSE_NS), "head")
    live, offline = (hand("right", in_world(TOLD_NS) + off, "world", prefix=prefix) for prefix, off in (("", 0.05), ("mps-", 0.0)))
    check(make_hands(record(tmp_path, live, offline, head), tracker="device"), "right", in_world(FRAME_NS))


# Beside the pictures -------------------------------------------------------------------------------------------------------------------

SCRIPT: dict[int, list[Detection]] = {}


class ScriptedTracker:
    """Reads its detections from `SCRIPT`, by time."""

    parameters: Mapping[str, Any] = {"tracker": "scripted"}

    def detect(self, t_ns: int, image: np.ndarray) -> list[Detection]:
        return SCRIPT[t_ns]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.fixture
def pictures_show(monkeypatch: pytest.MonkeyPatch, in_world: Any) -> Any:
    """Have the pictures' tracker see hands of these sides where they are, and call them what it likes."""
    monkeypatch.setitem(TRACKERS, "litert", f"{__name__}:ScriptedTracker")

    def show(*sides: Side, called: float | None = None) -> None:
        SCRIPT.clear()
        for i, t in enumerate(FRAME_NS):
            SCRIPT[int(t)] = []
            for side in sides:
                points = moved(np.linalg.inv(camera_in_world(FRAME_NS[i : i + 1])), in_world(FRAME_NS[i : i + 1], side))[0]
                rightness = called if called is not None else 0.9 if side == "right" else -0.9
                SCRIPT[int(t)].append(Detection(PICTURE.project(points), points - points[0], rightness, 0.8))

    return show


def test_pictures_fill_in_what_the_device_did_not_see(tmp_path: Path, in_world: Any, pictures_show: Any) -> None:
    points = in_world(TOLD_NS)
    points[TOLD_NS > 1_600_000_000] = np.nan
    pictures_show("left", "right")
    hands = make_hands(record(tmp_path, hand("right", points, "world"), pose("head-pose", camera_in_world(POSE_NS), "head")))
    track, early = hands.tracks["right"], FRAME_NS < 1_590_000_000
    assert (track.metric[early] == DEVICE).all() and (track.metric[~early][1:] == MONO).all() and track.valid.all()
    assert (hands.tracks["left"].metric == MONO).all()
    np.testing.assert_allclose(track.points_m[early], in_world(FRAME_NS)[early], atol=3e-4)
    assert track.sigma_m[early].max() < 0.013 < track.sigma_m[~early][1:].min()
    assert any("the right hand is from the pictures in" in f for f in hands.findings)
    assert any(f"the left hand is from the pictures in {FRAMES} frames" in f for f in hands.findings)


def test_pictures_that_call_the_device_s_hand_the_other_one_are_not_believed(tmp_path: Path, in_world: Any, pictures_show: Any) -> None:
    pictures_show("right", called=-0.9)
    hands = make_hands(record(tmp_path, hand("right", in_world(TOLD_NS), "world"), pose("head-pose", camera_in_world(POSE_NS), "head")))
    assert set(hands.tracks) == {"right"} and (hands.tracks["right"].metric == DEVICE).all()
    assert any(f"as the other one in {FRAMES} frames" in finding for finding in hands.findings)


def test_without_a_device_auto_is_the_pictures_to_the_byte(tmp_path: Path, pictures_show: Any) -> None:
    pictures_show("right")
    episode = record(tmp_path)
    by_name = make_hands(episode, tracker="litert")
    stamp = episode.hands_path.stat().st_mtime_ns
    assert make_hands(episode, tracker="auto").provenance == by_name.provenance and episode.hands_path.stat().st_mtime_ns == stamp


def test_running_again_reads_what_is_there_until_the_way_changes(tmp_path: Path, in_world: Any, pictures_show: Any) -> None:
    pictures_show("left", "right")
    episode = record(tmp_path, hand("right", in_world(TOLD_NS), "world"), pose("head-pose", camera_in_world(POSE_NS), "head"))
    make_hands(episode, tracker="auto")
    first = episode.hands_path.read_bytes()
    make_hands(episode, tracker="auto", force=True)
    assert episode.hands_path.read_bytes() == first
    assert set(make_hands(episode, tracker="device").tracks) == {"right"}


def test_an_unknown_way_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match=r"no tracker called 'devcie'; did you mean 'device'.*auto.*litert.*npz:PATH"):
        make_hands(record(tmp_path), tracker="devcie")


def test_the_glasses_own_hands_are_where_their_maker_s_tools_put_them(shared: Path, tmp_path: Path) -> None:  # Aria Gen 2
    pytest.importorskip("pyvrs", reason="Meta's reader of VRS files is not installed (pip install 'firsthand[aria]')")
    folder = shared / "data" / "media" / "aria"
    told = json.loads((folder / "gen2_rgb_pinhole.json").read_text())
    hands = make_hands(import_file(folder / "gen2_unit_test.vrs", tmp_path / "library")[0], tracker="device")
    assert hands.frame == "world" and hands.findings == () and set(hands.tracks) == {"left", "right"}
    for side, track in hands.tracks.items():
        assert (track.metric == DEVICE).all() and (track.score > 0.99).all() and track.valid.all()
        assert (track.provenance[:, 1] == PREDICTED).all() and (np.delete(track.provenance, 1, 1) == MEASURED).all()
        ours = hands.in_camera(side)
        for i, frame in enumerate(told["frames"]):
            theirs = canonical(np.array(frame["hands"][side]["landmarks_camera_m"])[None])[0]
            off = np.linalg.norm(np.delete(ours[i] - theirs, 1, 0), axis=1)
            assert off.max() < 0.008, "theirs is of up to 6 ms before the picture"
            shown = hands.intrinsics.project(theirs)
            inside = np.isfinite(track.points_px[i]).all(1) & np.isfinite(shown).all(1)
            assert inside.sum() >= 20 and np.median(np.linalg.norm(track.points_px[i] - shown, axis=1)[inside]) < 25
