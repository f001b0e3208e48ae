"""A glove that speaks LSL: its twenty angles in degrees and a counter, 100 times a second, stamped with the clock of its host."""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Wearer

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ = 100.0
LABELS = (*(f"{finger}_{joint}" for finger in ("thumb", "index", "middle", "ring", "little") for joint in ("1", "2", "3", "spread")),
          "counter")
UNITS = ("degrees",) * 20 + ("",)


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each sample leaves, in nanoseconds after the start, and the sample: that time in seconds, and its channels as 64-bit floats."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        angles = np.degrees(now.angles_rad[emulation.side]).astype(np.float32)
        yield tick.due_ns, struct.pack("<d21d", tick.t_s, *angles, tick.sequence)
