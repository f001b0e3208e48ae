"""Devices on USB, how fast each is connected, and which cameras are connected worse than they could be."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from firsthand.capture.doctor.finding import Finding
from firsthand.capture.doctor.sysfs import entries, number, text

VIDEO = "0e"
HUB = "09"
USB2_MBPS, USB3_MBPS = 480.0, 5000.0


@dataclass(frozen=True)
class UsbDevice:
    """One connected device."""

    port: str
    """As the system names it, such as ``1-2.3``: bus, then the ports on the way."""
    name: str
    speed_mbps: float
    camera: bool
    could_be_faster: bool
    """It speaks USB 3 and is connected by USB 2: the port, the hub or the cable is to blame."""

    @property
    def bus(self) -> str:
        """All devices of a bus share its speed."""
        return self.port.partition("-")[0]


def usb_devices(folder: Path = Path("/sys/bus/usb/devices")) -> list[UsbDevice]:
    """What is connected, hubs left out; empty where the system does not tell."""
    found = []
    for device in entries(folder):
        if not (device / "idVendor").exists() or text(device / "bDeviceClass") == HUB or device.name.startswith("usb"):
            continue
        name = " ".join(filter(None, (text(device / "manufacturer"), text(device / "product"))))
        classes = {text(part / "bInterfaceClass") for part in entries(device) if part.name.startswith(device.name)}
        speed, version = number(device / "speed") or 0.0, number(device / "version") or 0.0
        # A USB 3 device that finds itself on USB 2 says version 2.1; one made for USB 2 says 2.0.
        found.append(UsbDevice(device.name, name or f"{text(device / 'idVendor')}:{text(device / 'idProduct')}", speed, VIDEO in classes,
                               version > 2.0 and speed <= USB2_MBPS))
    return found


def usb(folder: Path = Path("/sys/bus/usb/devices")) -> list[Finding]:
    """One line a camera, and one for all else."""
    devices = usb_devices(folder)
    if not devices:
        return [Finding("USB", "no device, as far as the system tells")]
    cameras = [device for device in devices if device.camera]
    sharing = Counter(device.bus for device in cameras if device.speed_mbps <= USB2_MBPS)
    found = []
    for camera in cameras:
        advice = ""
        if camera.could_be_faster:
            advice = "it is a USB 3 camera on USB 2: use a blue or SS port and a short USB 3 cable, without a hub"
        elif camera.speed_mbps < USB2_MBPS:
            advice = "too slow for pictures: use another port or cable"
        elif sharing[camera.bus] > 1 and camera.speed_mbps <= USB2_MBPS:
            advice = f"{sharing[camera.bus]} cameras share USB 2 bus {camera.bus}: move one to another side of the machine"
        found.append(Finding(f"USB {camera.port}", f"{camera.name}: {_speed(camera.speed_mbps)}", "", "warn" if advice else "ok", advice))
    others = [f"{device.name} ({_speed(device.speed_mbps)})" for device in devices if not device.camera]
    return [*found, *([Finding("USB, others", ", ".join(others))] if others else [])]


def _speed(mbps: float) -> str:
    return f"USB {'3' if mbps >= USB3_MBPS else '2' if mbps >= USB2_MBPS else '1'}, {mbps:g} Mbit/s"
