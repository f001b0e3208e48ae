"""What Hand Tracking Streamer (HTS) on a Quest headset sends: text, a hand in two lines, from which a hand in the world is put together.

    Right wrist:, x, y, z, qx, qy, qz, qw
    Right landmarks:, x0, y0, z0, ... x20, y20, z20
    Head pose:, x, y, z, qx, qy, qz, qw

With the app's debug option a header also has a counter and the headset's monotonic clock: ``Right wrist | f = 126 | t = 2573628730200:``.
Places of wrist and head are in the tracking space, landmarks in the axes of the wrist; all in Unity's left-handed axes, metres.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import FROM_UNITY, in_axes, quat_in_axes, turned
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.wire_formats.numbers import numbers

Floats = npt.NDArray[np.float64]

_HEADER = re.compile(r"(Left|Right|Head) (wrist|landmarks|pose)((?: \| \w{1,20} = \d{1,19})*)")
_TOLD = re.compile(r" \| (\w+) = (\d+)")
_MISSING = ["0", "0", "0"]
"""A joint that is not tracked; one at the very place of the wrist reads 0.0000."""
_LARGEST = 2**63


class Line(NamedTuple):
    """One line."""

    who: str
    """``left``, ``right`` or ``head``."""
    landmarks: bool
    frame: int | None
    t_ns: int | None
    values: Floats
    """Shape (7,), or (63,) with NaN for joints that are not tracked."""


class HtsReader:
    """Reads messages: a UDP packet is a whole message, a line of TCP is half of one."""

    def __init__(self, *, by_line: bool) -> None:
        self._by_line = by_line
        self._wrists: dict[str, Line] = {}

    def __call__(self, message: bytes) -> Mapping[str, Reading] | str:
        """What a message says of ``hand-left``, ``hand-right`` and ``head-pose``, or why it cannot be read."""
        try:
            text = message.decode("ascii")
        except UnicodeDecodeError:
            return "it is not text"
        wrists = self._wrists if self._by_line else {}
        said: dict[str, Reading] = {}
        lost = ""
        for line in (read_line(line) for line in text.split("\n") if line.strip()):
            if isinstance(line, str):
                return line
            if line.who == "head":
                pose = _pose(line)
                if pose is None:
                    return "its quaternion is none"
                said["head-pose"] = Reading(pose, line.t_ns, line.frame)
            elif not line.landmarks:
                lost = "a wrist without landmarks" if line.who in wrists else ""
                wrists[line.who] = line
            else:
                hand = _hand(wrists.pop(line.who, None), line)
                if isinstance(hand, str):
                    return hand
                said[f"hand-{line.who}"] = hand
        if not self._by_line:  # landmarks are not always there, and the wrist alone is worth keeping
            for who, wrist in wrists.items():
                hand = _hand(wrist, None)
                if isinstance(hand, str):
                    return hand
                said[f"hand-{who}"] = hand
            if not said:
                return "it is empty"
        return lost or said


def read_line(text: str) -> Line | str:
    """One line as it stands there, or why it is none."""
    header, colon, rest = text.partition(":")
    match = _HEADER.fullmatch(header.strip())
    if not colon or not match:
        return "it does not begin as lines of HTS do"
    who, what = match[1].lower(), match[2]
    if (who == "head") != (what == "pose"):
        return "it does not begin as lines of HTS do"
    told = {name: int(number) for name, number in _TOLD.findall(match[3])}
    if any(number >= _LARGEST for number in told.values()):
        return "a number in its header is too large"
    items = [item.strip() for item in rest.split(",")][1:]
    count = 63 if what == "landmarks" else 7
    if len(items) != count:
        return f"{what} without its {count} numbers"
    values = numbers(items)
    if values is None:
        return f"{what} without its {count} numbers"
    if what == "landmarks":
        for joint in range(0, count, 3):
            if items[joint : joint + 3] == _MISSING:
                values[joint : joint + 3] = np.nan
    return Line(who, what == "landmarks", told.get("f"), told.get("t"), values)


def _pose(line: Line) -> Floats | None:
    quat = quat_in_axes(FROM_UNITY, line.values[[6, 3, 4, 5]])
    return None if quat is None else np.concatenate([in_axes(FROM_UNITY, line.values[:3]), quat])


def _hand(wrist: Line | None, landmarks: Line | None) -> Reading | str:
    """A hand in the world; without landmarks the wrist alone."""
    if wrist is None:
        return "landmarks without a wrist"
    pose = _pose(wrist)
    if pose is None:
        return "its quaternion is none"
    points = np.full((21, 3), np.nan)
    if landmarks is not None:
        if landmarks.frame != wrist.frame:
            return "landmarks of another frame than the wrist's"
        points = pose[:3] + turned(pose[3:], in_axes(FROM_UNITY, landmarks.values.reshape(21, 3)))
    points[0] = pose[:3]
    return Reading(hand_row(points, pose[3:]), wrist.t_ns, wrist.frame)
