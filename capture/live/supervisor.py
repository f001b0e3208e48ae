"""Starts and watches the recorder's processes: one for each device, one that writes. What `firsthand record` stands on."""

import json
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.latency import read_latencies
from firsthand.capture.live.child import Child, Events
from firsthand.capture.live.disk_left import disk_status
from firsthand.capture.live.status import DeviceState, Message, State, Status, TakeStatus
from firsthand.capture.live.watched import Watched
from firsthand.capture.rig import Rig
from firsthand.capture.stream import Sample, StreamSpec

WATCH_S = 0.1
LEAVE_S = 5.0
FINISH_S = 600.0
"""How long the writer may take at the end to finish what was recorded."""
WRITER_SILENT_S = 1.5
KEPT = 50
WRITER = "writer"


@dataclass
class _Taking:
    """The take that is being recorded."""

    folder: Path
    task: str
    stopping: bool = False
    recorded_s: float = 0.0


class Supervisor:
    """The recorder of one rig. Used with ``with``; every method may be called from any thread.

    `next_folder` gives the folder of the next take, which must not exist; `parameters` go into each recording's provenance. When the
    writer's process dies in a take, that take is recovered and recording goes on in another folder from what is in the devices' memories.
    """

    def __init__(self, rig: Rig, logs: Path, next_folder: Callable[[], Path], *, parameters: Mapping[str, Any] | None = None) -> None:
        self.rig = rig
        self._logs, self._next_folder, self._parameters = logs, next_folder, dict(parameters or {})
        self._events: Events = queue.Queue()
        self._changed = threading.Condition()  # guards all below
        self._leaving = threading.Event()
        self._devices: dict[str, Watched] = {}
        self._taking: _Taking | None = None
        self._takes: dict[str, TakeStatus] = {}
        self._tally: Mapping[str, Any] = {}
        """What the writer counted in the running take."""
        self._messages: deque[Message] = deque(maxlen=KEPT)

    def __enter__(self) -> Self:
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FirsthandError(f"cannot write to {self._logs}: {error.strerror or error}") from error
        sync = self.rig.sync
        if sync and not sync.exists():
            self._say("warn", f"{sync} is not there, so times are not corrected for latencies; docs/timing.md says how to find them")
        self._devices = {d.name: Watched(d, self._logs / f"device-{d.name}.log", self.rig.pre_roll_s) for d in self.rig.devices}
        self._start_writer(go_on=False)
        for watched in self._devices.values():
            watched.begin(self._events)
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in
                         (("recorder events", self._hear), ("recorder watch", self._watch))]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the take that runs, finish all takes, let go of the devices."""
        self.stop("the recorder was ended")
        self._leaving.set()
        self._writer.end()
        self._writer.wait(FINISH_S)
        children = [watched.child for watched in self._devices.values() if watched.child]
        for child in children:
            child.end()
        for child in children:
            child.wait(LEAVE_S)
        self._events.put(("", {"event": "end"}))
        for thread in self._threads:
            thread.join()
        for watched in self._devices.values():
            watched.ring.close()

    # what a person does

    def start(self, task: str) -> Path:
        """Begin a take and return its folder. The rig's latencies are read anew for each.

        Raises `FirsthandError` when one is running, a required device is not, or the rig's ``sync`` file is damaged.
        """
        with self._changed:
            if self._taking:
                raise FirsthandError(f"{self._taking.folder} is still being recorded; stop it first")
            missing = self.status().missing_devices
            if missing:
                raise FirsthandError("; ".join(f"{d.name} is not there ({d.reason or d.state})" for d in missing)
                                     + ": connect it, or set required = false in the rig file")
            return self._begin(task)

    def stop(self, why: str = "") -> None:
        """End the take; its last samples are still awaited, and it is finished in the background. Does nothing when none is running."""
        with self._changed:
            if self._taking and not self._taking.stopping:
                self._taking.stopping = True
                self._writer.send({"do": "stop", "host_ns": time.monotonic_ns(), "why": why})

    def mark(self, kind: str, text: str = "") -> None:
        """Put a marker into the running take."""
        with self._changed:
            if self._taking:
                self._writer.send({"do": "mark", "host_ns": time.monotonic_ns(), "kind": kind, "text": text})

    def wait(self, until: Callable[[Status], bool], timeout_s: float) -> bool:
        """Wait until the status is as wanted; False when it was not in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not until(self.status()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, WATCH_S))
        return True

    # what is seen

    def status(self) -> Status:
        """How everything is now."""
        with self._changed:
            known, taking = self._devices.values(), self._taking
            counted = {name: (samples, missing, dropped) for name, (samples, missing, dropped) in self._tally.get("streams", {}).items()}
            streams = tuple(stream for watched in known for stream in watched.stream_statuses(counted if taking else {}))
            state: State = ("recording" if taking else "stopped" if self._leaving.is_set() else
                            "opening" if any(w.state == "opening" for w in known) else "ready")
            fill = max((watched.ring.fill() for watched in known), default=0.0)
            disk = disk_status(self._logs, sum(s.size_bps for s in streams), self._tally.get("sync_p99_s", 0.0), fill)
            return Status(time.monotonic_ns(), state, str(taking.folder) if taking else "", taking.recorded_s if taking else 0.0,
                          tuple(watched.status() for watched in known), streams, disk, tuple(self._takes.values()), tuple(self._messages))

    def publish(self, path: Path, status: Status | None = None, **more: Any) -> None:
        """Write the status (the present one where none is given), and more beside it, to a file, whole, for who looks on from elsewhere."""
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            new.write_text(json.dumps({**(status or self.status()).to_json(), **more}), encoding="utf-8")
            os.replace(new, path)

    def specs(self) -> dict[str, StreamSpec]:
        """Every stream of the devices that were opened so far."""
        with self._changed:
            return {name: spec for watched in self._devices.values() for name, spec in watched.specs.items()}

    def look(self, stream: str) -> Sample | None:
        """The newest sample of a stream, as it is stored; None before the first."""
        with self._changed:
            for watched in self._devices.values():
                if stream in watched.specs:
                    return watched.newest(stream)
        raise FirsthandError(f"no stream called {stream!r} in this rig")

    def rings(self) -> dict[str, tuple[int, dict[str, int]]]:
        """By device the descriptor of its memory and the numbers of its streams, for a process that looks on."""
        with self._changed:
            return {name: (watched.ring.fd, watched.numbers) for name, watched in self._devices.items()}

    def pids(self) -> dict[str, int]:
        """The processes by name: ``writer`` and each device."""
        with self._changed:
            children = [self._writer, *(watched.child for watched in self._devices.values())]
            return {child.name: child.process.pid for child in children if child}

    # the writer

    def _start_writer(self, *, go_on: bool) -> None:
        rings = {name: watched.ring.fd for name, watched in self._devices.items()}
        config = {"rings": rings, "pre_roll_s": self.rig.pre_roll_s, "go_on": go_on}
        log = self._logs / f"{WRITER}.log"
        self._writer = Child(WRITER, "firsthand.capture.live.writer_process", log, config, list(rings.values()), self._events)
        self._heard_writer_s = time.monotonic()
        for watched in self._devices.values():
            self._tell_streams(watched)

    def _tell_streams(self, watched: Watched) -> None:
        if watched.opened:
            told = {key: watched.opened[key] for key in ("streams", "numbers", "calibration")}
            self._writer.send({"do": "streams", "device": watched.name, **told})

    def _begin(self, task: str) -> Path:
        sync = self.rig.sync
        latencies = read_latencies(sync) if sync and sync.exists() else {}
        folder = self._next_folder()
        self._taking, self._tally = _Taking(folder, task), {}
        self._writer.send({"do": "start", "folder": str(folder), "task": task, "source": self.rig.source, "host_ns": time.monotonic_ns(),
                           "parameters": self._parameters, "latencies": {name: asdict(found) for name, found in latencies.items()}})
        return folder

    def _hear_writer(self, event: Mapping[str, Any]) -> None:
        self._heard_writer_s = time.monotonic()
        match event["event"]:
            case "status" if self._taking and event["folder"] == str(self._taking.folder):
                self._tally, self._taking.recorded_s = event, event["recorded_s"]
            case "stopped":
                self._taking = None
                self._keep(event, "finishing", event["why"])
            case "finished":
                self._keep(event, "finished")
            case "unfinished":
                self._keep(event, "failed", event["reason"])
                self._say("error", event["reason"])
            case "failed":
                self._taking = None
                self._keep(event, "interrupted", event["reason"])
                self._say("error", event["reason"])
            case "gone" if not self._leaving.is_set():
                self._replace_writer(event["reason"])

    def _keep(self, event: Mapping[str, Any], state: Literal["finishing", "finished", "interrupted", "failed"], reason: str = "") -> None:
        """Note what became of a take."""
        folder = event["folder"]
        before = self._takes.get(folder)
        duration_s = event.get("duration_s", before.duration_s if before else 0.0)
        self._takes[folder] = TakeStatus(folder, state, duration_s, event.get("samples", {}), event.get("gaps", 0), reason)

    def _replace_writer(self, reason: str) -> None:
        """Its process died: another goes on where it stopped."""
        broken, self._taking = self._taking, None
        self._start_writer(go_on=broken is not None)
        said = f"the writer was started again ({reason})"
        if broken:
            self._keep({"folder": str(broken.folder), "duration_s": broken.recorded_s}, "interrupted", reason)
            self._writer.send({"do": "finish", "folder": str(broken.folder)})
            said += f"; {broken.folder.name} is being recovered"
            if not broken.stopping:  # what came since is in the memories, and all of it is wanted
                said += f", recording goes on in {self._begin(broken.task).name}"
        self._say("error", said)

    # the devices

    def _hear_device(self, watched: Watched, event: Mapping[str, Any]) -> None:
        change = watched.hear(event)
        if event["event"] == "opened":
            self._tell_streams(watched)
            for other in self._devices.values():
                for name in watched.specs.keys() & other.specs.keys() if other is not watched else ():
                    self._say("error", f"{other.name} and {watched.name} both have a stream called {name!r}; rename one")
        if change:
            self._set(watched, *change)

    def _set(self, watched: Watched, state: DeviceState, reason: str) -> None:
        before, name = watched.state, watched.name
        if not watched.set(state, reason) or self._leaving.is_set():
            return
        if state == "running":
            self._say("info", f"{name} is {'back' if before == 'vanished' else 'there'}")
        elif state in ("vanished", "failed"):
            self._say("error", f"{name} {'vanished' if before == 'running' else 'is not there'}: {reason}")
        if before == "running":
            if state == "vanished":
                self.mark("vanished", f"{name}: {reason}")
            if watched.device.on_lost == "stop" or all(w.state in ("ended", "failed") for w in self._devices.values()):
                self.stop(f"{name} {'ended' if state == 'ended' else 'was lost'}")

    # what goes on by itself

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

    def _watch(self) -> None:
        looked_s = time.monotonic()
        while not self._leaving.wait(WATCH_S):
            with self._changed:
                now_ns = time.monotonic_ns()
                if now_ns * 1e-9 - looked_s > WRITER_SILENT_S / 2:  # it was we who stood still
                    self._heard_writer_s = now_ns * 1e-9
                looked_s = now_ns * 1e-9
                for watched in self._devices.values():
                    if watched.wants_process(now_ns):
                        watched.begin(self._events)
                    if change := watched.look(now_ns):
                        self._set(watched, *change)
                if now_ns * 1e-9 - self._heard_writer_s > WRITER_SILENT_S:
                    self._heard_writer_s = now_ns * 1e-9
                    self._say("warn", "the writer does not answer; what the devices deliver waits in memory")
                self._changed.notify_all()

    def _say(self, level: Literal["info", "warn", "error"], text: str) -> None:
        self._messages.append(Message(level, text, time.monotonic_ns()))
