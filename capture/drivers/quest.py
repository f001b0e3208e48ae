"""The driver ``quest``: hands and head of a Quest headset, from the app Hand Tracking Streamer (HTS), over UDP or TCP."""

from collections.abc import Sequence
from typing import Literal

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import POSE_COLUMNS, POSE_UNITS, checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.sources.tcp_listener import TcpListener
from firsthand.capture.stream import StreamSpec
from firsthand.capture.transport import Source, UdpPackets
from firsthand.capture.wire_formats.quest import HtsReader

MOST_HZ = 800.0
"""Lines or packets: two hands at 100 Hz in two lines, a head, and as much again."""
EXTRA = {
    "device": "Quest, Hand Tracking Streamer", "axes": "x right, y forward, z up", "origin": "world", "up": "z",
    "converted": "from Unity's left-handed axes (y and z exchanged); landmarks turned and moved from the wrist to the tracking space",
}


def open_quest(*, bind: str, sender: str, transport: Literal["udp", "tcp"] = "udp", hands: Sequence[Side] = SIDES, head: bool = True,
               prefix: str = "", rate_hz: float | None = None, raw: bool = True, timeout_s: float = 2.0) -> list[Driver]:
    """Streams ``hand-left``, ``hand-right`` and ``head-pose`` in the headset's tracking space, and ``quest-raw``, each name after `prefix`.

    `bind` is where this machine listens, `sender` the headset's address (127.0.0.1 through ``adb reverse``). Raises `FirsthandError` for
    options that cannot be.
    """
    source: Source
    if transport == "udp":
        source = UdpPackets(bind, sender)
    elif transport == "tcp":
        source = TcpListener(bind, sender)
    else:
        raise FirsthandError(f"transport is {transport!r}; the app sends by 'udp' or 'tcp'")
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=EXTRA) for side in checked_hands(hands)]
    if head:
        streams.append(StreamSpec(f"{prefix}head-pose", "numeric", "pose", names=POSE_COLUMNS, units=POSE_UNITS, extra=EXTRA))
    check = (f"check that the headset is worn and sees a hand; that the app streams by {transport.upper()} to this machine's address "
             f"and port {bind.rpartition(':')[2]}; that both are in one network{' or adb reverse is set' if transport == 'tcp' else ''}; "
             "and that the firewall lets it in")
    return [MessageDriver(f"{prefix}quest", streams, source, lambda: HtsReader(by_line=transport == "tcp"),
                          raw=raw_spec("quest", "hts", prefix=prefix) if raw else None, prefix=prefix, timeout_s=timeout_s, most_hz=MOST_HZ,
                          check=check)]
