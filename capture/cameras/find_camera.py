"""Which cameras this Linux machine has, by names that stay the same: numbers of ``/dev/video`` change with the order of plugging in."""

from dataclasses import dataclass
from pathlib import Path

from firsthand.capture.cameras.video_node import VideoNode
from firsthand.capture.doctor.sysfs import entries, text
from firsthand.capture.errors import FirsthandError

SYS, DEV = Path("/sys/class/video4linux"), Path("/dev")


@dataclass(frozen=True)
class Found:
    """One camera."""

    path: str
    name: str
    serial: str
    """Of its USB device; empty where it has none."""
    bus: str
    """Where it is plugged in: ``usb-0000:00:14.0-2``."""

    @property
    def stable(self) -> str:
        """What to write into a rig file."""
        return self.serial or self.bus or self.path


def cameras(sys: Path = SYS, dev: Path = DEV) -> list[Found]:
    """Every node that gives pictures. Those that may not be opened are there with what the system tells of them."""
    found = []
    for node in entries(sys):
        if not node.name.startswith("video") or text(node / "index") not in ("", "0"):  # others of a camera carry metadata
            continue
        path, name, bus = str(dev / node.name), text(node / "name"), ""
        try:
            with VideoNode(path) as opened:
                if not opened.captures():
                    continue
                told = opened.capability()
                name, bus = told.card.decode("utf-8", "replace"), told.bus_info.decode("utf-8", "replace")
        except FirsthandError:
            pass
        interface = (node / "device").resolve()
        serials = (text(at / "serial") for at in (interface, interface.parent))
        found.append(Found(path, name or node.name, next(filter(None, serials), ""), bus))
    return found


def find(camera: str, sys: Path = SYS, dev: Path = DEV) -> str:
    """The path of the camera that a rig names: by its path, serial number, bus, or name or a part of it; the only one if `camera` is empty.

    Raises `FirsthandError` when there is none, or more than one.
    """
    if camera.startswith("/"):
        return camera
    if camera.isdecimal() and len(camera) < 3:
        raise FirsthandError(f"camera is {camera!r}, a number that changes with the order of plugging in; name it by serial number, bus or "
                             "name, as 'firsthand devices' shows them, or by a path of /dev/v4l/by-id")
    there = cameras(sys, dev)
    exact = [one for one in there if camera in (one.serial, one.bus, one.name)] if camera else there
    fits = exact or [one for one in there if camera.lower() in one.name.lower()]
    if len(fits) == 1:
        return fits[0].path
    listed = "; ".join(f"{one.name} (serial {one.serial or 'none'}, bus {one.bus or 'unknown'}, {one.path})" for one in fits or there)
    if fits:
        named = f" fit {camera!r}" if camera else " are there"
        raise FirsthandError(f"{len(fits)} cameras{named}; name one by serial number or bus: {listed}")
    raise FirsthandError(f"no camera{f' called {camera!r}' if camera else ''}; plug it in (there are: {listed or 'none'})")
