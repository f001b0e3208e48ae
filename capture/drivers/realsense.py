"""The driver ``realsense``: colour, depth, infrared and IMU of one camera, each frame with its own hardware stamp and its metadata."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.realsense.choose import COLOUR_FORMATS, Asked, Chosen, choose, pictures, set_controls
from firsthand.capture.realsense.frame import DOMAINS, HARDWARE, SYSTEM, WRAP_NS, stream_key
from firsthand.capture.realsense.opened import Arrived, Opened
from firsthand.capture.realsense.optics import T_rig, calibration, same_view
from firsthand.capture.realsense.sdk import Unit, find_unit, load_sdk
from firsthand.capture.realsense.software import Software, unit
from firsthand.capture.realsense.stream import FACTS, metadata_of, spec_of
from firsthand.capture.stream import Sample, StreamSpec

NEEDS = {"pyrealsense2": "realsense", "cv2": "realsense"}
FIRST_S = 5.0
"""A camera delivers its first pictures within two seconds of its start."""
STAMP = ("timestamp_domain", "timestamp")
"""Columns before those of a frame's metadata: the number of its clock in `DOMAINS`, and its stamp on that, in ms."""
CHECK = "check its cable and that it is on a USB 3 port of its own, or unplug it and plug it in again"


def open_realsense(*, name: str = "head", serial: str = "", color: Mapping[str, Any] | bool = True, depth: Mapping[str, Any] | bool = True,
                   infrared: Sequence[int] = (), imu: bool | None = None, accel_hz: float | None = None, gyro_hz: float | None = None,
                   controls: Mapping[str, Mapping[str, float]] | None = None, timeout_s: float = 2.0,
                   software: Mapping[str, Any] | bool = False) -> list[Driver]:
    """One camera, the one with that serial number where several are connected; its streams are `name` (colour), ``<name>-depth`` and so on.

    `color` and `depth` are tables (size_px, fps; color: format), or false for none. `software` is a camera that needs no hardware, or a
    table for it (see `firsthand.capture.realsense.software`). Raises `FirsthandError` for options that cannot be.
    """
    if not name or timeout_s <= 0:
        raise FirsthandError(f"name is {name!r} and timeout_s {timeout_s:g}; give the camera a name, and a time above 0")
    asked = Asked(pictures("color", color, COLOUR_FORMATS), pictures("depth", depth, ("z16",)), tuple(infrared), imu, accel_hz, gyro_hz,
                  controls or {})
    pretended = None if software is False else Software(unit({} if software is True else software))
    return [RealsenseDriver(name, serial, asked, timeout_s, pretended)]


class RealsenseDriver:
    """One camera; a `Driver`. What it delivers is known once it was opened."""

    def __init__(self, name: str, serial: str, asked: Asked, timeout_s: float, software: Software | None) -> None:
        self.name, self._serial, self._asked, self._timeout_ns, self._software = name, serial, asked, round(timeout_s * 1e9), software
        self.streams: tuple[StreamSpec, ...] = ()
        self.calibration = Calibration()
        self.rejected: Counter[str] = Counter()
        """Frames that were left out since it was opened, by reason."""
        self._context: Any = None
        self._stack = ExitStack()
        self._unit: Unit
        self._opened: Opened
        self._specs: dict[tuple[str, int], StreamSpec] = {}
        self._first: list[Arrived] = []
        self._heard_ns: dict[tuple[str, int], int] = {}

    def read(self, timeout_s: float) -> list[Sample] | None:
        """What came, in the order of arrival: each frame, and its metadata. Raises `FirsthandError` when a stream fell silent."""
        arrived, self._first = self._first or self._opened.take(timeout_s), []
        samples: list[Sample] = []
        for one in arrived:
            spec = self._specs[one.key]
            if one.domain != spec.extra["timestamp_domain"]:
                self.rejected[f"stamped by {one.domain}, and the stream by {spec.extra['timestamp_domain']}"] += 1
                continue
            self._heard_ns[one.key] = one.host_ns
            device_ns = one.host_ns if one.domain == SYSTEM else one.stamp_ns  # the host's time of day may jump
            samples.append(Sample(spec.name, device_ns, one.host_ns, one.number, one.data))
            facts = np.concatenate([[DOMAINS.index(one.domain), one.stamp_ns * 1e-6], one.facts])
            samples.append(Sample(f"{spec.name}-metadata", device_ns, one.host_ns, one.number, facts))
        self._tell_refused()
        self._look_for_silence()
        return samples

    def _tell_refused(self) -> None:
        for why in list(self._opened.refused):
            self.rejected[why] += self._opened.refused.pop(why)

    def _look_for_silence(self) -> None:
        now_ns = time.monotonic_ns()
        silent = [key for key, heard_ns in self._heard_ns.items() if now_ns - heard_ns > self._timeout_ns]
        if not silent:
            return
        who = f"{self._unit.name} {self._unit.serial}"
        if len(silent) == len(self._heard_ns):
            raise FirsthandError(f"{who} has delivered nothing for {self._timeout_ns * 1e-9:g} s; {CHECK}")
        names = ", ".join(self._specs[key].name for key in silent)
        raise FirsthandError(f"{names} of {who} fell silent while its other streams go on; the camera is opened anew, and if that does not "
                             f"help, {CHECK}")

    def __enter__(self) -> Self:
        """Find the camera, start its sensors and wait for a frame of each stream. Raises `FirsthandError` for whatever is wrong."""
        rs = load_sdk()
        self.rejected.clear()
        with ExitStack() as stack:
            self._unit = unit = find_unit(rs, self._find_context(rs, stack), self._serial)
            sensors = list(unit.device.query_sensors())
            chosen = choose(rs, unit, sensors, self._asked)
            set_controls(rs, unit, sensors, chosen, self._asked)
            facts = {stream_key(one.profile): tuple(getattr(rs.frame_metadata_value, fact, None) for fact in _facts(one)) for one in chosen}
            where = f"{unit.name} {unit.serial}"
            self._opened = stack.enter_context(Opened(rs, where, sensors, chosen, facts))
            domains = self._wait_for_all(where, chosen)
            self._describe(rs, sensors, chosen, domains)
            self._stack = stack.pop_all()
        self._serial = unit.serial  # another one that is plugged in instead is not the one that vanished
        self._heard_ns = dict.fromkeys(self._specs, time.monotonic_ns())
        return self

    def _find_context(self, rs: Any, stack: ExitStack) -> Any:
        if self._software:
            return stack.enter_context(self._software.context(rs))
        self._context = self._context or rs.context()
        return self._context

    def _wait_for_all(self, where: str, chosen: Sequence[Chosen]) -> dict[tuple[str, int], str]:
        """Keep what comes until each stream has begun; the clock that stamps each. The first frames of some cameras have no stamp of the
        camera's yet, so it is the newest frame that counts."""
        self._first, domains = [], dict[tuple[str, int], str]()
        deadline = time.monotonic() + FIRST_S
        while len(domains) < len(chosen):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                missing = ", ".join(self.name + one.suffix for one in chosen if stream_key(one.profile) not in domains)
                raise FirsthandError(f"{where} was started, but nothing of {missing} came within {FIRST_S:g} s; {CHECK}")
            self._first += (new := self._opened.take(left_s))
            domains.update((one.key, one.domain) for one in new)
        return domains

    def _describe(self, rs: Any, sensors: list[Any], chosen: Sequence[Chosen], domains: Mapping[tuple[str, int], str]) -> None:
        """Streams and calibration."""
        unit, cameras = self._unit, dict[str, tuple[Any, Any]]()
        device = {"name": unit.name, "firmware": unit.firmware, "usb": unit.usb}
        for one in chosen:
            profile, domain = one.profile, domains[stream_key(one.profile)]
            extra = {"timestamp_domain": domain, "device": device, **({"stamps": "arrival"} if domain == SYSTEM else {})}
            name, encoding = self.name + one.suffix, "jpeg" if profile.format() == rs.format.mjpeg else "raw"
            if not profile.is_motion_stream_profile():
                cameras[name] = profile.as_video_stream_profile().get_intrinsics(), T_rig(rs, profile, sensors)
            self._specs[stream_key(profile)] = spec_of(rs, profile, sensors, name, encoding, extra=extra,
                                                wrap_ns=WRAP_NS if domain == HARDWARE else None)
        self.calibration = calibration(rs, cameras)
        colour, depth = (self.calibration.cameras.get(self.name + suffix) for suffix in ("", "-depth"))
        if colour and depth and same_view(colour, depth):
            self._specs = {key: replace(spec, about=self.name) if spec.role == "depth" else spec for key, spec in self._specs.items()}
        self.streams = tuple(stream for one in chosen for stream in (
            self._specs[stream_key(one.profile)], metadata_of(self._specs[stream_key(one.profile)], (*STAMP, *_facts(one)))))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()


def _facts(one: Chosen) -> tuple[str, ...]:
    return FACTS["motion" if one.profile.is_motion_stream_profile() else "picture"]
