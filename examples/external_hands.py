"""A hand model outside of firsthand: reads the pictures of 'firsthand frames', writes hands.npz beside them. Knows nothing of firsthand.

    firsthand frames LIBRARY --out frames
    python examples/external_hands.py frames --model "$(firsthand models build)"
    firsthand process LIBRARY --robot panda_gripper --tracker npz:frames

Stands in for WiLoR, HaMeR or HaWoR: put your model into `look`. Needs numpy, opencv-python and, for the stand-in, mediapipe 1.2;
it may run in another environment or on another machine.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np


def look(pictures: Iterator[tuple[int, np.ndarray]], K: np.ndarray, model: Path) -> Iterator[dict]:
    """YOUR MODEL HERE: one dictionary for each hand seen in each picture (BGR), which come as (frame, picture).

    Joints are in MediaPipe's order (wrist, then four a finger from thumb to little, each from palm to tip), in pixels of the picture and in
    metres along x right, y down, z forward of a camera with this K. A model of the MANO family needs its joints put into this order, its
    left hands mirrored back, its distance brought from its own focal length to K (t_z = 2 K[0, 0] / (scale * side of the crop in px)), and,
    where it sees a crop only, the hand `turned` as here.
    """
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions
    from mediapipe.tasks.python.vision import HandLandmarker, HandLandmarkerOptions, RunningMode

    options = HandLandmarkerOptions(base_options=BaseOptions(model_asset_path=str(model)), running_mode=RunningMode.VIDEO, num_hands=2,
                                    min_hand_detection_confidence=0.3, min_hand_presence_confidence=0.3, min_tracking_confidence=0.3)
    with HandLandmarker.create_from_options(options) as landmarker:
        for frame, picture in pictures:
            height, width = picture.shape[:2]
            rgb = np.ascontiguousarray(picture[..., ::-1])
            found = landmarker.detect_for_video(Image(image_format=ImageFormat.SRGB, data=rgb), frame * 33)
            for marks, world, label in zip(found.hand_landmarks, found.hand_world_landmarks, found.handedness, strict=True):
                pixels = np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in marks])
                local = turned(np.array([(p.x, p.y, p.z) for p in world]), pixels, K)
                points = local + translation(local, pixels, K)
                pose = np.full((4, 4), np.nan)  # of the wrist; this model has none
                yield {"frame": frame, "side": label[0].category_name.lower(), "kpts2d": pixels, "kpts3d_cam": points, "wrist_T_cam": pose,
                       "score": label[0].score, "valid": True, "metric_quality": "mono"}


def turned(local: np.ndarray, pixels: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Joints (21, 3) of a model that looks at a cut-out as though it were in the middle, turned to where the cut-out is."""
    ray = np.append((pixels.mean(0) - K[:2, 2]) / np.diag(K)[:2], 1)
    axis = np.cross([0, 0, 1], ray)
    angle = np.arctan2(np.linalg.norm(axis), 1)
    return local @ cv2.Rodrigues(angle * axis / max(np.linalg.norm(axis), 1e-12))[0].T


def translation(local: np.ndarray, pixels: np.ndarray, K: np.ndarray) -> np.ndarray:
    """Where joints (21, 3) must be moved to be seen at pixels (21, 2): least squares."""
    x, y = ((pixels - K[:2, 2]) / np.diag(K)[:2]).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    A = np.concatenate([np.stack([one, zero, -x], 1), np.stack([zero, one, -y], 1)])
    b = np.concatenate([x * local[:, 2] - local[:, 0], y * local[:, 2] - local[:, 1]])
    return np.linalg.lstsq(A, b, rcond=None)[0]


def write(folder: Path, model: Path) -> int:
    """Write hands.npz beside a frames.json; returns how many hands were found."""
    told = json.loads((folder / "frames.json").read_text(encoding="utf-8"))
    K, times = np.array(told["K"]), np.array(told["frame_t_ns"], np.int64)
    pictures = ((i, cv2.imread(str(folder / f"{i:06d}.jpg"))) for i in range(len(times)))
    hands = list(look(pictures, K, model))
    shapes = {"frame": (0,), "side": (0,), "kpts2d": (0, 21, 2), "kpts3d_cam": (0, 21, 3), "wrist_T_cam": (0, 4, 4), "score": (0,),
              "valid": (0,), "metric_quality": (0,)}
    kinds = {"frame": np.int64, "side": "U5", "valid": np.bool_, "metric_quality": "U11"}
    arrays = {name: np.array([hand[name] for hand in hands], kinds.get(name, np.float64)).reshape(-1, *shape[1:])
              for name, shape in shapes.items()}
    np.savez(folder / "hands.npz", frame_t_ns=times, K=K, **arrays)
    return len(hands)


def main() -> None:
    """Find the hands in every folder that has a frames.json."""
    parser = argparse.ArgumentParser(description="Find hands in what 'firsthand frames' put out, with a model of your own.")
    parser.add_argument("frames", type=Path, help="the folder given to 'firsthand frames --out'")
    parser.add_argument("--model", type=Path, required=True, help="the file of the stand-in's networks, a MediaPipe .task")
    args = parser.parse_args()
    for path in sorted(args.frames.rglob("frames.json")):
        print(f"{path.parent}: {write(path.parent, args.model)} hands")


if __name__ == "__main__":
    main()
