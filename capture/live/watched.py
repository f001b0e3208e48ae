"""One device of the rig as the supervisor sees it: its process, its memory, and whether it is there."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.live.child import Child, Events
from firsthand.capture.live.rates import Rates
from firsthand.capture.live.ring import Figure, Ring
from firsthand.capture.live.status import DeviceState, DeviceStatus, StreamStatus
from firsthand.capture.live.wire import spec_from_json
from firsthand.capture.rig import Device
from firsthand.capture.stream import Sample, StreamSpec

SILENT_S = 0.75
"""A device whose streams all deliver nothing for so long has vanished, whatever its driver says."""
RESTART_S = 1.0
"""A process that ended is started again after so long."""


class Watched:
    """A device's process and memory. A device is ``running`` once it delivers, not when it could be opened."""

    def __init__(self, device: Device, log: Path, pre_roll_s: float) -> None:
        self.device, self.log = device, log
        self.ring = Ring.create()
        self.child: Child | None = None
        self.state: DeviceState = "opening"
        self.reason = ""
        self.since_s = time.monotonic()
        """When it came into this state."""
        self.opened: Mapping[str, Any] = {}
        """What it said when it was opened last."""
        self.specs: dict[str, StreamSpec] = {}
        self._pre_roll_s = pre_roll_s
        self._numbers: dict[str, int] = {}
        self._rejected: Mapping[str, int] = {}
        self._opened_ns = self._restart_ns = self._rejected_ns = 0
        self._rates = Rates()

    @property
    def name(self) -> str:
        """Of the device."""
        return self.device.name

    def begin(self, events: Events) -> None:
        """Start its process."""
        device = self.device
        config = {"driver": device.driver, "options": dict(device.options), "encode": dict(device.encode), "ring_fd": self.ring.fd,
                  "pre_roll_s": self._pre_roll_s, "streams": sorted(self._numbers, key=lambda name: self._numbers[name])}
        self.child = Child(self.name, "firsthand.capture.live.device_process", self.log, config, [self.ring.fd], events)

    def hear(self, event: Mapping[str, Any]) -> tuple[DeviceState, str] | None:
        """Take in what its process said: the state that follows and why, or None where nothing does yet."""
        match event["event"]:
            case "opened":
                self.opened, self._opened_ns, self._rejected = event, time.monotonic_ns(), {}
                self.specs = {spec["name"]: spec_from_json(spec) for spec in event["streams"]}
                self._numbers = {name: event["numbers"][name] for name in self.specs}
                return None if self._delivers() else ("running", "")
            case "rejected":
                self._rejected, self._rejected_ns = event["counts"], time.monotonic_ns()
            case "vanished":
                return "vanished", event["reason"]
            case "ended" | "failed" as state:
                return state, event.get("reason", "")
            case "gone" if self.child and event["pid"] == self.child.process.pid:
                self.child, self._restart_ns = None, time.monotonic_ns() + round(RESTART_S * 1e9)
                return "vanished", f"{event['reason']}; it is started again (see {self.log})"
        return None

    def look(self, now_ns: int) -> tuple[DeviceState, str] | None:
        """What the memory tells: the state that follows and why, or None where nothing changes."""
        self._rates.look(self.ring, self._numbers.values(), now_ns * 1e-9)
        if not self._delivers():
            return None
        newest_ns = max(self.ring.figure(n, Figure.HOST_NS) for n in self._numbers.values())
        if self.state in ("opening", "vanished") and newest_ns > max(self._opened_ns, round(self.since_s * 1e9)):
            return "running", ""
        silent_s = (now_ns - newest_ns) * 1e-9
        if self.state == "running" and silent_s > SILENT_S:
            return "vanished", f"it has delivered nothing for {silent_s:.1f} s"
        return None

    def wants_process(self, now_ns: int) -> bool:
        """Whether its process is gone and may be started again."""
        return self.child is None and now_ns >= self._restart_ns

    def set(self, state: DeviceState, reason: str) -> bool:
        """Take a state; whether it is another than before."""
        changed, self.state = state != self.state, state
        self.reason = reason if changed else reason or self.reason
        if changed:
            self.since_s = time.monotonic()
        return changed

    def status(self) -> DeviceStatus:
        """For people to see."""
        rejected_s = (time.monotonic_ns() - self._rejected_ns) * 1e-9 if self._rejected else None
        return DeviceStatus(self.name, self.state, self.device.required, self.reason, time.monotonic() - self.since_s,
                            self._rejected, rejected_s)

    def stream_statuses(self, in_take: Mapping[str, tuple[int, int, int]]) -> list[StreamStatus]:
        """Of each stream; `in_take` gives what the writer counted: samples, missing and dropped."""
        found = []
        for name, spec in self.specs.items():
            n = self._numbers[name]
            rate_hz, size_bps = self._rates.of(n)
            host_ns = self.ring.figure(n, Figure.HOST_NS)
            age_s = (time.monotonic_ns() - host_ns) * 1e-9 if host_ns else None
            drift_ppm = self.ring.figure(n, Figure.DRIFT_PPB) / 1000 if host_ns and spec.clock == "device" else None
            counted = in_take.get(name, (0, 0, 0))
            found.append(StreamStatus(name, self.name, spec.rate_hz, rate_hz, *counted, age_s, drift_ppm, size_bps))
        return found

    def newest(self, stream: str) -> Sample | None:
        """The newest sample of a stream, as it is stored; None before the first."""
        record = self.ring.latest(self._numbers[stream])
        if record is None:
            return None
        data: Any = bytes(record.payload) if self.specs[stream].kind == "encoded" else np.frombuffer(record.payload, "<f8")
        return Sample(stream, record.device_ns, record.host_ns, record.sequence, data, record.flags)

    @property
    def numbers(self) -> dict[str, int]:
        """Stream -> its number in the memory."""
        return dict(self._numbers)

    def _delivers(self) -> bool:
        """Whether samples come without anybody doing anything, so that silence tells."""
        return any(spec.rate_hz and spec.rate_hz >= 2 for spec in self.specs.values())
