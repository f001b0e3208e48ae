"""What a device looks like to the recorder, and where each driver lives."""

from types import TracebackType
from typing import Protocol, Self

from firsthand.capture.calibration import Calibration
from firsthand.capture.stream import Sample, StreamSpec

DRIVERS: dict[str, str] = {
    "json": "firsthand.capture.drivers.json_lines:open_json",
    "lsl": "firsthand.capture.drivers.lsl:open_lsl",
    "lucidgloves": "firsthand.capture.drivers.lucidgloves:open_lucidgloves",
    "manus": "firsthand.capture.drivers.manus:open_manus",
    "pattern": "firsthand.capture.drivers.pattern:open_pattern",
    "quest": "firsthand.capture.drivers.quest:open_quest",
    "realsense": "firsthand.capture.drivers.realsense:open_realsense",
    "rokoko": "firsthand.capture.drivers.rokoko:open_studio",
    "rokoko-sdk": "firsthand.capture.drivers.rokoko_sdk:open_sdk",
    "stretchsense": "firsthand.capture.drivers.stretchsense:open_stretchsense",
    "synthetic": "firsthand.capture.drivers.synthetic:open_wearer",
    "udcap": "firsthand.capture.drivers.udcap:open_udcap",
    "uvc": "firsthand.capture.drivers.uvc:open_uvc",
    "vision-pro": "firsthand.capture.drivers.vision_pro:open_vision_pro",
    "xsens": "firsthand.capture.drivers.xsens:open_xsens",
}
"""Name in a rig file -> ``"module:function"`` that returns the drivers of that device. One line a device.

A driver's module may have ``NEEDS``: what it imports only when opened, module -> our extra. `firsthand devices` reads it."""


class Driver(Protocol):
    """One device (or one group of devices on one clock), opened with ``with``.

    The device's SDK is imported in ``__enter__``; a missing one raises `FirsthandError` naming the extra to install. A driver of a network
    or serial device may have a ``rejected`` attribute, packets that did not become a sample by reason; the recorder shows it.
    """

    @property
    def name(self) -> str:
        """Unique in the rig, such as ``"head"`` or ``"glove-right"``."""

    @property
    def streams(self) -> tuple[StreamSpec, ...]:
        """What it will deliver; known once entered."""

    @property
    def calibration(self) -> Calibration:
        """What the device knows of its own optics and mounting; empty where it knows nothing."""

    def read(self, timeout_s: float) -> list[Sample] | None:
        """The samples that arrived, oldest first: an empty list when none did in time, None when there will be no more."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
