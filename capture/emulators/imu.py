"""An inertial sensor on the synthetic wearer's head that sends JSON, 200 times a second.

    {"seq":0,"t_us":512345,"acc":[0.12,-8.31,5.2],"gyr":[1.5,-0.2,0.0]}

``acc`` is the specific force in m/s^2, ``gyr`` the rotation rate in degrees a second, both in the head camera's axes.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.synthetic.head import HeadMotion

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ = 200.0


def head_of(emulation: "Emulation") -> HeadMotion:
    """How the head that wears the sensor moves."""
    return HeadMotion(float(np.random.default_rng([emulation.seed, 2]).uniform(0, 6)))


def readings(head: HeadMotion, t_s: float) -> tuple[list[float], list[float]]:
    """The true specific force (m/s^2) and rotation rate (deg/s) at a time after the start, as they are sent."""
    values = head.imu(np.array([t_s]))[0]
    return [round(float(v), 4) for v in values[:3]], [round(float(v), 4) for v in np.degrees(values[3:])]


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each message leaves, in nanoseconds after the start, and the message."""
    head = head_of(emulation)
    for tick in ticks(emulation, RATE_HZ):
        force, turn = readings(head, tick.t_s)
        document = {"seq": tick.sequence, "t_us": tick.device_us, "acc": force, "gyr": turn}
        yield tick.due_ns, json.dumps(document, separators=(",", ":")).encode()
