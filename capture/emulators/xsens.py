"""Xsens MVN with finger tracking: 63 segments 60 times a second, in two datagrams, as MVN splits what does not fit one network packet.

The body stands still under a moving head; the hands are the wearer's. A finger's last segment points along the true last bone.
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.synthetic.rotation import quat_wxyz

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

RATE_HZ = 60.0
PACKET_ITEMS = 45
SEGMENTS, HEAD, RIGHT_HAND, LEFT_HAND = 23, 6, 10, 14
ALONG = np.array([0.0, 1.0, 0.0])
"""Of a finger's segments in their own axes."""


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each datagram leaves, in nanoseconds after the start, and the datagram."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        places = np.stack([np.full(SEGMENTS, 0.1), np.full(SEGMENTS, -0.3), np.linspace(0, 0.4, SEGMENTS)], 1)
        turns = np.tile(np.eye(3), (SEGMENTS, 1, 1))
        T = now.T_world_head
        places[HEAD], turns[HEAD] = T[:3, 3], T[:3, :3]
        fingers: list[tuple[Floats, Floats]] = []
        for side, hand in zip(SIDES, (LEFT_HAND, RIGHT_HAND), strict=True):
            turns[hand] = now.R_world_hand[side]
            points = now.points_m[side]
            places[hand] = points[0]
            fingers += _fingers(points, turns[hand], side)
        segments = [*zip(places, turns, strict=True), *fingers]
        quats = quat_wxyz(np.array([turn for _, turn in segments]))
        items = [struct.pack(">i7f", n + 1, *place, *quats[n]) for n, (place, _) in enumerate(segments)]
        for number, first in enumerate(range(0, len(items), PACKET_ITEMS)):
            part = items[first : first + PACKET_ITEMS]
            counter = number | (128 if first + len(part) == len(items) else 0)
            header = struct.pack(">6sIBBIBBBBHH", b"MXTP02", tick.sequence, counter, len(part), tick.device_us // 1000, 0, SEGMENTS, 0,
                                 40, 0, 32 * len(part))
            yield tick.due_ns, header + b"".join(part)


def _fingers(points: Floats, turn: Floats, side: Side) -> list[tuple[Floats, Floats]]:
    """The 20 segments of a hand: where each begins, and how it is turned."""
    segments = [(points[0] * 0.7 + points[9] * 0.3, turn)]
    for first in (1, 5, 9, 13, 17):
        if first != 1:
            segments.append((points[0] * 0.6 + points[first] * 0.4, turn))
        segments += [(points[k], _pointing(turn, points[k + 1] - points[k])) for k in (first, first + 1, first + 2)]
    return segments


def _pointing(turn: Floats, along: Floats) -> Floats:
    """The hand's turn, and on top the shortest that brings the fingers' axis along a direction (Rodrigues)."""
    a, b = turn @ ALONG, along / np.linalg.norm(along)
    x, y, z = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    K, c = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), float(a @ b)
    return np.asarray((np.eye(3) + K + K @ K / max(1 + c, 1e-9)) @ turn)
