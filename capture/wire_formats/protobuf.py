"""Protocol Buffers as they are on the wire: fields with numbers, one after the other. Enough to read and write small messages."""

import struct
from collections.abc import Iterator


class MalformedError(ValueError):
    """Bytes that are no message."""


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and bytes of each field: 8 of a varint (little-endian), 8 or 4 of a fixed one, or those of a string or message.

    Raises `MalformedError` where the message ends in the middle of a field, or has what no message has.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if not number:
            raise MalformedError
        if kind == 0:
            value, at = _varint(data, at)
            yield number, kind, value.to_bytes(8, "little")
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise MalformedError
        if at + size > len(data):
            raise MalformedError
        yield number, kind, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise MalformedError
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
        shift += 7


def embedded(number: int, message: bytes) -> bytes:
    """A field that holds a message."""
    return _key(number, 2) + _written(len(message)) + message


def floating(number: int, value: float) -> bytes:
    """A field that holds a 32-bit float; nothing for zero, which is not sent."""
    return _key(number, 5) + struct.pack("<f", value) if value else b""


def _key(number: int, kind: int) -> bytes:
    return _written(number << 3 | kind)


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
