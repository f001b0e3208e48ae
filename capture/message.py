"""A device's message to one row of numbers: JSON, or text separated by commas, laid out as the rig file says.

Reading is pure and answers every input: with a `Reading`, or with the reason why it is none.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.units import NANOSECONDS, to_si

Format = Literal["json", "csv"]
_LARGEST = 2**63


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What one message says."""

    values: npt.NDArray[np.float64]
    """In SI, shape (C,); NaN where the message has null or nothing."""
    device_ns: int | None
    sequence: int | None


@dataclass(frozen=True)
class Layout:
    """Where things are in a message. Fields are named by path: ``hand.angles.3`` is item 3 of ``angles`` in ``hand``."""

    format: Format
    columns: Sequence[str]
    fields: Sequence[str] = ()
    """The path of each column; the columns' own names where none is given."""
    array: str = ""
    """Instead: the path of a list that holds just the columns, in order."""
    units: str | Sequence[str] = "1"
    """As sent, one for all or one for each column."""
    header: Sequence[str] = ()
    """For ``csv``: the names of the fields of a line, in order; the columns' where none is given."""
    separator: str = ","
    stamp: str = ""
    """Path of the device's own time; without one, samples are stamped on arrival."""
    stamp_unit: str = "us"
    sequence: str = ""
    """Path of the device's counter; without one, messages are counted as they come, and what the network loses is not seen."""

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise FirsthandError(f"format is {self.format!r}; messages are 'json' or 'csv'")
        if not self.columns or len(set(self.columns)) != len(self.columns):
            raise FirsthandError(f"columns are {list(self.columns)}; name at least one, each by another name")
        if self.stamp_unit not in NANOSECONDS:
            raise FirsthandError(f"stamp_unit is {self.stamp_unit!r}; it is one of {', '.join(NANOSECONDS)}")
        for name, given in (("fields", self.fields), ("units", () if isinstance(self.units, str) else self.units)):
            if given and len(given) != len(self.columns):
                raise FirsthandError(f"{len(given)} {name} are given for {len(self.columns)} columns; give one for each")
        if self.format == "csv":
            if self.array:
                raise FirsthandError("array is for json; name the fields of a csv line with 'header'")
            for path in (*self._paths(), *filter(None, (self.stamp, self.sequence))):
                if path not in self._header():
                    raise FirsthandError(f"the field {path!r} is not in the header of the line ({', '.join(self._header())})")

    @property
    def si_units(self) -> tuple[str, ...]:
        """The unit of each column after conversion."""
        return tuple(unit for _, unit in self._conversions())

    def read(self, message: bytes) -> Reading | str:
        """What a message says, or in a few words why it cannot be read. Never raises."""
        try:
            document = self._document(message)
            if self.array:
                items = _at(document, self.array)
                if not isinstance(items, list) or len(items) != len(self.columns):
                    return f"{self.array!r} is not a list of {len(self.columns)}"
                values = [_number(item, self.array) for item in items]
            else:
                values = [_number(_at(document, path), path) for path in self._paths()]
            with np.errstate(over="ignore"):
                row = np.array(values, np.float64) * self._factors
            if np.isinf(row).any():
                return "a number that is too large"
            return Reading(row, self._time(document), self._count(document))
        except _UnreadableError as error:
            return str(error)

    def _document(self, message: bytes) -> Any:
        try:
            text = message.decode()
        except UnicodeDecodeError:
            raise _UnreadableError("it is not text") from None
        if self.format == "json":
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                raise _UnreadableError("it is not JSON") from None
        items = text.split(None if self.separator == " " else self.separator)
        if len(items) != len(self._header()):
            raise _UnreadableError(f"it has not {len(self._header())} fields")
        return {name: _item(item.strip()) for name, item in zip(self._header(), items, strict=True)}

    def _time(self, document: Any) -> int | None:
        if not self.stamp:
            return None
        value = _at(document, self.stamp)
        number = _number(value, self.stamp)
        if math.isnan(number):
            raise _UnreadableError(f"{self.stamp!r} is empty")
        unit = NANOSECONDS[self.stamp_unit]
        # A whole number stays one: nanoseconds do not fit a float exactly.
        return _whole(value * unit if isinstance(value, int) else number * unit, self.stamp)

    def _count(self, document: Any) -> int | None:
        if not self.sequence:
            return None
        value = _at(document, self.sequence)
        number = _number(value, self.sequence)
        if number != math.floor(number) if not math.isnan(number) else True:
            raise _UnreadableError(f"{self.sequence!r} is not a whole number")
        if number < 0:
            raise _UnreadableError(f"{self.sequence!r} is negative")
        return _whole(value, self.sequence)

    def _paths(self) -> Sequence[str]:
        return self.fields or self.columns

    def _header(self) -> Sequence[str]:
        return self.header or self.columns

    def _conversions(self) -> list[tuple[float, str]]:
        units = [self.units] * len(self.columns) if isinstance(self.units, str) else self.units
        return [to_si(unit) for unit in units]

    @cached_property
    def _factors(self) -> npt.NDArray[np.float64]:
        return np.array([factor for factor, _ in self._conversions()], np.float64)


class _UnreadableError(Exception):
    """Why a message cannot be read. The texts are few: they depend on the layout, not on the message."""


def _at(document: Any, path: str) -> Any:
    if isinstance(document, dict) and path in document:
        return document[path]
    here = document
    for step in path.split("."):
        if isinstance(here, dict) and step in here:
            here = here[step]
        elif isinstance(here, list) and step.isdecimal() and len(step) < 7 and int(step) < len(here):
            here = here[int(step)]
        else:
            raise _UnreadableError(f"{path!r} is missing")
    return here


def _item(text: str) -> Any:
    """A field of a line: None, a whole number, a number, or the text if it is neither."""
    if not text:
        return None
    if "_" in text:  # which Python would allow
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _number(value: Any, path: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnreadableError(f"{path!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise _UnreadableError(f"{path!r} is too large")
    return number


def _whole(number: int | float, path: str) -> int:
    if not -_LARGEST < number < _LARGEST:
        raise _UnreadableError(f"{path!r} is too large")
    return round(number)
