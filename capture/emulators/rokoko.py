"""Rokoko gloves: Studio's live stream (60 frames a second, packed or plain), and the solver of the Device SDK (100 frames a hand).

Studio has x right, y up, z forward (left-handed), the solver x right, y up, z backward.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from firsthand.capture.emulators.outlet import Greeting
from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.rotation import quat_wxyz

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

STUDIO_HZ, SOLVER_HZ = 60.0, 100.0
STUDIO_BONES = (
    "Hand", "ThumbProximal", "ThumbMedial", "ThumbDistal", "ThumbTip", "IndexProximal", "IndexMedial", "IndexDistal", "IndexTip",
    "MiddleProximal", "MiddleMedial", "MiddleDistal", "MiddleTip", "RingProximal", "RingMedial", "RingDistal", "RingTip",
    "LittleProximal", "LittleMedial", "LittleDistal", "LittleTip",
)  # fmt: skip
DEVICES = {"left": 101, "right": 102}
_FINGERS = ("index", "middle", "ring", "little")
XR = ("palm", "wrist", "thumb_metacarpal", "thumb_proximal", "thumb_distal", "thumb_tip",
      *(f"{finger}_{joint}" for finger in _FINGERS for joint in ("metacarpal", "proximal", "intermediate", "distal", "tip")))


def studio(emulation: "Emulation", *, packed: bool = True) -> Iterator[tuple[int, bytes]]:
    """When each packet of Studio leaves, in nanoseconds after the start, and the packet."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, STUDIO_HZ)):
        body: dict[str, Any] = {"hip": _bone(np.array([0.0, -0.2, 0.0]), (1.0, 0.0, 0.0, 0.0))}
        for side in SIDES:
            turn = [round(float(v), 6) for v in quat_wxyz(now.R_world_hand[side][None])[0]]
            for name, place in zip(STUDIO_BONES, now.points_m[side], strict=True):
                body[f"{side}{name}"] = _bone(place, turn)
        actor = {
            "name": "wearer", "color": [0, 102, 255], "dimensions": {"totalHeight": 1.75, "hipHeight": 1.0}, "body": body,
            "meta": {"hasGloves": True, "hasLeftGlove": True, "hasRightGlove": True, "hasBody": False, "hasFace": False},
        }  # fmt: skip
        scene = {"timestamp": tick.device_us / 1e6, "actors": [actor], "characters": [], "props": []}
        plain = json.dumps({"version": "3,0", "fps": STUDIO_HZ, "scene": scene}, separators=(",", ":")).encode()
        if packed:
            import lz4.frame

            yield tick.due_ns, lz4.frame.compress(plain)
        else:
            yield tick.due_ns, plain


plain_studio = partial(studio, packed=False)
"""The same without LZ4."""


def solver(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each frame of the solver leaves, in nanoseconds after the start, and the frame; definitions greet whoever connects."""
    wearer = Wearer(emulation)
    for side, device in DEVICES.items():
        document = {
            "device_id": device, "device_type": "solved_hand", "timestamp_epoch": "steady", "device_info": {"hand": side},
            "static_data": [{"custom_label": "joint_radius", "target_frame": "xr_palm", "value": 0.02}],
            "groups": [{"name": "curls", "streams": []},
                       {"name": "joints_openxr", "streams": [{"target_frame": f"xr_{joint}"} for joint in XR]}],
        }  # fmt: skip
        yield 0, Greeting(_frame(1, json.dumps(document).encode()))
    for tick, now in wearer.along(ticks(emulation, SOLVER_HZ)):
        for side in SIDES:
            points = now.points_m[side]
            points = points - points[0]
            places = [points[9] * 0.5, *points[:5]]
            for knuckle in (5, 9, 13, 17):
                places += [points[knuckle] * 0.3, *points[knuckle : knuckle + 4]]
            w, x, y, z = quat_wxyz(now.R_world_hand[side][None])[0]
            poses = b"".join(struct.pack("<7f", px, pz, -py, x, z, -y, w) for px, py, pz in places)
            yield tick.due_ns, _frame(2, struct.pack("<IIQ", DEVICES[side], 1, tick.device_us) + poses)


def _frame(kind: int, payload: bytes) -> bytes:
    return struct.pack("<II", kind, len(payload)) + payload


def _bone(place: Any, turn: Sequence[float]) -> dict[str, dict[str, float]]:
    x, y, z = (round(v, 6) for v in place.tolist())
    qw, qx, qy, qz = turn
    return {"position": {"x": x, "y": z, "z": y}, "rotation": {"x": -qx, "y": -qz, "z": -qy, "w": qw}}
