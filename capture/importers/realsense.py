"""RealSense recordings (``.bag``, ``.db3``): pictures and depth without loss, IMU, optics, every frame's metadata, hardware stamps."""

import ctypes
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

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.tracks import stream_name
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.lens import Model
from firsthand.capture.stream import Role, Sample, StreamSpec

STAGE = "import-realsense/1"
AGAIN = "copy it again from where it was recorded"
ROSBAG, TOPIC = b"#ROSBAG V2.0", b"/device_0/"
NEAR_END = 2**20
"""A bag names its topics again in its index, which is at the end and never compressed."""
QUEUE = 64
POLL_S = 0.01
LENSES: dict[str, Model] = {"brown_conrady": "opencv", "modified_brown_conrady": "opencv", "kannala_brandt4": "kannala-brandt"}
LAST_POLLS = 50
"""After the player has stopped, frames may still be on their way."""
STUCK_POLLS = 6000
"""A player that says nothing for a minute and has not stopped is stuck."""
WRAP_NS = 2**32 * 1000
"""The cameras count microseconds in 32 bits: 71 minutes."""
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


def load_sdk() -> Any:
    """The RealSense SDK; its wheel wants a libusb-1.0, which another wheel brings where the system has none."""
    try:
        try:
            import pyrealsense2
        except ImportError:
            import libusb_package

            ctypes.CDLL(str(Path(libusb_package.__file__).parent / "libusb-1.0.so"), ctypes.RTLD_GLOBAL)
            import pyrealsense2
    except (ImportError, OSError) as error:
        raise FirsthandError(f"the RealSense SDK cannot be loaded ({error}): pip install 'firsthand[realsense]'") from error
    return pyrealsense2


@dataclass
class _Source:
    """One stream of the recording."""

    form: Any
    """Of its pixels, as the SDK calls it."""
    spec: StreamSpec
    facts: tuple[Any, ...]
    """Metadata its frames carry."""
    T_rig: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
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
                key = _key(frame.get_profile())
                if key not in sources and (made := _source(rs, frame, sensors, [one.spec.name for one in sources.values()])):
                    sources[key] = made
                seen.add(key)
                enough = wanted <= seen
        if not sources:
            raise DamagedError(f"cannot import {source}: there are no frames in it; {AGAIN}")
        _copy(rs, source, sources, intake)
    except RuntimeError as error:
        raise DamagedError(f"cannot import {source}: it is cut off or damaged ({_first_line(error)}); {AGAIN}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _key(profile: Any) -> tuple[str, int]:
    return str(profile.stream_type()), int(profile.stream_index())


def _copy(rs: Any, source: Path, sources: dict[tuple[str, int], _Source], intake: Intake) -> None:
    player = rs.context().load_device(str(source))
    total = max(1, round(player.as_playback().get_duration().total_seconds() * 1e3))
    about = {name: player.get_info(getattr(rs.camera_info, name)) for name in ("name", "firmware_version", "product_line")
             if player.supports(getattr(rs.camera_info, name))}
    del player
    with intake.recording(STAGE, source="egocentric", calibration=_calibration(sources), device=about) as writer:
        for one in sources.values():
            writer.add_stream(one.spec)
            writer.add_stream(_facts_spec(one))
        begin_ms: dict[str, float] = {}
        for n, (frame, _, _) in enumerate(_play(rs, source)):
            kept = sources.get(_key(frame.get_profile()))
            if kept is None:
                continue
            for sample in _samples(frame, kept, _picture(rs, frame, kept) if kept.spec.kind == "encoded" else None):
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
                if (yield frame, sensors, {_key(profile) for profile in profiles}):
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
    kind, index = profile.stream_type(), profile.stream_index()
    extra: dict[str, Any] = {"realsense": str(profile.stream_name()), "format": str(profile.format()).rpartition(".")[2],
                             "timestamp_domain": str(frame.frame_timestamp_domain).rpartition(".")[2]}
    facts = tuple(value for value in rs.frame_metadata_value.__members__.values() if frame.supports_frame_metadata(value))
    rate = float(profile.fps()) or None
    if profile.is_motion_stream_profile():
        name, columns, unit = ("accel", ("ax", "ay", "az"), "m/s^2") if kind == rs.stream.accel else ("gyro", ("gx", "gy", "gz"), "rad/s")
        with suppress(RuntimeError):
            motion = profile.as_motion_stream_profile().get_motion_intrinsics()
            extra["intrinsics"] = {"data": np.array(motion.data).tolist(), "noise": list(motion.noise_variances),
                                   "bias": list(motion.bias_variances)}
        spec = StreamSpec(stream_name(name, taken), "numeric", "imu", names=columns, units=(unit,) * 3, rate_hz=rate, clock="media",
                          extra=extra)
        return _Source(profile.format(), spec, facts)
    if not profile.is_video_stream_profile() or kind not in (rs.stream.depth, rs.stream.color, rs.stream.infrared):
        return None
    video = profile.as_video_stream_profile()
    role: Role = "camera"
    if kind == rs.stream.depth:
        role, name = "depth", "depth"
        scales = [s.as_depth_sensor().get_depth_scale() for s in sensors if s.is_depth_sensor()]
        extra["depth_unit_m"] = round(float(scales[0]), 9) if scales else 0.001
    else:
        name = "head" if kind == rs.stream.color else f"infrared-{index}"
    intrinsics = video.get_intrinsics()
    extra["intrinsics"] = {"model": str(intrinsics.model).rpartition(".")[2], "coeffs": list(intrinsics.coeffs), "fx": intrinsics.fx,
                           "fy": intrinsics.fy, "ppx": intrinsics.ppx, "ppy": intrinsics.ppy}
    encoding = "jpeg" if profile.format() == rs.format.mjpeg else "png"
    spec = StreamSpec(stream_name(name, taken), "encoded", role, encoding=encoding, rate_hz=rate, width_px=video.width(),
                      height_px=video.height(), clock="media", extra=extra)
    return _Source(profile.format(), spec, facts, _mounting(rs, profile, sensors))


def _mounting(rs: Any, profile: Any, sensors: list[Any]) -> npt.NDArray[np.float64]:
    """Where a camera is on the rig; the identity where nobody wrote it down. Profiles of two openings of a file crash the SDK."""
    pictures = [p for sensor in sensors for p in sensor.get_stream_profiles() if p.is_video_stream_profile()]
    colour = [p for p in pictures if p.stream_type() == rs.stream.color]
    T = np.eye(4)
    with suppress(RuntimeError, IndexError):
        extrinsics = profile.get_extrinsics_to((colour or pictures)[0])
        T[:3, :3], T[:3, 3] = np.array(extrinsics.rotation).reshape(3, 3).T, extrinsics.translation  # stored column by column
    return T


def _calibration(sources: dict[tuple[str, int], _Source]) -> Calibration:
    """Optics where their model is known, and mounting relative to the colour camera (or the first there is)."""
    cameras = {one.spec.name: one for one in sources.values() if one.spec.kind == "encoded"}
    found: dict[str, CameraCalibration] = {}
    for name, one in cameras.items():
        told = one.spec.extra["intrinsics"]
        coefficients = np.array(told["coeffs"], np.float64)
        if coefficients.any() and told["model"] not in LENSES:
            continue  # an inverse model; it stays in extra
        if not told["fx"]:
            continue
        K = np.array([[told["fx"], 0, told["ppx"]], [0, told["fy"], told["ppy"]], [0, 0, 1]])
        model = LENSES.get(told["model"], "opencv") if coefficients.any() else "opencv"
        distortion = coefficients[:4 if model == "kannala-brandt" else None] if coefficients.any() else np.zeros(0)
        found[name] = CameraCalibration(K, one.spec.width_px or 0, one.spec.height_px or 0, distortion, one.T_rig, "factory", model)
    return Calibration(found)


def _facts_spec(one: _Source) -> StreamSpec:
    names = tuple(str(fact).rpartition(".")[2] for fact in one.facts) or ("frame_number",)
    return StreamSpec(f"{one.spec.name}-metadata", "numeric", "other", names=names, units=("1",) * len(names), clock="media",
                      about=one.spec.name, extra={"units": "as the SDK writes them: stamps in us or ms, exposure in us"})


def _samples(frame: Any, one: _Source, picture: bytes | None) -> Iterator[Sample]:
    """A frame as the sample of its stream, and its metadata."""
    one.domains.add(str(frame.frame_timestamp_domain).rpartition(".")[2])
    raw = round(frame.timestamp * 1e6)
    if raw + one.added_ns < one.last_ns - WRAP_NS // 2:
        one.added_ns += WRAP_NS
    t_ns = one.last_ns = raw + one.added_ns
    motion = frame.as_motion_frame().get_motion_data() if picture is None else None
    payload = picture if motion is None else np.array([motion.x, motion.y, motion.z], np.float64)
    assert payload is not None
    yield Sample(one.spec.name, t_ns, t_ns, int(frame.frame_number), payload)
    told = [float(frame.get_frame_metadata(fact)) if frame.supports_frame_metadata(fact) else np.nan for fact in one.facts]
    yield Sample(f"{one.spec.name}-metadata", t_ns, t_ns, int(frame.frame_number), np.array(told or [float(frame.frame_number)]))


def _picture(rs: Any, frame: Any, one: _Source) -> bytes:
    """The frame's pixels, PNG without loss; a JPEG as it is."""
    import cv2

    form, data = one.form, np.asanyarray(frame.get_data())
    if form == rs.format.mjpeg:
        return bytes(data)
    shape = (one.spec.height_px or 0, one.spec.width_px or 0)
    if form == rs.format.rgb8:
        data = cv2.cvtColor(data.reshape(*shape, 3), cv2.COLOR_RGB2BGR)
    elif form in (rs.format.rgba8, rs.format.bgra8):
        data = cv2.cvtColor(data.reshape(*shape, 4), cv2.COLOR_RGBA2BGR if form == rs.format.rgba8 else cv2.COLOR_BGRA2BGR)
    elif form in (rs.format.yuyv, rs.format.uyvy):
        code = cv2.COLOR_YUV2BGR_YUYV if form == rs.format.yuyv else cv2.COLOR_YUV2BGR_UYVY
        data = cv2.cvtColor(data.view(np.uint8).reshape(*shape, 2), code)
    elif form in (rs.format.bgr8, rs.format.y8, rs.format.z16, rs.format.y16, rs.format.disparity16):
        data = data.reshape(*shape, -1)
    else:
        raise DamagedError(f"stream {one.spec.name} is in the format {form}, which no picture can be made from; record colour as bgr8")
    return bytes(cv2.imencode(".png", data, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
