"""StretchSense Hand Engine with one glove: a length and JSON, 60 times a second. Bones point along their x axis, in centimetres."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.synthetic.rotation import quat_wxyz

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

RATE_HZ = 60
FINGERS = {"thumb": 1, "index": 5, "middle": 9, "ring": 13, "pinky": 17}
QUARTER = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""A turn that is always in ``pre_rotation``."""


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each message leaves, in nanoseconds after the start, and the message with its length."""
    wearer, side, rate = Wearer(emulation), emulation.side, max(1, round(emulation.rate_hz or RATE_HZ))
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        own = (now.points_m[side] - now.points_m[side][0]) @ now.R_world_hand[side]
        bones = [(f"hand_{side[0]}", np.zeros(3), now.R_world_hand[side])]
        for finger, first in FINGERS.items():
            joints = [own[first + k] for k in range(4)]
            if finger != "thumb":
                joints.insert(0, own[first] * 0.3)
            before, place = np.eye(3), np.zeros(3)
            for k, (joint, after) in enumerate(pairwise(joints)):
                turn = _pointing(after - joint)
                number = k + 1 if finger == "thumb" else k
                bones.append((f"{finger}_{number:02d}_{side[0]}", before.T @ (joint - place), before.T @ turn))
                before, place = turn, joint
        frames = tick.sequence
        seconds = 36_000 + frames // rate
        code = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames % rate:02d}"
        text = json.dumps({"timecode": code, "frameRate": rate, "poseName": "none", "bones": _told(bones)}, separators=(",", ":")).encode()
        yield tick.due_ns, len(text).to_bytes(4, "big") + text


def _told(bones: list[tuple[str, Floats, Floats]]) -> list[dict[str, Any]]:
    """Bones as they are sent, from name, step (m) and turn of each."""
    quats = quat_wxyz(QUARTER.T @ np.array([turn for _, _, turn in bones]))
    steps_cm, a = 100 * np.array([step for _, step, _ in bones]), round(float(np.sqrt(0.5)), 7)
    return [{"name": name, "translation": [round(v, 5) for v in step], "pre_rotation": [a, 0, 0, a],
             "rotation": [round(v, 7) for v in (x, y, z, w)], "post_rotation": [0, 0, 0, 1]}
            for (name, _, _), step, (w, x, y, z) in zip(bones, steps_cm.tolist(), quats.tolist(), strict=True)]


def _pointing(along: Floats) -> Floats:
    """Axes whose x points along a direction."""
    x = along / np.sqrt(along @ along)
    z = np.array([0.0, 0.0, 1.0]) - x[2] * x
    z /= np.sqrt(z @ z)
    y = (z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0])
    return np.stack([x, y, z], 1)
