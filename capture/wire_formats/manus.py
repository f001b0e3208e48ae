"""What bridges of the MANUS SDK send: text with a number after the other, or the ROS 2 message as JSON.

Text comes in two kinds, told apart by their number of fields. 40: the ergonomics of both hands in degrees. 176 for each glove: its id in
hexadecimal digits, then 25 nodes with place (m) and quaternion (x, y, z, w). JSON has one glove's nodes and ergonomics, by name.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import FROM_UNITY, FROM_Y_UP, in_axes, quat_in_axes
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import FINGERS, KNUCKLES, SIDES, Side
from firsthand.capture.wire_formats.documents import dicts, document, named, number
from firsthand.capture.wire_formats.numbers import numbers

Floats = npt.NDArray[np.float64]
NodeOrder = Literal["openxr", "linux24"]

AXES: dict[str, Floats] = {
    "unity": FROM_UNITY, "openxr": FROM_Y_UP, "z-forward": np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]]),
}  # fmt: skip
"""How a bridge may have set the SDK's axes, all with y up: left-handed with z away from the viewer; right-handed with z to the viewer;
right-handed with z away from the viewer."""

NODES: dict[str, tuple[int, ...]] = {
    "openxr": (0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24),
    "linux24": (0, 21, 22, 23, 24, 2, 3, 4, 5, 7, 8, 9, 10, 17, 18, 19, 20, 12, 13, 14, 15),
}
"""The node of each canonical joint: as most send them, and as SDK 2.4 does on Linux without MANUS Core."""

def skeleton_said(device: str, axes: str, order: str) -> dict[str, str]:
    """What is to be said of a hand stream made from such messages."""
    return {"device": f"MANUS, {device}", "axes": "z up, forward as the bridge has it", "origin": "glove", "up": "z",
            "converted": f"nodes in the order {order!r} as the 21 joints, from the axes {axes!r}; no place in a world"}


def angles_said(device: str) -> dict[str, str]:
    """What is to be said of a glove stream."""
    return {"device": f"MANUS, {device}", "converted": "ergonomics from degrees; spread put last in each finger, signs are the vendor's"}


_ID = re.compile("[0-9a-f]{1,8}")
_PER_GLOVE, _NODES, _ANGLES = 176, 25, 20
_FROM_SPREAD = [1, 2, 3, 0]
"""MANUS has spread first in each finger, we have it last."""
_CHAINS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_JOINTS = {"Thumb": ("MCP", "PIP", "DIP", "TIP")} | dict.fromkeys(_CHAINS[1:], ("PIP", "IP", "DIP", "TIP"))
"""What the nodes of our four joints are called: the SDK names the bone that begins there, and MCP is its word for the metacarpal."""
_THUMB_OLD = ("ThumbMCPStretch", "ThumbPIPStretch", "ThumbDIPStretch", "ThumbMCPSpread")
_THUMB_NEW = ("ThumbCMCStretch", "ThumbMCPStretch", "ThumbIPStretch", "ThumbSpread")
"""Up to SDK 3.1 and since: ThumbMCPStretch is in both and not the same joint."""
_NEAREST_M, _FURTHEST_M, _LONGEST_M = 0.04, 0.16, 0.07
"""Between a wrist and its knuckles, and of the bones of fingers."""
_KNOWN = 4
_log = logging.getLogger(__name__)


class ManusReader:
    """Reads either kind. `gloves` says on which hand the glove of an id (hexadecimal) is, `axes` names one of `AXES`."""

    def __init__(self, gloves: Mapping[str, Side], axes: str, order: NodeOrder) -> None:
        self._gloves, self._C, self._nodes, self._order = gloves, AXES[axes], list(NODES[order]), order
        self._unknown: set[str] = set()
        self._doubted = False

    def text(self, message: bytes) -> Mapping[str, Reading] | str:
        """What a text message says of ``hand-<side>`` and ``glove-<side>``, or why it cannot be read."""
        try:
            fields = message.decode("ascii").rstrip("\0, \r\n").split(",")
        except UnicodeDecodeError:
            return "it is not text"
        if len(fields) == 2 * _ANGLES:
            return self._ergonomics(fields)
        if len(fields) % _PER_GLOVE:
            return "it has neither 40 nor 176 fields a glove"
        said: dict[str, Reading] = {}
        for first in range(0, len(fields), _PER_GLOVE):
            glove, values = fields[first].strip(), numbers(fields[first + 1 : first + _PER_GLOVE])
            if values is None or not _ID.fullmatch(glove):
                return "a skeleton with something that is no number"
            side = self._side(glove)
            if side not in SIDES:
                return side
            nodes = values.reshape(_NODES, 7)[self._nodes]
            hand = self._hand(nodes[:, :3], nodes[0, 3:])
            if isinstance(hand, str):
                return hand
            said[f"hand-{side}"] = hand
        return said

    def bridge(self, message: bytes) -> Mapping[str, Reading] | str:
        """What a JSON document says of the same."""
        found = document(message)
        return "it is not a JSON object" if found is None else self.glove(found)

    def glove(self, found: Mapping[str, Any]) -> Mapping[str, Reading] | str:
        """What the ROS 2 message ``ManusGlove`` says, however it came; its lists are believed, not its counts."""
        side = str(found.get("side", "")).lower()
        glove = found.get("glove_id")
        if side not in SIDES:
            if not isinstance(glove, int) or isinstance(glove, bool) or not -(2**31) <= glove < 2**32:
                return "it has no side and no glove_id"
            side = self._side(f"{glove % 2**32:x}")
            if side not in SIDES:
                return side
        said: dict[str, Reading] = {}
        nodes = {(node.get("chain_type"), node.get("joint_type")): node.get("pose") for node in dicts(found.get("raw_nodes"))
                 if isinstance(node.get("chain_type"), str) and isinstance(node.get("joint_type"), str)}
        if nodes:
            wrist = next((pose for (chain, _), pose in nodes.items() if chain == "Hand"), None)
            joints = [wrist, *(nodes.get((chain, joint)) for chain in _CHAINS for joint in _JOINTS[chain])]
            places = np.array([named(pose.get("position") if isinstance(pose, dict) else None, "xyz") for pose in joints])
            turn = named(wrist.get("orientation") if isinstance(wrist, dict) else None, "xyzw")
            hand = self._hand(places, turn)
            if isinstance(hand, str):
                return hand
            said[f"hand-{side}"] = hand
        angles = {item["type"]: number(item.get("value")) for item in dicts(found.get("ergonomics")) if isinstance(item.get("type"), str)}
        if angles:
            thumb = _THUMB_NEW if _THUMB_NEW[0] in angles or _THUMB_NEW[2] in angles else _THUMB_OLD
            names = [*thumb, *(f"{chain}{part}" for chain in _CHAINS[1:] for part in ("MCPStretch", "PIPStretch", "DIPStretch", "Spread"))]
            row = np.radians([angles.get(name, angles.get(name.replace("Spread", "MCPSpread"), np.nan)) for name in names])
            if np.isnan(row).all():
                return "ergonomics of other names"
            said[f"glove-{side}"] = Reading(row, None, None)
        return said or "it has neither nodes nor ergonomics"

    def _ergonomics(self, fields: list[str]) -> Mapping[str, Reading] | str:
        degrees = numbers(fields)
        if degrees is None:
            return "ergonomics with something that is no number"
        said = {}
        for side, angles in zip(SIDES, degrees.reshape(2, len(FINGERS), 4), strict=True):
            if angles.any():  # a glove that is not there reads zero throughout
                said[f"glove-{side}"] = Reading(np.radians(angles[:, _FROM_SPREAD]).ravel(), None, None)
        return said or "ergonomics of no glove: all are zero"

    def _hand(self, places: Floats, quat_xyzw: Floats) -> Reading | str:
        quat = quat_in_axes(self._C, quat_xyzw[[3, 0, 1, 2]])
        if quat is None:
            return "its wrist's quaternion is none"
        if not places.any():
            return "a skeleton of zeros"
        reach = np.linalg.norm(places[list(KNUCKLES)] - places[0], axis=1)
        phalanges = np.linalg.norm(np.diff(places[1:].reshape(5, 4, 3), axis=1), axis=2)
        if not self._doubted and ((reach < _NEAREST_M).any() or (reach > _FURTHEST_M).any() or (phalanges > _LONGEST_M).any()):
            self._doubted = True
            _log.warning("a MANUS hand has not the measures of one (knuckles at %s mm, bones of %s mm); is node_order = %r right, and the "
                         "unit metres?", _span_mm(reach), _span_mm(phalanges), self._order)
        return Reading(hand_row(in_axes(self._C, places), quat), None, None)

    def _side(self, glove: str) -> str:
        """The hand a glove is on, or why that is not known."""
        if glove in self._gloves:
            return self._gloves[glove]
        if len(self._unknown) < _KNOWN:
            self._unknown.add(glove)
        return f"glove {glove} is not named in 'gloves'" if glove in self._unknown else "a glove that is not named in 'gloves'"


def _span_mm(lengths_m: Floats) -> str:
    known = lengths_m[np.isfinite(lengths_m)] * 1000
    return f"{known.min():.0f} to {known.max():.0f}" if len(known) else "unknown"
