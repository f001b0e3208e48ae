"""Starts and watches the recorder's processes: one for each device, one that writes. What `firsthand record` stands on."""

import json
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.child import Child
from firsthand.capture.live.disk_left import disk_status
from firsthand.capture.live.rates import Rates
from firsthand.capture.live.ring import Figure, Ring
from firsthand.capture.live.status import DeviceState, DeviceStatus, Message, State, Status, StreamStatus, TakeStatus
from firsthand.capture.live.wire import spec_from_json
from firsthand.capture.rig import Device, Rig
from firsthand.capture.stream import Sample, StreamSpec

SILENT_S = 0.9
"""A device whose streams all deliver nothing for so long has vanished, whatever its driver says."""
WATCH_S = 0.1
RESTART_S = 1.0
LEAVE_S = 5.0
FINISH_S = 600.0
"""How long the writer may take at the end to finish what was recorded."""
KEPT = 50

WRITER = "writer"


@dataclass(eq=False)
class _Watched:
    """One device as the supervisor knows it."""

    device: Device
    ring: Ring
    child: Child | None = None
    state: DeviceState = "opening"
    reason: str = ""
    since_s: float = field(default_factory=time.monotonic)
    restart_s: float = 0.0
    opened: dict[str, Any] | None = None
    """What it said when it was opened last."""
    opened_ns: int = 0
    specs: dict[str, StreamSpec] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    rates: Rates = field(default_factory=Rates)

    def newest_ns(self) -> int:
        """When any of its streams delivered last, on the host's clock."""
        return max((self.ring.figure(n, Figure.HOST_NS) for n in self.numbers.values()), default=0)

    def delivers(self) -> bool:
        """Whether samples come without anybody doing anything, so that silence tells."""
        return any(spec.rate_hz and spec.rate_hz >= 2 for spec in self.specs.values())


class Supervisor:
    """The recorder of one rig. Used with ``with``; every method may be called from any thread.

    `next_folder` gives the folder of the next take, which must not exist. When the writer's process dies in a take, that take is
    recovered and recording goes on in another folder from what is still in the devices' memories.
    """

    def __init__(self, rig: Rig, logs: Path, next_folder: Callable[[], Path], *, parameters: Mapping[str, Any] | None = None) -> None:
        self.rig = rig
        self._logs, self._next_folder, self._parameters = logs, next_folder, dict(parameters or {})
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._lock = threading.RLock()
        self._leaving = threading.Event()
        self._devices: dict[str, _Watched] = {}
        self._writer: Child | None = None
        self._heard_writer_s = 0.0
        self._taking: dict[str, Any] | None = None
        self._stopping = False
        self._tally: dict[str, Any] = {}
        self._takes: dict[str, TakeStatus] = {}
        self._messages: deque[Message] = deque(maxlen=KEPT)
        self._changed = threading.Condition(self._lock)

    def __enter__(self) -> Self:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FirsthandError(f"cannot write to {self._logs}: {error.strerror or error}") from error
        self._devices = {device.name: _Watched(device, Ring.create()) for device in self.rig.devices}
        self._start_writer()
        for watched in self._devices.values():
            self._start_device(watched)
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in
                         (("recorder events", self._hear), ("recorder watch", self._watch))]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the take that runs, finish all takes, let go of the devices."""
        with self._lock:
            self._leaving.set()
            if self._taking and not self._stopping:
                self.stop("the recorder was ended")
        if self._writer:
            self._writer.end()
            self._writer.wait(FINISH_S)
        for watched in self._devices.values():
            if watched.child:
                watched.child.end()
        for watched in self._devices.values():
            if watched.child:
                watched.child.wait(LEAVE_S)
        self._events.put(("", {"event": "end"}))
        for thread in self._threads:
            thread.join()
        for watched in self._devices.values():
            watched.ring.close()

    # what a person does

    def start(self, task: str) -> Path:
        """Begin a take and return its folder. Raises `FirsthandError` when one is running or a required device is not."""
        with self._lock:
            if self._taking:
                raise FirsthandError(f"{self._taking['folder']} is still being recorded; stop it first")
            missing = self.status().missing_devices
            if missing:
                raise FirsthandError("; ".join(f"{d.name} is not there ({d.reason or d.state})" for d in missing)
                                     + ": connect it, or set required = false in the rig file")
            return self._begin(task, time.monotonic_ns())

    def stop(self, why: str = "") -> None:
        """End the take; its last samples are still awaited, and it is finished in the background. Does nothing when none is running."""
        with self._lock:
            if self._taking and not self._stopping and self._writer:
                self._stopping = True
                self._writer.send({"do": "stop", "host_ns": time.monotonic_ns(), "why": why})

    def mark(self, kind: str, text: str = "") -> None:
        """Put a marker into the running take."""
        with self._lock:
            if self._taking and self._writer:
                self._writer.send({"do": "mark", "host_ns": time.monotonic_ns(), "kind": kind, "text": text})

    def wait(self, until: Callable[[Status], bool], timeout_s: float) -> bool:
        """Wait until the status is as wanted; False when it was not in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not until(self.status()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.1))
        return True

    def look(self, stream: str) -> Sample | None:
        """The newest sample of a stream, as it is stored; None before the first."""
        with self._lock:
            for watched in self._devices.values():
                if stream in watched.numbers:
                    record = watched.ring.latest(watched.numbers[stream])
                    if record is None:
                        return None
                    data: Any = bytes(record.payload) if watched.specs[stream].kind == "encoded" else np.frombuffer(record.payload, "<f8")
                    return Sample(stream, record.device_ns, record.host_ns, record.sequence, data, record.flags)
        raise FirsthandError(f"no stream called {stream!r} in this rig")

    def specs(self) -> dict[str, StreamSpec]:
        """Every stream of the devices that were opened so far."""
        with self._lock:
            return {name: spec for watched in self._devices.values() for name, spec in watched.specs.items()}

    def rings(self) -> dict[str, tuple[int, dict[str, int]]]:
        """By device the descriptor of its memory and the numbers of its streams, for a process that looks on."""
        with self._lock:
            return {name: (watched.ring.fd, dict(watched.numbers)) for name, watched in self._devices.items()}

    # what is seen

    def status(self) -> Status:
        """How everything is now."""
        with self._lock:
            now_s = time.monotonic()
            known = self._devices.values()
            devices = tuple(DeviceStatus(w.device.name, w.state, w.device.required, w.reason, now_s - w.since_s) for w in known)
            streams = tuple(self._stream_status(w, spec) for w in known for spec in w.specs.values())
            folder = self._taking["folder"] if self._taking else ""
            state: State = ("recording" if folder else "stopped" if self._leaving.is_set() else
                            "opening" if any(w.state == "opening" for w in known) else "ready")
            fill = max((w.ring.fill() for w in known), default=0.0)
            disk = disk_status(self._logs, sum(s.size_bps for s in streams), self._tally.get("sync_p99_s", 0.0), fill)
            return Status(time.monotonic_ns(), state, folder, self._tally.get("recorded_s", 0.0) if folder else 0.0, devices, streams, disk,
                          tuple(self._takes.values()), tuple(self._messages))

    def _stream_status(self, watched: _Watched, spec: StreamSpec) -> StreamStatus:
        ring, n = watched.ring, watched.numbers[spec.name]
        rate_hz, size_bps = watched.rates.of(n)
        host_ns = ring.figure(n, Figure.HOST_NS)
        samples, missing, dropped, _ = self._tally.get("streams", {}).get(spec.name, (0, 0, 0, 0)) if self._taking else (0, 0, 0, 0)
        drift_ppm = ring.figure(n, Figure.DRIFT_PPB) / 1000 if ring.figure(n, Figure.COUNT) and spec.clock == "device" else None
        age_s = (time.monotonic_ns() - host_ns) * 1e-9 if host_ns else None
        return StreamStatus(spec.name, watched.device.name, spec.rate_hz, rate_hz, samples, missing, dropped, age_s, drift_ppm, size_bps)

    # the processes

    def _start_writer(self, go_on: bool = False) -> None:
        rings = {name: watched.ring.fd for name, watched in self._devices.items()}
        self._heard_writer_s = time.monotonic()
        config = {"rings": rings, "pre_roll_s": self.rig.pre_roll_s, "go_on": go_on}
        self._writer = Child(WRITER, "firsthand.capture.live.writer_process", self._logs / f"{WRITER}.log", config, list(rings.values()),
                             self._events)
        for watched in self._devices.values():
            if watched.opened:
                self._tell_streams(watched)

    def _start_device(self, watched: _Watched) -> None:
        device = watched.device
        config = {"driver": device.driver, "options": dict(device.options), "encode": dict(device.encode), "ring_fd": watched.ring.fd,
                  "pre_roll_s": self.rig.pre_roll_s, "streams": sorted(watched.numbers, key=lambda name: watched.numbers[name])}
        watched.child = Child(device.name, "firsthand.capture.live.device_process", self._log_of(device), config, [watched.ring.fd],
                              self._events)

    def _log_of(self, device: Device) -> Path:
        return self._logs / f"device-{device.name}.log"

    def _begin(self, task: str, host_ns: int) -> Path:
        folder = self._next_folder()
        assert self._writer is not None
        self._taking, self._stopping, self._tally = {"folder": str(folder), "task": task}, False, {}
        self._writer.send({"do": "start", "folder": str(folder), "task": task, "source": self.rig.source, "host_ns": host_ns,
                           "parameters": self._parameters})
        return folder

    def _tell_streams(self, watched: _Watched) -> None:
        assert self._writer is not None and watched.opened is not None
        told = {key: watched.opened[key] for key in ("streams", "numbers", "calibration")}
        self._writer.send({"do": "streams", "device": watched.device.name, **told})

    # what the processes say

    def _hear(self) -> None:
        while True:
            name, event = self._events.get()
            if event["event"] == "end":
                return
            with self._changed:
                if name == WRITER:
                    self._hear_writer(event)
                else:
                    self._hear_device(self._devices[name], event)
                self._changed.notify_all()

    def _hear_device(self, watched: _Watched, event: dict[str, Any]) -> None:
        match event["event"]:
            case "opened":
                watched.opened = event
                watched.specs = {spec["name"]: spec_from_json(spec) for spec in event["streams"]}
                watched.numbers = {name: event["numbers"][name] for name in watched.specs}
                self._refuse_same_names(watched)
                self._tell_streams(watched)
                watched.opened_ns = time.monotonic_ns()
                if not watched.delivers():  # nothing to wait for
                    self._set(watched, "running")
            case "vanished":
                self._set(watched, "vanished", event["reason"])
            case "ended" | "failed":
                self._set(watched, event["event"], event.get("reason", ""))
            case "gone" if not self._leaving.is_set() and watched.child and event["pid"] == watched.child.process.pid:
                watched.child, watched.restart_s = None, time.monotonic() + RESTART_S
                self._set(watched, "vanished", f"{event['reason']}; it is started again (see {self._log_of(watched.device)})")

    def _refuse_same_names(self, watched: _Watched) -> None:
        for other in self._devices.values():
            for name in watched.specs if other is not watched else ():
                if name in other.specs:
                    self._say("error", f"{other.device.name} and {watched.device.name} both have a stream called {name!r}; rename one")

    def _set(self, watched: _Watched, state: DeviceState, reason: str = "") -> None:
        before, watched.state = watched.state, state
        if before == state:
            watched.reason = reason or watched.reason
            return
        watched.reason, watched.since_s = reason, time.monotonic()
        name = watched.device.name
        if state == "running":
            self._say("info", f"{name} is back" if before == "vanished" else f"{name} is there")
        elif state in ("vanished", "failed"):
            self._say("error", f"{name} {'vanished' if before == 'running' else 'is not there'}: {reason}")
            if before == "running":
                self.mark("vanished", f"{name}: {reason}")
        over = all(w.state in ("ended", "failed") for w in self._devices.values())
        if before == "running" and (watched.device.on_lost == "stop" or over):
            self.stop(f"{name} ended" if state == "ended" else f"{name} was lost")

    def _hear_writer(self, event: dict[str, Any]) -> None:
        self._heard_writer_s = time.monotonic()
        folder = event.get("folder", "")
        match event["event"]:
            case "status" if folder and self._taking and folder == self._taking["folder"]:
                self._tally = event
            case "stopped":
                self._takes[folder] = TakeStatus(folder, "finishing", event["duration_s"], event["samples"], 0, event["why"])
                self._taking = None
            case "finished":
                take = self._takes.get(folder)
                self._takes[folder] = TakeStatus(folder, "finished", take.duration_s if take else 0.0, event["samples"], event["gaps"])
            case "unfinished":
                take = self._takes.get(folder)
                self._takes[folder] = TakeStatus(folder, "failed", take.duration_s if take else 0.0, {}, 0, event["reason"])
                self._say("error", event["reason"])
            case "failed":
                self._takes[folder] = TakeStatus(folder, "interrupted", self._tally.get("recorded_s", 0.0), {}, 0, event["reason"])
                self._taking = None
                self._say("error", event["reason"])
            case "gone" if not self._leaving.is_set():
                self._replace_writer(event["reason"])

    def _replace_writer(self, reason: str) -> None:
        """Its process died: another goes on where it stopped."""
        broken, self._taking = self._taking, None
        self._start_writer(go_on=broken is not None)
        if broken is None:
            self._say("error", f"the writer was started again: {reason}")
            return
        folder = broken["folder"]
        self._takes[folder] = TakeStatus(folder, "interrupted", self._tally.get("recorded_s", 0.0), {}, 0, reason)
        assert self._writer is not None
        self._writer.send({"do": "finish", "folder": folder})
        if self._stopping:
            self._say("error", f"the writer was started again ({reason}); {Path(folder).name} is being recovered")
            return
        # Nobody pressed anything now: what came since is in the memories, and all of it is wanted.
        new = self._begin(broken["task"], time.monotonic_ns())
        self._say("error", f"the writer was started again ({reason}); {Path(folder).name} is being recovered, "
                           f"recording goes on in {new.name}")

    # what goes on by itself

    def _watch(self) -> None:
        while not self._leaving.wait(WATCH_S):
            with self._changed:
                now_s, now_ns = time.monotonic(), time.monotonic_ns()
                for watched in self._devices.values():
                    watched.rates.look(watched.ring, watched.numbers.values(), now_s)
                    self._watch_device(watched, now_s, now_ns)
                if now_s - self._heard_writer_s > SILENT_S * 2:
                    self._heard_writer_s = now_s
                    self._say("warn", "the writer does not answer; what the devices deliver waits in memory")
                self._changed.notify_all()

    def _watch_device(self, watched: _Watched, now_s: float, now_ns: int) -> None:
        if watched.child is None and now_s >= watched.restart_s:
            self._start_device(watched)
        if not watched.opened or not watched.delivers():
            return
        newest_ns = watched.newest_ns()
        silent_s = (now_ns - newest_ns) * 1e-9
        if watched.state in ("opening", "vanished") and newest_ns > max(watched.opened_ns, watched.since_s * 1e9):
            self._set(watched, "running")
        elif watched.state == "running" and silent_s > SILENT_S:
            self._set(watched, "vanished", f"it has delivered nothing for {silent_s:.1f} s")

    def _say(self, level: Any, text: str) -> None:
        self._messages.append(Message(level, text, time.monotonic_ns()))

    def pids(self) -> dict[str, int]:
        """The processes by name: ``writer`` and each device."""
        with self._lock:
            children = [self._writer, *(watched.child for watched in self._devices.values())]
            return {child.name: child.process.pid for child in children if child}

    def publish(self, path: Path) -> None:
        """Write the status to a file, whole, for who looks on from elsewhere."""
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            new.write_text(json.dumps(self.status().to_json()), encoding="utf-8")
            os.replace(new, path)
