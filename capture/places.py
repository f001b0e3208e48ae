"""Names that tell where on earth something was recorded. What they stand for is left out unless it was asked for."""

import re
from collections.abc import Iterable
from typing import Any

PLACE = frozenset({"gps", "gnss", "gpgga", "nmea", "latitude", "longitude", "geohash", "geolocation"})
HALVES = (frozenset({"lat"}), frozenset({"lon", "lng", "long"}))
"""Which are places only together: a column ``lat`` alone may be lateral."""
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def tell_place(names: Iterable[str]) -> bool:
    """Whether things of these names, side by side, tell a place."""
    words = {word.lower() for name in names for word in _WORDS.findall(name)}
    return bool(words & PLACE) or all(words & half for half in HALVES)


def without_places(document: Any) -> Any:
    """Plain JSON without what tells a place, however deep: an entry by its name, latitude and longitude where both are."""
    if isinstance(document, list):
        return [without_places(item) for item in document]
    if not isinstance(document, dict):
        return document
    halves = set().union(*HALVES) if tell_place(document) else set()
    return {name: without_places(value) for name, value in document.items()
            if not tell_place([name]) and not halves & {word.lower() for word in _WORDS.findall(name)}}
