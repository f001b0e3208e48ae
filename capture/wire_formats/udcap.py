"""What the HandDriver of UDEXREAL (UDCAP gloves) sends as "JSON": text, then an object with bones and parameters of each character.

    {"Player": {"Bones": [...], "Parameter": [{"Name": "l0", "Value": -3.2}, ...]}}

Parameters ``l0`` to ``l20`` and ``r0`` to ``r20`` are angles in degrees, bending is negative.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.documents import dicts, number

_FINGERS = ((20, 2, 1, 0), (7, 6, 5, 4), (11, 10, 9, 8), (15, 14, 13, 12), (19, 18, 17, 16))
"""Parameters of each finger, thumb to little: sideways at its base, then bending from the base to the tip. 3 is not assigned."""
_decoder = json.JSONDecoder()


def read_udcap(message: bytes, *, character: str = "") -> Mapping[str, Reading] | str:
    """What a packet says of ``glove-left`` and ``glove-right``, of the first character if none is named; or why it cannot be read."""
    try:
        text = message.decode()
    except UnicodeDecodeError:
        return "it is not text"
    start = text.find('{"')
    if start < 0:
        return "there is no JSON object in it"
    try:
        found, _ = _decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return "its JSON object is damaged"
    people: dict[str, Any] = {name: one for name, one in found.items() if isinstance(one, dict) and "Parameter" in one}
    if character:
        people = {name: one for name, one in people.items() if name == character}
    for one in people.values():
        said = _gloves(one)
        if said:
            return said
    return "the character is not in it" if character and not people else "it has no parameters of a glove"


def _gloves(character: Mapping[str, Any]) -> dict[str, Reading]:
    degrees = {item["Name"]: number(item.get("Value")) for item in dicts(character["Parameter"]) if isinstance(item.get("Name"), str)}
    said = {}
    for side in SIDES:
        row = []
        for sideways, *bends in _FINGERS:
            row += [-degrees.get(f"{side[0]}{n}", np.nan) for n in bends]
            row.append(degrees.get(f"{side[0]}{sideways}", np.nan))
        if not np.isnan(row).all():
            said[f"glove-{side}"] = Reading(np.radians(row), None, None)
    return said
