"""What can be recorded from here: the drivers whose software is there, and the hardware the system shows."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from firsthand.capture.doctor.sysfs import entries, text
from firsthand.capture.doctor.usb import usb_devices
from firsthand.capture.driver import DRIVERS
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import find, names
from firsthand.capture.probe import Progress, apart
from firsthand.capture.realsense.sdk import load_sdk, units

STALL_S = 20.0
SERIAL = ("ttyUSB", "ttyACM")
EXTRAS = {"av": "camera", "cv2": "camera", "pyrealsense2": "realsense", "serial": "gloves", "zmq": "gloves", "pylsl": "gloves"}
"""Module -> the extra of ours that brings it."""


@dataclass(frozen=True)
class Usable:
    """One driver of a rig file."""

    name: str
    reason: str
    """Why it cannot be used, with what to install; empty when it can."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "usable": not self.reason}


@dataclass(frozen=True)
class Hardware:
    """One device that is connected."""

    kind: str
    """``realsense``, ``camera`` or ``serial``."""
    at: str
    """What a rig file names it by: a serial number or a path."""
    name: str
    note: str = ""
    """How it is connected, or why it cannot be opened."""
    modes: tuple[str, ...] = ()
    """Of a camera: what it can send."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def drivers() -> list[Usable]:
    """Every known driver. A driver's module may say in ``NEEDS`` (module -> extra) what it imports only when it is opened."""
    return [Usable(name, _lacks(name)) for name in names("drivers", DRIVERS)]


def _lacks(name: str) -> str:
    try:
        factory = find("drivers", DRIVERS, name)
    except Exception as error:  # also somebody else's package, or a library of the system's that is not there
        extra = EXTRAS.get(error.name or "") if isinstance(error, ModuleNotFoundError) else None
        return f"pip install 'firsthand[{extra}]'" if extra else f"cannot be imported ({error})"
    needs: Mapping[str, str] = getattr(import_module(factory.__module__), "NEEDS", {})
    extras = sorted({extra for module, extra in needs.items() if find_spec(module) is None})
    return f"pip install 'firsthand[{','.join(extras)}]'" if extras else ""


def hardware(sys: Path = Path("/sys/class"), dev: Path = Path("/dev")) -> list[Hardware]:
    """What is connected, as far as the system and the makers' software tell."""
    return [*_realsense(), *_cameras(sys, dev), *_serial(sys, dev)]


def _realsense(usb: Path = Path("/sys/bus/usb/devices")) -> list[Hardware]:
    if find_spec("pyrealsense2") is None:
        return [Hardware("realsense", "", device.name, "pip install 'firsthand[realsense]' to record from it")
                for device in usb_devices(usb) if device.camera and "RealSense" in device.name]
    try:
        found = apart(f"{__name__}:query_realsense", None, stall_s=STALL_S)
    except FirsthandError as error:
        return [Hardware("realsense", "", "RealSense", f"its software failed: {error}")]
    return [Hardware("realsense", **device) for device in found]


def query_realsense(_: None, _progress: Progress) -> list[dict[str, str]]:
    """The connected ones, asked in the process that calls this."""
    rs = load_sdk()
    return [{"at": unit.serial, "name": unit.name, "note": f"USB {unit.usb}, firmware {unit.firmware}"} for unit in units(rs, rs.context())]


def _cameras(sys: Path, dev: Path) -> list[Hardware]:
    if not entries(sys / "video4linux"):
        return []
    try:
        found = apart(f"{__name__}:query_cameras", [str(sys / "video4linux"), str(dev)], stall_s=STALL_S)
    except FirsthandError as error:
        return [Hardware("camera", "", "camera", f"the kernel's driver failed: {error}")]
    shown = []
    for one in found:
        closed = _closed(Path(one["path"]), "video")
        note = closed or one["fault"] or ", ".join(text for text in (one["path"], one["bus"]) if text not in ("", one["at"]))
        shown.append(Hardware("camera", one["path"] if closed else one["at"], one["name"], note, tuple(one["modes"])))
    return shown


def query_cameras(folders: list[str], _progress: Progress) -> list[dict[str, Any]]:
    """The cameras that the kernel has, and their modes, asked in the process that calls this: there are drivers that hang."""
    from firsthand.capture.cameras.find_camera import cameras
    from firsthand.capture.cameras.modes import told
    from firsthand.capture.cameras.video_node import VideoNode

    found = []
    for one in cameras(*map(Path, folders)):
        modes, fault = [], ""
        try:
            with VideoNode(one.path) as node:
                modes = told(node.modes())
        except FirsthandError as error:
            fault = str(error)
        found.append({**asdict(one), "at": one.stable, "modes": modes, "fault": fault})
    return found


def _serial(sys: Path, dev: Path) -> list[Hardware]:
    found = []
    for port in entries(sys / "tty"):
        if not port.name.startswith(SERIAL):
            continue
        above = (port / "device").resolve()
        product = next((text(folder / "product") for folder in (above, *above.parents[:4]) if text(folder / "product")), "serial port")
        found.append(Hardware("serial", str(dev / port.name), product, _closed(dev / port.name, "dialout")))
    return found


def _closed(path: Path, group: str) -> str:
    return "" if os.access(path, os.R_OK | os.W_OK) else f"you may not open it: sudo usermod -aG {group} $USER, then log in again"
