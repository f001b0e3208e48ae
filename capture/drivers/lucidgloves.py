"""The driver ``lucidgloves``: LucidGloves and others with OpenGloves firmware, which send "alpha" lines over a serial port."""

from functools import partial

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.stream import StreamSpec
from firsthand.capture.transport import SerialLines
from firsthand.capture.wire_formats.alpha import COLUMNS, read_alpha

NEEDS = {"serial": "gloves"}
MOST_HZ = 2000.0
EXTRA = {"device": "OpenGloves firmware, alpha lines", "converted": "shares of the firmware's range; not angles: calibrate them",
         "stamps": "arrival"}


def open_lucidgloves(*, port: str, side: Side, baud: int = 115_200, largest: int = 4095, prefix: str = "", rate_hz: float | None = None,
                     raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """The stream ``glove-<side>`` of one glove, and its lines as ``glove-<side>-raw``, each name after `prefix`.

    `largest` is the greatest number the firmware sends. Raises `FirsthandError` for options that cannot be.
    """
    if side not in SIDES:
        raise FirsthandError(f"side is {side!r}; a glove is 'left' or 'right'")
    if not 0 < largest < 10**9:
        raise FirsthandError(f"largest is {largest}; it is what the firmware sends at most, such as 4095")
    name = f"{prefix}glove-{side}"
    spec = StreamSpec(name, "numeric", "glove", names=COLUMNS, units=("1",) * len(COLUMNS), rate_hz=rate_hz, side=side, extra=EXTRA)
    kept = StreamSpec(f"{name}-raw", "encoded", "other", encoding="alpha", rate_hz=rate_hz, about=name, clock="media")
    return [MessageDriver(name, (spec,), SerialLines(port, baud), lambda: partial(read_alpha, stream=f"glove-{side}", largest=largest),
                          raw=kept if raw else None, prefix=prefix, timeout_s=timeout_s, most_hz=MOST_HZ,
                          check=f"check that the glove is on and its cable (or Bluetooth port) is {port}")]
