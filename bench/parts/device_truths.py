"""What each emulated tracker and glove truly did, and how much of it its format can say. For `bench/devices.py`; runs nothing itself.

Stamps and counters are read from the sent messages here once more, in other ways than the readers', so that these can be wrong.
"""

import json
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.imu import head_of
from firsthand.capture.emulators.lucidgloves import GRAB, PINCH_M, shares
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.skeleton import TIPS, Side
from firsthand.capture.synthetic.rotation import quat_wxyz

Floats = npt.NDArray[np.float64]
Row = Callable[[Wearer, Side, float], Floats]
"""What a row should hold at a time after the start; NaN for what the device does not measure."""
Told = Callable[[bytes, str], int | None]
"""What a sent message says of itself to a stream; None where it says nothing."""

SEED, DROPS = 21, 0.02
"""Of the emulators: that share of their messages they do not send, though they count them."""


@dataclass(frozen=True)
class Truth:
    """One stream."""

    row: Row
    resolution: float
    """How far the format's rounding may take a value from it."""
    turn_resolution: float = 1e-6
    """The same of quaternions."""
    turns: tuple[slice, ...] = ()
    """Where the row has quaternions; their sign means nothing."""


def hand(place: Callable[[Wearer, Side, float], Floats], resolution: float, turn_resolution: float = 1e-6, *, tips: bool = True) -> Truth:
    """The joints, as `place` has them, and how the hand is turned. Without `tips` those are estimated and not looked at."""
    def row(wearer: Wearer, side: Side, t_s: float) -> Floats:
        points = place(wearer, side, t_s).copy()
        if not tips:
            points[list(TIPS)] = np.nan
        return np.concatenate([points.ravel(), quat_wxyz(wearer.R_world_hand(side, t_s)[None])[0]])

    return Truth(row, resolution, turn_resolution, (slice(63, 67),))


def head(resolution: float, turn_resolution: float = 1e-6) -> Truth:
    """Of the eyes: x right, y forward, z up."""
    def row(wearer: Wearer, side: Side, t_s: float) -> Floats:
        T = wearer.T_world_head(t_s)
        return np.concatenate([T[:3, 3], quat_wxyz(np.stack([T[:3, 0], T[:3, 2], -T[:3, 1]], 1)[None])[0]])

    return Truth(row, resolution, turn_resolution, (slice(3, 7),))


def body(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """Of 23 segments head and hands move; the others stand where the emulator put them, upright."""
    rows = np.tile([0.1, -0.3, 0, 1, 0, 0, 0], (23, 1))
    rows[:, 2] = np.linspace(0, 0.4, 23)
    T = wearer.T_world_head(t_s)
    rows[6] = [*T[:3, 3], *quat_wxyz(T[None, :3, :3])[0]]
    for hand_side, segment in (("right", 10), ("left", 14)):
        rows[segment] = [*wearer.points_m(hand_side, t_s)[0], *quat_wxyz(wearer.R_world_hand(hand_side, t_s)[None])[0]]
    return rows.ravel()


def in_world(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints in the world."""
    return wearer.points_m(side, t_s)


def from_wrist(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints from the wrist, in the world's directions."""
    points = wearer.points_m(side, t_s)
    return points - points[0]


def in_hand(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The joints from the wrist, in the hand's own axes."""
    return from_wrist(wearer, side, t_s) @ wearer.R_world_hand(side, t_s)


def angles(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """The twenty angles."""
    return wearer.angles_rad(side, t_s)


def counted_angles(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """With a counter in the last channel, which is looked at as the sequence."""
    return np.append(wearer.angles_rad(side, t_s), np.nan)


def potentiometers(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """What a LucidGlove feels: curls, splay, a joystick and a trigger at rest, and of eight flags the gestures grab and pinch."""
    bent, spread = shares(wearer.angles_rad(side, t_s))
    points = wearer.points_m(side, t_s)
    flags = np.zeros(8)
    flags[4], flags[5] = bent[1:].mean() > GRAB, np.linalg.norm(points[4] - points[8]) < PINCH_M
    return np.concatenate([np.repeat(bent, 4), spread, np.zeros(3), flags])


def inertial(wearer: Wearer, side: Side, t_s: float) -> Floats:
    """Specific force and rotation rate of the head."""
    return np.asarray(head_of(Emulation(seed=SEED)).imu(np.array([t_s]))[0], np.float64)


@dataclass(frozen=True)
class Case:
    """One emulator and the driver that hears it."""

    emulator: str
    driver: str
    to: str
    options: dict[str, Any]
    rate_hz: float
    truths: dict[str, Truth]
    holds: Callable[[bytes, str], bool] = lambda message, stream: True
    """Whether a raw message completes a row of a stream."""
    raw: str = ""
    """The stream of raw messages."""
    whole: Callable[[bytes], Sequence[bytes]] = field(default=lambda sent: [sent])
    """The raw messages that one sent message becomes."""
    stamp_ns: Told = lambda message, stream: None
    count: Told = lambda message, stream: None


def of_side(message: bytes, stream: str) -> bool:
    """Of Quest: the packet, or the second of its lines."""
    return (b"Head pose" if stream == "head-pose" else f"{stream[5:].capitalize()} landmarks".encode()) in message


def of_manus(message: bytes, stream: str) -> bool:
    """Of MANUS: skeletons and ergonomics share a socket."""
    return (message.count(b",") > 39) == stream.startswith("hand")


def of_solver(frame: bytes, stream: str) -> bool:
    """Of Rokoko's solver: joints of the side's device."""
    return frame[:1] == b"\2" and frame[8] == (101 if stream == "hand-left" else 102)


def told(letter: str) -> Told:
    """A number in the headers of HTS."""
    def read(message: bytes, stream: str) -> int | None:
        found = re.search(rf" {letter} = (\d+)".encode(), message)
        return int(found[1]) if found else None

    return read


def json_number(path: Sequence[str], unit_ns: float) -> Told:
    """A number in a document, which may be packed."""
    def read(message: bytes, stream: str) -> int:
        if message[:4] == b"\x04\x22\x4d\x18":
            import lz4.frame

            message = lz4.frame.decompress(message)
        found = json.loads(message)
        for key in path:
            found = found[key]
        return round(found * unit_ns)

    return read


def timecode_ns(message: bytes, stream: str) -> int:
    """Hours, minutes, seconds and frames at 60 a second."""
    h, m, s, f = map(int, json.loads(message[4:])["timecode"].split(":"))
    return (3600 * h + 60 * m + s) * 10**9 + round(f * 1e9 / 60)


HANDS, BIND = ("hand-left", "hand-right"), {"bind": "127.0.0.1:{port}", "sender": "127.0.0.1"}
GLOVES = ("glove-left", "glove-right")
UDP, CONNECT = "udp://127.0.0.1:{port}", {"connect": "127.0.0.1:{port}"}
IDS = {"60f3738b": "left", "8569617b": "right"}
EXACT, MDEG = 1e-6, np.radians(6e-4)
JSON_GLOVE = {**BIND, "stream": "glove-right", "side": "right", "columns": [f"a{n}" for n in range(20)], "array": "deg", "units": "deg",
              "stamp": "t_us", "sequence": "seq"}
JSON_IMU = {"transport": "serial", "port": "{folder}/imu", "stream": "imu", "columns": ["ax", "ay", "az", "gx", "gy", "gz"],
            "fields": [*(f"acc.{n}" for n in range(3)), *(f"gyr.{n}" for n in range(3))], "units": ["m/s^2"] * 3 + ["deg/s"] * 3,
            "stamp": "t_us", "sequence": "seq"}

QUEST = {**dict.fromkeys(HANDS, hand(in_world, 5e-4, 2e-3)), "head-pose": head(1e-4, 2e-3)}
STUDIO = dict.fromkeys(HANDS, hand(in_world, EXACT, 2e-6))
CASES = (
    Case("quest", "quest", UDP, BIND, 70, QUEST, of_side, "quest-raw", stamp_ns=told("t"), count=told("f")),
    Case("quest", "quest", "tcp://127.0.0.1:{port}", {**BIND, "transport": "tcp"}, 70, QUEST, of_side, "quest-raw",
         lambda m: m.split(b"\n"), told("t"), told("f")),
    Case("quest-unstamped", "quest", UDP, BIND, 70, QUEST, of_side, "quest-raw"),
    Case("lucidgloves", "lucidgloves", "pty:{folder}/glove", {"port": "{folder}/glove", "side": "right"}, 100,
         {"glove-right": Truth(potentiometers, 1.01 / 4095)}, raw="glove-right-raw"),
    Case("manus", "manus", "zmq-push://127.0.0.1:{port}", {**CONNECT, "gloves": IDS}, 120,
         {**dict.fromkeys(HANDS, hand(from_wrist, 6e-4, 2e-3)), **dict.fromkeys(GLOVES, Truth(angles, MDEG))}, of_manus, "manus-raw"),
    Case("manus-bridge", "manus", "zmq-pub://127.0.0.1:{port}",
         {**CONNECT, "format": "bridge", "axes": "z-forward", "hands": ["right"]}, 120,
         {"hand-right": hand(from_wrist, EXACT), "glove-right": Truth(angles, EXACT)}, raw="manus-raw"),
    Case("rokoko", "rokoko", UDP, BIND, 60, STUDIO, raw="rokoko-raw", stamp_ns=json_number(("scene", "timestamp"), 1e9)),
    Case("rokoko-plain", "rokoko", UDP, BIND, 60, STUDIO, raw="rokoko-raw", stamp_ns=json_number(("scene", "timestamp"), 1e9)),
    Case("rokoko-sdk", "rokoko-sdk", "tcp-serve://127.0.0.1:{port}", CONNECT, 100, dict.fromkeys(HANDS, hand(from_wrist, EXACT)), of_solver,
         "rokoko-raw", stamp_ns=lambda m, _: 1000 * struct.unpack_from("<Q", m, 16)[0]),
    Case("udcap", "udcap", UDP, BIND, 120, dict.fromkeys(GLOVES, Truth(angles, MDEG)), raw="udcap-raw"),
    Case("xsens", "xsens", UDP, BIND, 60,
         {**dict.fromkeys(HANDS, hand(in_world, EXACT, tips=False)), "body": Truth(body, EXACT, EXACT, tuple(
             slice(7 * n + 3, 7 * n + 7) for n in range(23)))},
         lambda m, _: bool(m[10] & 128), "xsens-raw", stamp_ns=lambda m, _: 10**6 * int.from_bytes(m[12:16], "big"),
         count=lambda m, _: int.from_bytes(m[6:10], "big")),
    Case("vision-pro", "vision-pro", "grpc://127.0.0.1:{port}", CONNECT, 90,
         {**dict.fromkeys(HANDS, hand(in_world, EXACT)), "head-pose": head(EXACT)}, raw="vision-pro-raw"),
    Case("lsl", "lsl", "lsl://firsthand-bench-{port}",
         {"name": "firsthand-bench-{port}", "stream": "glove-right", "counter": "counter"}, 100,
         {"glove-right": Truth(counted_angles, EXACT)}, count=lambda m, _: round(struct.unpack_from("<d", m, 168)[0])),
    Case("stretchsense", "stretchsense", "tcp-serve://127.0.0.1:{port}", CONNECT, 60, {"hand-right": hand(in_hand, 3e-6, tips=False)},
         raw="stretchsense-raw", whole=lambda m: [m[4:]], stamp_ns=timecode_ns),
    Case("glove", "json", UDP, JSON_GLOVE, 120, {"glove-right": Truth(angles, np.radians(6e-3))}, raw="glove-right-raw",
         stamp_ns=json_number(("t_us",), 1e3), count=json_number(("seq",), 1)),
    Case("imu", "json", "pty:{folder}/imu", JSON_IMU, 200, {"imu": Truth(inertial, 6e-5)}, raw="imu-raw",
         stamp_ns=json_number(("t_us",), 1e3), count=json_number(("seq",), 1)),
)  # fmt: skip
