"""The driver ``udcap``: UDCAP gloves, from UDEXREAL's HandDriver over UDP."""

from collections.abc import Sequence
from functools import partial

from firsthand.capture.driver import Driver
from firsthand.capture.hand_stream import checked_hands, glove_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.transport import UdpPackets
from firsthand.capture.wire_formats.udcap import read_udcap

MOST_HZ = 1000.0
EXTRA = {"device": "UDCAP, HandDriver JSON",
         "converted": "from degrees; bending made positive; sideways at the base put last, its sign is the vendor's"}


def open_udcap(*, bind: str, sender: str, character: str = "", hands: Sequence[Side] = SIDES, prefix: str = "",
               rate_hz: float | None = None, raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``glove-left`` and ``glove-right`` of a character, and the packets as ``udcap-raw``, each name after `prefix`.

    `bind` is where this machine listens, `sender` the address of the machine that runs HandDriver.
    """
    streams = [glove_spec(side, prefix=prefix, rate_hz=rate_hz, extra=EXTRA) for side in checked_hands(hands)]
    check = (f"check that HandDriver sends JSON by UDP to this machine's address and port {bind.rpartition(':')[2]}, that a glove is "
             "connected to it, and the firewall of both")
    return [MessageDriver(f"{prefix}udcap", streams, UdpPackets(bind, sender), lambda: partial(read_udcap, character=character),
                          raw=raw_spec("udcap", "json", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s,
                          most_hz=MOST_HZ, check=check)]
