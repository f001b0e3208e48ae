"""The RealSense SDK: loading it, which cameras it sees, and what its errors mean."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.errors import FirsthandError

_RULES = "you may not open it: install the SDK's udev rules and plug it in again"
_MEANING = {
    "busy": "another program has it open: close that one",
    "power state": f"another program has it open: close that one; or {_RULES}",
    "ermission": _RULES,
    "resolve requests": "its sensor cannot give these together: take another size or rate",
    "out of range": "see 'rs-enumerate-devices -o' for what it takes",
}
"""Part of what the SDK says -> what to do."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One camera that is connected."""

    device: Any
    """The SDK's."""
    serial: str
    name: str
    firmware: str
    usb: str
    """As it is connected, such as ``"3.2"``; empty where nobody knows."""


def load_sdk() -> Any:
    """The RealSense SDK; its wheel wants a libusb-1.0, which another wheel brings where the system has none."""
    try:
        try:
            import pyrealsense2
        except ImportError:
            import libusb_package

            ctypes.CDLL(str(Path(libusb_package.__file__).parent / "libusb-1.0.so"), ctypes.RTLD_GLOBAL)
            import pyrealsense2
    except (ImportError, OSError) as error:
        raise FirsthandError(f"the RealSense SDK cannot be loaded ({error}): pip install 'firsthand[realsense]'") from error
    return pyrealsense2


def units(rs: Any, context: Any) -> list[Unit]:
    """The cameras that a context of the SDK sees, in order of their serial numbers."""
    known = rs.camera_info

    def told(device: Any, what: Any) -> str:
        return str(device.get_info(what)) if device.supports(what) else ""

    found = [Unit(device, told(device, known.serial_number), told(device, known.name), told(device, known.firmware_version),
                  told(device, known.usb_type_descriptor)) for device in context.query_devices()]
    return sorted(found, key=lambda unit: unit.serial)


def find_unit(rs: Any, context: Any, serial: str) -> Unit:
    """The camera of that serial number, or the only one there is. Raises `FirsthandError` when it is not there, or several are."""
    found = units(rs, context)
    there = ", ".join(f"{unit.serial} ({unit.name})" for unit in found)
    if not found:
        raise FirsthandError(f"no RealSense camera {f'{serial} ' if serial else ''}is connected; check its cable, and with "
                             "'firsthand devices' that this machine sees it")
    if not serial and len(found) > 1:
        raise FirsthandError(f"{len(found)} RealSense cameras are connected: {there}; name one of them with serial")
    for unit in found:
        if serial in ("", unit.serial):
            return unit
    raise FirsthandError(f"no RealSense camera {serial} is connected, but {there}; correct serial, or check the cable")


def first_line(error: BaseException) -> str:
    """What the SDK says, without where in its code."""
    return str(error).partition("\n")[0].strip()


def refusal(what: str, error: BaseException) -> FirsthandError:
    """The sentence for something that the SDK would not do."""
    said = first_line(error)
    meaning = next((meaning for part, meaning in _MEANING.items() if part in said), "unplug it and plug it in again")
    return FirsthandError(f"{what} ({said}): {meaning}")
