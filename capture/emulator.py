"""Devices that are not there, on the wire: each speaks its own format over its own transport, in real time, from the synthetic wearer."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import find

EMULATORS: dict[str, str] = {
    "glove": "firsthand.capture.emulators.glove:messages",
    "imu": "firsthand.capture.emulators.imu:messages",
    "lsl": "firsthand.capture.emulators.lsl:messages",
    "lucidgloves": "firsthand.capture.emulators.lucidgloves:messages",
    "manus": "firsthand.capture.emulators.manus:messages",
    "manus-bridge": "firsthand.capture.emulators.manus:bridged",
    "mjpeg-camera": "firsthand.capture.emulators.mjpeg_camera:messages",
    "mjpeg-camera-plain": "firsthand.capture.emulators.mjpeg_camera:plain",
    "quest": "firsthand.capture.emulators.quest:messages",
    "quest-unstamped": "firsthand.capture.emulators.quest:unstamped",
    "rokoko": "firsthand.capture.emulators.rokoko:studio",
    "rokoko-plain": "firsthand.capture.emulators.rokoko:plain_studio",
    "rokoko-sdk": "firsthand.capture.emulators.rokoko:solver",
    "stretchsense": "firsthand.capture.emulators.stretchsense:messages",
    "udcap": "firsthand.capture.emulators.udcap:messages",
    "vision-pro": "firsthand.capture.emulators.vision_pro:messages",
    "xsens": "firsthand.capture.emulators.xsens:messages",
}
"""Name -> ``"module:function"`` of (`Emulation`) -> an iterator of (nanoseconds after the start, message). One line a device."""

LATE_NS = 250_000_000
"""A device does not send what is older: a machine that was held up leaves a gap."""


@dataclass(frozen=True)
class Emulation:
    """What is asked of an emulator. Each start is a device that was just switched on: a new counter, a new clock."""

    side: Literal["left", "right"] = "right"
    """Of a glove."""
    seed: int = 0
    """Another seed, another wearer and another quartz."""
    rate_hz: float | None = None
    """The device's own if not given."""
    seconds: float | None = None
    """For ever if not given."""
    drop_rate: float = 0.0
    """Share of the messages that are not sent, though counted."""

    def __post_init__(self) -> None:
        if self.rate_hz is not None and not 0 < self.rate_hz <= 10_000:
            raise FirsthandError(f"a rate of {self.rate_hz} Hz cannot be kept; ask for more than 0 and at most 10000")
        if not 0 <= self.drop_rate < 1:
            raise FirsthandError(f"a share of {self.drop_rate} cannot be dropped; ask for 0 to less than 1")


def emulate(name: str, to: str, emulation: Emulation, *, stop: threading.Event | None = None,
            opened: Callable[[str], None] | None = None, sent: Callable[[int], None] | None = None) -> int:
    """Send what a device sends, when it would, until its time is over or `stop` is set; returns how many messages went out.

    `to` says where, see `open_outlet`; `opened` is called once with where messages go, `sent` with their number as it grows.
    Raises `FirsthandError` for an unknown name or a place that cannot be reached.
    """
    messages: Iterator[tuple[int, bytes]] = find("emulators", EMULATORS, name)(emulation)
    stop, count = stop or threading.Event(), 0
    with open_outlet(to) as outlet:
        if opened:
            opened(outlet.where)
        start_ns = time.monotonic_ns()
        for due_ns, message in messages:
            ahead_ns = start_ns + due_ns - time.monotonic_ns()
            if ahead_ns < -LATE_NS:
                continue
            if (ahead_ns > 0 and stop.wait(ahead_ns * 1e-9)) or stop.is_set():
                break
            count += outlet.send(message)
            if sent:
                sent(count)
    return count
