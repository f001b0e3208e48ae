"""RGMP v2, what the solver of Rokoko's Device SDK says: definitions of devices, then their joints, in binary frames of a TCP stream."""

import struct
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from firsthand.capture.axes import FROM_Y_UP, in_axes, quat_in_axes
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.transport import Packet
from firsthand.capture.wire_formats.documents import dicts, document
from firsthand.capture.wire_formats.numbers import LARGEST

OPENXR = (1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25)
"""Of OpenXR's 26 joints those that are ours, in canonical order."""
_FRAME, _DATA = struct.Struct("<II"), struct.Struct("<IIQ")
_DEFINITION, _JOINTS, _DISCONNECT = 1, 2, 3
_N = 26
_LONGEST = 1 << 18
_DEVICES = 16
_LAST_US = 2**63 // 1000


class RgmpFrames:
    """Cuts a TCP stream into frames; a `Cutter`. Each is handed on whole, with its head."""

    def __init__(self, refused: Counter[str]) -> None:
        self._rest = b""

    def add(self, host_ns: int, data: bytes) -> list[Packet]:
        """The frames that are complete now. Raises `FirsthandError` when what comes is none: there is no way back into such a stream."""
        self._rest += data
        packets, at = [], 0
        while len(self._rest) - at >= _FRAME.size:
            kind, size = _FRAME.unpack_from(self._rest, at)
            if size > _LONGEST or not _DEFINITION <= kind <= 255:
                raise FirsthandError("what comes is not RGMP; connect to the solver's port, 12277 if it was not changed")
            if len(self._rest) - at < _FRAME.size + size:
                break
            packets.append(Packet(host_ns, self._rest[at : at + _FRAME.size + size]))
            at += _FRAME.size + size
        self._rest = self._rest[at:]
        return packets


class _Device(NamedTuple):
    side: str
    group: int


class RgmpReader:
    """Reads frames, and remembers which device is which hand."""

    def __init__(self) -> None:
        self._devices: dict[int, _Device] = {}
        self._last_us: dict[int, int] = {}

    def __call__(self, frame: bytes) -> Mapping[str, Reading] | str:
        """What a frame says of ``hand-left`` and ``hand-right``, nothing where it only tells of a device, or why it cannot be read."""
        if len(frame) < _FRAME.size:
            return "it is cut off"
        kind, size = _FRAME.unpack_from(frame)
        payload = frame[_FRAME.size :]
        if len(payload) != size:
            return "it is cut off"
        if kind == _DEFINITION:
            return self._define(payload)
        if kind == _DISCONNECT:
            if len(payload) == 4:
                number = int.from_bytes(payload, "little")
                self._devices.pop(number, None)
                self._last_us.pop(number, None)
            return {}
        return self._joints(payload) if kind == _JOINTS else {}

    def _define(self, payload: bytes) -> Mapping[str, Reading] | str:
        found = document(payload)
        if found is None:
            return "a definition that is not a JSON object"
        if found.get("device_type") != "solved_hand":
            return {}
        number, info, groups = found.get("device_id"), found.get("device_info"), found.get("groups")
        side = info.get("hand") if isinstance(info, dict) else None
        if not isinstance(number, int) or side not in SIDES or not isinstance(groups, list):
            return "a definition without device, hand or groups"
        group = next((n for n, one in enumerate(groups) if isinstance(one, dict) and one.get("name") == "joints_openxr"), None)
        if group is None:
            return "a hand without joints_openxr: run the solver with --emit-openxr"
        if len(dicts(groups[group].get("streams"))) != _N:
            return "joints_openxr of other than 26 joints"
        if len(self._devices) == _DEVICES and number not in self._devices:  # the one that was told of first makes room
            first = next(iter(self._devices))
            self._devices.pop(first)
            self._last_us.pop(first, None)
        self._devices[number] = _Device(str(side), group)
        return {}

    def _joints(self, payload: bytes) -> Mapping[str, Reading] | str:
        if len(payload) < _DATA.size:
            return "it is cut off"
        number, group, t_us = _DATA.unpack_from(payload)
        device = self._devices.get(number)
        if device is None:
            return "joints of a device that was not defined"
        if group != device.group:
            return {}
        if len(payload) != _DATA.size + _N * 28:
            return "other than 26 joints"
        if not self._last_us.get(number, 0) <= t_us < _LAST_US:
            return "its stamp goes back"
        with np.errstate(invalid="ignore"):  # bytes may be any number, also none
            poses = np.frombuffer(payload, "<f4", offset=_DATA.size).reshape(_N, 7)[list(OPENXR)].astype(np.float64)
        if not (np.abs(poses) <= LARGEST).all():
            return "something that is no number"
        quat = quat_in_axes(FROM_Y_UP, poses[0, [6, 3, 4, 5]])
        if quat is None:
            return "its wrist's quaternion is none"
        self._last_us[number] = t_us
        return {f"hand-{device.side}": Reading(hand_row(in_axes(FROM_Y_UP, poses[:, :3]), quat), 1000 * t_us, None)}
