"""RealSense recordings (``.bag``, ``.db3``): pictures and depth without loss, IMU, optics, every frame's metadata, hardware stamps."""

import queue
import sqlite3
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.tracks import stream_name
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.realsense.frame import WRAP_NS, domain, facts, motion, picture, stamp_ns, stream_key
from firsthand.capture.realsense.optics import T_rig, calibration
from firsthand.capture.realsense.sdk import first_line, load_sdk
from firsthand.capture.realsense.stream import metadata_of, spec_of
from firsthand.capture.stream import Sample, StreamSpec

STAGE = "import-realsense/2"
AGAIN = "copy it again from where it was recorded"
ROSBAG, TOPIC = b"#ROSBAG V2.0", b"/device_0/"
NEAR_END = 2**20
"""A bag names its topics again in its index, which is at the end and never compressed."""
QUEUE = 64
POLL_S = 0.01
LAST_POLLS = 50
"""After the player has stopped, frames may still be on their way."""
STUCK_POLLS = 6000
"""A player that says nothing for a minute and has not stopped is stuck."""
SAY = 16


def realsense(source: Path, asked: Asked) -> Found | None:
    """What the RealSense viewer or SDK recorded, told from other bags by its topics."""
    if source.is_dir() or source.suffix.lower() not in (".bag", ".db3"):
        return None
    ours = _is_bag(source) if source.suffix.lower() == ".bag" else _is_db3(source)
    return Found((Take(source.stem, lambda intake: _write(source, intake)),)) if ours else None


def _is_bag(source: Path) -> bool:
    with source.open("rb") as file:
        head = file.read(NEAR_END)
        file.seek(max(0, source.stat().st_size - NEAR_END))
        return head.startswith(ROSBAG) and (TOPIC in head or TOPIC in file.read())


def _is_db3(source: Path) -> bool:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
        return database.execute("SELECT 1 FROM topics WHERE name LIKE '/device_0/%' LIMIT 1").fetchone() is not None
    return False


@dataclass
class _Source:
    """One stream of the recording."""

    form: Any
    """Of its pixels, as the SDK calls it."""
    spec: StreamSpec
    facts: tuple[Any, ...]
    """Metadata its frames carry."""
    optics: Any = None
    """Intrinsics of a camera, the SDK's."""
    T_rig_cam: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    """Takes its points to the colour camera, or the first camera where there is none."""
    last_ns: int = 0
    added_ns: int = 0
    domains: set[str] = field(default_factory=set)


def _write(source: Path, intake: Intake) -> None:
    rs = load_sdk()
    try:
        sources: dict[tuple[str, int], _Source] = {}
        seen: set[tuple[str, int]] = set()
        frames, enough = _play(rs, source), None
        with closing(frames), suppress(StopIteration):
            while True:
                frame, sensors, wanted = frames.send(enough)
                key = stream_key(frame.get_profile())
                if key not in sources and (made := _source(rs, frame, sensors, [one.spec.name for one in sources.values()])):
                    sources[key] = made
                seen.add(key)
                enough = wanted <= seen
        if not sources:
            raise DamagedError(f"cannot import {source}: there are no frames in it; {AGAIN}")
        _copy(rs, source, sources, intake)
    except RuntimeError as error:
        raise DamagedError(f"cannot import {source}: it is cut off or damaged ({first_line(error)}); {AGAIN}") from error


def _copy(rs: Any, source: Path, sources: dict[tuple[str, int], _Source], intake: Intake) -> None:
    player = rs.context().load_device(str(source))
    total = max(1, round(player.as_playback().get_duration().total_seconds() * 1e3))
    about = {name: player.get_info(getattr(rs.camera_info, name)) for name in ("name", "firmware_version", "product_line")
             if player.supports(getattr(rs.camera_info, name))}
    del player
    cameras = {one.spec.name: (one.optics, one.T_rig_cam) for one in sources.values() if one.optics is not None}
    with intake.recording(STAGE, source="egocentric", calibration=calibration(rs, cameras), device=about) as writer:
        for one in sources.values():
            writer.add_stream(one.spec)
            writer.add_stream(_facts_spec(one))
        begin_ms: dict[str, float] = {}
        for n, (frame, _, _) in enumerate(_play(rs, source)):
            kept = sources.get(stream_key(frame.get_profile()))
            if kept is None:
                continue
            for sample in _samples(frame, kept, _pixels(rs, frame, kept) if kept.spec.kind == "encoded" else None):
                writer.append(sample)
            if n % SAY == 0:
                gone_ms = frame.timestamp - begin_ms.setdefault(kept.spec.name, frame.timestamp)
                intake.progress(min(total, max(0, round(gone_ms))), total)
        domains = {domain for one in sources.values() for domain in one.domains}
        if len(domains) > 1:
            raise DamagedError(f"cannot import {source}: its frames are stamped by different clocks ({', '.join(sorted(domains))}), "
                               "which cannot be laid on one time line; record it again with global time enabled")


def _play(rs: Any, source: Path) -> Generator[tuple[Any, list[Any], set[tuple[str, int]]], bool | None, None]:
    """Every frame, those of one stream in order; beside it the sensors, and which streams this one's sensor may have.

    Sensor by sensor: the player runs from the first one's start on, and what others have before theirs would be lost. Send True to have
    the next sensor.
    """
    count = len(rs.context().load_device(str(source)).query_sensors())
    for number in range(count):
        player = rs.context().load_device(str(source)).as_playback()
        player.set_real_time(False)  # else it drops what is not fetched in time
        sensors = list(player.query_sensors())
        profiles = sensors[number].get_stream_profiles()
        with closing(_play_sensor(rs, source, player, sensors[number])) as frames:
            for frame in frames if profiles else ():
                if (yield frame, sensors, {stream_key(profile) for profile in profiles}):
                    break


def _play_sensor(rs: Any, source: Path, player: Any, sensor: Any) -> Generator[Any, None, None]:
    arrived: queue.Queue[Any] = queue.Queue(QUEUE)
    leaving = threading.Event()

    def take(frame: Any) -> None:
        """Keep a frame; the player waits meanwhile. The SDK's own queue, when full, would wait with Python's lock in hand, for ever."""
        frame.keep()
        while not leaving.is_set():
            with suppress(queue.Full):
                arrived.put(frame, timeout=POLL_S)
                return

    sensor.open(sensor.get_stream_profiles())
    try:
        sensor.start(take)
        idle = 0
        while idle < LAST_POLLS or player.current_status() != rs.playback_status.stopped:
            try:
                yield arrived.get(timeout=POLL_S)
                idle = 0
            except queue.Empty:
                idle += 1
            if idle > STUCK_POLLS:
                raise DamagedError(f"cannot import {source}: the RealSense SDK stopped in the middle of it; {AGAIN}")
    finally:
        leaving.set()
        with suppress(RuntimeError):
            sensor.stop()
            sensor.close()


def _source(rs: Any, frame: Any, sensors: list[Any], taken: list[str]) -> _Source | None:
    """The stream a frame belongs to; None for a kind that is not kept (poses, confidence)."""
    profile = frame.get_profile()
    name = {rs.stream.color: "head", rs.stream.depth: "depth", rs.stream.infrared: f"infrared-{profile.stream_index()}",
            rs.stream.accel: "accel", rs.stream.gyro: "gyro"}.get(profile.stream_type())
    if name is None:
        return None
    facts = tuple(value for value in rs.frame_metadata_value.__members__.values() if frame.supports_frame_metadata(value))
    spec = spec_of(rs, profile, sensors, stream_name(name, taken), "jpeg" if profile.format() == rs.format.mjpeg else "png", clock="media",
                   extra={"timestamp_domain": domain(frame)})
    optics = profile.as_video_stream_profile().get_intrinsics() if spec.kind == "encoded" else None
    return _Source(profile.format(), spec, facts, optics, T_rig(rs, profile, sensors))


def _facts_spec(one: _Source) -> StreamSpec:
    return metadata_of(one.spec, tuple(str(fact).rpartition(".")[2] for fact in one.facts) or ("frame_number",))


def _samples(frame: Any, one: _Source, pixels: bytes | None) -> Iterator[Sample]:
    """A frame as the sample of its stream, and its metadata."""
    one.domains.add(domain(frame))
    raw = stamp_ns(frame)
    if raw + one.added_ns < one.last_ns - WRAP_NS // 2:
        one.added_ns += WRAP_NS
    t_ns = one.last_ns = raw + one.added_ns
    yield Sample(one.spec.name, t_ns, t_ns, int(frame.frame_number), motion(frame) if pixels is None else pixels)
    told = facts(frame, one.facts) if one.facts else np.array([float(frame.frame_number)])
    yield Sample(f"{one.spec.name}-metadata", t_ns, t_ns, int(frame.frame_number), told)


def _pixels(rs: Any, frame: Any, one: _Source) -> bytes:
    """The frame's pixels, PNG without loss; a JPEG as it is."""
    import cv2

    pixels = picture(rs, frame, one.form, one.spec.width_px or 0, one.spec.height_px or 0)
    return pixels if isinstance(pixels, bytes) else bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
