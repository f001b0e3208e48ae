"""Reading JSON that anybody may have sent."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.wire_formats.numbers import LARGEST


def document(message: bytes) -> dict[str, Any] | None:
    """The object a message holds; None when it is something else, or no JSON."""
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):  # also bytes that are no text
        return None
    return found if isinstance(found, dict) else None


def number(value: Any, largest: float = LARGEST) -> float:
    """A number not beyond `largest`, or NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if -largest <= value <= largest else math.nan


def named(value: Any, keys: Sequence[str]) -> npt.NDArray[np.float64]:
    """The numbers under some keys of an object, NaN for each that is missing or no number."""
    return np.array([number(value.get(key)) for key in keys] if isinstance(value, dict) else [math.nan] * len(keys))


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; empty for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
