"""The driver ``rokoko``: gloves of Rokoko, from Studio's live stream over UDP (JSON v3, packed or plain)."""

from collections.abc import Sequence
from functools import partial

from firsthand.capture.driver import Driver
from firsthand.capture.hand_stream import checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.transport import UdpPackets
from firsthand.capture.wire_formats.rokoko_studio import read_studio

NEEDS = {"lz4": "gloves"}
MOST_HZ = 500.0
STUDIO = {"device": "Rokoko Studio, JSON v3", "axes": "x right, y forward, z up", "origin": "world", "up": "z",
          "converted": "from Studio's axes, taken as left-handed with y up (y and z exchanged); stamps are the scene's seconds"}


def open_studio(*, bind: str, sender: str, actor: str = "", hands: Sequence[Side] = SIDES, prefix: str = "", rate_hz: float | None = None,
                raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``hand-left`` and ``hand-right`` of an actor, and the packets as ``rokoko-raw``, each name after `prefix`.

    `bind` is where this machine listens, `sender` the address of the machine that runs Studio.
    """
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=STUDIO) for side in checked_hands(hands)]
    check = ("check that Studio's live stream is on (custom, JSON v3) with this machine's address and port "
             f"{bind.rpartition(':')[2]}, that an actor wears gloves, and the firewall of both")
    return [MessageDriver(f"{prefix}rokoko", streams, UdpPackets(bind, sender), lambda: partial(read_studio, actor=actor),
                          raw=raw_spec("rokoko", "json-lz4", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s,
                          most_hz=MOST_HZ, check=check)]
