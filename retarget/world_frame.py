"""Which world the hands are in: the one a device tracks the camera in, else that of anchors, else the camera's own; level by gravity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.anchor import Anchor, library_anchors, parse_anchors
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording, Stream
from firsthand.retarget.anchor_pose import place_with, poses_from
from firsthand.retarget.anchor_sight import AnchorFinder, Sight
from firsthand.retarget.gravity import Up, up_from, upright
from firsthand.retarget.gyro import Gyro, mounted, steadied
from firsthand.retarget.head_pose import COLUMNS, pose_rows, poses_at

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

ENOUGH_SHARE = 0.9
"""A device's poses are preferred to anchors' where they cover so much of what these cover."""
TILTED_RAD = np.radians(5)
"""A device's world that is further from level is said not to be."""
LEVEL_RAD = np.radians(3)
"""Gravity known to no better than this does not turn the anchors' world: boards mostly lie on tables."""
NOWHERE = "where the head was is not known: no pose of the camera was recorded, and no anchor seen; hands are in the camera's frame"
Z_FROM_Y = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
"""For worlds whose y is up."""
IMU = ("ax", "ay", "az", "gx", "gy", "gz")


@dataclass(frozen=True, eq=False)
class World:
    """The camera in its world."""

    T_world_cam: Floats | None
    """Shape (N, 4, 4), NaN where not known; None when it is known nowhere, and things are told in the camera's frame."""
    at: Callable[[Times], Floats] | None
    """The same at any times (M,), shape (M, 4, 4)."""
    findings: tuple[str, ...]
    """What a person should know."""

    def of_joints(self, t_ns: Times, points_px: Floats, camera: CameraCalibration) -> Floats | None:
        """Poses that take things seen at pixels (N, K, 2) of the frames at `t_ns` (N,) to the world: shape (N, K, 4, 4) for a rolling
        shutter, whose rows see the world one after the other; else (N, 1, 4, 4)."""
        if self.T_world_cam is None or self.at is None:
            return None
        if not camera.rolling_s_px.any():
            return self.T_world_cam[:, None]
        late_ns = np.nan_to_num(camera.exposed_s(points_px) * 1e9).astype(np.int64)
        return self.at((t_ns[:, None] + late_ns).ravel()).reshape(*late_ns.shape, 4, 4)


def world_of(recording: Recording, stream: Stream, camera: CameraCalibration, anchors: Sequence[Anchor] = (),
             progress: Callable[[int, int], None] | None = None) -> World:
    """The world of a camera's frames. Pictures are looked at for `anchors` where no device's poses will do; `progress` tells of that."""
    t_ns = stream.t_ns
    device, findings = _device(recording, stream.spec.name, t_ns)
    covered = 0.0 if device is None else float(np.isfinite(device.poses[:, 0, 0]).mean())
    if anchors and covered < ENOUGH_SHARE:
        among, told = _among(recording, stream, camera, anchors, progress)
        if among is not None and covered < ENOUGH_SHARE * np.isfinite(among[:, 0, 0]).mean():
            return _posed(among, lambda at: poses_at(at, t_ns, pose_rows(among)), told)
        findings = [*findings, *told]
    if device is None:
        return World(None, None, (*findings, NOWHERE))
    return _posed(device.poses, device.at, [*findings, *_level(recording, stream, device)])


def anchors_of(episode: Episode) -> tuple[Anchor, ...]:
    """The anchors where an episode was recorded: those of its rig, else of its library's ``anchors.toml``."""
    try:
        rig = episode.session().get("rig") or {}
    except DamagedError:  # an episode outside of a session
        return ()
    return parse_anchors(f"the rig in {episode.path.parent / 'session.json'}", rig.get("anchors", [])) or library_anchors(episode.library)


def _posed(poses: Floats, at: Callable[[Times], Floats], findings: Sequence[str]) -> World:
    missing = int(np.isnan(poses[:, 0, 0]).sum())
    absent = [f"the head's pose is not known in {missing} of {len(poses)} frames; hands are absent there"] if missing else []
    return World(poses, at, (*findings, *absent))


@dataclass(frozen=True, eq=False)
class _Device:
    stream: str
    poses: Floats
    at: Callable[[Times], Floats]


def _device(recording: Recording, camera: str, t_ns: Times) -> tuple[_Device | None, list[str]]:
    """The device's own poses of the camera: of the streams about it, or about another camera of the rig, the one that knows most."""
    known = recording.calibration.cameras
    found: list[tuple[float, bool, _Device]] = []
    outside = []
    for stream in recording.role("pose"):
        about = stream.spec.about
        rigid = about in known and camera in known and not np.allclose(known[about].T_rig_cam, known[camera].T_rig_cam)
        if not set(COLUMNS) <= set(stream.spec.names) or not (about == camera or rigid):
            continue
        T = np.linalg.inv(known[str(about)].T_rig_cam) @ known[camera].T_rig_cam if rigid else np.eye(4)
        rows, at_ns = stream.values[:, [stream.spec.names.index(c) for c in COLUMNS]], stream.t_ns
        T_up = Z_FROM_Y if stream.spec.extra.get("up") == "y" else np.eye(4)

        def at(t: Times, at_ns: Times = at_ns, rows: Floats = rows, T: Floats = T, T_up: Floats = T_up) -> Floats:
            return np.asarray(T_up @ poses_at(t, at_ns, rows) @ T)

        poses = at(t_ns)
        share = float(np.isfinite(poses[:, 0, 0]).mean())
        if share > 0:
            found.append((share, about == camera, _Device(stream.spec.name, poses, at)))
        else:
            outside.append(f"the head's poses in stream {stream.spec.name} lie outside the video")
    if not found:
        return None, outside
    return max(found, key=lambda f: (round(f[0], 2), f[1]))[2], []


def _among(recording: Recording, stream: Stream, camera: CameraCalibration, anchors: Sequence[Anchor],
           progress: Callable[[int, int], None] | None) -> tuple[Floats | None, list[str]]:
    """Poses of the camera among anchors, level where an IMU tells how; and what a person should know."""
    finder, sights = AnchorFinder(anchors, camera), list[list[Sight]]()
    for image in stream.images():
        sights.append(finder(image))
        if progress:
            progress(len(sights), len(stream))
    found = poses_from(sights, stream.t_ns)
    names = ", ".join(anchor.name for anchor in anchors)
    if found is None:
        return None, [f"no anchor ({names}) was seen in any picture"]
    told = [f"anchor {anchors[i].name} did not stand still; it was left out where the others contradict it" for i in found.moved]
    lost = sorted({sight.anchor for seen in sights for sight in seen} - set(found.T_world_anchor))
    told += [f"anchor {anchors[i].name} was never seen with another and is not used" for i in lost]
    T = found.T_world_cam
    gyro, force = _imu(recording, stream, T)
    if gyro is not None:
        R = steadied(stream.t_ns, T[:, :3, :3], gyro)
        places = place_with(R, found.sights, found.T_world_anchor)
        T = _with_gaps_joined(stream.t_ns, R, places)
    up = None if gyro is None or force is None else up_from(*force, gyro, stream.t_ns, T[:, :3, :3])
    first = anchors[next(iter(found.T_world_anchor))].name
    if up is None or up.sigma_rad > LEVEL_RAD:
        told.append(f"gravity is not known; the world's z points out of anchor {first}")
    else:
        level = np.eye(4)
        level[:3, :3] = upright(up)
        T = level @ T
        told.append(f"the world is that of anchor {first}, level to {np.degrees(up.sigma_rad):.1f} degrees")
    return poses_at(stream.t_ns, stream.t_ns, pose_rows(T)), told


def _with_gaps_joined(t_ns: Times, R: Floats, places: Floats) -> Floats:
    """Poses from orientations (N, 3, 3) and places (N, 3), which are joined by lines where an orientation is known between them."""
    T = np.full((len(R), 4, 4), np.nan)
    turned, placed = np.isfinite(R[:, 0, 0]), np.flatnonzero(np.isfinite(places[:, 0]))
    if len(placed) == 0:
        return T
    inside = turned & (np.arange(len(R)) >= placed[0]) & (np.arange(len(R)) <= placed[-1])
    T[inside] = np.eye(4)
    T[inside, :3, :3] = R[inside]
    T[inside, :3, 3] = np.stack([np.interp(t_ns[inside], t_ns[placed], places[placed, k]) for k in range(3)], 1)
    return T


def _imu(recording: Recording, stream: Stream, T: Floats) -> tuple[Gyro | None, tuple[Times, Floats] | None]:
    """The IMU that turns as the camera did: those said to be about it first. Its gyroscope, and its times with specific forces (S, 3)."""
    imus = [s for s in recording.role("imu") if set(IMU) <= set(s.spec.names)]
    for imu in sorted(imus, key=lambda s: s.spec.about != stream.spec.name):
        columns = [imu.spec.names.index(name) for name in IMU]
        aligned = imu.spec.about == stream.spec.name
        gyro = mounted(imu.t_ns, imu.values[:, columns[3:]], stream.t_ns, T[:, :3, :3], aligned=aligned)
        if gyro is not None:
            return gyro, (imu.t_ns, imu.values[:, columns[:3]])
    return None, None


def _level(recording: Recording, stream: Stream, device: _Device) -> list[str]:
    """Whether a device's world is level, as far as an IMU tells."""
    gyro, force = _imu(recording, stream, device.poses)
    up: Up | None = None if gyro is None or force is None else up_from(*force, gyro, stream.t_ns, device.poses[:, :3, :3])
    if up is None or up.tilt_rad < max(TILTED_RAD, 3 * up.sigma_rad):
        return []
    return [f"the world of stream {device.stream} is not level: by the accelerometer its z is {np.degrees(up.tilt_rad):.0f} degrees off"]
