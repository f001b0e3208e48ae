"""Recording to hands.h5, with a tracker that reads exact hands from a script."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256
from firsthand.capture.library import Episode, find_episodes
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.hand_depth import SKIN_TO_JOINT_M
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_place import WRIST_BEYOND
from firsthand.retarget.hand_shape import KNUCKLE_DIRECTIONS, PALM, best_rotations, shaped
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, MEASURED, METRIC, Hands, read_hands
from firsthand.retarget.hands_stage import make_hands, nearest_rows, optics
from firsthand.retarget.head_pose import COLUMNS
from firsthand.retarget.metric import face_ray, rays
from firsthand.retarget.tracker import TRACKERS, Detection
from firsthand.retarget.world_frame import NOWHERE

WIDTH, HEIGHT, FPS = 160, 120, 30
CAMERA = CameraCalibration(np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]), WIDTH, HEIGHT)
NONE, MONO, SCALED, DEPTH = (METRIC.index(name) for name in ("none", "mono", "mono_scaled", "depth"))
PERIOD = 1_000_000_000 // FPS
KNUCKLE_HAND = np.concatenate([np.zeros((1, 3)), KNUCKLE_DIRECTIONS * 0.085])[None]
HAND = shaped(np.random.default_rng(3).uniform(-0.04, 0.04, (1, 21, 3)), "right", ADULT_BONES_M)[0]
HAND = HAND @ best_rotations(HAND[list(PALM)], KNUCKLE_HAND)[0].T  # fingers up the picture, as of a wearer

SCRIPT: list[list[Detection]] = []
CALLS: list[int] = []


class ScriptedTracker:
    """Reads its detections from `SCRIPT`, in order."""

    parameters: Mapping[str, Any] = {"tracker": "scripted"}

    def detect(self, t_ns: int, image: np.ndarray) -> list[Detection]:
        CALLS.append(t_ns)
        return SCRIPT[len(CALLS) - 1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[list[Detection]]], None]:
    """Register the scripted tracker and give it its lines."""
    monkeypatch.setitem(TRACKERS, "scripted", f"{__name__}:ScriptedTracker")

    def give(lines: list[list[Detection]]) -> None:
        CALLS.clear()
        SCRIPT[:] = lines

    return give


def wrists(n: int) -> np.ndarray:
    s = np.arange(n) / FPS
    return np.stack([0.05 * np.sin(2 * s) + 0.02, 0.03 * np.cos(s), 0.45 + 0.03 * np.sin(1.3 * s)], 1)


def seen_at(points: np.ndarray, rightness: float = 0.9) -> Detection:
    """The detection of a hand with these joints in the camera (21, 3), by a tracker that looks along the ray to it."""
    pixels = points[:, :2] / points[:, 2:] * 150.0 + (79.5, 59.5)
    pixels[0] = (pixels[0] + WRIST_BEYOND * pixels[9]) / (1 + WRIST_BEYOND)  # as the networks see the wrist
    xy = rays(pixels[None], CAMERA)
    frame = face_ray(np.tile(np.eye(3), (1, 7, 1)), xy)[0, :3]  # rows: where the tracker's axes point
    return Detection(pixels, (points - points[0]) @ frame.T, rightness, 0.8)


def record(folder: Path, n: int, *, calibration: bool = True, poses: np.ndarray | None = None, pose_every: int = 10_000_000,
           depth: np.ndarray | None = None) -> Episode:
    """A recording of n plain pictures, with head poses (P, 7) and depth images (n, H, W) in metres where given."""
    episode = Episode(folder / "library" / "session" / "000")
    known = Calibration({"head": CAMERA} if calibration else {})
    with RecordingWriter(episode.recording_path, calibration=known) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", clock="media"))
        if poses is not None:
            units = ("m",) * 3 + ("1",) * 4
            writer.add_stream(StreamSpec("head-pose", "numeric", "pose", names=COLUMNS, units=units, about="head", clock="media"))
        if depth is not None:
            extra = {"depth_unit_m": 0.0001}
            writer.add_stream(StreamSpec("depth", "encoded", "depth", encoding="png", about="head", clock="media", extra=extra))
        jpeg = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 120, np.uint8))[1].tobytes()
        for i in range(n):
            writer.append(Sample("head", i * PERIOD, i * PERIOD, i, jpeg))
        for i, pose in enumerate(() if poses is None else poses):
            writer.append(Sample("head-pose", i * pose_every, i * pose_every, i, pose))
        for i, image in enumerate(() if depth is None else depth):
            png = cv2.imencode(".png", np.round(image * 1e4).astype(np.uint16))[1].tobytes()
            writer.append(Sample("depth", i * PERIOD + 4_000_000, i * PERIOD + 4_000_000, i, png))
    return episode


def right(hands: Hands) -> np.ndarray:
    return hands.tracks["right"].points_m


def test_an_exact_hand_comes_out_exactly_where_it_was(tmp_path: Path, script: Callable[..., None]) -> None:
    points = wrists(40)[:, None] + HAND
    script([[seen_at(p)] for p in points])
    done: list[tuple[int, int]] = []
    hands = make_hands(record(tmp_path, 40), tracker="scripted", progress=lambda *step: done.append(step))
    track = hands.tracks["right"]
    assert hands.frame == "camera" and hands.findings == (NOWHERE,) and set(hands.tracks) == {"right"}
    np.testing.assert_allclose(track.points_m, points, atol=0.002)
    assert (track.provenance == MEASURED).all() and (track.metric == MONO).all()
    assert done == [(i + 1, 40) for i in range(40)]
    assert [i * PERIOD for i in range(40)] == CALLS


@pytest.mark.parametrize(("gap", "code"), [(5, INTERPOLATED), (6, ABSENT)])
def test_five_frames_are_filled_and_marked_and_six_are_left_out(tmp_path: Path, script: Callable[..., None], gap: int, code: int) -> None:
    points = wrists(40)[:, None] + HAND
    script([[] if 10 <= i < 10 + gap else [seen_at(p)] for i, p in enumerate(points)])
    track = make_hands(record(tmp_path, 40), tracker="scripted").tracks["right"]
    hole = slice(10, 10 + gap)
    assert (track.provenance[hole] == code).all() and (np.delete(track.provenance, np.r_[hole], 0) == MEASURED).all()
    if code == INTERPOLATED:
        np.testing.assert_allclose(track.points_m[hole], points[hole], atol=3e-3)
        assert (track.sigma_m[hole] > 0.95 * track.sigma_m[9]).all() and track.valid.all()
    else:
        assert (track.metric[hole] == NONE).all()
        for values in (track.points_m, track.points_px, track.local_m, track.sigma_m, track.score):
            assert np.isnan(values[hole]).all() and np.isfinite(np.delete(values, np.r_[hole], 0)).all()


def test_the_world_frame_stands_still_while_the_head_turns(tmp_path: Path, script: Callable[..., None]) -> None:
    n, poses = 40, np.zeros((140, 7))
    s = np.arange(140) * 0.01
    poses[:, 0], poses[:, 2], poses[:, 3], poses[:, 5] = 0.1 * s, 1.5, np.cos(0.1 * s), np.sin(0.1 * s)  # about y, 0.2 rad/s
    a = 0.2 * np.arange(n) * PERIOD * 1e-9
    zero, one = np.zeros(n), np.ones(n)
    R = np.stack([np.cos(a), zero, np.sin(a), zero, one, zero, -np.sin(a), zero, np.cos(a)], 1).reshape(n, 3, 3)
    origin = np.stack([a / 2, zero, one * 1.5], 1)
    still = np.array([0.05, 0.02, 1.95]) + HAND
    script([[seen_at((still - o) @ r)] for r, o in zip(R, origin, strict=True)])
    hands = make_hands(record(tmp_path, n, poses=poses), tracker="scripted")
    assert hands.frame == "world" and hands.T_world_cam is not None
    np.testing.assert_allclose(hands.T_world_cam[:, :3, :3], R, atol=1e-6)
    np.testing.assert_allclose(right(hands), np.broadcast_to(still, (n, 21, 3)), atol=0.002)
    np.testing.assert_allclose(hands.in_camera("right"), np.einsum("nji,nkj->nki", R, still - origin[:, None]), atol=0.002)


def test_where_the_heads_pose_is_not_known_the_hand_is_absent(tmp_path: Path, script: Callable[..., None]) -> None:
    poses = np.tile([0.0, 0, 1.5, 1, 0, 0, 0], (60, 1))  # ends after 0.6 s of 1.3
    script([[seen_at(p)] for p in wrists(40)[:, None] + HAND])
    hands = make_hands(record(tmp_path, 40, poses=poses), tracker="scripted")
    valid = hands.tracks["right"].valid
    assert valid[:19].all() and not valid[20:].any()
    assert "the head's pose is not known in 20 of 40 frames; hands are absent there" in hands.findings


def test_poses_of_another_time_leave_the_hands_in_the_camera(tmp_path: Path, script: Callable[..., None]) -> None:
    script([[seen_at(p)] for p in wrists(10)[:, None] + HAND])
    hands = make_hands(record(tmp_path, 10, poses=np.full((20, 7), np.nan)), tracker="scripted")
    assert hands.frame == "camera" and any("hands are in the camera's frame" in f for f in hands.findings)


def depth_of(points: np.ndarray) -> np.ndarray:
    """What a depth sensor sees of hands (n, 21, 3): the skin before each joint, and a wall."""
    depth = np.full((len(points), HEIGHT, WIDTH), 1.5)
    for image, joints in zip(depth, points, strict=True):
        for joint in np.argsort(-joints[:, 2]):
            u, v = np.round(joints[joint, :2] / joints[joint, 2] * 150 + (79.5, 59.5)).astype(int)
            image[max(v - 4, 0) : v + 5, max(u - 4, 0) : u + 5] = joints[joint, 2] - SKIN_TO_JOINT_M[joint]
    return depth


def test_sensor_depth_places_a_hand_that_is_larger_than_most(tmp_path: Path, script: Callable[..., None]) -> None:
    """By its size, a hand larger by a fifth seems nearer by a sixth. Frames whose depth is lost are corrected by those around them."""
    points = wrists(40)[:, None] + HAND * 1.2
    depth = depth_of(points)
    lost = np.r_[10:12, 20:32]
    depth[lost] = 0.0  # the sensor saw nothing
    script([[seen_at(p)] for p in points])
    track = make_hands(record(tmp_path, 40, depth=depth), tracker="scripted").tracks["right"]
    assert (np.delete(track.metric, lost) == DEPTH).all() and (track.metric[lost] == SCALED).all()
    error = np.linalg.norm(track.points_m[:, 0] - points[:, 0], axis=1)
    assert np.median(error) < 0.010 and (error[:12] < 0.012).all() and (error[20:32] < 0.025).all()
    assert np.delete(track.sigma_m, lost, 0).max() <= 0.0276 and (track.sigma_m[lost] > 0.015).all()


def test_depth_that_is_not_the_hands_is_not_believed(tmp_path: Path, script: Callable[..., None]) -> None:
    script([[seen_at(p)] for p in wrists(12)[:, None] + HAND])
    track = make_hands(record(tmp_path, 12, depth=np.full((12, HEIGHT, WIDTH), 3.0)), tracker="scripted").tracks["right"]
    assert (track.metric == MONO).all()
    np.testing.assert_allclose(track.points_m, wrists(12)[:, None] + HAND, atol=0.002)


def test_no_hand_in_a_video_is_a_finding(tiny_library: Path) -> None:
    (episode, _) = find_episodes(tiny_library)
    hands = make_hands(episode, force=True)
    assert hands.tracks == {} and "no hand was seen in any of the 48 frames" in hands.findings
    assert read_hands(episode.hands_path).findings == hands.findings


def test_little_seen_is_a_finding(tmp_path: Path, script: Callable[..., None]) -> None:
    script([[seen_at(p)] if i < 20 or i >= 60 else [] for i, p in enumerate(wrists(80)[:, None] + HAND)])
    findings = make_hands(record(tmp_path, 80), tracker="scripted").findings
    assert findings == (NOWHERE, "the right hand was seen in 40 of 80 frames (50 %)",
                        "the right hand was out of sight for more than 1 s once, at most 1.4 s")


def test_an_unknown_camera_gets_assumed_optics_and_says_so(tmp_path: Path, script: Callable[..., None]) -> None:
    script([[seen_at(p)] for p in wrists(10)[:, None] + HAND])
    hands = make_hands(record(tmp_path, 10, calibration=False), tracker="scripted")
    assert hands.intrinsics.source == "assumed"
    assert any("field of view of 70 degrees was assumed" in finding for finding in hands.findings)


def test_assumed_optics_are_the_same_for_upright_and_lying_pictures(tmp_path: Path, script: Callable[..., None]) -> None:
    with record(tmp_path, 2, calibration=True).recording() as recording:
        lying, standing = (optics(recording, "head", *size) for size in ((640, 480), (480, 640)))
    assert lying[0].K[0, 0] == pytest.approx(standing[0].K[0, 0]) == pytest.approx(320 / np.tan(np.radians(35)))
    assert "is for 160 x 120 pictures, not 640 x 480" in lying[1][0]


def test_a_current_file_is_read_and_a_changed_recording_tracked_again(tmp_path: Path, script: Callable[..., None]) -> None:
    lines = [[seen_at(p)] for p in wrists(12)[:, None] + HAND]
    script(lines)
    episode = record(tmp_path, 12)
    first = make_hands(episode, tracker="scripted")
    before, digest = episode.hands_path.stat().st_mtime_ns, sha256(episode.hands_path)
    again = make_hands(episode, tracker="scripted")
    assert len(CALLS) == 12 and episode.hands_path.stat().st_mtime_ns == before
    np.testing.assert_array_equal(right(again), right(first))

    script(lines)
    make_hands(episode, tracker="scripted", force=True)
    assert len(CALLS) == 12 and sha256(episode.hands_path) == digest  # the same bytes

    episode.recording_path.unlink()
    script(lines)
    record(tmp_path, 11)
    assert len(make_hands(episode, tracker="scripted").t_ns) == 11


def test_a_damaged_file_is_made_again(tmp_path: Path, script: Callable[..., None]) -> None:
    lines = [[seen_at(p)] for p in wrists(12)[:, None] + HAND]
    script(lines)
    episode = record(tmp_path, 12)
    episode.hands_path.write_bytes(b"half a fi")
    assert make_hands(episode, tracker="scripted").tracks["right"].valid.all()


def test_a_recording_without_a_camera_is_refused(tmp_path: Path, script: Callable[..., None]) -> None:
    script([])
    with pytest.raises(FirsthandError, match="has no camera images"):
        make_hands(record(tmp_path, 0), tracker="scripted")


def test_depth_frames_match_within_half_a_frame() -> None:
    frames = np.arange(5) * 100
    np.testing.assert_array_equal(nearest_rows(frames, np.array([-40, 130, 290, 340, 700])), [0, 1, -1, 2, -1])
    np.testing.assert_array_equal(nearest_rows(frames, np.array([210])), [-1, -1, 0, -1, -1])


def test_a_real_clip_gives_one_right_hand_as_its_joint_file_has_it(shared: Path, tmp_path: Path) -> None:
    """All 621 frames: the local joints agree with those published with the clip, up to a rotation."""
    from firsthand.capture.importers.video import import_video

    episode = Episode(tmp_path / "library" / "session" / "000")
    import_video(shared / "data/media/hands/human_hand_video.mp4", episode.recording_path)
    hands = make_hands(episode)
    assert set(hands.tracks) == {"right"} and hands.tracks["right"].valid.mean() >= 0.99
    ours, theirs = hands.tracks["right"].local_m, np.load(shared / "data/media/hands/human_hand_video_joints_right.npy")
    a, b = ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True)
    U, _, Vt = np.linalg.svd(a.transpose(0, 2, 1) @ b)
    U[:, :, 2] *= np.sign(np.linalg.det(U @ Vt))[:, None]
    assert np.nanmedian(np.linalg.norm(a @ U @ Vt - b, axis=-1)) < 0.0005
