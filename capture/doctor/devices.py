"""What can be recorded from here: the drivers whose software is there, and the hardware the system shows."""

import ast
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from firsthand.capture.doctor.sysfs import entries, text
from firsthand.capture.doctor.usb import usb_devices
from firsthand.capture.driver import DRIVERS
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import EXTRAS, find, names
from firsthand.capture.probe import Progress, apart
from firsthand.capture.realsense.sdk import load_sdk, units

STALL_S = 20.0
SERIAL = ("ttyUSB", "ttyACM")
LIBRARIES = {"libusb-1.0": "libusb-1.0-0", "libGL.so": "libgl1", "libglib-2.0": "libglib2.0-0", "libgthread-2.0": "libglib2.0-0",
             "libudev": "libudev1", "liblsl": "liblsl"}
"""Library that a module may lack -> its package in Debian and Ubuntu."""


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
    """Every known driver. A driver's module may say in ``NEEDS`` (module -> extra) what it imports only when it is opened; that is loaded
    in another process here, for a module may be there and the system's library that it stands on not."""
    found = {name: _needs(name) for name in names("drivers", DRIVERS)}
    there = sorted({module for needs in found.values() if not isinstance(needs, str) for module in needs if find_spec(module)})
    broken = _broken(there)
    usable = []
    for name, needs in found.items():
        if not isinstance(needs, str):
            extras = sorted({extra for module, extra in needs.items() if module not in there})
            needs = _install(extras) if extras else next((broken[module] for module in needs if module in broken), "")
        usable.append(Usable(name, needs))
    return usable


def _needs(name: str) -> Mapping[str, str] | str:
    """What a driver's module imports later, module -> extra; or why it cannot be imported itself."""
    try:
        factory = find("drivers", DRIVERS, name)
    except Exception as error:  # also somebody else's package, or a library of the system's that is not there
        cause = error.__cause__
        if isinstance(error, FirsthandError) and isinstance(cause, ModuleNotFoundError):
            missing = (cause.name or "").partition(".")[0]
            stated = _stated(DRIVERS[name].partition(":")[0])
            later = {extra for module, extra in stated.items() if find_spec(module) is None}
            return _install(sorted(later | {stated.get(missing, EXTRAS[missing])}))
        return f"cannot be imported ({_told(error)})"
    return dict(getattr(import_module(factory.__module__), "NEEDS", {}))


def _stated(module: str) -> dict[str, str]:
    """The ``NEEDS`` of a module that cannot be imported, from its text: all that is missing is told at once."""
    spec = find_spec(module)
    lines = ast.parse(Path(spec.origin).read_text()).body if spec and spec.origin else []
    return next((ast.literal_eval(line.value) for line in lines
                 if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "NEEDS"), {})


def _install(extras: Sequence[str]) -> str:
    return f"pip install 'firsthand[{','.join(extras)}]'"


def _broken(modules: Sequence[str]) -> dict[str, str]:
    """Those of the installed modules that cannot be loaded, and why."""
    try:
        return dict(apart(f"{__name__}:load", list(modules), stall_s=STALL_S))
    except FirsthandError as error:  # one of them crashed or hung: which?
        if len(modules) == 1:
            return {modules[0]: f"{modules[0]} cannot be loaded ({error})"}
        return {key: why for module in modules for key, why in _broken([module]).items()}


def load(modules: list[str], _progress: Progress) -> dict[str, str]:
    """Load modules in the process that calls this; why some cannot be."""
    faults = {}
    for module in modules:
        try:
            if module == "pyrealsense2":
                load_sdk()
            else:
                import_module(module)
        except Exception as error:  # whatever a package's own loading raises
            faults[module] = f"{module} cannot be loaded ({_told(error)})"
    return faults


def _told(error: Exception) -> str:
    """An error in one line, with the package to install where a library of the system's is missing."""
    line = str(error).partition("\n")[0] or type(error).__name__
    package = next((package for library, package in LIBRARIES.items() if library in line), "")
    return f"{line}; sudo apt install {package}" if package else line


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
