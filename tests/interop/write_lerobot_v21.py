"""Write a dataset of v2.1 with the real LeRobot 0.3.3, then say as one JSON line what LeRobot reads in it: video|images FOLDER."""

import json
import sys
from pathlib import Path

import with_lerobot

with_lerobot.prepare()

import numpy as np  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

TASKS = ("put the cube into the bowl", "close the drawer")
JOINTS = {"dtype": "float32", "shape": (3,), "names": ["shoulder", "elbow", "gripper"]}


def write(root: Path, pictures: str) -> None:
    features = {
        "observation.images.top": {"dtype": pictures, "shape": (64, 96, 3), "names": ["height", "width", "channels"]},
        "observation.state": JOINTS, "action": JOINTS, "next.success": {"dtype": "bool", "shape": (1,), "names": None},
        "observation.grid": {"dtype": "int64", "shape": (2, 2), "names": None},
    }  # fmt: skip
    dataset = LeRobotDataset.create("local/made", 30, features, root=root, robot_type="so101", use_videos=pictures == "video")
    rng = np.random.default_rng(0)
    for episode, length in enumerate((20, 13, 9)):
        for n in range(length):
            picture = np.full((64, 96, 3), 30 + 8 * n, np.uint8)
            picture[:, : 20 * (episode + 1)] = 20
            dataset.add_frame({"observation.images.top": picture, "observation.state": rng.normal(0, 1, 3).astype(np.float32),
                               "action": rng.normal(0, 1, 3).astype(np.float32), "next.success": np.array([n == length - 1]),
                               "observation.grid": np.array([[n, episode], [2**53 + n, -n]])}, task=TASKS[episode % 2])
        dataset.save_episode()


def read(root: Path) -> dict[str, list[object]]:
    dataset = LeRobotDataset("local/made", root=root, video_backend="torchcodec")
    found: dict[str, list[object]] = {name: [] for name in ("episode", "state", "action", "timestamp", "task", "grey", "grid", "success")}
    for i in range(len(dataset)):
        item = dataset[i]
        for name, value in (("episode", int(item["episode_index"])), ("state", item["observation.state"].tolist()),
                            ("action", item["action"].tolist()), ("timestamp", float(item["timestamp"])), ("task", item["task"]),
                            ("grey", float(item["observation.images.top"].mean()) * 255), ("grid", item["observation.grid"].tolist()),
                            ("success", bool(item["next.success"]))):
            found[name].append(value)
    return found


write(Path(sys.argv[2]), sys.argv[1])
print(json.dumps(read(Path(sys.argv[2]))))
