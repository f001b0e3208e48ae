"""Tracks of hands that a device tracked itself, on the frames of a camera or, without one, at the device's own times."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.axes import FROM_Y_UP
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import JOINTS, KNUCKLES, SIDES, WRIST, Side
from firsthand.retarget.device_source import PLACED, At, DeviceSource, best_source, camera_at, in_rig, rig_at
from firsthand.retarget.hand_resample import LONGEST_GAP_S, MEASURED_GAP_S, NEAR_S, resample
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, MEASURED, METRIC, PREDICTED, Hands, HandTrack
from firsthand.retarget.thumb_base import SIGMA_M as THUMB_BASE_SIGMA_M
from firsthand.retarget.thumb_base import THUMB_CMC, thumb_base
from firsthand.retarget.world_frame import World

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

DEVICE = METRIC.index("device")
SIGMA_M = 0.010
"""Of a joint that a device is sure of. Provisional: what is published of headsets is 5 to 15 mm."""
DOUBT = 3.0
"""By so much more, in shares, is a joint without any confidence less sure."""
LEAST_CONFIDENCE = 0.1
"""Of a hand or a joint that the device saw; below, it guessed."""
ESTIMATED_SIGMA_M = 0.010
"""Of joints that the device does not have and that were worked out, beside the rest."""
SWING_M_S2 = 10.0
"""Acceleration of a hand that nobody saw, between samples."""
PARAMETERS = {"longest_gap_s": LONGEST_GAP_S, "measured_gap_s": MEASURED_GAP_S, "near_s": NEAR_S, "least_confidence": LEAST_CONFIDENCE,
              "version": 1}
"""What decides the result."""
NO_CAMERA = CameraCalibration(np.full((3, 3), np.nan), 0, 0, source="assumed")
"""The optics of hands without a camera: pictures of 0 x 0 pixels."""


@dataclass(frozen=True, eq=False)
class DeviceHands:
    """Both hands as one device told them, on the frames of a camera."""

    source: DeviceSource
    tracks: Mapping[Side, HandTrack]
    """In the camera where `in_camera`, else in the device's world."""
    T_world_cam: Floats | None
    """The camera in the device's world, shape (N, 4, 4); None where nobody knows."""
    at: At | None
    """The same at any times."""
    in_camera: bool
    """Whether `tracks` are in the camera."""
    findings: tuple[str, ...]

    def settled(self, world: World) -> tuple[World, dict[Side, HandTrack]]:
        """The world of the hands, given that of the camera, and the hands in it.

        That of the camera where it is known, else the device's own; where the camera is not known to be in that, no picture has a pose.
        """
        n = len(next(iter(self.tracks.values())).t_ns)
        if not self.in_camera:
            world = World(np.full((n, 4, 4), np.nan), None, ())
        elif world.T_world_cam is None and self.T_world_cam is not None:
            world = World(self.T_world_cam, self.at, ())
        tracks = {side: in_world(track, world.T_world_cam) if self.in_camera else track for side, track in self.tracks.items()}
        return world, {side: track for side, track in tracks.items() if (track.provenance != ABSENT).any()}

    def suffices(self, tracks: Mapping[Side, HandTrack]) -> bool:
        """Whether pictures have nothing to add to hands as `settled`: both are seen in every frame, or pictures are of another world."""
        return not self.in_camera or all(side in tracks and seen_by_device(tracks[side]).all() for side in SIDES)


def device_hands(recording: Recording, stream: Stream, camera: CameraCalibration) -> DeviceHands | None:
    """The hands that a device tracked, on a camera's frames; None where none did, or none knows where they were.

    `camera` are the optics of its pictures; only measured ones tell where hands are in them.
    """
    name, t_ns = stream.spec.name, stream.t_ns
    source = best_source(recording, name)
    if source is None:
        return None
    at, known = camera_at(recording, source, name), in_rig(recording, name)
    poses = None if at is None else at(t_ns)
    in_camera = poses is not None or source.origin == "device"
    tracks = {}
    for side, told in source.streams.items():
        points = _points(told, source)
        if source.origin == "device" and known is not None:
            points = _moved(_inverse(known.T_rig_cam), points)
            if at is not None:  # between two samples a hand stays where it is rather than going along with the head
                points = _moved(at(told.t_ns), points)
        joints = _told(told, side, t_ns, points)
        if poses is not None:
            joints = _moved_joints(_inverse(poses), joints)
        tracks[side] = _track(side, t_ns, joints, camera if in_camera and camera.source != "assumed" else None)
    findings = [] if camera.source != "assumed" or not in_camera else [
        f"the optics of camera {name} are not known, so the hands of {source.names} are not shown in its pictures"]
    findings += [] if in_camera else [
        f"hands are those of {source.names}; where camera {name} was in their world is not known, so they cannot be shown in its pictures "
        "(give T_rig_cam of the camera in the rig file, or track the pictures alone with '--tracker litert')"]
    return DeviceHands(source, tracks, poses, at, in_camera, (*findings, *_doubts(source)))


def in_world(track: HandTrack, T_world_cam: Floats | None) -> HandTrack:
    """A track in the camera as one in the world of the camera's poses (N, 4, 4); absent where these are not known."""
    if T_world_cam is None:
        return track
    moved = _moved_joints(T_world_cam, _Joints(track.points_m, track.provenance, track.sigma_m, track.score))
    absent = moved.codes == ABSENT
    pixels, local = (np.where(absent[..., None], np.nan, values) for values in (track.points_px, track.local_m))
    return HandTrack(track.side, track.t_ns, moved.points_m, pixels, local, moved.sigma_m, moved.codes,
                     np.where(absent.all(1), 0, track.metric), moved.score)


def hands_without_camera(recording: Recording) -> Hands:
    """The hands of a recording without pictures: rows are the samples of the stream that has most of them.

    Raises `DamagedError` when there are no hands either.
    """
    source = best_source(recording, None)
    if source is None:
        gloves = ", ".join(stream.spec.name for stream in recording.role("glove"))
        there = f"only the angles of {gloves}, which do not tell where a hand is" if gloves else "and no stream of hands"
        raise DamagedError(f"{recording.path} has no camera images, {there}; record a camera beside it")
    rows = max(source.streams.values(), key=len)
    t_ns = rows.t_ns
    rig = rig_at(recording, source)
    tracks = {}
    for side, told in source.streams.items():
        points = _points(told, source)
        tracks[side] = _track(side, t_ns, _told(told, side, t_ns, points if rig is None else _moved(rig(told.t_ns), points)), None,
                              placed=source.origin in PLACED)
    world = source.origin == "world" or source.origin == "glove" or rig is not None
    nowhere = np.full((len(t_ns), 4, 4), np.nan) if world else None
    return Hands(rows.spec.name, t_ns, "world" if world else "camera", NO_CAMERA, tracks, nowhere,
                 findings=(*_nowhere(source, rig is not None), *_doubts(source)))


def _nowhere(source: DeviceSource, tracked: bool) -> list[str]:
    """What is not known of where hands without a camera are."""
    if source.origin == "device" and not tracked:
        return [f"where the device was that {source.names} count from is not known; hands are in its axes"]
    return {
        "glove": [f"{source.names} tell how hands are turned and bent, not where they are: places count from the wrist"],
        "wrist": [f"{source.names} tell how fingers are bent, not where hands are or how they are turned: places count from the wrist"],
    }.get(source.origin, [])


def _doubts(source: DeviceSource) -> list[str]:
    if source.origin == "world" and source.up not in ("z", "y"):
        return [f"which way is up in the world of {source.names} is not known"]
    return []


@dataclass(frozen=True, eq=False)
class _Joints:
    """On frames: joints (N, 21, 3), how they are known (N, 21), sigmas (N, 21), confidence (N,)."""

    points_m: Floats
    codes: npt.NDArray[np.uint8]
    sigma_m: Floats
    score: Floats


def _points(stream: Stream, source: DeviceSource) -> Floats:
    """Joints (M, 21, 3), z up where that is known; NaN for what was not tracked."""
    points = np.asarray(stream.values[:, :63], np.float64).reshape(-1, 21, 3)
    points = np.where(np.isfinite(points).all(2, keepdims=True), points, np.nan)
    return points @ FROM_Y_UP.T if source.up == "y" else points


def _told(stream: Stream, side: Side, t_ns: Times, points_m: Floats) -> _Joints:
    """The stream's joints (M, 21, 3), in whatever axes, at the times of frames."""
    found = resample(t_ns, stream.t_ns, points_m)
    trust = _confidence(stream, t_ns)  # (N, 21)
    codes = np.where(found.measured, MEASURED, np.where(np.isfinite(found.points_m[..., 0]), INTERPOLATED, ABSENT)).astype(np.uint8)
    sigma = np.hypot(SIGMA_M * (1 + DOUBT * (1 - trust)), SWING_M_S2 * found.curve_s2)
    estimated = [JOINTS.index(name) for name in stream.spec.extra.get("estimated", ()) if name in JOINTS]
    sigma[:, estimated] = np.hypot(sigma[:, estimated], ESTIMATED_SIGMA_M)
    guessed = trust < LEAST_CONFIDENCE
    guessed[:, estimated] = True
    codes[guessed & (codes != ABSENT)] = PREDICTED
    points = found.points_m
    if np.isnan(points[:, THUMB_CMC]).all():  # a device that does not have it
        points = points.copy()
        points[:, THUMB_CMC] = thumb_base(points, side)
        there = np.isfinite(points[:, THUMB_CMC, 0])
        codes[there, THUMB_CMC] = PREDICTED
        sigma[there, THUMB_CMC] = np.hypot(sigma[there, WRIST], THUMB_BASE_SIGMA_M)
    absent = codes == ABSENT
    score = np.where(absent.all(1), np.nan, trust.mean(1))
    return _Joints(points, codes, np.where(absent, np.nan, sigma), score)


def _confidence(stream: Stream, t_ns: Times) -> Floats:
    """How sure the device is of each joint, 0 to 1, shape (N, 21): of each, else of the hand; 1 where it does not say."""
    names, values = stream.spec.names, stream.values
    out = np.ones((len(t_ns), 21))
    for joint, name in enumerate(JOINTS):
        column = next((names.index(c) for c in (f"{name}.confidence", "confidence") if c in names), None)
        if column is not None:
            known = np.flatnonzero(np.isfinite(values[:, column]))
            if len(known):
                known = known[np.argsort(stream.t_ns[known], kind="stable")]
                out[:, joint] = np.interp(t_ns, stream.t_ns[known], values[known, column])
    return np.clip(out, 0, 1)


def _inverse(T: Floats) -> Floats:
    return np.asarray(np.linalg.inv(T), np.float64)


def _moved(T: Floats, points: Floats) -> Floats:
    """Points (N, 21, 3) by poses (4, 4) or (N, 4, 4)."""
    return np.asarray(points @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3], np.float64)


def _moved_joints(T: Floats, joints: _Joints) -> _Joints:
    """Joints by poses (N, 4, 4); absent where a pose is not known."""
    known = np.isfinite(T[:, 0, 0])
    return _Joints(_moved(T, joints.points_m), np.where(known[:, None], joints.codes, np.uint8(ABSENT)).astype(np.uint8),
                   np.where(known[:, None], joints.sigma_m, np.nan), np.where(known, joints.score, np.nan))


def _track(side: Side, t_ns: Times, joints: _Joints, camera: CameraCalibration | None, *, placed: bool = True) -> HandTrack:
    """A track; with a picture where `camera` is given and the joints are in it."""
    seen = joints.codes != ABSENT
    points = np.where(seen[..., None], joints.points_m, np.nan)
    pixels = camera.project(points) if camera is not None else np.full((*points.shape[:2], 2), np.nan)
    metric = np.where(seen.any(1) & placed, DEVICE, 0)
    return HandTrack(side, t_ns, points, pixels, points - points[:, WRIST, None], joints.sigma_m, joints.codes, metric, joints.score)


def seen_by_device(track: HandTrack) -> npt.NDArray[np.bool_]:
    """Frames in which the device saw the palm, rather than guessing where it is, shape (N,)."""
    codes = track.provenance[:, [WRIST, *KNUCKLES]]
    return np.asarray(((codes == MEASURED) | (codes == INTERPOLATED)).all(1), np.bool_)
