"""What StretchSense Hand Engine streams over TCP: a length (32 bits, big-endian), then a JSON object with the bones of a hand.

    {"timecode": "10:15:02:07", "frameRate": 60, "poseName": "open", "bones": [{"name": "index_01_l", "translation": [cm, cm, cm],
     "pre_rotation": [x, y, z, w], "rotation": [x, y, z, w], "post_rotation": [x, y, z, w]}, ...]}

A bone is told in the axes of the one before it; its turn is the product of its three rotations. There are no tips.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import LEAST_NORM, MOST_NORM
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.transport import Packet
from firsthand.capture.wire_formats.documents import dicts, document, number

Floats = npt.NDArray[np.float64]

TIP = 0.85
"""Tips are estimated: this share of the bone before, along the last one."""
_LONGEST = 1 << 18
_CM = 1e-2
_CHAINS = (("thumb_01", "thumb_02", "thumb_03"), *((f"{finger}_00", f"{finger}_01", f"{finger}_02", f"{finger}_03")
                                                  for finger in ("index", "middle", "ring", "pinky")))  # fmt: skip
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2}):(\d{1,4})")
Quat = tuple[float, float, float, float]
_STILL: Quat = (1.0, 0.0, 0.0, 0.0)


class SizedFrames:
    """Cuts a TCP stream into what stands behind each length; a `Cutter`."""

    def __init__(self, refused: Counter[str]) -> None:
        self._rest = b""

    def add(self, host_ns: int, data: bytes) -> list[Packet]:
        """The messages that are complete now. Raises `FirsthandError` when what comes is none: there is no way back into such a stream."""
        self._rest += data
        packets, at = [], 0
        while len(self._rest) - at >= 4:
            size = int.from_bytes(self._rest[at : at + 4], "big")
            if not 0 < size <= _LONGEST:
                raise FirsthandError("what comes is not Hand Engine's stream; check that its port, 9000 if it was not changed, is the one")
            if len(self._rest) - at - 4 < size:
                break
            packets.append(Packet(host_ns, self._rest[at + 4 : at + 4 + size]))
            at += 4 + size
        self._rest = self._rest[at:]
        return packets


def read_hand_engine(message: bytes) -> Mapping[str, Reading] | str:
    """What a message says of ``hand-left`` and ``hand-right``, or why it cannot be read."""
    found = document(message)
    if found is None:
        return "it is not a JSON object"
    t_ns = _time_ns(found)
    if t_ns is None:
        return "it has no timecode"
    bones = {bone["name"]: bone for bone in dicts(found.get("bones")) if isinstance(bone.get("name"), str)}
    said = {}
    for side in SIDES:
        if f"hand_{side[0]}" in bones:
            hand = _hand(bones, side[0])
            if hand is None:
                return "a hand whose bones are not all there"
            said[f"hand-{side}"] = Reading(hand, t_ns, None)
    return said or "it has no bones of a hand"


def _hand(bones: Mapping[str, Mapping[str, Any]], side: str) -> Floats | None:
    points: list[tuple[float, ...]] = [(0.0, 0.0, 0.0)]
    for chain in _CHAINS:
        place, turn, along = points[0], _STILL, points[0]
        for name in chain:
            bone = bones.get(f"{name}_{side}", {})
            step, own = _numbers(bone.get("translation"), 3), _turn(bone)
            if step is None or own is None:
                return None
            place = _sum(place, _turned(turn, step), _CM)
            turn, along = _product(turn, own), step
            if name[-2:] != "00":
                points.append(place)
        points.append(_sum(place, _turned(turn, along), TIP * _CM))
    wrist = _turn(bones[f"hand_{side}"])
    return None if wrist is None else hand_row(np.array(points), np.array(wrist))


def _turn(bone: Mapping[str, Any]) -> Quat | None:
    """How a bone is turned, w first; None where it is not told."""
    total = _STILL
    for name in ("pre_rotation", "rotation", "post_rotation"):
        xyzw = _numbers(bone.get(name, (0, 0, 0, 1)), 4)
        norm = 0.0 if xyzw is None else math.hypot(*xyzw)
        if xyzw is None or not LEAST_NORM < norm < MOST_NORM:
            return None
        x, y, z, w = xyzw
        total = _product(total, (w / norm, x / norm, y / norm, z / norm))
    return total


def _product(a: Quat, b: Quat) -> Quat:
    """Hamilton's product of quaternions, w first: b first, then a. Single ones, where NumPy would take ten times as long."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (aw * bw - ax * bx - ay * by - az * bz, aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw)


def _turned(turn: Quat, v: tuple[float, ...]) -> tuple[float, ...]:
    w, x, y, z = turn
    return _product(_product(turn, (0.0, v[0], v[1], v[2])), (w, -x, -y, -z))[1:]


def _sum(a: tuple[float, ...], b: tuple[float, ...], share: float) -> tuple[float, ...]:
    return a[0] + share * b[0], a[1] + share * b[1], a[2] + share * b[2]


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    found = tuple(number(item) for item in value)
    return None if any(map(math.isnan, found)) else found


def _time_ns(found: Mapping[str, Any]) -> int | None:
    """Since midnight, to the frame."""
    code, rate = found.get("timecode"), number(found.get("frameRate"))
    match = _TIMECODE.fullmatch(code) if isinstance(code, str) else None
    if match is None or not rate >= 1:
        return None
    hours, minutes, seconds, frame = map(int, match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + round(frame / rate * 1e9)
