"""A LucidGlove with OpenGloves firmware: curls, splay, a joystick at rest, and the gestures it recognises, 100 lines a second."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ = 100.0
FULL_CURL_RAD, FULL_SPLAY_RAD = np.pi / 2, 0.5
PINCH_M, GRAB = 0.03, 0.5


def shares(angles_rad: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What the potentiometers feel: curls (0 to 1) and splay (-1 to 1) of the five fingers."""
    angles = angles_rad.reshape(5, 4)
    return np.clip(angles[:, :3].mean(1) / FULL_CURL_RAD, 0, 1), np.clip(angles[:, 3] / FULL_SPLAY_RAD, -1, 1)


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each line leaves, in nanoseconds after the start, and the line."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        curls, splay = shares(now.angles_rad[emulation.side])
        points = now.points_m[emulation.side]
        line = "".join(f"{key}{round(curl * 4095)}" for key, curl in zip("ABCDE", curls, strict=True)) + "F2048G2048P0"
        line += "L" * bool(curls[1:].mean() > GRAB) + "M" * bool(np.linalg.norm(points[4] - points[8]) < PINCH_M)
        line += "".join(f"({key}B){round((value + 1) / 2 * 4095)}" for key, value in zip("ABCDE", splay, strict=True))
        yield tick.due_ns, line.encode()
