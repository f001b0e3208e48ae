"""The "alpha" lines of OpenGloves firmware (LucidGloves and its kin): keys, each with a number or none, in any order.

    A2048B1024C0D0E4095(AB)2047F2047G2047P0LM

``A`` to ``E`` are the curls of thumb to little finger, ``(AB)`` to ``(EB)`` their splay, ``(AAA)`` to ``(EAD)`` single joints; for the rest
see `_NUMBERS` and `_FLAGS`. A key in brackets ends where its number begins, so it always has one.
"""

import re
from collections.abc import Mapping

import numpy as np

from firsthand.capture.message import Reading
from firsthand.capture.skeleton import FINGERS

_TOKEN = re.compile(r"(\([A-Z()]*|[A-Z)])(\d*)")
_LETTERS = "ABCDE"
_NUMBERS = {"F": "joystick_x", "G": "joystick_y", "P": "trigger"}
_FLAGS = {"H": "joystick_click", "I": "trigger_click", "J": "a", "K": "b", "L": "grab", "M": "pinch", "N": "menu", "O": "calibrate"}
COLUMNS = (
    *(f"{finger}_curl_{joint}" for finger in FINGERS for joint in range(4)), *(f"{finger}_splay" for finger in FINGERS),
    *_NUMBERS.values(), *_FLAGS.values(),
)  # fmt: skip
"""Curls 0 (straight) to 1 of four joints a finger from its base, splay -1 to 1, joystick -1 to 1, trigger 0 to 1, and flags 0 or 1."""


def read_alpha(message: bytes, *, stream: str = "glove", largest: int = 4095) -> Mapping[str, Reading] | str:
    """What a line says of `stream`, or why it cannot be read; nothing for a line that tells about the glove itself.

    `largest` is the greatest number the firmware sends. A joint that is not there takes its finger's curl, as OpenGloves does; what a
    glove does not have is NaN.
    """
    try:
        text = message.decode("ascii")
    except UnicodeDecodeError:
        return "it is not text"
    found = dict(_TOKEN.findall(text))
    if "Z" in found:
        return {}
    share: dict[str, float] = {}
    for key, number in found.items():
        if key in _FLAGS or not _analog(key):
            continue
        if not number:
            return "a key without its number"
        if len(number) > 9 or int(number) > largest:
            return f"a number above {largest}"
        share[key] = int(number) / largest
    if not share:
        return "it has none of a glove's keys"
    nan = np.nan
    row = [share.get(f"({finger}A{joint})", share.get(finger, nan)) for finger in _LETTERS for joint in _LETTERS[:4]]
    row += [2 * share.get(f"({finger}B)", nan) - 1 for finger in _LETTERS]
    row += [2 * share.get("F", nan) - 1, 2 * share.get("G", nan) - 1, share.get("P", nan)]
    row += [float(key in found) for key in _FLAGS]
    return {stream: Reading(np.array(row), None, None)}


def _analog(key: str) -> bool:
    """Whether a key carries a number that we know."""
    if key in _NUMBERS or (len(key) == 1 and key in _LETTERS):
        return True
    inside = key[1:-1] if key[0] == "(" and key[-1] == ")" else ""
    return len(inside) in (2, 3) and inside[0] in _LETTERS and inside[1:] in ("B", "AA", "AB", "AC", "AD")
