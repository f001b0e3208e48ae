"""robomimic and Isaac Lab: a take a demonstration, numbers equal, pictures without loss; what is broken in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import DamagedError
from firsthand.capture.importer import import_file, look
from firsthand.capture.intake import Asked
from firsthand.capture.library import Episode

ROBOSUITE = {"env_name": "PickPlaceCan", "type": 1, "env_kwargs": {"control_freq": 20}}
ISAAC = {"env_name": "Isaac-Stack-Cube-Franka-IK-Rel-v0", "type": 2, "sim_args": {"dt": 0.01, "decimation": 5}}
COUNTS = {"demo_0": 9, "demo_2": 6, "demo_10": 4}


def picture(demo: int, frame: int) -> np.ndarray:
    return np.random.default_rng([demo, frame]).integers(0, 256, (12, 16, 3), np.uint8)


def make(path: Path, env_args: dict[str, object]) -> Path:
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs.update(total=sum(COUNTS.values()), env_args=json.dumps(env_args))
        for name, n in COUNTS.items():
            demo = data.create_group(name)
            number = int(name[5:])
            demo.attrs.update(num_samples=n, success=number != 2, model_file="<mujoco/>")
            demo["actions"] = rng.uniform(-1, 1, (n, 7)).astype(np.float32)
            demo["rewards"], demo["dones"] = np.zeros(n), np.eye(n)[-1].astype(np.int64)
            demo["states"] = rng.normal(0, 1, (n, 45))
            frames = np.stack([picture(number, i) for i in range(n)])
            demo.create_dataset("obs/agentview_image", data=frames, chunks=(1, *frames.shape[1:]), compression="gzip")
            demo["obs/robot0_eef_pos"] = rng.normal(0, 1, (n, 3)).astype(np.float32)
            demo["next_obs/robot0_eef_pos"] = rng.normal(0, 1, (n, 3)).astype(np.float32)
        file["mask/train"] = np.array([b"demo_0", b"demo_10"])
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A robosuite file of three demonstrations, numbered as they come after a filter."""
    return make(tmp_path / "can.hdf5", ROBOSUITE)


def test_demonstrations_come_in_order_of_their_numbers(file: Path) -> None:
    assert [take.name for take in look(file, Asked()).takes] == ["demo_0", "demo_2", "demo_10"]


@pytest.mark.parametrize("number", range(3))
def test_numbers_and_pictures_come_in_equal(file: Path, bring_in: Callable[..., Episode], number: int) -> None:
    name = list(COUNTS)[number]
    with bring_in(file, number).recording() as recording, h5py.File(file) as source:
        demo, n = source["data"][name], COUNTS[name]
        assert recording.source == "simulation" and recording.task == "PickPlaceCan"
        for stream, path in (("actions", "actions"), ("rewards", "rewards"), ("dones", "dones"), ("states", "states"),
                             ("robot0_eef_pos", "obs/robot0_eef_pos")):
            np.testing.assert_array_equal(recording[stream].values, demo[path][()].reshape(n, -1))
            assert recording[stream].spec.extra["from"] == path
        camera = recording.camera()
        assert camera.spec.name == "agentview" and camera.spec.encoding == "png"
        for i, shown in enumerate(camera.images()):
            np.testing.assert_array_equal(shown[..., ::-1], demo["obs/agentview_image"][i])
        np.testing.assert_allclose(camera.t_ns, np.arange(n) * 5e7, atol=1)
        np.testing.assert_array_equal(camera.t_ns, recording["actions"].t_ns)
        assert recording.provenance.parameters["left_out"] == ["next_obs: obs of the next row"]


def test_success_becomes_the_annotation(file: Path, bring_in: Callable[..., Episode]) -> None:
    said = [read_annotation(bring_in(file, number).annotations_path) for number in range(3)]
    assert [a and a.success for a in said] == [True, False, True]


def test_isaac_labs_signals_become_segments_and_its_rate_is_taken(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    path = make(tmp_path / "stack.hdf5", ISAAC)
    with h5py.File(path, "r+") as file:
        signals = file["data/demo_0/obs"].create_group("datagen_info/subtask_term_signals")
        signals["grasp_1"] = np.arange(9) >= 3
        signals["stack_1"] = (np.arange(9) == 6).astype(np.float32)
        signals["never"] = np.zeros(9, bool)
        file["data/demo_0/obs/datagen_info/eef_pose/franka"] = np.tile(np.eye(4, dtype=np.float32), (9, 1, 1))
    episode = bring_in(path)
    annotation = read_annotation(episode.annotations_path)
    assert annotation
    assert [(s.a, s.b, s.label) for s in annotation.tiers["subtask"]] == [(0, 3, "grasp_1"), (3, 6, "stack_1"), (6, 9, "never")]
    with episode.recording() as recording:
        np.testing.assert_allclose(np.diff(recording["actions"].t_ns), 5e7)
        pose = recording["datagen_info-eef_pose-franka"]
        assert pose.spec.names[:5] == ("[0][0]", "[0][1]", "[0][2]", "[0][3]", "[1][0]")
        np.testing.assert_array_equal(pose.values.reshape(-1, 4, 4), np.tile(np.eye(4), (9, 1, 1)))


def test_a_rate_that_is_not_told_is_assumed_and_said_so(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    path = make(tmp_path / "real.hdf5", {"env_name": "Kitchen"})
    with bring_in(path).recording() as recording:
        assert "its rate is assumed" in recording["actions"].spec.extra["times"] and recording.source == "teleop"


def test_pictures_of_one_channel_and_depth_in_floats(file: Path, bring_in: Callable[..., Episode]) -> None:
    with h5py.File(file, "r+") as source:
        source["data/demo_0/obs/touch_image"] = np.arange(9 * 12 * 16, dtype=np.uint8).reshape(9, 12, 16, 1)
        source["data/demo_0/obs/agentview_depth"] = np.random.default_rng(0).random((9, 120, 160, 1), np.float32)
    with bring_in(file).recording() as recording:
        shown = cv2.imdecode(np.frombuffer(recording["touch"].payload(1), np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(shown, (np.arange(192) + 192).astype(np.uint8).reshape(12, 16))
        assert "obs/agentview_depth: 19200 columns" in recording.provenance.parameters["left_out"]


def external(demo: h5py.Group) -> None:
    demo["obs/other"] = h5py.ExternalLink("other.hdf5", "/x")


def texts(demo: h5py.Group) -> None:
    demo["obs"].create_dataset("language", data=["x"] * 9, dtype=h5py.string_dtype())


def short(demo: h5py.Group) -> None:
    del demo["obs/robot0_eef_pos"]
    demo["obs/robot0_eef_pos"] = np.zeros((8, 3))


def idle(demo: h5py.Group) -> None:
    del demo["actions"]


def lying(demo: h5py.Group) -> None:
    demo.attrs["num_samples"] = 12


def deep(demo: h5py.Group) -> None:
    demo["obs/again"] = demo["obs"]  # a hard link to itself


def foreign(demo: h5py.Group) -> None:
    dcpl = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    dcpl.set_chunk((9, 3))
    dcpl.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    h5py.h5d.create(demo["obs"].id, b"zstd", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((9, 3)), dcpl=dcpl)


@pytest.mark.parametrize(("harm", "why"), [
    (external, "other is a link to elsewhere"), (texts, "language holds object, not plain numbers"),
    (short, "robot0_eef_pos has 8 rows of 9"), (idle, "demo_0 has no actions"),
    (lying, "9 actions and says 12 samples"), (deep, "nested deeper than 8 groups"),
    (foreign, "packed with the filter 32015"),
])  # fmt: skip
def test_a_bad_demonstration_is_told_and_the_others_come_in(file: Path, bring_in: Callable[..., Episode],
                                                            harm: Callable[[h5py.Group], None], why: str) -> None:
    with h5py.File(file, "r+") as source:
        harm(source["data/demo_0"])
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(file, 0)
    assert str(file) in str(told.value) and "\n" not in str(told.value)
    bring_in(file, 1)


def test_a_file_cut_off_is_told(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(DamagedError, match="not HDF5, or cut off"):
        import_file(file, tmp_path / "library")


def test_another_hdf5_file_is_not_taken_for_one(tmp_path: Path) -> None:
    from firsthand.capture.importers.robomimic import robomimic

    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["data/values"] = np.zeros(3)
    assert robomimic(tmp_path / "mine.h5", Asked()) is None
