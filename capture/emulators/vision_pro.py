"""An Apple Vision Pro with Tracking Streamer: wrists, 27 joints a hand and the head, 90 times a second.

ARKit's world is x right, y up, z backward; a joint is told from its wrist. Each matrix goes row by row, without what is zero.
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Instant, Wearer
from firsthand.capture.skeleton import SIDES, Side

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

RATE_HZ = 90.0
_KEYS = [*(bytes([8 * n + 5]) for n in range(1, 16)), b"\x85\x01"]
_float = struct.Struct("<f").pack
TO_ARKIT: Floats = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each update leaves, in nanoseconds after the start, and the update."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        left, right = (_hand(now, side) for side in SIDES)
        T = now.T_world_head
        head = np.stack([T[:3, 0], T[:3, 2], -T[:3, 1]], 1)
        yield tick.due_ns, _field(1, left) + _field(2, right) + _field(3, _matrix(TO_ARKIT @ head @ TO_ARKIT.T, TO_ARKIT @ T[:3, 3]))


def _hand(now: Instant, side: Side) -> bytes:
    points = now.points_m[side] @ TO_ARKIT.T
    turn = TO_ARKIT @ now.R_world_hand[side] @ TO_ARKIT.T
    own = (points - points[0]) @ turn
    joints = [*own[:5]]
    for knuckle in (5, 9, 13, 17):
        joints += [own[knuckle] * 0.3, *own[knuckle : knuckle + 4]]
    joints += [own[0], np.array([0.0, 0.0, 0.25])]
    skeleton = b"".join(_field(1, _matrix(np.eye(3), place)) for place in joints)
    return _field(1, _matrix(turn, points[0])) + _field(2, skeleton)


def _matrix(turn: Floats, place: Floats) -> bytes:
    rows = np.eye(4, dtype=np.float32)
    rows[:3, :3], rows[:3, 3] = turn, place
    return b"".join([key + _float(value) for key, value in zip(_KEYS, rows.ravel().tolist(), strict=True) if value])


def _field(number: int, content: bytes) -> bytes:
    size, digits = len(content), []
    while size > 127:
        digits.append(size % 128 + 128)
        size //= 128
    return bytes([8 * number + 2, *digits, size]) + content
