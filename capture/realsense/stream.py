"""A RealSense camera's streams as ours: what each carries, and its frames' metadata beside it."""

from contextlib import suppress
from typing import Any

import numpy as np

from firsthand.capture.realsense.optics import T_rig, intrinsics_to_json
from firsthand.capture.stream import Role, StreamSpec

CLOCKED = ("frame_counter", "frame_timestamp", "sensor_timestamp", "backend_timestamp", "time_of_arrival", "actual_fps")
"""Metadata of motion frames and pictures, as the SDK calls them."""
FACTS = {
    "picture": (*CLOCKED, "actual_exposure", "gain_level", "auto_exposure", "exposure_priority", "white_balance",
                "auto_white_balance_temperature", "frame_laser_power", "frame_laser_power_mode", "frame_emitter_mode", "temperature",
                "sequence_id", "sequence_size", "power_line_frequency", "gpio_input_data", "raw_frame_size"),
    "motion": (*CLOCKED, "temperature"),
}
"""Which of a live camera's are kept. Always the same, so that a camera that comes back fits into the take."""
MOTION = {"accel": (("ax", "ay", "az"), "m/s^2"), "gyro": (("gx", "gy", "gz"), "rad/s")}


def spec_of(rs: Any, profile: Any, sensors: list[Any], name: str, encoding: str, **more: Any) -> StreamSpec:
    """The stream of a profile: a picture's in that encoding, or a motion sensor's. `more` are further fields of `StreamSpec`."""
    kind = str(profile.stream_type()).rpartition(".")[2]
    extra: dict[str, Any] = {"realsense": str(profile.stream_name()), "format": str(profile.format()).rpartition(".")[2],
                             **more.pop("extra", {})}
    rate = float(profile.fps()) or None
    if profile.is_motion_stream_profile():
        columns, unit = MOTION[kind]
        with suppress(RuntimeError):
            motion = profile.as_motion_stream_profile().get_motion_intrinsics()
            extra["intrinsics"] = {"data": np.array(motion.data).tolist(), "noise": list(motion.noise_variances),
                                   "bias": list(motion.bias_variances)}
        extra["T_rig_imu"] = T_rig(rs, profile, sensors).tolist()
        return StreamSpec(name, "numeric", "imu", names=columns, units=(unit,) * 3, rate_hz=rate, extra=extra, **more)
    video, role = profile.as_video_stream_profile(), _role(kind)
    if role == "depth":
        scales = [s.as_depth_sensor().get_depth_scale() for s in sensors if s.is_depth_sensor()]
        extra["depth_unit_m"] = round(float(scales[0]), 9) if scales else 0.001
    extra["intrinsics"] = intrinsics_to_json(video.get_intrinsics())
    return StreamSpec(name, "encoded", role, encoding=encoding, rate_hz=rate, width_px=video.width(), height_px=video.height(),
                      extra=extra, **more)


def _role(kind: str) -> Role:
    return "depth" if kind == "depth" else "camera"


def metadata_of(spec: StreamSpec, facts: tuple[str, ...]) -> StreamSpec:
    """The stream of a stream's metadata: a row a frame."""
    return StreamSpec(f"{spec.name}-metadata", "numeric", "other", names=facts, units=("1",) * len(facts), rate_hz=spec.rate_hz,
                      about=spec.name, clock=spec.clock, wrap_ns=spec.wrap_ns,
                      extra={"units": "as the SDK writes them: stamps in us or ms, exposure in us"})
