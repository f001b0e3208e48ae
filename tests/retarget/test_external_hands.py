"""Hands of other programs: pictures out, a file back, and one clear sentence for each file that cannot be believed."""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.pipeline import process
from firsthand.retarget.external_checks import bent_as_right
from firsthand.retarget.external_hands import read_external
from firsthand.retarget.frames_export import export_frames
from firsthand.retarget.hand_track import INTERPOLATED, METRIC
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.metric import face_ray, rays

FRAMES = 24
T_NS = 1_000_000_000 + np.arange(FRAMES) * 1_000_000_000 // 30
K = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])
FLAT = CameraCalibration(K, 160, 120)
CURVED = CameraCalibration(K * [[0.6, 1, 1], [1, 0.6, 1], [1, 1, 1]], 160, 120, np.array([0.05, 0.01, 0.0, 0.0]), model="kannala-brandt")


def record(folder: Path, camera: CameraCalibration | None = FLAT) -> Episode:
    """A recording of pictures that differ."""
    episode = Episode(folder / "library" / "session" / "000")
    with RecordingWriter(episode.recording_path, calibration=Calibration({"head": camera} if camera else {})) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", clock="media"))
        for i, t in enumerate(T_NS):
            jpeg = cv2.imencode(".jpg", np.full((120, 160, 3), 5 * i, np.uint8))[1].tobytes()
            writer.append(Sample("head", int(t), int(t), i, jpeg))
    return episode


@pytest.fixture
def truth(motion: SimpleNamespace) -> np.ndarray:
    """A right hand that bends its fingers, in the camera, (N, 21, 3): fingers away from the wearer, back of the hand up."""
    s = np.arange(FRAMES) / 30
    flat = motion.moving_hand(FRAMES)[..., [1, 0, 2]] * [-1, 1, 1]  # thumb to the left, palm down, fingers forward
    tilt = np.array([[1, 0, 0], [0, 0.5, -(0.75**0.5)], [0, 0.75**0.5, 0.5]])
    return np.asarray(flat @ tilt.T + np.stack([0.03 * np.sin(s), 0.08 + 0 * s, 0.45 + 0.02 * s], 1)[:, None])


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, truth: np.ndarray) -> Write:
    """Write a file of that hand, with some of its arrays replaced (None: left out)."""

    def save(camera: CameraCalibration = FLAT, **other: Any) -> Path:
        pose = np.tile(np.eye(4), (FRAMES, 1, 1))
        pose[:, :3, 3] = truth[:, 0]
        arrays = {"frame": np.arange(FRAMES), "side": np.full(FRAMES, "right"), "kpts2d": camera.project(truth), "kpts3d_cam": truth,
                  "wrist_T_cam": pose, "score": np.full(FRAMES, 0.9), "valid": np.ones(FRAMES, bool),
                  "metric_quality": np.full(FRAMES, "mono_scaled"), "frame_t_ns": T_NS, "K": camera.K} | other
        path = tmp_path / "hands.npz"
        np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
        return path

    return save


def test_hands_come_back_where_the_program_put_them(tmp_path: Path, write: Write, truth: np.ndarray) -> None:
    hands = make_hands(record(tmp_path), tracker=f"npz:{write()}")
    track = hands.tracks["right"]
    assert set(hands.tracks) == {"right"} and hands.frame == "camera"
    assert track.raw_m is not None
    np.testing.assert_allclose(track.raw_m, truth, atol=1e-6)
    np.testing.assert_allclose(track.points_px, FLAT.project(truth), atol=1e-4)
    assert (track.metric == METRIC.index("mono_scaled")).all() and track.score == pytest.approx(0.9)
    assert hands.provenance.parameters["tracker"] == "npz"


def test_distance_by_one_camera_alone_is_found_again(tmp_path: Path, write: Write, truth: np.ndarray) -> None:
    twice = truth * 2  # in the picture the same
    pose = np.full((FRAMES, 4, 4), np.nan)
    hands = make_hands(record(tmp_path), tracker=f"npz:{write(kpts3d_cam=twice, wrist_T_cam=pose, metric_quality=np.full(FRAMES, 'mono'))}")
    track = hands.tracks["right"]
    assert (track.metric == METRIC.index("mono")).all()
    assert np.median(track.points_m[:, 0, 2] / truth[:, 0, 2]) == pytest.approx(1, abs=0.2)


def test_a_hand_at_the_edge_of_the_picture_is_turned_as_it_is(write: Write, truth: np.ndarray) -> None:
    aside = truth + np.array([0.16, 0, 0])
    pixels = FLAT.project(aside)
    told = read_external(write(kpts3d_cam=aside, kpts2d=pixels, wrist_T_cam=np.full((FRAMES, 4, 4), np.nan)), T_NS, FLAT)
    np.testing.assert_allclose(face_ray(told.local_m, rays(pixels, FLAT)), truth - truth[:, :1], atol=1e-9)


def test_what_is_not_valid_is_not_there_and_short_gaps_are_filled(tmp_path: Path, write: Write, truth: np.ndarray) -> None:
    valid = np.ones(FRAMES, bool)
    valid[8:11] = valid[16:] = False
    kpts2d = FLAT.project(truth)
    kpts2d[~valid] = np.nan
    track = make_hands(record(tmp_path), tracker=f"npz:{write(valid=valid, kpts2d=kpts2d)}").tracks["right"]
    assert (track.provenance[8:11] == INTERPOLATED).all() and not track.valid[16:].any() and np.isnan(track.points_m[16:]).all()
    assert (track.metric[8:11] == METRIC.index("mono_scaled")).all() and (track.sigma_m[8:11] >= 0.99 * track.sigma_m[7]).all()


def test_hands_found_in_a_flat_view_lie_right_in_the_curved_picture(tmp_path: Path, write: Write, truth: np.ndarray) -> None:
    episode = record(tmp_path, CURVED)
    told = json.loads((export_frames(episode, tmp_path / "out") / "frames.json").read_text())
    flat = CameraCalibration(np.array(told["K"]), told["width_px"], told["height_px"])
    track = make_hands(episode, tracker=f"npz:{write(flat)}").tracks["right"]
    assert track.raw_m is not None and (flat.width_px, flat.height_px) != (160, 120)
    np.testing.assert_allclose(track.points_px, CURVED.project(truth), atol=0.05)
    np.testing.assert_allclose(track.raw_m, truth, atol=5e-3)


def changed(array: np.ndarray, at: Any, value: Any) -> np.ndarray:
    out = array.copy()
    out[at] = value
    return out


NO_POSE = np.full((FRAMES, 4, 4), np.nan)
MIRRORED = np.array([-1.0, 1, 1])
BAD: dict[str, tuple[Callable[[np.ndarray], dict[str, Any]], str]] = {
    "an array missing": (lambda m: {"score": None}, "has no array score; docs/hands.md lists"),
    "another shape": (lambda m: {"kpts3d_cam": m[:, :20]}, r"kpts3d_cam must have shape \(24, 21, 3\), .* got \(24, 20, 3\)"),
    "another number of hands": (lambda m: {"score": np.ones(23)}, r"score must have shape \(24,\), .*24 hands in kpts2d, got \(23,\)"),
    "another kind": (lambda m: {"valid": np.ones(FRAMES)}, "valid must hold truth values, got float64"),
    "fewer frames": (lambda m: {"frame_t_ns": T_NS[:-1]}, "is of 23 frames, the recording has 24; run the model on all frames"),
    "other frames": (lambda m: {"frame_t_ns": changed(T_NS, slice(5, None), 7)}, "is of other frames: .* from frame 5 on"),
    "a frame beyond": (lambda m: {"frame": np.arange(FRAMES) + 1}, "frame counts from 0 to 23, got 24"),
    "another camera": (lambda m: {"K": K * [[1.2, 1, 1], [1, 1.2, 1], [1, 1, 1]]},
                       r"focal length of 180.0 px .*; the frames have 150.0 px .*use the K of their frames.json"),
    "an unknown side": (lambda m: {"side": np.full(FRAMES, "Right")}, "side is one of left, right, got 'Right'"),
    "an unknown quality": (lambda m: {"metric_quality": np.full(FRAMES, "good")}, "metric_quality is one of mono, .*device, got 'good'"),
    "not a number": (lambda m: {"kpts3d_cam": changed(m, (3, 4), np.nan)}, "kpts3d_cam of hand 3 is not a number though"),
    "a score in percent": (lambda m: {"score": np.full(FRAMES, 90.0)}, "score lies between 0 and 1, got 90"),
    "behind the camera": (lambda m: {"kpts3d_cam": -m}, "kpts3d_cam of hand 0 lies behind the camera"),
    "a wrist elsewhere": (lambda m: {"wrist_T_cam": np.tile(np.eye(4), (FRAMES, 1, 1))}, "its place is not that of joint 0"),
    "a picture scaled": (lambda m: {"kpts2d": FLAT.project(m) * 2}, "palm lengths off kpts2d in the picture; both must be of the frames"),
    "the focal length of the model": (lambda m: {"kpts3d_cam": m + np.array([0.05, 0.05, 0.3]), "wrist_T_cam": NO_POSE},
                                      "palm lengths off kpts2d.*the distance for their focal length"),
    "sides exchanged": (lambda m: {"side": np.full(FRAMES, "left")},
                        "of .* hands called left bend their fingers as only a right hand can; exchange the sides"),
    "a hand left mirrored": (lambda m: {"kpts3d_cam": m * MIRRORED, "kpts2d": FLAT.project(m * MIRRORED),
                                        "wrist_T_cam": NO_POSE}, "called right bend .* undo the mirroring"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_cannot_be_right_is_refused_in_one_sentence(tmp_path: Path, write: Write, truth: np.ndarray, what: str) -> None:
    arrays, sentence = BAD[what]
    path = write(**arrays(truth))
    with pytest.raises(DamagedError, match=sentence) as caught:
        make_hands(record(tmp_path), tracker=f"npz:{path}")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hands.npz"
    path.write_bytes(b"PK\3\4 cut off")
    with pytest.raises(DamagedError, match="cannot be read as a file of NumPy arrays"):
        make_hands(record(tmp_path), tracker=f"npz:{path}")
    np.savez(path, frame=np.array([object()], dtype=object))
    with pytest.raises(DamagedError, match="cannot be read as a file of NumPy arrays"):
        make_hands(record(tmp_path / "b"), tracker=f"npz:{path}")


def test_no_hands_at_all_is_a_finding(tmp_path: Path, write: Write) -> None:
    shapes = {"frame": (np.int64, ()), "side": ("U5", ()), "kpts2d": (float, (21, 2)), "kpts3d_cam": (float, (21, 3)),
              "wrist_T_cam": (float, (4, 4)), "score": (float, ()), "valid": (bool, ()), "metric_quality": ("U11", ())}
    path = write(**{name: np.zeros((0, *shape), kind) for name, (kind, shape) in shapes.items()})
    hands = make_hands(record(tmp_path), tracker=f"npz:{path}")
    assert hands.tracks == {} and any("no hand was seen" in finding for finding in hands.findings)


def test_real_hands_bend_towards_their_palms(real_hand: np.ndarray) -> None:
    assert (bent_as_right(real_hand) > 0).mean() > 0.99
    np.testing.assert_allclose(bent_as_right(real_hand * MIRRORED), -bent_as_right(real_hand))


@pytest.fixture
def example() -> ModuleType:
    """The program of examples/external_hands.py."""
    path = Path(__file__).parents[2] / "examples" / "external_hands.py"
    spec = importlib.util.spec_from_file_location("external_hands", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_knows_nothing_of_firsthand_and_its_file_comes_back(tmp_path: Path, example: ModuleType, truth: np.ndarray,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    assert not re.search(r"^\s*(from|import) firsthand", Path(str(example.__file__)).read_text(), re.MULTILINE)

    def look(pictures: Iterator[tuple[int, np.ndarray]], K_told: np.ndarray, model: Path) -> Iterator[dict[str, Any]]:
        for frame, picture in pictures:
            assert abs(picture.mean() - 5 * frame) < 3
            local, pixels = truth[frame] - truth[frame, 0], FLAT.project(truth[frame])
            points = local + example.translation(local, pixels, K_told)
            yield {"frame": frame, "side": "right", "kpts2d": pixels, "kpts3d_cam": points, "wrist_T_cam": np.full((4, 4), np.nan),
                   "score": 0.8, "valid": True, "metric_quality": "mono_scaled"}

    monkeypatch.setattr(example, "look", look)
    episode = record(tmp_path)
    folder = export_frames(episode, tmp_path / "out")
    assert folder == tmp_path / "out" / "session" / "000" and example.write(folder, Path("none")) == FRAMES
    track = make_hands(episode, tracker=f"npz:{tmp_path / 'out'}").tracks["right"]
    np.testing.assert_allclose(track.raw_m, truth, atol=1e-6)


def test_an_episode_without_its_file_is_passed_over_and_told(tmp_path: Path) -> None:
    faults: list[str] = []
    assert process([record(tmp_path)], [], tracker=f"npz:{tmp_path}", faults=faults) == []
    assert len(faults) == 1 and "session/000 has no hands at" in faults[0] and "firsthand frames" in faults[0]
    with pytest.raises(FirsthandError, match=r"there is nothing at .*after npz: comes a file of hands"):
        process([record(tmp_path / "b")], [], tracker=f"npz:{tmp_path / 'nowhere'}")


def test_frames_are_never_put_over_others(tmp_path: Path) -> None:
    episode = record(tmp_path, None)
    told = json.loads((export_frames(episode, tmp_path / "out") / "frames.json").read_text())
    assert told["assumed"] and told["frame_t_ns"] == T_NS.tolist() and told["width_px"] == 160
    with pytest.raises(FirsthandError, match="exists already"):
        export_frames(episode, tmp_path / "out")
