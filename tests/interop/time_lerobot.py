"""LeRobot's side of bench/loader.py: CPU time of its items. Runs in LeRobot's own environment."""

import json
import sys
import time

import with_lerobot

with_lerobot.prepare()

import torch  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402


def main() -> None:
    asked = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    plain = LeRobotDataset("local/bench", root=asked["dataset"], video_backend="torchcodec")
    camera, = plain.meta.camera_keys
    past = [-i / plain.fps for i in reversed(range(asked["pictures"]))]
    times = {"action": [i / plain.fps for i in range(16)], **({camera: past} if asked["pictures"] > 1 else {})}
    dataset = LeRobotDataset("local/bench", root=asked["dataset"], video_backend="torchcodec", delta_timestamps=times)
    for row in asked["rows"][:5]:
        dataset[row]
    best = float("inf")
    for _ in range(asked["rounds"]):
        began = time.process_time()
        for row in asked["rows"]:
            dataset[row]
        best = min(best, (time.process_time() - began) / len(asked["rows"]) * 1e3)
    print(json.dumps({"cpu_ms": best}))


main()
