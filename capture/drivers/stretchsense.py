"""The driver ``stretchsense``: StretchSense gloves, from Hand Engine's stream over TCP."""

from collections.abc import Sequence

from firsthand.capture.driver import Driver
from firsthand.capture.hand_stream import checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.transport import TcpStream
from firsthand.capture.wire_formats.hand_engine import SizedFrames, read_hand_engine

MOST_HZ = 500.0
EXTRA = {
    "device": "StretchSense Hand Engine", "axes": "of the hand's bone, as Hand Engine has them", "origin": "wrist",
    "converted": "from cm; bones put together from the hand outward; metacarpals left out",
    "estimated": ["thumb_tip", "index_tip", "middle_tip", "ring_tip", "little_tip"],
}  # fmt: skip


def open_stretchsense(*, connect: str, hands: Sequence[Side] = SIDES, prefix: str = "", rate_hz: float | None = None, raw: bool = True,
                      timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``hand-left`` and ``hand-right`` from Hand Engine at `connect`, and its messages as ``stretchsense-raw``, after `prefix`."""
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=EXTRA) for side in checked_hands(hands)]
    return [MessageDriver(f"{prefix}stretchsense", streams, TcpStream(connect, SizedFrames), lambda: read_hand_engine,
                          raw=raw_spec("stretchsense", "json", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s,
                          most_hz=MOST_HZ, check="check that a glove is connected and calibrated in Hand Engine, and that it streams")]
