"""A RealSense camera that is software: the SDK's own `software_device`, fed in real time, plugged in and out as it is told."""

import heapq
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

import numpy as np

from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.pattern.faults import Boot, Faults
from firsthand.capture.realsense.scene import DEPTH_UNIT_M, STREAMS, Scene

Domain = Literal["hardware_clock", "system_time", "global_time"]
LATE_NS = 5_000_000_000
"""What is older is not delivered: a machine that was held up leaves a gap."""
PLUG_S = 5.0
EXPOSURE_US, GAIN, TEMPERATURE_C = 8000, 16, 41
"""Metadata of every picture; the exposure grows by 1 us from one to the next, a hundred times."""
_SOFTWARE_ONLY = json.dumps({"device-mask": 0x100})
"""A context that does not look at the ports: a real camera that is plugged in is none of its business."""
LINK_NS = 6_000_000
"""From taking a sample to its arrival."""


@dataclass(frozen=True)
class Unit:
    """What a software camera is told to be."""

    scene: Scene = field(default_factory=Scene)
    serial: str = "000000000001"
    domain: Domain = "hardware_clock"
    faults: Faults = field(default_factory=Faults)


def unit(given: Mapping[str, Any]) -> Unit:
    """A unit from a rig file's table: fields of `Scene`, ``serial``, ``domain``, ``vanish_at_s`` and ``back_after_s``."""
    times, scene = ("vanish_at_s", "back_after_s"), [f.name for f in fields(Scene)]
    for name in given:
        if name not in (known := [*scene, "serial", "domain", *times]):
            raise unknown("option of a software camera", name, known)
    made = Unit(Scene(**{k: v for k, v in given.items() if k in scene}), given.get("serial", Unit.serial), given.get("domain", Unit.domain),
                Faults(**{k: v for k, v in given.items() if k in times}))
    if made.domain not in get_args(Domain):
        raise unknown("clock of a software camera", made.domain, get_args(Domain))
    return made


class Software:
    """One such camera. Its life begins when somebody first looks for it, and goes on whether anybody looks or not."""

    def __init__(self, unit: Unit) -> None:
        self._unit, self._began_ns = unit, 0
        self._context: Any = None
        self._new: list[Any] = []
        """What the SDK says is new. A software camera is connected for as long as somebody holds this."""
        self._told = threading.Event()

    @contextmanager
    def context(self, rs: Any) -> Iterator[Any]:
        """The SDK's context that sees the camera while it is plugged in; it delivers until the ``with`` ends."""
        self._unit.scene.prepare()
        if self._context is None:
            self._context = rs.context(_SOFTWARE_ONLY)
            self._context.set_devices_changed_callback(self._see)
            self._began_ns = time.monotonic_ns()
        stop, ready = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._live, args=(rs, stop, ready), name="software camera", daemon=True)
        thread.start()
        try:
            ready.wait(PLUG_S)
            yield self._context
        finally:
            stop.set()
            thread.join()

    def _see(self, information: Any) -> None:
        if new := information.get_new_devices():
            self._new.append(new)
            self._told.set()

    def _live(self, rs: Any, stop: threading.Event, ready: threading.Event) -> None:
        for number, boot in enumerate(self._unit.faults.boots()):
            now_ns = time.monotonic_ns() - self._began_ns
            if boot.stop_ns is not None and now_ns >= boot.stop_ns:
                continue
            if now_ns < boot.start_ns:
                ready.set()
                if stop.wait((boot.start_ns - now_ns) * 1e-9):
                    return
            self._told.clear()
            body = Body(rs, self._unit)
            body.device.add_to(self._context)
            self._told.wait(PLUG_S)
            ready.set()
            self._run(body, number, boot, stop)
            self._new.clear()
            if stop.is_set():
                return
        ready.set()
        stop.wait()

    def _run(self, body: "Body", number: int, boot: Boot, stop: threading.Event) -> None:
        """Deliver what the camera takes from now on, until it is unplugged."""
        scene, start_ns = self._unit.scene, self._began_ns + boot.start_ns + LINK_NS

        def due(stream: str) -> Iterator[tuple[int, str, int]]:
            n = max(int((time.monotonic_ns() - start_ns) * 1e-9 * scene.rate_hz(stream)), 1)
            while True:
                yield start_ns + round(scene.t_s(stream, n) * 1e9), stream, n
                n += 1

        for due_ns, stream, n in heapq.merge(*map(due, STREAMS)):
            if boot.stop_ns is not None and due_ns >= self._began_ns + boot.stop_ns:
                stop.wait((self._began_ns + boot.stop_ns - time.monotonic_ns()) * 1e-9)
                return
            ahead_ns = due_ns - time.monotonic_ns()
            if (ahead_ns > 0 and stop.wait(ahead_ns * 1e-9)) or stop.is_set():
                return
            if ahead_ns > -LATE_NS and not scene.is_lost(stream, n):
                body.deliver(stream, n, scene.stamp_us(stream, n, number))


class Body:
    """Sensors and profiles of one `software_device`."""

    def __init__(self, rs: Any, unit: Unit) -> None:
        self._rs, self._unit = rs, unit
        scene = unit.scene
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Software camera")
        self.device.register_info(rs.camera_info.serial_number, unit.serial)
        self._sensors = {name: self.device.add_sensor(name) for name in ("Stereo Module", "RGB Camera", "Motion Module")}
        self._sensors["Stereo Module"].add_read_only_option(rs.option.depth_units, DEPTH_UNIT_M)
        self._profiles: dict[str, list[tuple[Any, Any]]] = {name: [] for name in STREAMS}
        for stream, sensor, form, size in (("color", "RGB Camera", rs.format.bgr8, 3), ("color", "RGB Camera", rs.format.mjpeg, 1),
                                           ("depth", "Stereo Module", rs.format.z16, 2)):
            video = rs.video_stream()
            video.type, video.index, video.uid, video.fps, video.bpp, video.fmt = (
                getattr(rs.stream, stream), 0, self._count() + 1, round(scene.fps), size, form)
            video.width, video.height = scene.size_px
            video.intrinsics = self._optics()
            self._profiles[stream].append((self._sensors[sensor], self._sensors[sensor].add_video_stream(video, form != rs.format.mjpeg)))
        for stream in ("accel", "gyro"):
            motion = rs.motion_stream()
            motion.type, motion.index, motion.uid, motion.fps, motion.fmt = (
                getattr(rs.stream, stream), 0, self._count() + 1, round(scene.imu_hz), rs.format.motion_xyz32f)
            self._profiles[stream].append((self._sensors["Motion Module"], self._sensors["Motion Module"].add_motion_stream(motion)))
        self._mount()

    def _count(self) -> int:
        return sum(map(len, self._profiles.values()))

    def _optics(self) -> Any:
        rs, camera = self._rs, self._unit.scene.wearer.camera
        optics = rs.intrinsics()
        optics.width, optics.height, optics.model, optics.coeffs = camera.width_px, camera.height_px, rs.distortion.brown_conrady, [0.0] * 5
        optics.fx, optics.fy, optics.ppx, optics.ppy = (float(camera.K[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2)))
        return optics

    def _mount(self) -> None:
        """All of it sits in one place, and says so."""
        here = self._rs.extrinsics()
        here.rotation, here.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
        profiles = [profile for pairs in self._profiles.values() for _, profile in pairs]
        for profile in profiles[1:]:
            profile.register_extrinsics_to(profiles[0], here)

    def deliver(self, stream: str, n: int, stamp_us: int) -> None:
        """Hand one sample to whoever listens, in each format that the stream has."""
        rs, unit = self._rs, self._unit
        at_ms = stamp_us / 1000 if unit.domain == "hardware_clock" else time.time() * 1000
        domain = getattr(rs.timestamp_domain, unit.domain)
        for sensor, profile in self._profiles[stream]:
            if (stream, profile.format()) not in [(_name(p), p.format()) for p in sensor.get_active_streams()]:
                continue
            kind = rs.frame_metadata_value
            for what, value in ((kind.frame_counter, n), (kind.frame_timestamp, stamp_us), (kind.actual_exposure, EXPOSURE_US + n % 100),
                                (kind.gain_level, GAIN), (kind.temperature, TEMPERATURE_C)):
                sensor.set_metadata(what, value)
            if stream in ("accel", "gyro"):
                values, frame = rs.vector(), rs.software_motion_frame()
                values.x, values.y, values.z = map(float, unit.scene.motion(stream, n))
                frame.data, frame.timestamp, frame.domain, frame.frame_number = values, at_ms, domain, n
                frame.profile = profile.as_motion_stream_profile()
                sensor.on_motion_frame(frame)
                continue
            pixels = self._pixels(stream, profile, n)
            frame = rs.software_video_frame()
            frame.stride, frame.bpp, frame.timestamp, frame.domain, frame.frame_number = (
                pixels.strides[0], pixels.strides[1], at_ms, domain, n)
            frame.profile, frame.pixels = profile.as_video_stream_profile(), pixels
            if stream == "depth":
                frame.depth_units = DEPTH_UNIT_M
            sensor.on_video_frame(frame)

    def _pixels(self, stream: str, profile: Any, n: int) -> Any:
        scene = self._unit.scene
        if stream == "depth":
            return scene.depth(n)
        if profile.format() == self._rs.format.bgr8:
            return scene.color(n)
        width, height = scene.size_px
        data = np.frombuffer(scene.jpeg(n), np.uint8)  # the SDK has a JPEG of one byte a pixel, whatever it holds
        if data.size > width * height:
            raise FirsthandError(f"a JPEG of {data.size} bytes is more than {width} x {height} pixels; use bgr8")
        return np.pad(data, (0, width * height - data.size)).reshape(height, width)


def _name(profile: Any) -> str:
    return str(profile.stream_type()).rpartition(".")[2]
