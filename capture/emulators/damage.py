"""What can happen to a message: bytes flipped, cut off, doubled or from another message; or numbers in it replaced by any others."""

import re
from collections.abc import Sequence
from functools import lru_cache
from random import Random

_VALUE = re.compile(rb'(?:(?<=[\[:, A-Z)])(?<!"version":)|^)(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?=[,\]} \nA-Z(]|$)')
"""A number that is a whole field, not part of a name or a header."""
_ODD = (b"", b"0", b"-0", b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"-1e308", b"9" * 40, b"9223372036854775808", b"1_0", b"0x1f",
        b"null", b"true", b'"7"', b"[]", b"{}", b"1,5", b" ", b"\xff", "٣".encode())


def damaged(rng: Random, messages: Sequence[bytes]) -> bytes:
    """One of the messages, damaged in one to four places; now and then only noise."""
    data = bytearray(rng.choice(messages))
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(data))
        match rng.randrange(8):
            case 0:
                del data[at:]
            case 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2 if at < len(data):
                data[at] = rng.randrange(256)
            case 3:
                del data[at : at + rng.randrange(64)]
            case 4:
                data[at:at] = rng.randbytes(rng.randint(1, 16))
            case 5:
                data[at:at] = data[at : at + rng.randrange(64)]
            case 6:
                other = rng.choice(messages)
                data[at:] = other[rng.randint(0, len(other)) :]
            case _ if rng.random() < 0.05:
                data = bytearray(rng.randbytes(rng.randrange(300)))
    return bytes(data)


def renumbered(rng: Random, messages: Sequence[bytes]) -> bytes:
    """One of the messages, which are text, with other numbers: one of them, some or all; now and then what is hardly one."""
    parts = list(_parts(rng.choice(messages)))
    fields = range(1, len(parts), 2)
    if not fields:
        return parts[0]
    count = rng.choice((1, 1 + len(fields) // 30, len(fields)))
    for at, number in zip(rng.sample(fields, count), rng.choices(_numbers(), k=count), strict=True):
        parts[at] = number
    if rng.random() < 0.2:
        parts[rng.choice(fields)] = rng.choice(_ODD)
    return b"".join(parts)


@lru_cache
def _numbers() -> list[bytes]:
    """Whole and other numbers of every size, as many as are needed; made once, because that takes longer than using them."""
    rng = Random(7)
    return [b"%d" % rng.randint(-300_000, 10**6) if rng.random() < 0.3 else b"%.4f" % rng.gauss(0, 10.0 ** rng.randint(-3, 3))
            for _ in range(20_000)]


@lru_cache(256)
def _parts(message: bytes) -> tuple[bytes, ...]:
    """What stands between the numbers of a message, and at odd places the numbers."""
    return tuple(_VALUE.split(message))
