"""The MediaPipe tracker on real pictures of hands."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.hand_model import VARIABLE
from firsthand.retarget.tracker import Detection, open_tracker
from firsthand.retarget.tracker_mediapipe import _library_message, rightness

EVERY = 1_000_000_000 // 30


def clip(shared: Path, frames: int) -> list[np.ndarray]:
    """The first frames of a video of one real right hand, at half size."""
    video = cv2.VideoCapture(str(shared / "data/media/hands/human_hand_video.mp4"))
    return [cv2.resize(video.read()[1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for _ in range(frames)]


def track(images: list[np.ndarray]) -> list[list[Detection]]:
    with open_tracker("mediapipe") as tracker:
        return [tracker.detect(5 + i * EVERY, image) for i, image in enumerate(images)]


def test_a_real_right_hand_is_right_and_its_mirror_image_left(shared: Path) -> None:
    images = clip(shared, 24)
    right, left = track(images), track([np.ascontiguousarray(image[:, ::-1]) for image in images])
    assert [len(found) for found in right + left] == [1] * 48
    assert all(found[0].rightness > 0 for found in right)
    assert all(found[0].rightness < 0 for found in left)
    last, mirrored = right[-1][0].points_px, left[-1][0].points_px
    np.testing.assert_allclose(np.median(mirrored[:, 0] + last[:, 0]), images[0].shape[1] - 1, atol=4)


@pytest.mark.parametrize(("label", "score", "wanted"), [("Right", 1.0, 1.0), ("Left", 1.0, -1.0), ("Right", 0.75, 0.5), ("Left", 0.5, 0.0)])
def test_the_tasks_label_is_kept(label: str, score: float, wanted: float) -> None:
    assert rightness(label, score) == wanted


def test_local_joints_are_metres_along_the_cameras_axes(shared: Path) -> None:
    for (found,) in track(clip(shared, 10))[5:]:
        picture = found.points_px - found.points_px.mean(0)
        shape = found.local_m[:, :2] - found.local_m[:, :2].mean(0)
        assert np.corrcoef(picture.ravel(), shape.ravel())[0, 1] > 0.98
        assert 0.07 < np.linalg.norm(found.local_m[9] - found.local_m[0]) < 0.13


def test_stamps_may_repeat_and_pictures_may_be_portrait_and_odd(shared: Path) -> None:
    images = [np.ascontiguousarray(np.rot90(image))[:601, :333] for image in clip(shared, 4)]
    with open_tracker("mediapipe") as tracker:
        found = [tracker.detect(t, image) for t, image in zip((7, 7, 7, 500_000), images, strict=True)]
    assert len(found) == 4


def test_glasses_see_a_hand_where_their_own_tracker_does(shared: Path) -> None:
    """Truth from on-device tracking; at least one of three egocentric frames within 12 % of the palm."""
    folder = shared / "data/media/aria"
    truth = json.loads((folder / "gen2_rgb_pinhole.json").read_text())
    K = np.array(truth["camera_matrix"])
    ours = {name: 5 + 4 * finger + k for finger, prefix in enumerate(("index", "middle", "ring", "pinky"))
            for k, name in enumerate(f"{prefix}_{joint}" for joint in ("proximal", "intermediate", "distal", "tip"))}
    ours |= {"wrist": 0, "thumb_intermediate": 2, "thumb_distal": 3, "thumb_tip": 4}
    rows = [i for i, name in enumerate(truth["landmark_order"]) if name in ours]
    joints = [ours[truth["landmark_order"][i]] for i in rows]
    errors = []
    for frame in truth["frames"]:
        points = np.full((21, 3), np.nan)
        points[joints] = np.array(frame["hands"]["left"]["landmarks_camera_m"])[rows]
        pixels = points @ K.T
        pixels = pixels[:, :2] / pixels[:, 2:]
        image = cv2.imread(str(folder / frame["image"]))
        for found in track([image] * 4)[-1]:
            palm = np.linalg.norm(pixels[9] - pixels[0])
            errors.append(np.nanmean(np.linalg.norm(found.points_px - pixels, axis=1)) / palm)
    assert min(errors) < 0.12


def test_what_native_code_prints_stays_off_the_terminal(shared: Path) -> None:
    """In a process of its own: some of it is said only once."""
    code = ("import sys, cv2; from firsthand.retarget.tracker import open_tracker\n"
            "video = cv2.VideoCapture(sys.argv[1])\n"
            "with open_tracker('mediapipe') as tracker:\n"
            "    print([len(tracker.detect(i, video.read()[1])) for i in range(3)])")
    path = shared / "data/media/hands/human_hand_video.mp4"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 1, 1]\n", "")


def test_an_unknown_tracker_is_named_with_the_known_ones() -> None:
    with pytest.raises(FirsthandError, match="'mediapype'; did you mean 'mediapipe'"):
        open_tracker("mediapype")


def test_a_file_that_is_no_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "own.task").write_bytes(b"not a model")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own.task"))
    with pytest.raises(FirsthandError, match=r"own\.task is not a hand model that mediapipe can load"), open_tracker("mediapipe"):
        pass


def test_a_missing_system_library_is_named_with_its_package() -> None:
    message = _library_message(OSError("libGLESv2.so.2: cannot open shared object file: No such file or directory"))
    assert "libGLESv2.so.2" in message and "apt install libegl1 libgles2" in message
