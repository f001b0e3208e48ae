"""Samples of the Lab Streaming Layer as bytes, so that they go the way of all messages: a letter, a time in seconds, and numbers.

``S``: a sample's stamp, then its channels. ``C``: when the clocks were compared, and what to add to the sender's to have ours.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from firsthand.capture.message import Reading

_TIME = struct.Struct("<cd")
_LAST_S = 9e9
_LARGEST = 2**62


def packed(kind: bytes, time_s: float, values: Sequence[float]) -> bytes:
    """One message."""
    return _TIME.pack(kind, time_s) + np.asarray(values, "<f8").tobytes()


class LslReader:
    """Reads messages of `channels` numbers; `factors` make them SI, `counter` is the channel that counts, if one does."""

    def __init__(self, stream: str, factors: npt.NDArray[np.float64], counter: int | None) -> None:
        self._stream, self._factors, self._counter = stream, factors, counter

    def __call__(self, message: bytes) -> Mapping[str, Reading] | str:
        """What a message says of the stream or of its clock, or why it cannot be read."""
        if len(message) < _TIME.size or (len(message) - _TIME.size) % 8:
            return "it is cut off"
        kind, time_s = _TIME.unpack_from(message)
        values = np.frombuffer(message, "<f8", offset=_TIME.size)
        if not -_LAST_S < time_s < _LAST_S:
            return "its stamp is no time"
        t_ns = round(time_s * 1e9)
        if kind == b"C":
            return {f"{self._stream}-clock": Reading(values, t_ns, None)} if len(values) == 1 and np.isfinite(values).all() else "no offset"
        if kind != b"S":
            return "it is of another kind"
        if len(values) != len(self._factors):
            return "it has another number of channels"
        with np.errstate(over="ignore", invalid="ignore"):  # bytes may be any number, also none
            row = values * self._factors
        if np.isinf(row).any():
            return "a number that is too large"
        sequence = None
        if self._counter is not None:
            count = values[self._counter]
            if not 0 <= count < _LARGEST or count != np.floor(count):
                return "its counter is no whole number"
            sequence = int(count)
        return {self._stream: Reading(row, t_ns, sequence)}
