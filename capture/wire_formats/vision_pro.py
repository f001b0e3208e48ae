"""What Tracking Streamer on an Apple Vision Pro streams over gRPC: ``handtracking.HandUpdate``, poses of wrists, joints and head.

    HandUpdate {1: Hand left, 2: Hand right, 3: Matrix4x4 head}      Hand {1: Matrix4x4 wrist, 2: Skeleton {1: repeated Matrix4x4}}
    Matrix4x4 {1 to 16: float m00 m01 ... m33}

Joints are in the axes of their wrist; wrists and head in ARKit's world, y up, metres.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import FROM_Y_UP, in_axes
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.rotation import quat_wxyz
from firsthand.capture.wire_formats.numbers import LARGEST
from firsthand.capture.wire_formats.protobuf import MalformedError, embedded, fields, floating

Floats = npt.NDArray[np.float64]

METHOD = "/handtracking.HandTrackingService/StreamHandUpdates"
JOINTS = (0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24)
"""ARKit's joints in canonical order: of 25, or of 27 with two of the forearm."""
_FEWEST, _MOST = 25, 27
_PROBE, _DISCOVERY, _VERSION = 777.0, 888.0, 25_000.0
_RIGID = 1e-2
_FIELD = np.dtype([("key", "u1"), ("value", "<f4")])
_LAST_KEY = b"\x85\x01"
"""Of field 16, the only key of two bytes."""


def request(own: IPv4Address) -> bytes:
    """What is asked of the headset: its stream, for a machine of this address."""
    a, b, c, d = own.packed
    head = ((1, _DISCOVERY), (2, a), (3, b), (4, c), (5, d), (13, _VERSION))
    return embedded(3, b"".join(floating(number, float(value)) for number, value in head))


def read_update(message: bytes) -> Mapping[str, Reading] | str:
    """What an update says of ``hand-left``, ``hand-right`` and ``head-pose``, nothing for a probe of latency, or why it cannot be read."""
    try:
        parts = {number: data for number, kind, data in fields(message) if kind == 2 and number in (1, 2, 3)}
        head = _matrix(parts.get(3, b""))
        if head[0, 0] == _PROBE:
            return {}
        hands = {side: _hand(parts.get(number, b"")) for side, number in zip(SIDES, (1, 2), strict=True)}
    except MalformedError:
        return "it is no HandUpdate"
    said = {f"hand-{side}": Reading(row, None, None) for side, row in hands.items() if row is not None}
    if _rigid(head):
        said["head-pose"] = Reading(np.concatenate([in_axes(FROM_Y_UP, head[:3, 3]), _quat(head)]), None, None)
    return said or "it has neither a hand nor a head"


def _hand(data: bytes) -> Floats | None:
    """A row of a hand stream; None where the hand is not tracked."""
    parts = {number: value for number, kind, value in fields(data) if kind == 2}
    wrist = _matrix(parts.get(1, b""))
    joints: list[bytes] = []
    for number, kind, value in fields(parts.get(2, b"")):
        if number == 1 and kind == 2 and len(joints) < _MOST:  # more are about other things
            joints.append(value)
    if not _rigid(wrist) or len(joints) < _FEWEST:
        return None
    places = _matrices([joints[k] for k in JOINTS])[:, :3, 3]
    if not (np.abs(places) <= LARGEST).all():
        return None
    points = wrist[:3, 3] + places @ wrist[:3, :3].T
    return hand_row(in_axes(FROM_Y_UP, points), _quat(wrist))


def _matrix(data: bytes) -> Floats:
    """A pose (4, 4), row by row; what is not sent is zero, and the last row is 0 0 0 1."""
    values = np.zeros(16)
    body = data[:-6] if data[-6:-4] == _LAST_KEY else data
    sent = np.frombuffer(body, _FIELD) if len(body) % 5 == 0 else np.zeros(0, _FIELD)
    keys = sent["key"]
    with np.errstate(invalid="ignore"):  # bytes may be any number, also none
        if len(sent) and ((keys & 7) == 5).all() and ((keys >= 13) & (keys < 128)).all():  # as it is always written
            values[(keys >> 3) - 1] = sent["value"]
            if body is not data:
                values[15] = np.frombuffer(data, "<f4", offset=len(data) - 4)[0]
        else:
            for number, kind, value in fields(data):
                if kind == 5 and number <= 16:
                    values[number - 1] = np.frombuffer(value, "<f4")[0]
    matrix = values.reshape(4, 4)
    matrix[3] = 0, 0, 0, 1
    return matrix


def _matrices(many: list[bytes]) -> Floats:
    """Poses (N, 4, 4), those that are written alike at once: joints mostly are."""
    matrices = np.zeros((len(many), 4, 4))
    for size in {len(data) for data in many}:
        rows = [n for n, data in enumerate(many) if len(data) == size]
        sent = np.frombuffer(b"".join(many[n] for n in rows), np.uint8).reshape(len(rows), size)
        if size % 5 == 1 and size > 6 and (sent[:, -6:-4] == tuple(_LAST_KEY)).all():
            told = np.ascontiguousarray(sent[:, :-6]).view(_FIELD)
            keys = told["key"][0]
            if (told["key"] == keys).all() and ((keys & 7) == 5).all() and ((keys >= 13) & (keys < 128)).all():
                values = np.zeros((len(rows), 16))
                with np.errstate(invalid="ignore"):
                    values[:, (keys >> 3) - 1] = told["value"]
                matrices[rows] = values.reshape(-1, 4, 4)
                continue
        for n in rows:
            matrices[n] = _matrix(many[n])
    matrices[:, 3] = 0, 0, 0, 1
    return matrices


def _rigid(T: Floats) -> bool:
    R = T[:3, :3]
    if not (np.abs(T) <= LARGEST).all():
        return False
    return bool(np.abs(R @ R.T - np.eye(3)).max() < _RIGID and np.linalg.det(R) > 0)


def _quat(T: Floats) -> Floats:
    w, *v = quat_wxyz(T[None, :3, :3])[0]
    return np.concatenate([[w], in_axes(FROM_Y_UP, np.array(v))])
