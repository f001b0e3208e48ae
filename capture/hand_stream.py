"""A tracked hand as a stream: where its 21 joints are, and how its wrist is turned."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import FINGERS, JOINTS, SIDES, Side
from firsthand.capture.stream import StreamSpec

Floats = npt.NDArray[np.float64]

POSE_COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz")
"""Of a pose stream: place and unit quaternion."""
POSE_UNITS = ("m",) * 3 + ("1",) * 4
HAND_COLUMNS = (*(f"{joint}.{axis}" for joint in JOINTS for axis in "xyz"), *(f"wrist.{part}" for part in ("qw", "qx", "qy", "qz")))
"""Of a hand stream: the 21 joints in canonical order, then the wrist's quaternion. In metres, in the axes that ``extra`` tells."""
HAND_UNITS = ("m",) * 63 + ("1",) * 4
ORIGINS = {
    "world": "a place that stays where it is; `up` says whether gravity is along -z",
    "device": "the rig: what `T_rig_cam` of the calibration leads to",
    "glove": "a sensor that knows which way it is turned, not where it is: places begin near the wrist, gravity is along -z",
    "wrist": "the hand itself: neither place nor direction in any world",
}
"""What the places of a hand stream count from (``origin``). Axes are right-handed in all of them."""
GLOVE_COLUMNS = (
    "thumb_cmc_flex", "thumb_mcp_flex", "thumb_ip_flex", "thumb_spread",
    *(f"{finger}_{angle}" for finger in FINGERS[1:] for angle in ("mcp_flex", "pip_flex", "dip_flex", "spread")),
)  # fmt: skip
"""Of a glove that measures four angles a finger, rad."""


def hand_spec(side: Side, *, prefix: str = "", rate_hz: float | None, extra: Mapping[str, Any], more: Mapping[str, str] | None = None,
              clock: Literal["device", "media"] = "device") -> StreamSpec:
    """The stream ``hand-left`` or ``hand-right``: `HAND_COLUMNS`, then whatever a source has `more` of, column -> unit.

    `extra` says what made it (``device``), in which axes (``axes``), from where (``origin``, one of `ORIGINS`) and what was done to the
    source's values (``converted``); ``up`` is ``"z"`` where gravity is along -z. docs/recording-format.md has all of it.
    """
    if lacking := {"device", "axes", "origin", "converted"} - set(extra):
        raise ValueError(f"a hand stream's extra says nothing of {', '.join(sorted(lacking))}")
    if extra["origin"] not in ORIGINS or extra.get("up", "z") != "z":
        raise ValueError(f"a hand's origin is one of {', '.join(ORIGINS)} and up is 'z' or not there, got {extra!r}")
    beside = dict(more or {})
    return StreamSpec(f"{prefix}hand-{side}", "numeric", "pose", names=(*HAND_COLUMNS, *beside), units=(*HAND_UNITS, *beside.values()),
                      rate_hz=rate_hz, side=side, clock=clock, extra=dict(extra))


def hand_row(points_m: Floats, quat_wxyz: Floats) -> Floats:
    """A row of a hand stream from joints (21, 3) and the wrist's quaternion (4,); NaN where something is not known."""
    return np.concatenate([points_m.ravel(), quat_wxyz])


def raw_spec(device: str, encoding: str, *, prefix: str = "", rate_hz: float | None = None) -> StreamSpec:
    """The stream that keeps a device's messages as they came."""
    return StreamSpec(f"{prefix}{device}-raw", "encoded", "other", encoding=encoding, rate_hz=rate_hz, clock="media")


def checked_hands(hands: Sequence[Side]) -> Sequence[Side]:
    """The sides a rig file asks for. Raises `FirsthandError` when they are none."""
    if isinstance(hands, str) or not hands or not set(hands) <= set(SIDES) or len(set(hands)) != len(hands):
        raise FirsthandError(f"hands is {hands!r}; write ['left', 'right'], or one of them in brackets")
    return hands


def glove_spec(side: Side, *, prefix: str = "", rate_hz: float | None, extra: Mapping[str, Any]) -> StreamSpec:
    """The stream ``glove-left`` or ``glove-right`` of a glove that measures the angles of `GLOVE_COLUMNS`."""
    return StreamSpec(f"{prefix}glove-{side}", "numeric", "glove", names=GLOVE_COLUMNS, units=("rad",) * len(GLOVE_COLUMNS),
                      rate_hz=rate_hz, side=side, extra=dict(extra))
