"""H.264 and HEVC as a byte stream (Annex B): units between start codes. What is needed here is which of them a packet begins with."""

from collections.abc import Iterator

START = b"\0\0\1"
PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}
"""Sequence and picture parameter sets; HEVC has video ones as well."""


def parameter_sets(packet: bytes, codec: str) -> bytes:
    """The parameter sets before a packet's first picture, each behind a start code; empty where it has not all of them."""
    found = [(kind, unit) for kind, unit in _units_before_picture(packet, codec) if kind in PARAMETER_SETS[codec]]
    whole = {kind for kind, _ in found} == set(PARAMETER_SETS[codec])
    return b"".join(b"\0" + START + unit for _, unit in found) if whole else b""


def _units_before_picture(packet: bytes, codec: str) -> Iterator[tuple[int, bytes]]:
    """(type, bytes) of the units before the first slice. A unit never ends in zeros; those before a start code belong to it."""
    at = packet.find(START)
    while at >= 0:
        first = at + len(START)
        if first >= len(packet):
            return
        kind = packet[first] & 31 if codec == "h264" else packet[first] >> 1 & 63
        if kind <= (5 if codec == "h264" else 31):
            return
        at = packet.find(START, first)
        yield kind, packet[first : at if at >= 0 else None].rstrip(b"\0")
