"""A wearer's hands measured from recordings, and used from then on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import pytest

from firsthand.capture.anchor import Anchor
from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import HAND_COLUMNS, HAND_UNITS
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.anchor_sight import charuco_board
from firsthand.retarget.hand_depth import SKIN_TO_JOINT_M
from firsthand.retarget.hand_fit import ADULT_BONES_M, rotations
from firsthand.retarget.hand_shape import KNUCKLE_DIRECTIONS, PALM, best_rotations, shaped
from firsthand.retarget.hand_size import read_sizes, write_sizes
from firsthand.retarget.hand_track import METRIC
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.measure_stage import measure_wearer
from firsthand.retarget.metric import facing
from firsthand.retarget.tracker import TRACKERS, Detection

WIDTH, HEIGHT, FRAMES = 320, 240, 45
CAMERA = CameraCalibration(np.array([[300.0, 0, 159.5], [0, 300.0, 119.5], [0, 0, 1]]), WIDTH, HEIGHT)
LARGE = 1.14
FINGERS_UP = np.concatenate([np.zeros((1, 3)), KNUCKLE_DIRECTIONS * 0.085])
LOCAL = shaped(np.random.default_rng(3).uniform(-0.04, 0.04, (1, 21, 3)), "right", ADULT_BONES_M * LARGE)[0]
LOCAL = LOCAL @ best_rotations(LOCAL[list(PALM)], FINGERS_UP[None])[0].T
S = np.arange(FRAMES) / 30
HANDS = LOCAL + np.stack([0.03 * np.sin(2 * S), 0.04 + 0 * S, 0.45 + 0.04 * np.sin(1.3 * S)], 1)[:, None]
MAT = Anchor("mat", "charuco", 0.05, columns=7, rows=5, marker_m=0.038, dictionary="4x4_50")
SEEN: list[np.ndarray] = []


class Exact:
    """Sees every joint of `SEEN` where it is."""

    parameters: Mapping[str, Any] = {"tracker": "exact"}

    def __enter__(self) -> Self:
        self._frame = -1
        return self

    def __exit__(self, *_: object) -> None:
        return

    def detect(self, t_ns: int, image: np.ndarray) -> list[Detection]:
        self._frame += 1
        points = SEEN[self._frame]
        xy = points[:, :2] / points[:, 2:]
        return [Detection(CAMERA.project(points), (points - points[0]) @ facing(xy[None])[0], 0.9, 0.9)]


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "exact", f"{__name__}:Exact")


def record(library: Path, name: str, points: np.ndarray, *, wearer: str = "w07", depth: bool = False, pictures: np.ndarray | None = None,
           rig: dict[str, Any] | None = None, device: bool = False) -> Episode:
    SEEN[:] = list(points)
    episode = Episode(library / name / "000")
    episode.path.mkdir(parents=True)
    session = {"format": "firsthand.session", "version": 1, "wearer": wearer, "rig": rig or {}}
    (episode.path.parent / "session.json").write_text(json.dumps(session))
    with RecordingWriter(episode.recording_path, calibration=Calibration({"head": CAMERA})) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="png", clock="media"))
        if depth:
            extra = {"depth_unit_m": 1e-4}
            writer.add_stream(StreamSpec("depth", "encoded", "depth", encoding="png", about="head", clock="media", extra=extra))
        if device:
            writer.add_stream(StreamSpec("hand-right", "numeric", "pose", names=HAND_COLUMNS, units=HAND_UNITS, side="right", clock="media",
                                         extra={"origin": "wrist"}))
        for i, joints in enumerate(points):
            t_ns = int(i * 1e9 / 30)
            picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8) if pictures is None else pictures[i]
            writer.append(Sample("head", t_ns, t_ns, i, cv2.imencode(".png", picture)[1].tobytes()))
            if depth:
                image = np.full((HEIGHT, WIDTH), 1.5)
                for joint in np.argsort(-joints[:, 2]):
                    u, v = np.round(CAMERA.project(joints[joint])).astype(int)
                    image[max(v - 5, 0) : v + 6, max(u - 5, 0) : u + 6] = joints[joint, 2] - SKIN_TO_JOINT_M[joint]
                units = np.round(image * 1e4).astype(np.uint16)
                writer.append(Sample("depth", t_ns, t_ns, i, cv2.imencode(".png", units)[1].tobytes()))
            if device:
                writer.append(Sample("hand-right", t_ns, t_ns, i, np.concatenate([(joints - joints[0]).ravel(), [1.0, 0, 0, 0]])))
    return episode


def test_hands_measured_by_depth_are_placed_better_without_it(tmp_path: Path) -> None:
    by_depth = record(tmp_path, "calibration", HANDS, depth=True)
    found = measure_wearer([by_depth], tracker="exact")
    size = found.sizes["right"]
    assert found.wearer == "w07" and size.method == "depth" and size.episodes == ("calibration/000",) and "left" in found.missing
    assert np.median(size.bones_m / ADULT_BONES_M) == pytest.approx(LARGE, abs=0.05)

    alone = record(tmp_path, "kitchen", HANDS)
    before = make_hands(alone, tracker="exact")
    write_sizes(tmp_path, found.wearer, found.sizes)
    after = make_hands(alone, tracker="exact")
    off = [np.median(np.linalg.norm(hands.tracks["right"].points_m[:, 0] - HANDS[:, 0], axis=1)) for hands in (before, after)]
    assert off[1] < 0.015 < 0.04 < off[0]
    assert {METRIC[code] for code in before.tracks["right"].metric} == {"mono"}
    assert {METRIC[code] for code in after.tracks["right"].metric} == {"mono_scaled"}
    assert after.provenance.parameters["hand_size"]["right"]["method"] == "depth"
    somebody_else = make_hands(record(tmp_path, "other", HANDS, wearer="w08"), tracker="exact")
    assert {METRIC[code] for code in somebody_else.tracks["right"].metric} == {"mono"}


def test_a_flat_hand_on_a_board_shows_its_size(tmp_path: Path) -> None:
    """The board is seen askew; joints lie the flesh's thickness above it."""
    R = rotations(np.array([[0.5, 0.1, 0.0]]))[0]  # the board's axes in the camera: x right, y down, z into it
    corner = np.array([-0.17, -0.13, 0.42])
    fan = shaped(LOCAL[None], "right", ADULT_BONES_M * LARGE)[0]
    flat = fan.copy()
    for joint in range(21):  # every bone laid into the plane, as long as it is
        parent = (joint - 1 if joint % 4 != 1 else 0) if joint else 0
        step = (fan[joint] - fan[parent]) * (1, 1, 0)
        if joint:
            flat[joint] = flat[parent] + step / np.linalg.norm(step) * np.linalg.norm(fan[joint] - fan[parent])
    flat = (flat - flat[0]) * (1, 1, 0) + np.array([0.17, 0.2, 0.0])
    joints = (flat - np.outer(SKIN_TO_JOINT_M, (0, 0, 1))) @ R.T + corner
    sheet = charuco_board(MAT).generateImage((700, 500), marginSize=0)
    H = CAMERA.K @ np.column_stack([R[:, 0], R[:, 1], corner]) @ np.diag([5e-4, 5e-4, 1])
    picture = cv2.cvtColor(cv2.warpPerspective(sheet, H, (WIDTH, HEIGHT), borderValue=(200,)), cv2.COLOR_GRAY2BGR)
    points = np.broadcast_to(joints, (FRAMES, 21, 3))
    pictures = np.broadcast_to(picture, (FRAMES, *picture.shape))
    episode = record(tmp_path, "board", points, pictures=pictures, rig={"anchors": [MAT.to_json()]})
    size = measure_wearer([episode], flat=True, tracker="exact").sizes["right"]
    assert size.method == "board"
    assert np.median(size.bones_m / ADULT_BONES_M) == pytest.approx(LARGE, abs=0.04)


def test_a_device_that_tracks_hands_tells_their_size(tmp_path: Path) -> None:
    size = measure_wearer([record(tmp_path, "quest", HANDS, device=True)], tracker="exact").sizes["right"]
    assert size.method == "device" and np.median(size.bones_m / ADULT_BONES_M) == pytest.approx(LARGE, abs=0.02)


def test_one_camera_alone_tells_nothing_and_two_wearers_are_not_mixed(tmp_path: Path) -> None:
    mono = record(tmp_path, "mono", HANDS)
    with pytest.raises(FirsthandError, match="one camera alone cannot tell a large hand far away from a small one near by"):
        measure_wearer([mono], tracker="exact")
    other = record(tmp_path, "mono-2", HANDS, wearer="w08")
    with pytest.raises(FirsthandError, match=r"2 wearers \(w07, w08\)"):
        measure_wearer([mono, other], tracker="exact")
    with pytest.raises(FirsthandError, match="--flat needs a board under the hand"):
        measure_wearer([mono], flat=True, tracker="exact")
    assert read_sizes(tmp_path, "w07") == {}
