"""The world the hands are in: a device's, that of printed anchors, or none; level where an accelerometer tells."""

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.anchor import Anchor, library_anchors, parse_anchors
from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.synthetic.head import HeadMotion, Nod
from firsthand.retarget.anchor_sight import charuco_board
from firsthand.retarget.head_pose import COLUMNS, pose_rows
from firsthand.retarget.world_frame import World, world_of

SIZE = (640, 480)
F = 420.0
CAMERA = CameraCalibration(np.array([[F, 0, 319.5], [0, F, 239.5], [0, 0, 1]]), *SIZE)
BOARD = Anchor("mat", "charuco", 0.04, columns=6, rows=4, marker_m=0.03, dictionary="5x5_100")
TAGS = tuple(Anchor(f"tag{i}", "apriltag", 0.09, id=i) for i in (1, 2))
PLACES = {"mat": (-0.12, 0.16), "tag1": (0.17, 0.11), "tag2": (0.17, 0.24)}
"""Where the top left corner of each lies on the table, world x and y."""
FPS = 15
R_IMU = cv2.Rodrigues(np.array([0.4, -1.1, 0.3]))[0]
"""Takes the sensor's axes to the camera's: nobody is told."""


@cache
def print_of(anchor: Anchor) -> tuple[np.ndarray, float]:
    """Its picture with a white margin, and metres a pixel."""
    if anchor.kind == "charuco":
        image = charuco_board(anchor).generateImage((600, 400), marginSize=0)
        return cv2.copyMakeBorder(image, 30, 30, 30, 30, cv2.BORDER_CONSTANT, value=255), anchor.columns * anchor.size_m / 600
    tags = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    image = cv2.aruco.generateImageMarker(tags, anchor.id, 300)
    return cv2.copyMakeBorder(image, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=255), anchor.size_m / 300


def picture(T_world_cam: np.ndarray, shown: dict[str, tuple[float, float]]) -> np.ndarray:
    """The table with anchors lying on it, as the camera sees it."""
    out = np.full((SIZE[1], SIZE[0]), 120, np.uint8)
    R, t = T_world_cam[:3, :3].T, T_world_cam[:3, 3]
    for anchor in (BOARD, *TAGS):
        if anchor.name not in shown:
            continue
        image, m = print_of(anchor)
        x, y = shown[anchor.name]
        margin = 30 if anchor.kind == "charuco" else 60
        on_table = np.array([[m, 0, x - margin * m], [0, -m, y + margin * m], [0, 0, 1]]) @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        H = CAMERA.K @ np.column_stack([R[:, 0], R[:, 1], -R @ t]) @ on_table
        seen = cv2.warpPerspective(image, H, SIZE, flags=cv2.INTER_AREA, borderValue=0)
        mask = cv2.warpPerspective(np.full_like(image, 255), H, SIZE)
        out = np.where(mask > 127, seen, out)
    noisy = out + np.random.default_rng(0).normal(0, 3, out.shape)
    return cv2.cvtColor(np.clip(cv2.GaussianBlur(noisy, (0, 0), 0.7), 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


class Scene:
    """Three seconds of a head over a table, recorded with what is asked for."""

    t_s = np.arange(45) / FPS
    head = HeadMotion(0.5, (Nod(0.5, 1.6, 12, 6, -8), Nod(1.4, 2.8, -9, 8, 9)))
    T = head.T_world_cam(t_s)

    def record(self, path: Path, *, shown: Callable[[int], dict[str, tuple[float, float]]] = lambda i: PLACES, imu: bool = True,
               poses: np.ndarray | None = None, camera: CameraCalibration = CAMERA) -> Recording:
        with RecordingWriter(path, calibration=Calibration({"head": camera})) as writer:
            writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="png", clock="media", width_px=640, height_px=480))
            if imu:
                writer.add_stream(StreamSpec("imu", "numeric", "imu", names=("ax", "ay", "az", "gx", "gy", "gz"),
                                             units=("m/s^2",) * 3 + ("rad/s",) * 3, clock="media"))
            if poses is not None:
                writer.add_stream(StreamSpec("head-pose", "numeric", "pose", names=COLUMNS, units=("m",) * 3 + ("1",) * 4, about="head",
                                             clock="media"))
            for i, t in enumerate(self.t_s):
                t_ns = int(t * 1e9)
                png = cv2.imencode(".png", picture(self.T[i], shown(i)), [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()
                writer.append(Sample("head", t_ns, t_ns, i, png))
                if poses is not None:
                    writer.append(Sample("head-pose", t_ns, t_ns, i, poses[i]))
            if imu:
                at = np.arange(-0.1, 3.1, 0.005) + 0.1
                ideal = self.head.imu(at)
                noise = np.random.default_rng(1).normal(0, 1, ideal.shape) * np.repeat([0.03, 0.003], 3)
                values = np.concatenate([ideal[:, :3] @ R_IMU, ideal[:, 3:] @ R_IMU + 0.01], 1) + noise
                for i, (t, row) in enumerate(zip(at, values, strict=True)):
                    writer.append(Sample("imu", int(t * 1e9), int(t * 1e9), i, row))
        return Recording(path)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def in_world_of(anchor: str) -> np.ndarray:
    """Takes points of the scene's world to that of an anchor: its corner, or its middle for a tag."""
    T = np.eye(4)
    x, y = PLACES[anchor]
    T[:2, 3] = (-x, -y) if anchor == "mat" else (-x - 0.045, -y + 0.045)
    return T


def off(world: World, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres and degrees between poses, a frame each."""
    assert world.T_world_cam is not None
    turn = np.einsum("nij,nij->n", world.T_world_cam[:, :3, :3], wanted[:, :3, :3])
    return np.linalg.norm(world.T_world_cam[:, :3, 3] - wanted[:, :3, 3], axis=1), np.degrees(np.arccos(np.clip((turn - 1) / 2, -1, 1)))


def test_anchors_tell_where_the_head_is_and_the_imu_which_way_is_up(scene: Scene, tmp_path: Path) -> None:
    with scene.record(tmp_path / "recording.h5") as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD, *TAGS))
    metres, degrees = off(world, in_world_of("mat") @ scene.T)
    assert np.median(metres) < 0.006 and metres.max() < 0.015 and np.median(degrees) < 0.6
    assert any("the world is that of anchor mat, level to" in finding for finding in world.findings)
    R = world.T_world_cam[:, :3, :3] @ np.swapaxes(scene.T[:, :3, :3], 1, 2)
    assert np.degrees(np.arccos(R[:, 2, 2].mean())) < 0.7  # z is up


def test_without_an_imu_up_is_out_of_the_board_and_that_is_said(scene: Scene, tmp_path: Path) -> None:
    with scene.record(tmp_path / "recording.h5", imu=False, shown=lambda i: {"tag1": PLACES["tag1"]}) as recording:
        world = world_of(recording, recording.camera(), CAMERA, TAGS)
    metres, _ = off(world, in_world_of("tag1") @ scene.T)
    assert np.nanmedian(metres) < 0.015 and np.isfinite(metres).mean() > 0.8
    assert any("gravity is not known; the world's z points out of anchor tag1" in finding for finding in world.findings)


def test_a_gap_is_bridged_by_the_gyroscope_only_while_it_is_short(scene: Scene, tmp_path: Path) -> None:
    hidden = {*range(15, 20), *range(26, 38)}
    with scene.record(tmp_path / "recording.h5", shown=lambda i: {} if i in hidden else {"mat": PLACES["mat"]}) as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD,))
    metres, degrees = off(world, in_world_of("mat") @ scene.T)
    assert metres[15:20].max() < 0.03 and np.ptp(degrees[14:21]) < 0.6  # 0.4 s; level to 2 degrees at best, in three seconds of nodding
    assert np.isnan(metres[27:37]).all()
    assert any("is not known in" in finding and "frames; hands are absent there" in finding for finding in world.findings)


def test_without_a_gyroscope_a_single_frame_is_bridged_and_no_more(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firsthand.retarget.head_pose.LONGEST_GAP_S", 0.14)  # two frames of this scene
    hidden = {20, 30, 31}
    with scene.record(tmp_path / "recording.h5", imu=False, shown=lambda i: {} if i in hidden else {"mat": PLACES["mat"]}) as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD,))
    metres, _ = off(world, in_world_of("mat") @ scene.T)
    assert metres[20] < 0.015 and np.isnan(metres[30:32]).all() and np.isfinite(np.delete(metres, [30, 31])).all()


def test_an_anchor_that_was_moved_is_left_out_and_told(scene: Scene, tmp_path: Path) -> None:
    def shown(i: int) -> dict[str, tuple[float, float]]:
        return {**PLACES, "tag2": (0.17, 0.24) if i < 28 else (-0.25, 0.12)}

    with scene.record(tmp_path / "recording.h5", shown=shown) as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD, *TAGS))
    metres, _ = off(world, in_world_of("mat") @ scene.T)
    assert metres.max() < 0.015
    assert any("anchor tag2 did not stand still" in finding for finding in world.findings)


def test_the_devices_poses_are_preferred_and_a_tilted_world_is_told(scene: Scene, tmp_path: Path) -> None:
    tilt = np.eye(4)
    tilt[:3, :3] = cv2.Rodrigues(np.array([np.radians(12), 0, 0]))[0]
    with scene.record(tmp_path / "recording.h5", poses=pose_rows(tilt @ scene.T)) as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD,))
    metres, _ = off(world, tilt @ scene.T)
    assert metres.max() < 1e-9
    assert any("stream head-pose is not level: by the accelerometer its z is 12 degrees off" in finding for finding in world.findings)


def test_nothing_known_is_the_cameras_frame_and_said(scene: Scene, tmp_path: Path) -> None:
    with scene.record(tmp_path / "recording.h5", shown=lambda i: {}, imu=False) as recording:
        world = world_of(recording, recording.camera(), CAMERA, (BOARD,))
    assert world.T_world_cam is None and world.at is None
    assert world.findings == ("no anchor (mat) was seen in any picture", "where the head was is not known: no pose of the camera was "
                              "recorded, and no anchor seen; hands are in the camera's frame")


def test_poses_of_another_camera_of_the_rig_will_do(scene: Scene, tmp_path: Path) -> None:
    T_rig = np.eye(4)
    T_rig[:3, 3] = (0.06, 0.01, 0.0)
    path = tmp_path / "recording.h5"
    cameras = {"head": CameraCalibration(CAMERA.K, *SIZE, T_rig_cam=T_rig), "side": CAMERA}
    with RecordingWriter(path, calibration=Calibration(cameras)) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", clock="media"))
        units = ("m",) * 3 + ("1",) * 4
        writer.add_stream(StreamSpec("rig-pose", "numeric", "pose", names=COLUMNS, units=units, about="side", clock="media"))
        jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        for i, (t, pose) in enumerate(zip(scene.t_s, pose_rows(scene.T), strict=True)):
            writer.append(Sample("head", int(t * 1e9), int(t * 1e9), i, jpeg))
            writer.append(Sample("rig-pose", int(t * 1e9), int(t * 1e9), i, pose))
    with Recording(path) as recording:
        world = world_of(recording, recording.camera(), cameras["head"])
        assert world.at is not None
        half = world.at(np.array([33_333_333]))
    metres, _ = off(world, scene.T @ T_rig)
    assert metres.max() < 1e-9
    np.testing.assert_allclose(half[0, :3, 3], (scene.T[:2] @ T_rig)[:, :3, 3].mean(0), atol=1e-3)


def test_rows_of_a_rolling_shutter_see_the_world_from_where_the_head_was_then(scene: Scene, tmp_path: Path) -> None:
    rolling = CameraCalibration(CAMERA.K, *SIZE, rolling_s_px=np.array([0.0, 0.02 / 480]))
    with scene.record(tmp_path / "recording.h5", shown=lambda i: {}, imu=False, poses=pose_rows(scene.T)) as recording:
        world = world_of(recording, recording.camera(), rolling)
        t_ns = recording.camera().t_ns
    pixels = np.broadcast_to([[320.0, 0.0], [320.0, 239.5], [320.0, 479.0], [np.nan, np.nan]], (len(t_ns), 4, 2))
    T = world.of_joints(t_ns, pixels, rolling)
    assert T is not None and T.shape == (len(t_ns), 4, 4, 4)
    for joint, late_s in enumerate((-0.01, 0.0, 0.01, 0.0)):
        np.testing.assert_allclose(T[5:-5, joint], scene.head.T_world_cam(scene.t_s[5:-5] + late_s), atol=0.01)
    assert np.linalg.norm(T[5:-5, 0, :3, :3] - T[5:-5, 2, :3, :3], axis=(1, 2)).max() > 0.01
    still = world.of_joints(t_ns, pixels, CAMERA)
    assert still is not None and still.shape == (len(t_ns), 1, 4, 4)


def test_anchors_stand_in_the_rig_file_or_the_library(tmp_path: Path) -> None:
    text = """
    [[anchor]]
    name = "mat"
    kind = "charuco"
    columns = 6
    rows = 4
    size_m = 0.04
    marker_m = 0.03
    dictionary = "5x5_100"

    [[anchor]]
    kind = "apriltag"
    id = 7
    size_m = 0.09
    """
    board, tag = parse_anchors("rig.toml", tomllib.loads(text)["anchor"])
    assert board == BOARD and tag == Anchor("apriltag-7", "apriltag", 0.09, id=7)
    assert parse_anchors("again", [board.to_json(), tag.to_json()]) == (board, tag)
    assert library_anchors(tmp_path) == ()
    (tmp_path / "anchors.toml").write_text(text)
    assert library_anchors(tmp_path) == (board, tag)


@pytest.mark.parametrize(("table", "message"), [
    ({"kind": "aruco", "size_m": 0.1, "id": 1}, "kind is 'aruco'; it is one of charuco, apriltag"),
    ({"kind": "apriltag", "size_m": 0.1}, "has no id; a apriltag needs size_m, id"),
    ({"kind": "apriltag", "size_m": 90, "id": 1}, "the size is in metres"),
    ({"kind": "apriltag", "size_m": 0.1, "id": 1, "colour": 3}, "colour"),
    ({**BOARD.to_json(), "dictionary": "5x5"}, "no dictionary called '5x5'"),
    ({**BOARD.to_json(), "marker_m": 0.05}, "markers smaller than its squares"),
])
def test_a_wrong_anchor_is_refused_in_a_sentence(table: dict[str, object], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        parse_anchors("rig.toml", [table])
