"""Messages of numbers as named columns with units: poses, joints, inertial readings, transforms, and any other message of few numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

from firsthand.capture.importers.mcap_decode import field, fields, frame_of, number, stamp_ns
from firsthand.capture.importers.poses import POSE, POSE_UNITS
from firsthand.capture.stream import Role, StreamSpec

WIDEST = 512
"""Columns of a message that is taken apart field by field."""


@dataclass(frozen=True)
class Row:
    """One row of one stream."""

    values: dict[tuple[str, str], float]
    """By column and unit, in order."""
    part: str = ""
    """Tells streams of one topic apart, such as the two frames of a transform."""
    stamp_ns: int | None = None
    extra: dict[str, Any] = made(default_factory=dict)
    spec: StreamSpec | None = None
    """The stream, where the message's type fixes it; its columns are those of `values`."""


Reader = Callable[[Any], Iterator[Row]]
UNSLID = "rad or m, rad/s or m/s, N m or N: the source does not say which joint slides"
XYZ, WXYZ = "xyz", "wxyz"


def _vector(message: Any, names: tuple[str, ...], unit: str) -> dict[tuple[str, str], float]:
    return {(name, unit): number(field(message, axis)) for name, axis in zip(names, XYZ, strict=True)}


def _pose(message: Any, prefix: str = "") -> dict[tuple[str, str], float]:
    place, turn = field(message, "position", "translation"), field(message, "orientation", "rotation")
    given = [number(field(place, axis)) for axis in XYZ] + [number(field(turn, axis)) for axis in WXYZ]
    return {(f"{prefix}{name}", unit): value for name, unit, value in zip(POSE, POSE_UNITS, given, strict=True)}


def pose(message: Any) -> Iterator[Row]:
    """``PoseInFrame``, ``PoseStamped``, ``Pose``, ``PoseWithCovarianceStamped``."""
    inner = field(message, "pose")
    inner = field(inner, "pose") or inner if inner is not None else message
    yield Row(_pose(inner), stamp_ns=stamp_ns(message), extra={"frame": frame_of(message)})


def poses(message: Any) -> Iterator[Row]:
    """``PosesInFrame`` and ``PoseArray``: columns by place, such as ``3.x``."""
    found = [_pose(item, f"{i}.") for i, item in enumerate(field(message, "poses") or ())]
    values = {name: value for item in found for name, value in item.items()}
    yield Row(values, stamp_ns=stamp_ns(message), extra={"frame": frame_of(message)})


def transforms(message: Any) -> Iterator[Row]:
    """``FrameTransform``, ``FrameTransforms``, ``TransformStamped``, ``TFMessage``: a stream for each pair of frames."""
    several = field(message, "transforms")
    for item in [message] if several is None else several:
        parent = str(field(item, "parent_frame_id") or "") or frame_of(item)
        child = str(field(item, "child_frame_id") or "")
        inner = field(item, "transform")
        yield Row(_pose(item if inner is None else inner), f"{parent} to {child}", stamp_ns(item), {"frame": parent, "of": child})


def odometry(message: Any) -> Iterator[Row]:
    """``Odometry``: the pose, then linear and angular velocity where they are."""
    inner, twist = field(message, "pose"), field(field(message, "twist"), "twist")
    values = _pose(field(inner, "pose") or inner)
    linear = field(twist, "linear") if twist is not None else field(message, "linear_velocity")
    angular = field(twist, "angular") if twist is not None else field(message, "angular_velocity")
    values |= _vector(linear, ("vx", "vy", "vz"), "m/s") | _vector(angular, ("wx", "wy", "wz"), "rad/s")
    child = str(field(message, "child_frame_id", "body_frame_id") or "")
    yield Row(values, stamp_ns=stamp_ns(message), extra={"frame": frame_of(message), "of": child})


def imu(message: Any) -> Iterator[Row]:
    """``sensor_msgs/Imu``: acceleration, rate, and orientation unless the sensor says that it has none."""
    values = _vector(field(message, "linear_acceleration"), ("ax", "ay", "az"), "m/s^2")
    values |= _vector(field(message, "angular_velocity"), ("gx", "gy", "gz"), "rad/s")
    doubt = field(message, "orientation_covariance")
    if doubt is None or len(doubt) == 0 or doubt[0] != -1:
        turn = field(message, "orientation")
        values |= {(f"q{axis}", "1"): number(field(turn, axis)) for axis in WXYZ}
    yield Row(values, stamp_ns=stamp_ns(message), extra={"frame": frame_of(message)})


def joints(message: Any) -> Iterator[Row]:
    """``sensor_msgs/JointState`` and ``foxglove.JointStates``: columns by joint, such as ``elbow.position``."""
    values: dict[tuple[str, str], float] = {}
    several = field(message, "joints")
    if several is not None:
        for joint in several:
            for what in ("position", "velocity", "acceleration", "effort"):
                given = field(joint, what)
                if given is not None:
                    values[f"{field(joint, 'name')}.{what}", "1"] = number(given)
    else:
        for what in ("position", "velocity", "effort"):
            given = field(message, what) or ()
            for i, joint in enumerate(field(message, "name") or ()):
                if i < len(given):
                    values[f"{joint}.{what}", "1"] = number(given[i])
    yield Row(values, stamp_ns=stamp_ns(message), extra={"units": UNSLID})


def twist(message: Any) -> Iterator[Row]:
    """``Twist`` and ``TwistStamped``."""
    inner = field(message, "twist")
    inner = message if inner is None else inner
    values = _vector(field(inner, "linear"), ("vx", "vy", "vz"), "m/s") | _vector(field(inner, "angular"), ("wx", "wy", "wz"), "rad/s")
    yield Row(values, stamp_ns=stamp_ns(message), extra={"frame": frame_of(message)})


def wrench(message: Any) -> Iterator[Row]:
    """``Wrench`` and ``WrenchStamped``."""
    inner = field(message, "wrench")
    inner = message if inner is None else inner
    values = _vector(field(inner, "force"), ("fx", "fy", "fz"), "N") | _vector(field(inner, "torque"), ("tx", "ty", "tz"), "N m")
    yield Row(values, stamp_ns=stamp_ns(message), extra={"frame": frame_of(message)})


def anything(message: Any) -> Iterator[Row]:
    """Every number in a message, by its path, such as ``fingers[2].force``. Raises ``ValueError`` when there are too many."""
    values: dict[tuple[str, str], float] = {}
    for path, value in _leaves(message, ""):
        values[path, "1"] = value
        if len(values) > WIDEST:
            raise ValueError(f"more than {WIDEST} numbers")
    yield Row(values, stamp_ns=stamp_ns(message), extra={"units": "the source does not state units; 1 stands for that"})


def _leaves(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool | int | float):
        yield path or "value", float(value)
    elif isinstance(value, str | bytes | bytearray) or value is None:
        return
    elif isinstance(value, dict) or hasattr(value, "DESCRIPTOR") or (hasattr(type(value), "_full_text") and not isinstance(value, list)):
        for name, inner in fields(value):
            if name not in ("header", "timestamp", "stamp", "layout"):
                yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        try:
            items = list(value)
        except TypeError:
            return
        for i, item in enumerate(items[: WIDEST + 1]):
            yield from _leaves(item, f"{path}[{i}]")


READERS: dict[str, tuple[Reader, Role]] = {
    **dict.fromkeys(("foxglove.PoseInFrame", "foxglove.Pose", "geometry_msgs/PoseStamped", "geometry_msgs/Pose",
                     "geometry_msgs/PoseWithCovarianceStamped"), (pose, "pose")),
    **dict.fromkeys(("foxglove.PosesInFrame", "geometry_msgs/PoseArray"), (poses, "pose")),
    **dict.fromkeys(("foxglove.FrameTransform", "foxglove.FrameTransforms", "geometry_msgs/TransformStamped", "tf2_msgs/TFMessage"),
                    (transforms, "pose")),
    **dict.fromkeys(("foxglove.Odometry", "nav_msgs/Odometry"), (odometry, "pose")),
    "sensor_msgs/Imu": (imu, "imu"),
    **dict.fromkeys(("sensor_msgs/JointState", "foxglove.JointStates"), (joints, "other")),
    **dict.fromkeys(("geometry_msgs/Twist", "geometry_msgs/TwistStamped"), (twist, "other")),
    **dict.fromkeys(("geometry_msgs/Wrench", "geometry_msgs/WrenchStamped"), (wrench, "other")),
}  # fmt: skip
"""Type -> its reader, and the role of its streams."""
