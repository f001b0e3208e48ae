"""MANUS gloves behind a bridge: the text that SDKClient pushes, 120 skeletons and ergonomics a second, or the ROS 2 message as JSON.

The text has the axes that SDKClient sets (left-handed: x right, y up, z away), the JSON those of the aero-hand fork (right-handed: x left).
A skeleton begins at the wrist, and is turned as the hand is.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.emulators.wearer import Instant, Wearer
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.synthetic.rotation import quat_wxyz

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

RATE_HZ = 120.0
IDS: dict[Side, int] = {"left": 0x60F3738B, "right": 0x8569617B}
METACARPAL = 0.25
"""Where the node between wrist and knuckle is, on the way."""


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each text message leaves, in nanoseconds after the start, and the message."""
    wearer = Wearer(emulation)
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        parts = []
        for side in SIDES:
            places, turn = _skeleton(now, side)
            w, x, y, z = quat_wxyz(turn[None])[0]
            rotation = "".join(f",{v:.3f}" for v in (-x, -z, -y, w))
            parts.append(f"{IDS[side]:x}" + "".join(f",{x:.3f},{z:.3f},{y:.3f}{rotation}" for x, y, z in places))
        yield tick.due_ns, ",".join(parts).encode()
        angles = [_spread_first(now, side) for side in SIDES]
        yield tick.due_ns, ",".join(f"{v:.3f}" for v in np.concatenate(angles)).encode()


def bridged(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """The same as JSON, of one hand: a bridge has a port for each."""
    wearer = Wearer(emulation)
    side = emulation.side
    for tick, now in wearer.along(ticks(emulation, RATE_HZ)):
        places, turn = _skeleton(now, side)
        w, x, y, z = (float(v) for v in quat_wxyz(turn[None])[0])
        orientation = {"x": -x, "y": z, "z": y, "w": w}
        nodes = []
        for n, (chain, joint) in enumerate(NAMES):
            place = {"x": -float(places[n, 0]), "y": float(places[n, 2]), "z": float(places[n, 1])}
            nodes.append({"node_id": n, "parent_node_id": max(n - 1, 0), "joint_type": joint, "chain_type": chain,
                          "pose": {"position": place, "orientation": orientation}})
        angles = zip(ERGONOMICS, _spread_first(now, side).tolist(), strict=True)
        id_ = IDS[side] - (2**32 if IDS[side] >= 2**31 else 0)
        document: dict[str, Any] = {
            "glove_id": id_, "side": side.capitalize(), "raw_node_count": len(nodes), "raw_nodes": nodes, "ergonomics_count": 20,
            "ergonomics": [{"type": name, "value": value} for name, value in angles],
            "raw_sensor_orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}, "raw_sensor_count": 0, "raw_sensor": [],
        }
        yield tick.due_ns, json.dumps(document).encode()


NAMES = (("Hand", "Invalid"), *(("Thumb", joint) for joint in ("MCP", "PIP", "DIP", "TIP")),
         *((chain, joint) for chain in ("Index", "Middle", "Ring", "Pinky") for joint in ("MCP", "PIP", "IP", "DIP", "TIP")))
ERGONOMICS = ("ThumbMCPSpread", "ThumbMCPStretch", "ThumbPIPStretch", "ThumbDIPStretch",
              *(f"{chain}{part}" for chain in ("Index", "Middle", "Ring", "Pinky")
                for part in ("Spread", "MCPStretch", "PIPStretch", "DIPStretch")))


def _skeleton(now: Instant, side: Side) -> tuple[Floats, Floats]:
    """The 25 nodes from the wrist, in the world's directions, shape (25, 3), and how the hand is turned."""
    points = now.points_m[side]
    points = points - points[0]
    nodes = list(points[:5])
    for knuckle in (5, 9, 13, 17):
        nodes += [METACARPAL * points[knuckle], *points[knuckle : knuckle + 4]]
    return np.array(nodes), now.R_world_hand[side]


def _spread_first(now: Instant, side: Side) -> Floats:
    """The 20 angles in degrees, in each finger spread, then from the palm outward."""
    return np.degrees(now.angles_rad[side].reshape(5, 4)[:, [3, 0, 1, 2]]).ravel()
