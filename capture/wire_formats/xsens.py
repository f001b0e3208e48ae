"""What Xsens MVN streams as "position + orientation (quaternion)", datagram type 02: 24 bytes of header, 32 a segment, big-endian."""

import struct
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import LEAST_NORM, MOST_NORM, turned
from firsthand.capture.hand_stream import POSE_COLUMNS, POSE_UNITS, hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.numbers import LARGEST

Floats = npt.NDArray[np.float64]

BODY = (
    "pelvis", "l5", "l3", "t12", "t8", "neck", "head",
    *(f"{side}_{part}" for side in ("right", "left") for part in ("shoulder", "upper_arm", "forearm", "hand")),
    *(f"{side}_{part}" for side in ("right", "left") for part in ("upper_leg", "lower_leg", "foot", "toe")),
)  # fmt: skip
"""Segments in the order they are sent."""
BODY_COLUMNS = tuple(f"{segment}.{column}" for segment in BODY for column in POSE_COLUMNS)
BODY_UNITS = POSE_UNITS * len(BODY)
TIP = 0.85
"""A finger's last bone has no end in the stream: this share of the bone before it, along the last one's direction."""

_HEADER = struct.Struct(">6sIBBIBBBB2xH")
_ITEM = np.dtype([("id", ">i4"), ("place", ">f4", 3), ("wxyz", ">f4", 4)])
_FINGERS_OF_A_HAND = 20
_CHAINS = ((1, 2, 3), (5, 6, 7), (9, 10, 11), (13, 14, 15), (17, 18, 19))
"""Of a hand's 20 segments (Carpus; First MC, PP, DP; Second to Fifth MC, PP, MP, DP) those that begin at a joint of ours."""


class Datagram(NamedTuple):
    """One datagram."""

    sample: int
    number: int
    last: bool
    t_ms: int
    character: int
    parts: tuple[int, int, int]
    """Segments of the body, props, and segments of fingers that the whole sample has."""
    items: npt.NDArray[np.void]
    """Of `_ITEM`."""


def read_datagram(message: bytes) -> Datagram | str | None:
    """A datagram of type 02 as it stands there; None for one of another type; or why it is none."""
    if len(message) < _HEADER.size:
        return "it is cut off"
    kind, sample, counter, count, t_ms, character, body, props, fingers, size = _HEADER.unpack_from(message)
    if kind[:4] != b"MXTP" or not kind[4:].isdigit():
        return "it is no datagram of MVN"
    if kind != b"MXTP02":
        return None
    if size not in (0, count * _ITEM.itemsize) or len(message) != _HEADER.size + count * _ITEM.itemsize:
        return "it has not the size it says"
    return Datagram(sample, counter & 127, bool(counter & 128), t_ms, character, (body, props, fingers),
                    np.frombuffer(message, _ITEM, offset=_HEADER.size))


class MvnReader:
    """Puts the datagrams of each sample together. `every` is how many samples of MVN's counter one that is streamed stands for."""

    def __init__(self, character: int, every: int) -> None:
        self._character, self._every = character, every
        self._parts: list[Datagram] = []

    def __call__(self, message: bytes) -> Mapping[str, Reading] | str:
        """What is complete now of ``body``, ``hand-left`` and ``hand-right``; nothing yet; or why it cannot be read."""
        datagram = read_datagram(message)
        if isinstance(datagram, str):
            return datagram
        if datagram is None or datagram.character != self._character:
            return {}
        lost = ""
        if self._parts and datagram.sample != self._parts[0].sample:
            self._parts, lost = [], "a sample whose datagrams did not all come"
        if datagram.number != len(self._parts):
            self._parts = []
            return "a sample whose datagrams did not all come"
        self._parts.append(datagram)
        if not datagram.last:
            return lost or {}
        items = np.concatenate([part.items for part in self._parts])
        self._parts = []
        return _sample(datagram, items, self._every)


def _sample(last: Datagram, items: npt.NDArray[np.void], every: int) -> Mapping[str, Reading] | str:
    body, props, fingers = last.parts
    if len(items) != body + props + fingers:
        return "a sample whose datagrams did not all come"
    if body != len(BODY) or fingers not in (0, 2 * _FINGERS_OF_A_HAND):
        return "a body of other segments than 23, or fingers of other than 40"
    with np.errstate(over="ignore", invalid="ignore"):  # bytes may be any number, also none
        places, quats = items["place"].astype(np.float64), items["wxyz"].astype(np.float64)
        norm = np.sqrt((quats**2).sum(1))
    if not ((norm > LEAST_NORM) & (norm < MOST_NORM)).all() or not (np.abs(places) <= LARGEST).all():
        return "a place or quaternion that is none"
    order = items["id"][:body]
    if not np.array_equal(order, np.arange(1, body + 1)):
        return "segments of the body in another order"
    quats /= norm[:, None]
    t_ns, sequence = last.t_ms * 1_000_000, last.sample // every
    said = {"body": Reading(np.concatenate([places[:body], quats[:body]], 1).ravel(), t_ns, sequence)}
    for n, side in enumerate(SIDES if fingers else ()):
        first = body + props + n * _FINGERS_OF_A_HAND
        hand = slice(first, first + _FINGERS_OF_A_HAND)
        wrist = BODY.index(f"{side}_hand")
        said[f"hand-{side}"] = Reading(hand_row(_joints(places[wrist], places[hand], quats[hand]), quats[wrist]), t_ns, sequence)
    return said


def _joints(wrist: Floats, places: Floats, quats: Floats) -> Floats:
    """The 21 joints (21, 3) from the wrist and a hand's 20 segments: each begins at a joint, metacarpals of the fingers are left out."""
    points = [wrist]
    for chain in _CHAINS:
        points += [*places[list(chain)], _tip(places, quats, chain[-2], chain[-1])]
    return np.array(points)


def _tip(places: Floats, quats: Floats, before: int, last: int) -> Floats:
    """Where a finger ends: all segments' axes are alike in MVN's T-pose, so that the last bone is turned against the one before it."""
    own = turned(quats[before] * (1, -1, -1, -1), places[last] - places[before])
    return np.asarray(places[last] + TIP * turned(quats[last], own))
