"""EgoDex: packets as they are, every joint's pose, the camera's optics and the task; what is broken in one sentence."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.axes import FROM_Y_UP
from firsthand.capture.errors import DamagedError
from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.importers.egodex import ARKIT
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording
from firsthand.capture.skeleton import JOINTS, SIDES
from firsthand.capture.synthetic.rotation import from_rotation_vector
from firsthand.retarget.head_pose import COLUMNS, rotations

FRAMES = 12
K = np.array([[736.6339, 0, 960], [0, 736.6339, 540], [0, 0, 1]], np.float32)


def poses(seed: int, frames: int = FRAMES) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.tile(np.eye(4), (frames, 1, 1))
    T[:, :3, :3] = from_rotation_vector(rng.normal(0, 1, (frames, 3)))
    T[:, :3, 3] = rng.normal(0, 0.5, (frames, 3))
    return T.astype(np.float32)


@pytest.fixture
def clip(tmp_path: Path, film: Callable[..., bytes]) -> Path:
    """``part1/fold_towel/3.hdf5`` and its video, with EgoDex's joints."""
    folder = tmp_path / "part1" / "fold_towel"
    folder.mkdir(parents=True)
    (folder / "3.mp4").write_bytes(film(FRAMES, b_frames=2))
    with h5py.File(folder / "3.hdf5", "w") as file:
        names = ["camera", "hip", "spine7", "leftShoulder", "leftArm", "leftForearm",
                 *(f"{side}{joint}" for side in SIDES for joint in ARKIT)]
        for seed, name in enumerate(names):
            file[f"transforms/{name}"] = poses(seed)
            if name != "camera":
                file[f"confidences/{name}"] = np.linspace(0, 1, FRAMES, dtype=np.float32)
        file["camera/intrinsic"] = K
        file.attrs.update(llm_description="fold the towel", llm_description2="unfold the towel", which_llm_description="2",
                          llm_type="reversible", task="fold_towel")
    return folder / "3.hdf5"


def test_every_joint_of_every_frame_comes_in(clip: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(clip).recording() as recording, h5py.File(clip) as file:
        assert recording.source == "egocentric" and recording.task == "unfold the towel"
        head = recording["head"]
        assert len(head) == FRAMES and head.spec.clock == "media" and head.spec.encoding == "h264"
        for side in SIDES:
            hand = recording[f"hand-{side}"]
            assert hand.spec.side == side and hand.spec.role == "pose"
            np.testing.assert_array_equal(hand.t_ns, head.t_ns)
            names = list(hand.spec.names)
            for theirs, ours in ARKIT.items():
                T = file[f"transforms/{side}{theirs}"][()]
                row = hand.values[:, [names.index(f"{ours}.{axis}") for axis in (*COLUMNS, "confidence")]]
                np.testing.assert_array_equal(row[:, :3], T[:, [0, 2, 1], 3] * [1, -1, 1])  # ARKit's y is up, our z
                np.testing.assert_allclose(rotations(row[:, 3:7]), FROM_Y_UP @ T[:, :3, :3] @ FROM_Y_UP.T, atol=2e-6)
                np.testing.assert_array_equal(row[:, 7], file[f"confidences/{side}{theirs}"][()])
        body = {name.partition(".")[0] for name in recording["body"].spec.names}
        assert body == {"hip", "spine7", "leftShoulder", "leftArm", "leftForearm"}
        camera = recording.calibration.cameras["head"]
        np.testing.assert_array_equal(camera.K, K)


def test_hands_have_all_canonical_joints(clip: Path, bring_in: Callable[..., Episode]) -> None:
    assert set(ARKIT.values()) - set(JOINTS) == {f"{finger}_metacarpal" for finger in ("index", "middle", "ring", "little")}
    with bring_in(clip).recording() as recording:
        for side in SIDES:
            assert recording[f"hand-{side}"].spec.names[: len(HAND_COLUMNS)] == HAND_COLUMNS


def test_the_head_pose_is_one_the_hands_stage_takes(clip: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(clip).recording() as recording, h5py.File(clip) as file:
        pose = recording["head-pose"]
        assert set(COLUMNS) <= set(pose.spec.names) and pose.spec.about == "head"
        T = file["transforms/camera"][()]
        np.testing.assert_array_equal(pose.values[:, :3], T[:, [0, 2, 1], 3] * [1, -1, 1])
        np.testing.assert_allclose(rotations(pose.values[:, 3:]), FROM_Y_UP @ T[:, :3, :3], atol=2e-6)  # the camera's axes stay its own


def test_packets_are_the_videos_own(clip: Path, bring_in: Callable[..., Episode]) -> None:
    import av

    with bring_in(clip).recording() as recording, av.open(str(clip.with_suffix(".mp4"))) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        assert [recording["head"].row_payload(i) for i in range(FRAMES)] == packets


def test_the_task_becomes_the_annotation(clip: Path, bring_in: Callable[..., Episode]) -> None:
    annotation = read_annotation(bring_in(clip).annotations_path)
    assert annotation and annotation.instruction == "unfold the towel" and annotation.n_frames == FRAMES


def test_a_transform_that_is_not_rigid_is_missing(clip: Path, bring_in: Callable[..., Episode]) -> None:
    with h5py.File(clip, "r+") as file:
        file["transforms/leftHand"][3] = np.zeros((4, 4))
    with bring_in(clip).recording() as recording:
        wrist = recording["hand-left"].values[:, [0, 1, 2, 63, 64, 65, 66]]
        assert np.isnan(wrist[3]).all() and np.isfinite(np.delete(wrist, 3, 0)).all()


def test_files_without_confidences_come_in(clip: Path, bring_in: Callable[..., Episode]) -> None:
    with h5py.File(clip, "r+") as file:
        del file["confidences"]
    with bring_in(clip).recording() as recording:
        assert not any(name.endswith("confidence") for name in recording["hand-left"].spec.names)


def external(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms/leftHand"] = h5py.ExternalLink("other.hdf5", "/x")


def soft(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms/leftHand"] = h5py.SoftLink("/transforms/rightHand")


def virtual(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    layout = h5py.VirtualLayout((FRAMES, 4, 4), np.float32)
    layout[:] = h5py.VirtualSource("other.hdf5", "x", (FRAMES, 4, 4))
    file["transforms"].create_virtual_dataset("leftHand", layout)


def outside(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms"].create_dataset("leftHand", (FRAMES, 4, 4), np.float32, external=[("other.bin", 0, FRAMES * 64)])


def objects(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms"].create_dataset("leftHand", data=["x"] * FRAMES, dtype=h5py.string_dtype())


def bomb(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms"].create_dataset("leftHand", (10**9, 4, 4), np.float32, chunks=(1000, 4, 4))


def short(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms/leftHand"] = poses(1, FRAMES - 1)


def flat(file: h5py.File) -> None:
    del file["transforms/leftHand"]
    file["transforms/leftHand"] = np.zeros((FRAMES, 16))


def blind(file: h5py.File) -> None:
    del file["transforms/camera"]


def unfocused(file: h5py.File) -> None:
    del file["camera"]


@pytest.mark.parametrize(("harm", "why"), [
    (external, "a link to elsewhere"), (soft, "a link to elsewhere"), (virtual, "keeps its data in other files"),
    (outside, "keeps its data in other files"), (objects, "not plain numbers"), (bomb, "never filled"), (short, "has 11 rows"),
    (flat, r"has shape \(12, 16\), not \(N, 4, 4\)"), (blind, "where the head was is not known"), (unfocused, "intrinsic is not there"),
])  # fmt: skip
def test_what_is_not_plain_numbers_in_the_file_is_refused(clip: Path, bring_in: Callable[..., Episode], tmp_path: Path,
                                                          harm: Callable[[h5py.File], None], why: str) -> None:
    with h5py.File(clip, "r+") as file:
        harm(file)
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(clip)
    assert str(clip) in str(told.value) and "\n" not in str(told.value)
    assert not list((tmp_path / "library").rglob("recording.h5*"))


def test_a_video_of_another_length_is_refused(clip: Path, bring_in: Callable[..., Episode], film: Callable[..., bytes]) -> None:
    for frames in (FRAMES - 1, FRAMES + 1):
        clip.with_suffix(".mp4").write_bytes(film(frames))
        with pytest.raises(DamagedError, match=f"{frames} frames where 12 are wanted"):
            bring_in(clip)


def test_a_file_cut_off_is_told(clip: Path, bring_in: Callable[..., Episode]) -> None:
    clip.write_bytes(clip.read_bytes()[:5000])
    with pytest.raises(DamagedError, match="not HDF5, or cut off"):
        bring_in(clip)


def test_stamps_of_hdf5_and_video_agree(clip: Path, bring_in: Callable[..., Episode]) -> None:
    with Recording(bring_in(clip).recording_path) as recording:
        np.testing.assert_allclose(recording["head"].t_ns, np.arange(FRAMES) * 1e9 / 30, atol=1)
