"""A Quest headset with Hand Tracking Streamer: both hands 70 times a second, each a packet of its own, the head 30 times a second.

It thinks in Unity's axes: x right, y up, z forward, left-handed, angles turning the other way.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.rotation import quat_wxyz

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

RATE_HZ, HEAD_HZ = 70.0, 30.0
LATER_NS = {"left": 0, "right": 769_800}
"""The hands are sent one after the other."""


def messages(emulation: "Emulation", *, debug: bool = True) -> Iterator[tuple[int, bytes]]:
    """When each message leaves, in nanoseconds after the start, and the message; with the app's debug option, or without."""
    wearer = Wearer(emulation)
    heads = 0
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        for side in SIDES:
            points, turn = now.points_m[side], now.R_world_hand[side]
            told = f" | f = {tick.sequence + 1} | t = {1000 * tick.device_us + LATER_NS[side]}" if debug else ""
            name = side.capitalize()
            landmarks = (points - points[0]) @ turn
            text = f"{name} wrist{told}:, {_pose(points[0], turn)}\n{name} landmarks{told}:, {_f4(_unity(landmarks).ravel())}"
            yield tick.due_ns, text.encode()
        if tick.t_s * HEAD_HZ >= heads:
            heads += 1
            T = now.T_world_head
            # The centre of the eyes looks along z with y up, the camera has y down.
            eyes = np.stack([T[:3, 0], T[:3, 2], -T[:3, 1]], 1)
            told = f" | f = {heads} | t = {1000 * tick.device_us}" if debug else ""
            yield tick.due_ns, f"Head pose{told}:, {_pose(T[:3, 3], eyes)}".encode()


unstamped = partial(messages, debug=False)
"""The same without the app's debug option: no counter, no time."""


def _unity(points: Floats) -> Floats:
    return np.stack([points[..., 0], points[..., 2], points[..., 1]], -1)


def _pose(place: Floats, turn: Floats) -> str:
    """Place and quaternion of a thing whose axes are x right, y forward, z up; Unity's for it are x right, y up, z forward."""
    w, x, y, z = quat_wxyz(turn[None])[0]
    return f"{_f4(_unity(place))}, " + ", ".join(f"{v:.3f}" for v in (-x, -z, -y, w))


def _f4(values: Iterable[float]) -> str:
    return ", ".join(f"{v:.4f}" for v in values)
