"""The sensors of Project Aria's glasses, and what these themselves made of them: odometry, hands, gaze. A stream each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.importers.aria_calibration import AriaCalibration
from firsthand.capture.importers.aria_hands import aria_hand
from firsthand.capture.importers.poses import POSE, POSE_UNITS, as_pose
from firsthand.capture.importers.tracks import Track, numbers
from firsthand.capture.importers.vrs import data, fields
from firsthand.capture.skeleton import SIDES

Floats = npt.NDArray[np.float64]

IMUS = {"Aria": {"1202-1": "imu-right", "1202-2": "imu-left"}, "Oatmeal": {"1202-1": "imu-left", "1202-2": "imu-right"}}
MAGNETOMETER_T = {"Aria": 1e-6, "Oatmeal": 1.0}
"""What one of the stored units is; Gen 1 writes microtesla."""
AT_ONCE = 4096
IMU = ("ax", "ay", "az", "gx", "gy", "gz")


@dataclass(frozen=True, eq=False)
class AriaFile:
    """An open recording of Aria's."""

    source: Path
    reader: Any
    device: str
    calibration: AriaCalibration

    def column(self, stream: str, *names: str) -> list[tuple[Any, ...]]:
        """Fields of every record of a stream; empty when the file has no such stream."""
        if stream not in self.reader.stream_ids:
            return []
        return [tuple(record.metadata_blocks[0][name] for name in names) for record in data(self.reader, self.source, stream)]

    def arrays(self, stream: str, *names: str) -> tuple[npt.NDArray[Any], ...]:
        """The same as an array a field, (N, ...), for fields that are always as long: an hour of an IMU has three million records."""
        parts: list[tuple[npt.NDArray[Any], ...]] = []
        records = data(self.reader, self.source, stream) if stream in self.reader.stream_ids else iter(())
        while block := list(islice(records, AT_ONCE)):
            rows = [record.metadata_blocks[0] for record in block]
            parts.append(tuple(np.array([row[name] for row in rows]) for name in names))
        return tuple(map(np.concatenate, zip(*parts, strict=True)))


def sensors(vrs: AriaFile) -> Iterator[Track]:
    """IMUs (invalid is NaN), magnetometer, barometer, thermometers, and Gen 1's mappings to other clocks."""
    for stream, name in IMUS[vrs.device].items():
        measured = vrs.arrays(stream, "capture_timestamp_ns", "accelerometer", "gyroscope", "accelerometer_valid", "gyroscope_valid")
        if measured:
            t_ns, accel, gyro, accel_ok, gyro_ok = measured
            values = np.concatenate([np.where(ok[:, None], v, np.nan) for v, ok in ((accel, accel_ok), (gyro, gyro_ok))], 1)
            extra = {"vrs": stream, "calibration": vrs.calibration.imus.get(name, {}), "values": "as measured, not rectified"}
            yield numbers(name, "imu", IMU, ("m/s^2",) * 3 + ("rad/s",) * 3, t_ns.astype(np.int64), values, extra=extra,
                          rate_hz=float(fields(vrs.reader, vrs.source, stream).get("nominal_rate") or 0) or None)
    if found := vrs.column("1203-1", "capture_timestamp_ns", "magnetometer", "magnetometer_valid"):
        _, field, valid = zip(*found, strict=True)
        values = np.where(np.array(valid)[:, None], np.array(field, np.float64) * MAGNETOMETER_T[vrs.device], np.nan)
        yield numbers("magnetometer", "imu", ("mx", "my", "mz"), "T", times(found), values, extra={"vrs": "1203-1"})
    if found := vrs.column("247-1", "capture_timestamp_ns", "pressure", "temperature"):
        rows = np.array([row[1:] for row in found], np.float64)
        yield numbers("barometer", "other", ("pressure", "temperature"), ("Pa", "degC"), times(found), rows, extra={"vrs": "247-1"})
    for stream, name in (("285-1", "utc"), ("285-2", "timecode")):
        if found := vrs.column(stream, "monotonic_timestamp_ns", "real_timestamp_ns"):
            yield numbers(name, "other", ("real_ns",), "ns", times(found), np.array([row[1:] for row in found], np.int64),
                          extra={"vrs": stream})


def times(found: Sequence[tuple[Any, ...]]) -> npt.NDArray[np.int64]:
    return np.array([row[0] for row in found], np.int64)


def matrices(translation: Any, quat_xyzw: Any) -> Floats:
    """Poses as matrices (N, 4, 4); NaN where a quaternion has no length."""
    q = np.array(quat_xyzw, np.float64)
    length = np.linalg.norm(q, axis=1, keepdims=True)
    x, y, z, w = np.divide(q, length, out=np.full_like(q, np.nan), where=length > 0.5).T
    T = np.tile(np.eye(4), (len(q), 1, 1))
    T[:, :3, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                             2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                             2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1).reshape(-1, 3, 3)  # fmt: skip
    T[:, :3, 3] = np.array(translation, np.float64)
    return T


def odometry(vrs: AriaFile) -> Iterator[Track]:
    """Where the device was, from its own odometry (Gen 2): gravity along -z."""
    names = ("capture_timestamp_ns", "txyz_odometry_device", "qxyzw_odometry_device", "quality_score")
    if fast := vrs.arrays("371-3", *names):
        t_ns, place, turn, score = fast
        extra = {"frame": "T_odometry_device, gravity along -z", "up": "z", "vrs": "371-3"}
        yield numbers("vio", "pose", (*POSE, "quality"), (*POSE_UNITS, "1"), t_ns.astype(np.int64),
                      np.c_[as_pose(matrices(place, turn)), score], extra=extra)
    frames = ("odometry_bodyimu", "bodyimu_device")
    slow = ("capture_timestamp_ns", *(f"{what}_{frame}" for frame in frames for what in ("txyz", "qxyzw")),
            "status")
    if found := vrs.column("371-2", *slow):
        _, t, q, t2, q2, status = zip(*found, strict=True)
        poses = as_pose(matrices(t, q) @ matrices(t2, q2))
        extra = {"frame": "T_odometry_device, gravity along -z", "up": "z", "vrs": "371-2"}
        yield numbers("vio-frames", "pose", (*POSE, "status"), (*POSE_UNITS, "1"), times(found),
                      np.c_[poses, np.array(status, np.float64)], extra=extra)


def hands(vrs: AriaFile) -> Iterator[Track]:
    """What the glasses themselves made of the hands (Gen 2)."""
    for side in SIDES:
        names = ("hand_valid", "hand_landmarks_3d_device_meter_xyz", "wrist_rotation_xyzw", "hand_confidence")
        if found := vrs.column("371-1", "capture_timestamp_ns", *(f"{side}_hand/{name}" for name in names)):
            _, valid, landmarks, quat, confidence = zip(*found, strict=True)
            points = np.array([mark if len(mark) == 21 else np.full((21, 3), np.nan) for mark in landmarks], np.float64)
            trust = np.where(valid, np.array(confidence, np.float64), np.nan)
            yield aria_hand(side, times(found), points, np.array(quat, np.float64)[:, [3, 0, 1, 2]], trust, "on the device")


def gaze(vrs: AriaFile) -> Iterator[Track]:
    """Where the wearer looked, from both eyes together (Gen 2); NaN where it is not known."""
    names = [f"gaze_{what}_combined_in_device_{how}" for what, how in (("origin", "meter_xyz"), ("direction", "normalized_xyz"),
                                                                       ("origin", "valid"), ("direction", "valid"))]
    if found := vrs.column("373-1", "system_timestamp_ns", *names):
        _, origin, direction, origin_ok, direction_ok = zip(*found, strict=True)
        values = np.concatenate([np.where(np.array(ok)[:, None], np.array(v, np.float64), np.nan)
                                 for v, ok in ((origin, origin_ok), (direction, direction_ok))], 1)
        columns = [f"{what}.{axis}" for what in ("origin", "direction") for axis in "xyz"]
        yield numbers("gaze", "other", columns, ("m",) * 3 + ("1",) * 3, times(found), values, extra={"frame": "device", "vrs": "373-1"})
