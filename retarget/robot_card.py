"""Reading a robot card field by field: every fault is one sentence naming card, field, and what to do."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError

Floats = npt.NDArray[np.float64]
REQUIRED: Any = object()
"""Default of a field that must be there."""


@dataclass(frozen=True)
class Table:
    """One table of a card, knowing its place for messages."""

    card: str
    """The card's file name."""
    place: str
    """Where in the card, such as ``joints.joint_0``; empty at the top."""
    values: Mapping[str, Any]

    def fault(self, field: str, what: str) -> FirsthandError:
        """The error about one field."""
        return FirsthandError(f"robot card {self.card}: {self._name(field)} {what}")

    def _name(self, field: str) -> str:
        return ".".join(filter(None, (self.place, field)))

    def _get(self, field: str, default: Any, wanted: str) -> Any:
        if field not in self.values and default is REQUIRED:
            raise self.fault(field, f"is missing; write {wanted}")
        return self.values.get(field, default)

    def only(self, fields: Iterable[str]) -> None:
        """Refuse a field that is not one of these: a misspelt one would be ignored silently."""
        known = list(fields)
        for field in self.values:
            if field not in known:
                near = difflib.get_close_matches(field, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
                raise self.fault(field, f"is not a field of a card; {hint}")

    def text(self, field: str, default: str = REQUIRED, among: Iterable[str] = ()) -> str:
        """A non-empty text, one of some words if `among` is given."""
        words = list(among)
        wanted = " or ".join(f'"{word}"' for word in words) if words else "a text"
        value = self._get(field, default, wanted)
        if not isinstance(value, str) or not value or (words and value not in words):
            raise self.fault(field, f"is {value!r}; write {wanted}")
        return value

    def number(self, field: str, default: float = REQUIRED, *, above: float = -math.inf) -> float:
        """A finite number, above a bound if one is given."""
        wanted = "a finite number" + (f" above {above:g}" if above > -math.inf else "")
        value = self._get(field, default, wanted)
        if not _finite(value) or value <= above:
            raise self.fault(field, f"is {value!r}; write {wanted}")
        return float(value)

    def vector(self, field: str, length: int, default: Any = REQUIRED) -> Floats:
        """So many finite numbers."""
        wanted = f"{length} finite numbers in brackets"
        value = self._get(field, default, wanted)
        if not isinstance(value, list | tuple) or len(value) != length or not all(map(_finite, value)):
            raise self.fault(field, f"is {value!r}; write {wanted}")
        return np.array(value, np.float64)

    def limits(self, field: str, unit: str) -> tuple[float, float]:
        """A lower and an upper bound."""
        lower, upper = self.vector(field, 2)
        if lower >= upper:
            raise self.fault(field, f"goes from {lower:g} to {upper:g}; write [lower, upper] in {unit}, the lower one first")
        return float(lower), float(upper)

    def table(self, field: str, default: Any = REQUIRED) -> "Table":
        """A table inside this one."""
        value = self._get(field, default, f"a table [{self._name(field)}]")
        if not isinstance(value, Mapping):
            raise self.fault(field, f"is {value!r}; write a table [{self._name(field)}]")
        return Table(self.card, self._name(field), value)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
