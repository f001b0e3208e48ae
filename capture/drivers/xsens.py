"""The driver ``xsens``: body and hands of Xsens MVN (Movella), from its network streamer over UDP."""

from collections.abc import Sequence

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.stream import StreamSpec
from firsthand.capture.transport import UdpPackets
from firsthand.capture.wire_formats.xsens import BODY_COLUMNS, BODY_UNITS, MvnReader

MOST_HZ = 2000.0
EXTRA = {"device": "Xsens MVN, datagram 02", "axes": "z up, x and y as MVN has them", "origin": "world", "up": "z", "converted": "nothing"}
HAND = {**EXTRA, "estimated": ["thumb_tip", "index_tip", "middle_tip", "ring_tip", "little_tip"],
        "converted": "joints are where segments begin; tips are estimated: MVN has none"}


def open_xsens(*, bind: str, sender: str, character: int = 0, every: int = 1, body: bool = True, hands: Sequence[Side] = SIDES,
               prefix: str = "", rate_hz: float | None = None, raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``body`` (23 segments), ``hand-left`` and ``hand-right`` (with finger tracking), and ``xsens-raw``, each after `prefix`.

    `every` is by how much MVN's counter grows from one streamed sample to the next. Raises `FirsthandError` for options that cannot be.
    """
    if every < 1 or not 0 <= character < 256:
        raise FirsthandError(f"every is {every} and character {character}; they are whole numbers from 1, and from 0 to 255")
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=HAND) for side in checked_hands(hands)]
    if body:
        streams.append(StreamSpec(f"{prefix}body", "numeric", "pose", names=BODY_COLUMNS, units=BODY_UNITS, rate_hz=rate_hz, extra=EXTRA))
    check = ("check that MVN's network streamer is on, with position + orientation (quaternion), to this machine's address and port "
             f"{bind.rpartition(':')[2]} by UDP, and the firewall of both")
    return [MessageDriver(f"{prefix}xsens", streams, UdpPackets(bind, sender), lambda: MvnReader(character, every),
                          raw=raw_spec("xsens", "mxtp", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s,
                          most_hz=MOST_HZ, check=check)]
