"""The driver ``rokoko-sdk``: gloves of Rokoko, straight from the solver of their Device SDK over TCP (RGMP)."""

from collections.abc import Sequence

from firsthand.capture.driver import Driver
from firsthand.capture.hand_stream import checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.transport import TcpStream
from firsthand.capture.wire_formats.rgmp import RgmpFrames, RgmpReader

MOST_HZ = 500.0
EXTRA = {"device": "Rokoko Device SDK, RGMP", "axes": "z up; the heading is the glove's own, from magnetic north",
         "origin": "glove", "up": "z", "converted": "from OpenXR's axes (y up); palm and metacarpals left out"}


def open_sdk(*, connect: str = "127.0.0.1:12277", hands: Sequence[Side] = SIDES, prefix: str = "", rate_hz: float | None = None,
             raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``hand-left`` and ``hand-right`` from the solver at `connect`, and its frames as ``rokoko-raw``, each name after `prefix`."""
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=EXTRA) for side in checked_hands(hands)]
    return [MessageDriver(f"{prefix}rokoko", streams, TcpStream(connect, RgmpFrames), RgmpReader,
                          raw=raw_spec("rokoko", "rgmp", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s,
                          most_hz=MOST_HZ, check="check that the gloves are on and that the solver runs with --emit-openxr")]
