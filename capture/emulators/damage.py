"""What can happen to a message: bytes flipped, cut off, doubled or from another message; or every number in it replaced by any other."""

import re
from collections.abc import Sequence

import numpy as np

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_ODD = (b"", b"0", b"-0", b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"-1e308", b"9" * 40, b"9223372036854775808", b"1_0", b"0x1f",
        b"null", b"true", b'"7"', b"[]", b"{}", b"1,5", b" ", b"\xff", "٣".encode())


def damaged(rng: np.random.Generator, messages: Sequence[bytes]) -> bytes:
    """One of the messages, damaged in one to four places; now and then only noise."""
    data = bytearray(messages[int(rng.integers(len(messages)))])
    for _ in range(int(rng.integers(1, 5))):
        at, to = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        match int(rng.integers(8)):
            case 0:
                data = data[:at]
            case 1 if data:
                data[min(at, len(data) - 1)] ^= 1 << int(rng.integers(8))
            case 2 if data:
                data[min(at, len(data) - 1)] = int(rng.integers(256))
            case 3:
                del data[at : min(to, at + 64)]
            case 4:
                data[at:at] = rng.bytes(int(rng.integers(1, 16)))
            case 5:
                data[at:at] = data[at : min(to, at + 64)]
            case 6:
                other = messages[int(rng.integers(len(messages)))]
                data = data[:at] + other[int(rng.integers(len(other) + 1)) :]
            case _ if rng.random() < 0.05:
                data = bytearray(rng.bytes(int(rng.integers(0, 300))))
    return bytes(data)


def renumbered(rng: np.random.Generator, messages: Sequence[bytes]) -> bytes:
    """One of the messages, which are text, with other numbers: mostly plain ones, now and then what is hardly one."""

    def other(_: re.Match[bytes]) -> bytes:
        kind = rng.random()
        if kind < 0.01:
            return _ODD[int(rng.integers(len(_ODD)))]
        if kind < 0.3:
            return b"%d" % int(rng.integers(-(10**6), 10**6))
        return b"%.4f" % float(rng.normal(0, 10 ** float(rng.integers(-3, 4))))

    return _NUMBER.sub(other, messages[int(rng.integers(len(messages)))])
