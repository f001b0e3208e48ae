"""Emulated devices in the Lab Streaming Layer."""

import struct
from types import TracebackType
from typing import Any, Self

from firsthand.capture.emulators.lsl import LABELS, RATE_HZ, UNITS
from firsthand.capture.errors import FirsthandError


class GloveOutlet:
    """``lsl://NAME``: an outlet of that name, of type Glove, for messages of the emulator `lsl`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.where = f"the LSL outlet {name}"
        self._began_s: float | None = None

    def send(self, message: bytes) -> bool:
        t_s, *values = struct.unpack(f"<{len(message) // 8}d", message)
        if self._began_s is None:
            self._began_s = self._local_clock() - t_s
        self._outlet.push_sample(values, self._began_s + t_s)
        return True

    def __enter__(self) -> Self:
        try:
            import pylsl
        except (ImportError, RuntimeError) as error:
            raise FirsthandError(f"LSL needs pylsl ({error}): pip install 'firsthand[gloves]'") from None
        info = pylsl.StreamInfo(self._name, "Glove", len(LABELS), RATE_HZ, pylsl.cf_double64, f"firsthand-{self._name}")
        info.set_channel_labels(list(LABELS))
        info.set_channel_units(list(UNITS))
        self._local_clock = pylsl.local_clock
        self._outlet: Any = pylsl.StreamOutlet(info)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        del self._outlet
