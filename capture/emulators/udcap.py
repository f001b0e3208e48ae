"""UDCAP gloves behind HandDriver: both hands' parameters in one JSON packet, 120 times a second. Bending is negative."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.skeleton import SIDES

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ = 120.0
PARAMETER = {
    "thumb": {"tip": 0, "mid": 1, "base": 2, "side": 20}, "index": {"tip": 4, "mid": 5, "base": 6, "side": 7},
    "middle": {"tip": 8, "mid": 9, "base": 10, "side": 11}, "ring": {"tip": 12, "mid": 13, "base": 14, "side": 15},
    "pinky": {"tip": 16, "mid": 17, "base": 18, "side": 19},
}  # fmt: skip


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each packet leaves, in nanoseconds after the start, and the packet."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        values: dict[str, float] = {}
        for side in SIDES:
            angles = np.degrees(now.angles_rad[side]).reshape(5, 4)
            for finger, (base, mid, tip, spread) in zip(PARAMETER, angles, strict=True):
                for part, value in (("base", -base), ("mid", -mid), ("tip", -tip), ("side", spread)):
                    values[f"{side[0]}{PARAMETER[finger][part]}"] = round(float(value), 3)
            values[f"{side[0]}3"] = 0.0
        parameters = [{"Name": name, "Value": value} for name, value in sorted(values.items())]
        bone = {"Name": "LeftHand", "Parent": "LeftForeArm", "Location": [0.0, 0.0, 0.0], "Rotation": [0.0, 0.0, 0.0], "Scale": [1, 1, 1]}
        document: dict[str, Any] = {"Player1": {"Bones": [bone], "Parameter": parameters}}
        yield tick.due_ns, json.dumps(document, separators=(",", ":")).encode()
