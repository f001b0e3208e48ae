"""Exposure, gain, focus and white balance of a camera, set as a rig file says and read back as they are."""

from collections.abc import Mapping
from typing import NamedTuple

from firsthand.capture.cameras import videodev2 as v4l2
from firsthand.capture.cameras.video_node import Setting, VideoNode
from firsthand.capture.errors import FirsthandError, unknown


class _Friendly(NamedTuple):
    """A setting with an automatic beside it: two controls, in an order that the kernel insists on."""

    value: int
    auto: int
    manual: int
    automatic: tuple[int, ...]
    """Which choices are the automatic, the better first."""
    scale: float
    """What one of the rig's units is in the camera's."""


FRIENDLY = {
    "exposure_ms": _Friendly(v4l2.CID_EXPOSURE_ABSOLUTE, v4l2.CID_EXPOSURE_AUTO, v4l2.EXPOSURE_MANUAL,
                             (v4l2.EXPOSURE_APERTURE_PRIORITY, v4l2.EXPOSURE_AUTO), 10.0),
    "focus": _Friendly(v4l2.CID_FOCUS_ABSOLUTE, v4l2.CID_FOCUS_AUTO, 0, (1,), 1.0),
    "white_balance_k": _Friendly(v4l2.CID_WHITE_BALANCE_TEMPERATURE, v4l2.CID_AUTO_WHITE_BALANCE, 0, (1,), 1.0),
}
"""A number, or ``"auto"``. Whatever else a camera has goes by the name that v4l2-ctl gives it."""
Value = int | float | bool | str


def check_controls(controls: Mapping[str, Value]) -> None:
    """Raise `FirsthandError` for what no camera could be set to."""
    for name, value in controls.items():
        if isinstance(value, str) and not (value == "auto" and name in FRIENDLY):
            raise FirsthandError(f"control {name} is {value!r}; write a number" + (" or 'auto'" if name in FRIENDLY else ""))
        if not isinstance(value, str | int) and (name not in FRIENDLY or not isinstance(value, float)):
            raise FirsthandError(f"control {name} is {value!r}; write a whole number")


def set_controls(node: VideoNode, controls: Mapping[str, Value]) -> dict[str, int]:
    """Set what the rig names, and return every control as the camera has it then, by name.

    Raises `FirsthandError` for a control that this camera has not, or a value out of its range.
    """
    there = {setting.id: setting for setting in node.settings()}
    by_name = {setting.name: setting for setting in there.values()}
    # First what is automatic or not: a camera refuses the exposure time as long as it finds it by itself.
    wanted: list[tuple[Setting, int]] = []
    for name, value in controls.items():
        friendly = FRIENDLY.get(name)
        if friendly is None:
            if name not in by_name:
                raise unknown("control of this camera", name, [*by_name, *(n for n, f in FRIENDLY.items() if f.value in there)])
            wanted.append((by_name[name], int(value)))
            continue
        auto, one = there.get(friendly.auto), there.get(friendly.value)
        if (value == "auto" and auto is None) or (value != "auto" and one is None):
            raise FirsthandError(f"{node.path} has no {name} to be set; it has {', '.join(sorted(by_name)) or 'no controls'}")
        if auto is not None:
            choices = node.choices(auto) if auto.kind == v4l2.MENU else [0, 1]
            picked = [choice for choice in (friendly.automatic if value == "auto" else (friendly.manual,)) if choice in choices]
            if not picked:
                raise FirsthandError(f"{node.path} cannot set {name} to {value!r}: its {auto.name} has no such choice")
            wanted.insert(0, (auto, picked[0]))
        if value != "auto" and one is not None:
            wanted.append((one, round(float(value) * friendly.scale)))
    for setting, number in wanted:
        choices = node.choices(setting) if setting.kind in (v4l2.MENU, v4l2.INTEGER_MENU) else []
        if not setting.minimum <= number <= setting.maximum or (choices and number not in choices):
            told = ", ".join(map(str, choices)) or f"{setting.minimum} to {setting.maximum}"
            raise FirsthandError(f"{node.path}: {setting.name} cannot be {number}; it takes {told}")
        if setting.flags & v4l2.CTRL_READ_ONLY:
            raise FirsthandError(f"{node.path}: {setting.name} can only be read; take it out of the rig file")
        node.set(setting, number)
    values = {setting.name: node.get(setting) for setting in there.values() if not setting.flags & v4l2.CTRL_WRITE_ONLY}
    return {name: value for name, value in values.items() if value is not None}
