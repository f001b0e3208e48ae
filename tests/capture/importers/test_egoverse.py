"""EgoVerse: JPEG bytes as they are, real times, poses and keypoints, texts of spans; what is broken in one sentence."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import DamagedError
from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import SIDES
from firsthand.retarget.head_pose import COLUMNS

zarr = pytest.importorskip("zarr")

FRAMES, PADDED = 7, 100
K = np.array([[248.5, 0, 32, 0], [0, 248.5, 24, 0], [0, 0, 1, 0]])
SPANS = [("pick up the shirt", 0, 3), ("fold the sleeve", 2, 6)]


def poses(seed: int, width: int = 7) -> np.ndarray:
    values = np.random.default_rng(seed).normal(0, 1, (FRAMES, width))
    if width == 7:
        values[:, 3:] /= np.linalg.norm(values[:, 3:], axis=1, keepdims=True)
    return values


HANDS = [(f"{side}.{what}", width) for side in ("left", "right")
         for what, width in (("obs_ee_pose", 7), ("obs_wrist_pose", 7), ("obs_keypoints", 63))]
ARRAYS = {"obs_head_pose": poses(0), "obs_eye_gaze": poses(9, 3), "left.obs_gripper": poses(10, 1),
          **{name: poses(n, width) for n, (name, width) in enumerate(HANDS, 1)}}
STAMPS = 1_770_000_000_123_456_789 + np.arange(FRAMES) * 33_333_333 + np.array([0, 5, -7, 0, 900_000, 0, 1])


@pytest.fixture
def store(tmp_path: Path, jpegs: Callable[..., list[bytes]]) -> Path:
    """An episode as the contribution guide describes it, numbers padded to 100 rows, one shard an array."""
    path = tmp_path / "2026-03-15-14-22-10-000000.zarr"
    attributes: dict[str, Any] = {
        "embodiment": "human_bimanual", "total_frames": FRAMES, "fps": 30, "task_name": "fold_clothes",
        "task_description": "folding a baby shirt", "intrinsics": {"front_1": K.tolist()}, "extrinsics": None, "features": {},
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that byte strings of any length are not in the specification yet
        group = zarr.open_group(str(path), mode="w", zarr_format=3)
        group.attrs.update(attributes)
        for name, values in ARRAYS.items():
            padded = np.zeros((PADDED, values.shape[1]))
            padded[:FRAMES] = values
            made = group.create_array(name, shape=padded.shape, chunks=(100, values.shape[1]), shards=padded.shape, dtype="float64")
            made[:] = padded
        made = group.create_array("obs_rgb_timestamps_ns", shape=(FRAMES,), chunks=(FRAMES,), dtype="int64")
        made[:] = STAMPS
        texts = [json.dumps({"text": text, "start_idx": a, "end_idx": b}).encode() for text, a, b in SPANS]
        for name, payloads, chunk in (("images.front_1", jpegs(FRAMES), 1), ("images.left_wrist", jpegs(FRAMES, 32, 32), 1),
                                      ("annotations", texts, len(texts))):
            made = group.create_array(name, shape=(len(payloads),), chunks=(chunk,), shards=(len(payloads),), dtype="variable_length_bytes")
            made[:] = np.array(payloads, dtype=object)
    return path


def edit(store: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    file = store / name / "zarr.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_pictures_are_the_sources_own_bytes_at_their_own_times(store: Path, bring_in: Callable[..., Episode],
                                                               jpegs: Callable[..., list[bytes]]) -> None:
    with bring_in(store).recording() as recording:
        assert recording.source == "egocentric" and recording.task == "folding a baby shirt"
        head, wrist = recording["head"], recording["left_wrist"]
        assert [head.payload(i) for i in range(FRAMES)] == jpegs(FRAMES)
        assert (head.spec.width_px, head.spec.height_px, wrist.spec.width_px) == (64, 48, 32)
        np.testing.assert_array_equal(head.t_ns, STAMPS)
        np.testing.assert_array_equal(recording.calibration.cameras["head"].K, K[:, :3])


def test_numbers_come_in_equal_and_without_the_padding(store: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(store).recording() as recording:
        for stream, key in (("head-pose", "obs_head_pose"), ("ee-left", "left.obs_ee_pose"), ("wrist-right", "right.obs_wrist_pose"),
                            ("left-obs_gripper", "left.obs_gripper")):
            np.testing.assert_array_equal(recording[stream].values, ARRAYS[key])
            np.testing.assert_array_equal(recording[stream].t_ns, STAMPS)
        for side in SIDES:
            keypoints, wrist = ARRAYS[f"{side}.obs_keypoints"], ARRAYS[f"{side}.obs_wrist_pose"]
            np.testing.assert_array_equal(recording[f"hand-{side}"].values, np.hstack([keypoints, wrist[:, 3:]]))
            np.testing.assert_array_equal(recording[f"hand-{side}"].t_ns, STAMPS)
        assert recording["head-pose"].spec.about == "head" and recording["head-pose"].spec.names == COLUMNS
        assert recording["wrist-right"].spec.about == "", "only the head's pose may be taken for the camera's"
        assert recording["hand-left"].spec.names == HAND_COLUMNS and "up" not in recording["hand-left"].spec.extra
        assert recording["left-obs_gripper"].spec.extra["units"].startswith("the source does not state units")


def test_gaze_comes_in_only_when_asked_for(store: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(store).recording() as recording:
        assert "obs_eye_gaze" not in recording.streams


def test_gaze_asked_for_comes_in(store: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(store, keep_eyes=True).recording() as recording:
        np.testing.assert_array_equal(recording["obs_eye_gaze"].values, ARRAYS["obs_eye_gaze"])


def test_the_value_that_means_missing_becomes_nan(store: Path, bring_in: Callable[..., Episode]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = zarr.open_array(str(store / "left.obs_keypoints"), mode="r+")
        values = array[:]
        values[3] = 1e9
        array[:] = values
    with bring_in(store).recording() as recording:
        hand = recording["hand-left"].values
        assert np.isnan(hand[3]).all() and np.isfinite(np.delete(hand, 3, 0)).all()


def test_spans_become_segments_and_the_later_of_two_that_overlap_is_cut(store: Path, bring_in: Callable[..., Episode]) -> None:
    annotation = read_annotation(bring_in(store).annotations_path)
    assert annotation and annotation.instruction == "folding a baby shirt"
    assert [(s.a, s.b, s.label) for s in annotation.tiers["subtask"]] == [(0, 3, SPANS[0][0]), (3, 6, SPANS[1][0])]


def test_without_times_rows_are_counted(store: Path, bring_in: Callable[..., Episode]) -> None:
    import shutil

    shutil.rmtree(store / "obs_rgb_timestamps_ns")
    with bring_in(store).recording() as recording:
        np.testing.assert_allclose(recording["head"].t_ns, np.arange(FRAMES) * 1e9 / 30, atol=1)
        assert "no times" in recording["head"].spec.extra["times"]


def pickled(document: dict[str, Any]) -> None:
    document["codecs"][0]["configuration"]["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})


def old(document: dict[str, Any]) -> None:
    document["zarr_format"] = 2


def objects(document: dict[str, Any]) -> None:
    document["data_type"] = "object"


def bomb(document: dict[str, Any]) -> None:
    document["shape"] = [10**12, 7]


def fewer(document: dict[str, Any]) -> None:
    document["shape"] = [3, 7]


@pytest.mark.parametrize(("harm", "why"), [
    (pickled, "'numcodecs.pickle', which is not unpacked here"), (old, "not of Zarr version 3"),
    (objects, "neither plain numbers nor bytes"), (bomb, "never filled"), (fewer, r"shape \(3, 7\)"),
])  # fmt: skip
def test_arrays_that_are_not_plain_are_refused(store: Path, bring_in: Callable[..., Episode], harm: Callable[[dict[str, Any]], None],
                                               why: str) -> None:
    edit(store, "obs_head_pose", harm)
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(store)
    assert str(store) in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(("change", "why"), [
    ({"total_frames": 10**12}, "total_frames is 1000000000000 and images.front_1 has 7 rows"), ({"total_frames": -1}, "total_frames is -1"),
    ({"intrinsics": {"front_1": [[1, 2], [3]]}}, "intrinsics of front_1 are not a 3x4"), ({"fps": "fast"}, "fps 'fast'"),
])  # fmt: skip
def test_attributes_that_cannot_be_true_are_told(store: Path, bring_in: Callable[..., Episode], change: dict[str, Any], why: str) -> None:
    edit(store, ".", lambda document: document["attributes"].update(change))
    with pytest.raises(DamagedError, match=why):
        bring_in(store)


def test_more_annotations_than_the_folder_can_hold_are_refused(store: Path, bring_in: Callable[..., Episode]) -> None:
    edit(store, "annotations", lambda document: document.update(shape=[10**15]))
    with pytest.raises(DamagedError, match="annotations claims 1000000000000000 bytes"):
        bring_in(store)


def test_a_damaged_chunk_is_told(store: Path, bring_in: Callable[..., Episode]) -> None:
    shard = next(path for path in (store / "images.front_1" / "c").rglob("*") if path.is_file())
    data = bytearray(shard.read_bytes())
    data[10:400] = bytes(390)
    shard.write_bytes(data)
    with pytest.raises(DamagedError, match=r"images.front_1 is (damaged|no JPEG)|first picture of images.front_1"):
        bring_in(store)


def test_a_link_out_of_the_folder_is_refused(store: Path, bring_in: Callable[..., Episode], tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (store / "images.front_1" / "extra").symlink_to(tmp_path / "secret")
    with pytest.raises(DamagedError, match="link to elsewhere"):
        bring_in(store)


def test_an_annotation_outside_the_frames_is_told(store: Path, bring_in: Callable[..., Episode]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = zarr.open_array(str(store / "annotations"), mode="r+")
        array[0:1] = np.array([json.dumps({"text": "x", "start_idx": 3, "end_idx": 99}).encode()], dtype=object)
    with pytest.raises(DamagedError, match="annotation 0 is no span of frames"):
        bring_in(store)
