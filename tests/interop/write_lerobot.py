"""Write a dataset with the real LeRobot, or bring one from v2.1 to v3.0, then say as one JSON line what LeRobot reads in it."""

import json
import sys
from pathlib import Path

import with_lerobot

with_lerobot.prepare()

import numpy as np  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

TASKS = ("put the cube into the bowl", "close the drawer")
FEATURES = {
    "observation.images.top": {"dtype": "video", "shape": (64, 96, 3), "names": ["height", "width", "channels"]},
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["shoulder", "elbow", "gripper"]},
    "action": {"dtype": "float32", "shape": (3,), "names": ["shoulder", "elbow", "gripper"]},
}  # fmt: skip


def write(root: Path, codec: str) -> None:
    dataset = LeRobotDataset.create("local/made", 30, FEATURES, root=root, robot_type="so101", vcodec=codec)
    rng = np.random.default_rng(0)
    for episode, length in enumerate((20, 13, 9)):
        for n in range(length):
            picture = np.full((64, 96, 3), 30 + 8 * n, np.uint8)
            picture[:, : 20 * (episode + 1)] = 20
            dataset.add_frame({"observation.images.top": picture, "observation.state": rng.normal(0, 1, 3).astype(np.float32),
                               "action": rng.normal(0, 1, 3).astype(np.float32), "task": TASKS[episode % 2]})
        dataset.save_episode()
    dataset.finalize()


def convert(root: Path) -> None:
    from lerobot.datasets.v30.convert_dataset_v21_to_v30 import convert_dataset

    convert_dataset(root.name, root=root.parent, push_to_hub=False)


def read(root: Path) -> dict[str, list[object]]:
    dataset = LeRobotDataset("local/made", root=root, video_backend="torchcodec")
    camera, = dataset.meta.camera_keys
    found: dict[str, list[object]] = {name: [] for name in ("episode", "state", "action", "timestamp", "task", "grey")}
    for i in range(len(dataset)):
        item = dataset[i]
        for name, value in (("episode", int(item["episode_index"])), ("state", item["observation.state"].tolist()),
                            ("action", item["action"].tolist()), ("timestamp", float(item["timestamp"])), ("task", item["task"]),
                            ("grey", float(item[camera].mean()) * 255)):
            found[name].append(value)
    return found


def main() -> None:
    what, root = sys.argv[1], Path(sys.argv[2])
    if what == "write":
        write(root, sys.argv[3])
    elif what == "convert":
        convert(root)
    print(json.dumps(read(root)))


main()
