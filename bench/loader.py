"""Our loader against LeRobot's on the same exported dataset: CPU time of a random item.

    python bench/loader.py [--items 60]

Two kinds of item, as trainers ask for them: one picture with 16 actions (from a GOP of 2), and a window of 25 pictures with 16 actions
(from a GOP of 15). Both loaders get the same items in the same order, alone in a process with one torch thread; the better of two
rounds counts. Ours hands out uint8 pictures, to be made float on the training device; LeRobot hands out float32. "as float32" is ours with
the same conversion done on the CPU. LeRobot runs in the environment of tests/interop.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.library import Episode, find_episodes
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.datasets.formats import export
from firsthand.datasets.loader import WindowDataset
from firsthand.datasets.video_writer import VideoOptions
from firsthand.datasets.window import Window
from firsthand.retarget.action_track import Actions, ActionTrack
from firsthand.retarget.hand_track import MEASURED, Hands, HandTrack

PEER = Path(__file__).parents[1] / "tests" / "interop"
"""LeRobot's environment, and what runs in it."""
FPS, WIDTH_PX, HEIGHT_PX, FRAMES = 30, 640, 480, 200
KINDS = {"1 picture, GOP 2": (2, 1), "25 pictures, GOP 15": (15, 25)}
"""Name -> GOP and pictures an item."""
GOALS = {"1 picture, GOP 2": 1.5, "25 pictures, GOP 15": 2.5}
"""How many times less CPU time than LeRobot."""
ROUNDS = 2


def record(episode: Episode, seed: int) -> None:
    """One episode of a textured scene that a camera pans over, with a gripper that moves."""
    rng = np.random.default_rng(seed)
    wide = cv2.resize(rng.integers(0, 255, (60, 130, 3)).astype(np.uint8), (WIDTH_PX * 2, HEIGHT_PX * 2), interpolation=cv2.INTER_CUBIC)
    wide = cv2.add(wide, rng.integers(0, 12, wide.shape).astype(np.uint8))
    camera = CameraCalibration.from_hfov(WIDTH_PX, HEIGHT_PX, 70)
    t_ns = np.arange(FRAMES) * 1_000_000_000 // FPS
    with RecordingWriter(episode.recording_path, task="pan", source="simulation", calibration=Calibration({"head": camera})) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=FPS, width_px=WIDTH_PX, height_px=HEIGHT_PX))
        for i, t in enumerate(t_ns):
            x, y = int(300 + 250 * np.sin(i / 40)), int(200 + 150 * np.cos(i / 30))
            picture = np.ascontiguousarray(wide[y : y + HEIGHT_PX, x : x + WIDTH_PX])
            cv2.circle(picture, (100 + 2 * i, 300), 60, (60, 80, 220), -1)
            writer.append(Sample("head", int(t), int(t), i, cv2.imencode(".jpg", picture)[1].tobytes()))
    with episode.recording() as recording:
        t_ns = np.array(recording["head"].t_ns)
    points = rng.normal(0, 0.05, (FRAMES, 21, 3)).cumsum(0) * 0.02
    pose = np.tile(np.eye(4), (FRAMES, 1, 1))
    pose[:, :3, 3] = points[:, 0]
    ones = np.ones(FRAMES)
    sigma_m, seen = np.full((FRAMES, 21), 0.01), np.full((FRAMES, 21), MEASURED)
    hand = HandTrack("right", t_ns, points, points[..., :2], points, sigma_m, seen, ones, ones)
    Hands("head", t_ns, "camera", camera, {"right": hand}).write(episode.hands_path)
    track = ActionTrack("right", t_ns, pose, ("width",), ("m",), 0.04 + points[:, :1, 0], ones, ones * 0.001, ones * 0)
    Actions("gripper", "gripper", "camera", {"right": track}).write(episode.actions_path("gripper"))


def cpu_ms(read: Callable[[int], Any], items: list[int]) -> float:
    """CPU time of one item in milliseconds, the best of some rounds, after a warm-up."""
    for item in items[:5]:
        read(item)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for item in items:
            read(item)
        best = min(best, (time.process_time() - began) / len(items) * 1e3)
    return best


def measure(dataset: Path, pictures: int, count: int, peer: str) -> dict[str, float]:
    """CPU milliseconds an item of ours, of ours as float32, and of LeRobot."""
    windows = WindowDataset(dataset, Window(observation_steps=pictures, action_steps=16))
    chosen = random.Random(0).sample(range(len(windows)), count)
    camera = windows.cameras[0]
    rows = [int(windows.rows[i]) for i in chosen]
    asked = json.dumps({"dataset": str(dataset), "pictures": pictures, "rows": rows, "rounds": ROUNDS})
    theirs = subprocess.run([peer, str(PEER / "time_lerobot.py"), asked], stdout=subprocess.PIPE, text=True, check=True)
    return {"ours": cpu_ms(windows.__getitem__, chosen), "ours as float32": cpu_ms(lambda i: windows[i][camera].float() / 255, chosen),
            "LeRobot": json.loads(theirs.stdout.strip().splitlines()[-1])["cpu_ms"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=60, help="items of each kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    peer = subprocess.run([sys.executable, str(PEER / "lerobot_venv.py")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="firsthand-bench-") as folder:
        library = Path(folder) / "library"
        for number in range(4):
            record(Episode(library / "session" / f"{number:03d}"), number)
        for kind, (gop, pictures) in KINDS.items():
            out = Path(folder) / f"gop{gop}"
            export(find_episodes(library), out, format="lerobot-v3", robot="gripper", video=VideoOptions(gop))
            figures[kind] = measure(out, pictures, options.items, peer)
    print(f"{4 * FRAMES} frames of {WIDTH_PX}x{HEIGHT_PX}; CPU ms an item\n")
    print(f"{'item':<22}{'ours':>8}{'as float32':>12}{'LeRobot':>10}{'ratio':>8}{'goal':>7}")
    for kind, ms in figures.items():
        ms["ratio"] = ms["LeRobot"] / ms["ours"]
        print(f"{kind:<22}{ms['ours']:>8.1f}{ms['ours as float32']:>12.1f}{ms['LeRobot']:>10.1f}{ms['ratio']:>8.2f}{GOALS[kind]:>7.2f}")
    ok = all(ms["ratio"] >= GOALS[kind] for kind, ms in figures.items())
    rounded = {kind: {name: round(value, 2) for name, value in ms.items()} for kind, ms in figures.items()}
    print(json.dumps({"bench": "loader", "figures": rounded, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
