"""From what a rig file asks of a RealSense camera to the profiles that its sensors are opened with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.realsense.sdk import Unit, first_line

COLOUR_FORMATS = ("bgr8", "mjpeg", "rgb8", "yuyv")
LEAST_MOTION_HZ = 200.0
"""The slowest rate of a motion sensor that still follows a head."""


@dataclass(frozen=True)
class Pictures:
    """What is asked of colour or depth; what is not said is as the camera's maker has it."""

    size_px: tuple[int, int] | None = None
    fps: float | None = None
    format: str = ""

    def __str__(self) -> str:
        said = (f"{self.size_px[0]} x {self.size_px[1]}" if self.size_px else "", f"{self.fps:g} Hz" if self.fps else "", self.format)
        return ", ".join(filter(None, said)) or "any kind"


@dataclass(frozen=True)
class Asked:
    """Which streams of a camera are wanted, and how."""

    color: Pictures | None = Pictures(format="bgr8")
    depth: Pictures | None = Pictures(format="z16")
    infrared: tuple[int, ...] = ()
    """1 is the left imager, 2 the right; of depth's size and rate."""
    imu: bool | None = None
    """None: where there is one."""
    accel_hz: float | None = None
    gyro_hz: float | None = None
    controls: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """``color``, ``depth`` or ``imu`` -> the SDK's option -> its value."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """One stream, and the profile it is had with."""

    suffix: str
    """What stands behind the camera's name in the stream's."""
    sensor: int
    """Which of the camera's sensors gives it."""
    profile: Any


def pictures(where: str, given: Mapping[str, Any] | bool, formats: Sequence[str]) -> Pictures | None:
    """A table of a rig file; `False` for none. Raises `FirsthandError` for keys and values that cannot be."""
    if given is False:
        return None
    if given is not True and not isinstance(given, Mapping):
        raise FirsthandError(f"{where} is {given!r}; write a table, as in {{ size_px = [848, 480], fps = 30 }}, or false for none")
    table = {} if given is True else dict(given)
    known = [f.name for f in fields(Pictures) if f.name != "format" or len(formats) > 1]
    for name in table:
        if name not in known:
            raise unknown(f"option of {where}", name, known)
    size, form = table.get("size_px"), table.get("format", formats[0])
    if size is not None and (len(size) != 2 or not all(isinstance(n, int) and n > 0 for n in size)):
        raise FirsthandError(f"{where}: size_px is {size}; write width and height, as in [848, 480]")
    if not isinstance(table.get("fps", 1), (int, float)):
        raise FirsthandError(f"{where}: fps is {table['fps']!r}; write a number")
    if form not in formats:
        raise unknown(f"format of {where}", form, formats)
    return Pictures((size[0], size[1]) if size else None, table.get("fps"), form)


def choose(rs: Any, unit: Unit, sensors: Sequence[Any], asked: Asked) -> list[Chosen]:
    """The profiles of all streams that are wanted. Raises `FirsthandError` for one that the camera does not have, naming those it has."""
    offered = [(n, profile) for n, sensor in enumerate(sensors) for profile in sensor.get_stream_profiles()]
    found = []

    def of(kind: Any, index: int | None = None, form: str = "") -> list[tuple[int, Any]]:
        return [(n, p) for n, p in offered if p.stream_type() == kind and index in (None, p.stream_index())
                and (not form or p.format() == getattr(rs.format, form))]

    def pick(suffix: str, what: str, wanted: Pictures, kind: Any, index: int | None = None) -> None:
        usual = next((p for _, p in of(kind, index) if p.is_default()), None)
        fits = [(n, p) for n, p in of(kind, index, wanted.format) if wanted.size_px in (None, _size(p)) and wanted.fps in (None, p.fps())]
        if not fits:
            raise FirsthandError(f"{unit.name} {unit.serial} has no {what} of {wanted}; {_offers(of(kind, index))}"
                                 + (f"; it is connected by USB {unit.usb}" if unit.usb.startswith(("1", "2")) else ""))
        n, profile = min(fits, key=_far_from(usual)) if usual else fits[0]
        found.append(Chosen(suffix, n, profile))

    if asked.color:
        pick("", "colour", asked.color, rs.stream.color)
    if asked.depth:
        pick("-depth", "depth", asked.depth, rs.stream.depth)
    for index in asked.infrared:
        depth = next((one.profile for one in found if one.suffix == "-depth"), None)
        size, fps = (_size(depth), float(depth.fps())) if depth else (None, None)
        pick(f"-infrared-{index}", f"infrared {index}", Pictures(size, fps, "y8"), rs.stream.infrared, index)
    for name, kind, rate in (("accel", rs.stream.accel, asked.accel_hz), ("gyro", rs.stream.gyro, asked.gyro_hz)):
        rates = {p.fps(): (n, p) for n, p in of(kind) if p.format() == rs.format.motion_xyz32f}
        if asked.imu is False or (asked.imu is None and not rates and rate is None):
            continue
        usual = rate or min((hz for hz in rates if hz >= LEAST_MOTION_HZ), default=max(rates, default=0))
        if usual not in rates:
            has = f"it has {_either(f'{hz:g}' for hz in sorted(rates))} Hz" if rates else "it has no motion sensor: set imu = false"
            raise FirsthandError(f"{unit.name} {unit.serial} has no {name}{f' of {rate:g} Hz' if rate else ''}; {has}")
        found.append(Chosen(f"-{name}", *rates[usual]))
    if not found:
        raise FirsthandError("nothing is wanted of the RealSense camera; leave color, depth or imu on")
    return found


def set_controls(rs: Any, unit: Unit, sensors: Sequence[Any], chosen: Sequence[Chosen], asked: Asked) -> None:
    """Have each sensor stamp by its own clock, and set what the rig file asks for."""
    for sensor in sensors:
        if sensor.supports(rs.option.global_time_enabled):
            sensor.set_option(rs.option.global_time_enabled, 0)  # else the SDK blends the camera's clock with the host's
    of = {"color": "", "depth": "-depth", "imu": "-accel"}
    for where, table in asked.controls.items():
        if where not in of:
            raise unknown("part of a RealSense camera", where, of)
        sensor = next((sensors[one.sensor] for one in chosen if one.suffix == of[where]), None)
        if sensor is None:
            raise FirsthandError(f"controls are given for {where}, which is not recorded; take them out, or turn {where} on")
        for name, value in table.items():
            option = rs.option.__members__.get(name)
            if option is None or not sensor.supports(option):
                there = [name for name, option in rs.option.__members__.items() if sensor.supports(option)]
                raise unknown(f"control of {unit.name}'s {where}", name, there)
            try:
                sensor.set_option(option, float(value))
            except RuntimeError as error:
                limits = sensor.get_option_range(option)
                raise FirsthandError(f"{unit.name} {unit.serial} does not take {name} = {value:g} for {where} ({first_line(error)}); it "
                                     f"takes {limits.min:g} to {limits.max:g} in steps of {limits.step:g}") from error


def _size(profile: Any) -> tuple[int, int]:
    video = profile.as_video_stream_profile()
    return video.width(), video.height()


def _far_from(usual: Any) -> Callable[[tuple[int, Any]], tuple[bool, float, int]]:
    """How unlike the maker's choice a profile is: by size, rate and number of pixels."""
    (width, height), fps = _size(usual), usual.fps()
    return lambda one: (_size(one[1]) != (width, height), abs(one[1].fps() - fps),
                        abs(_size(one[1])[0] * _size(one[1])[1] - width * height))


def _offers(profiles: Sequence[tuple[int, Any]]) -> str:
    if not profiles:
        return "it has no such sensor"
    kinds = sorted({(_size(p), str(p.format()).rpartition(".")[2]) for _, p in profiles})
    rates = {kind: sorted({p.fps() for _, p in profiles if (_size(p), str(p.format()).rpartition(".")[2]) == kind}) for kind in kinds}
    return "it has " + "; ".join(f"{w} x {h} {form} at {_either(f'{hz:g}' for hz in rates[(w, h), form])} Hz" for (w, h), form in kinds)


def _either(names: Any) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else str(last)
