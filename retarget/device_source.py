"""Hands that a device tracked itself: the streams of a recording that tell them, which to take, and where the camera is among them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.hand_stream import HAND_COLUMNS, POSE_COLUMNS
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.head_pose import poses_at
from firsthand.retarget.world_frame import Z_FROM_Y

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
At = Callable[[Times], Floats]
"""Poses (N, 4, 4) at times (N,), NaN where not known."""

OFFLINE = "mps-"
"""Before the names of what a service made of a whole recording afterwards, which is better than what the device knew as it went."""
RIG_POSES = ("mps-trajectory", "vio")
"""Where a device was whose hands count from the device itself, the better first."""
ORIGINS = ("world", "device", "glove", "wrist")
PLACED = ("world", "device")
"""Origins from which it is known where a hand is."""


@dataclass(frozen=True, eq=False)
class DeviceSource:
    """The hands of one device."""

    prefix: str
    """Before ``hand-left`` and ``hand-right`` in the names of its streams."""
    streams: Mapping[Side, Stream]
    origin: str
    """What places count from, one of `ORIGINS`."""
    up: str
    """``z``, ``y``, or empty where it is not known."""

    @property
    def names(self) -> str:
        """Its streams, for a sentence."""
        return " and ".join(stream.spec.name for stream in self.streams.values())


def device_sources(recording: Recording) -> list[DeviceSource]:
    """The devices of a recording that told hands, in order of name."""
    found: dict[str, dict[Side, Stream]] = {}
    for stream in recording.role("pose"):
        side = next((side for side in SIDES if side == stream.spec.side), None)
        if side is not None and stream.spec.names[: len(HAND_COLUMNS)] == HAND_COLUMNS:
            found.setdefault(stream.spec.name.removesuffix(f"hand-{side}"), {}).setdefault(side, stream)
    return [_source(prefix, found[prefix]) for prefix in sorted(found)]


def _source(prefix: str, streams: dict[Side, Stream]) -> DeviceSource:
    extra = next(iter(streams.values())).spec.extra
    origin = str(extra.get("origin", ""))
    return DeviceSource(prefix, streams, origin if origin in ORIGINS else "wrist", str(extra.get("up", "")))


def best_source(recording: Recording, camera: str | None) -> DeviceSource | None:
    """The device whose hands are taken for a camera's frames, or for a recording without a camera; None where there is none.

    One whose hands can be laid into the picture before one whose cannot, then `OFFLINE` before the rest, then the one that saw most; with a
    camera only such that know where hands are, without also others.
    """
    sources = [s for s in device_sources(recording) if s.origin in PLACED or camera is None]
    if camera is not None:
        sources = [s for s in sources if s.origin == "world" or in_rig(recording, camera) is not None or camera_at(recording, s, camera)]
    if not sources:
        return None

    def merit(source: DeviceSource) -> tuple[bool, int, bool, int]:
        shown = camera is not None and (source.origin == "device" or camera_at(recording, source, camera) is not None)
        seen = sum(int(np.isfinite(stream.values[:, 0]).sum()) for stream in source.streams.values())
        return shown, -ORIGINS.index(source.origin) if camera is None else 0, source.prefix.endswith(OFFLINE), seen

    return max(sources, key=merit)


def in_rig(recording: Recording, camera: str) -> CameraCalibration | None:
    """The calibration that tells how a camera sits on the rig; None where that is not known."""
    return recording.calibration.cameras.get(camera)


def camera_at(recording: Recording, source: DeviceSource, camera: str) -> At | None:
    """Where a camera was in the world that a device's hands are told in, or that the device itself was tracked in; None where nobody knows.

    For hands in a world: the poses of the same source, ``<prefix>head-pose`` or of the same file, be they the camera's or those of the
    headset that the camera sits on (its ``T_rig_cam``; one that is the identity was never measured). For hands that count from the device:
    any poses of the camera, or the device's way.
    """
    known = in_rig(recording, camera)
    mounted = known is not None and not np.allclose(known.T_rig_cam, np.eye(4))
    for stream in recording.role("pose"):
        spec = stream.spec
        if spec.side or not set(POSE_COLUMNS) <= set(spec.names) or not _same_world(source, stream):
            continue
        if spec.about == camera:
            return _at(stream, np.eye(4))
        beside = in_rig(recording, spec.about) if spec.about else None
        if known is not None and beside is not None and not np.allclose(known.T_rig_cam, beside.T_rig_cam):
            return _at(stream, np.linalg.inv(beside.T_rig_cam) @ known.T_rig_cam)
        rig = spec.name in RIG_POSES if source.origin == "device" else spec.name.endswith("head-pose")
        if not spec.about and known is not None and rig and (mounted or source.origin == "device"):
            return _at(stream, known.T_rig_cam)
    return None


def rig_at(recording: Recording, source: DeviceSource) -> At | None:
    """Where the device was that hands count from; None where nobody knows."""
    streams = {stream.spec.name: stream for stream in recording.role("pose") if set(POSE_COLUMNS) <= set(stream.spec.names)}
    return next((_at(streams[name], np.eye(4)) for name in RIG_POSES if name in streams), None) if source.origin == "device" else None


def _same_world(source: DeviceSource, stream: Stream) -> bool:
    hand = next(iter(source.streams.values())).spec
    one_file = hand.clock == "media" and stream.spec.clock == "media" and bool(stream.spec.about)
    return source.origin == "device" or one_file or stream.spec.name == f"{source.prefix}head-pose"


def _at(stream: Stream, T: Floats) -> At:
    rows = stream.values[:, [stream.spec.names.index(column) for column in POSE_COLUMNS]]
    T_up = Z_FROM_Y if stream.spec.extra.get("up") == "y" else np.eye(4)
    at_ns = stream.t_ns
    return lambda t_ns: np.asarray(T_up @ poses_at(t_ns, at_ns, rows) @ T, np.float64)
