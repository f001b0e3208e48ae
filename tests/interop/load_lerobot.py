"""Open a dataset with the real LeRobot, read every row, and say what came back as one JSON line. Runs in LeRobot's own environment."""

import json
import sys
from pathlib import Path

import with_lerobot

with_lerobot.prepare()

import numpy as np  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

BARCODE = "--barcode" in sys.argv


def barcode(picture: np.ndarray) -> int:
    """The number in the top quarter of a test picture (3, H, W) in 0..1: 16 columns, the leftmost the lowest bit."""
    height, width = picture.shape[1] // 4, picture.shape[2] // 16
    top = picture[:, height // 4 : 3 * height // 4].mean((0, 1))
    return sum(1 << bit for bit in range(16) if top[bit * width + width // 4 : bit * width + 3 * width // 4].mean() > 0.5)


def main() -> None:
    root = Path(sys.argv[1])
    dataset = LeRobotDataset("local/check", root=str(root), video_backend="torchcodec")
    camera, = dataset.meta.camera_keys
    wrong, states, texts = [], [], set()
    for i in range(len(dataset)):
        item = dataset[i]
        episode, frame = int(item["episode_index"]), int(item["frame_index"])
        assert int(item["index"]) == i
        assert item[camera].shape == (3, *dataset.meta.features[camera]["shape"][:2])
        assert np.isfinite(item["action"].numpy()).all()
        if BARCODE and barcode(item[camera].numpy()) != episode * 256 + frame:
            wrong.append((episode, frame))
        states.append(item["observation.state"].numpy())
        texts.add((item["task"], item["subtask"]))
    print(json.dumps({"rows": len(dataset), "episodes": dataset.num_episodes, "fps": dataset.fps, "wrong_pictures": wrong,
                      "texts": sorted(texts), "state_mean": np.mean(states, 0).tolist()}))


main()
