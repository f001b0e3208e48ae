"""What can happen to a message: bytes flipped, cut off, doubled or from another message; or every number in it replaced by any other."""

import re
from collections.abc import Sequence
from random import Random

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
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
    """One of the messages, which are text, with other numbers: mostly plain ones, now and then what is hardly one."""

    def other(_: re.Match[bytes]) -> bytes:
        kind = rng.random()
        if kind < 0.005:
            return rng.choice(_ODD)
        if kind < 0.3:
            return b"%d" % rng.randint(-(10**6), 10**6)
        return b"%.4f" % rng.gauss(0, 10.0 ** rng.randint(-3, 3))

    return _NUMBER.sub(other, rng.choice(messages))
