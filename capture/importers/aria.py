"""Project Aria's recordings (VRS, Gen 1 and Gen 2): their own pictures and stamps, sensors, poses and hands; nothing encoded again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.aria_calibration import read_calibration
from firsthand.capture.importers.aria_mps import hand_tracks, mps_files, trajectory, trajectory_track
from firsthand.capture.importers.aria_sensors import AriaFile, gaze, hands, matrices, odometry, sensors
from firsthand.capture.importers.fisheye import turned
from firsthand.capture.importers.poses import POSE, POSE_UNITS, as_pose
from firsthand.capture.importers.tracks import Track, numbers, write_tracks
from firsthand.capture.importers.vrs import data, fields, is_vrs, open_vrs
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.stream import KEYFRAME, Sample, StreamSpec

STAGE = "import-aria/2"
DEVICES = {"Aria": "Gen 1", "Oatmeal": "Gen 2"}
RGB, EYES = "214-1", "211"
CODECS = {"H.264": "h264", "H.265": "hevc"}
CAMERAS = {
    "Aria": {"214-1": ("head", "camera-rgb", 1), "1201-1": ("slam-left", "camera-slam-left", 1),
             "1201-2": ("slam-right", "camera-slam-right", 1), "211-1": ("eyes", "camera-et", 0)},
    "Oatmeal": {"214-1": ("head", "camera-rgb", 0), "1201-1": ("slam-front-left", "slam-front-left", 0),
                "1201-2": ("slam-front-right", "slam-front-right", 0), "1201-3": ("slam-side-left", "slam-side-left", 0),
                "1201-4": ("slam-side-right", "slam-side-right", 0), "211-1": ("eye-left", "camera-et-left", 0),
                "211-2": ("eye-right", "camera-et-right", 0)},
}  # fmt: skip
"""By device: stream in the file -> our name, the label of its calibration, quarter turns clockwise that make it upright."""
Floats = npt.NDArray[np.float64]


def aria(source: Path, asked: Asked) -> Found | None:
    """A ``.vrs`` file, with the results of MPS in the folder ``mps_<name>_vrs`` beside it."""
    if source.is_dir() or source.suffix.lower() != ".vrs" or not is_vrs(source):
        return None
    results = tuple(mps_files(source).values())
    return Found((Take(source.stem, lambda intake: _write(source, intake)),), identity=(source, *results), files=results)


def _write(source: Path, intake: Intake) -> None:
    with open_vrs(source) as reader:
        tags = dict(reader.file_tags)
        device = str(tags.get("device_type", ""))
        if device not in DEVICES:
            raise FirsthandError(f"{source} is a VRS file, but not of Project Aria's glasses (its device_type is {device!r}); "
                                 "firsthand imports those only")
        vrs = AriaFile(source, reader, device, read_calibration(device, str(tags.get("calib_json", ""))))
        cameras: dict[str, CameraCalibration] = {}
        films = [track for stream in CAMERAS[device] if stream in reader.stream_ids
                 and (intake.asked.keep_eyes or not stream.startswith(EYES)) for track in _camera(vrs, stream, cameras)]
        try:
            rows = [*sensors(vrs), *odometry(vrs), *hands(vrs), *(gaze(vrs) if intake.asked.keep_eyes else ())]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedError(f"cannot import {source}: a record is not as Aria writes it ({type(error).__name__} {error})") from error
        rows = _with_mps(vrs, rows)
        said = {name: str(tags[name]) for name in ("device_type", "firmware_version", "realtime_clock_sample_ns",
                                                   "monotonic_clock_sample_ns", "capture_time_epoch") if name in tags}
        with intake.recording(STAGE, source="egocentric", calibration=Calibration(cameras), keep_eyes=intake.asked.keep_eyes,
                              said=said) as writer:
            write_tracks(writer, films + rows, intake.progress)


def _camera(vrs: AriaFile, stream: str, cameras: dict[str, CameraCalibration]) -> list[Track]:
    """A camera's pictures as they are in the file, and their exposures, none for one that was off; its calibration into `cameras`."""
    name, label, turns = CAMERAS[vrs.device][stream]
    first = next(iter(data(vrs.reader, vrs.source, stream)), None)
    if first is None or not first.n_image_blocks:
        return []
    told, image = fields(vrs.reader, vrs.source, stream), first.image_specs[0]
    width, height = int(told.get("image_width") or image.width), int(told.get("image_height") or image.height)
    encoding = {"jpg": "jpeg", "png": "png", "raw": "png"}.get(str(image.image_format)) or CODECS.get(image.codec_name or "")
    if encoding is None:
        raise DamagedError(f"cannot import {vrs.source}: {name} is {image.image_format} {image.codec_name}, which is none of "
                           f"jpg, png, raw, {', '.join(CODECS)}")
    readout_s = float(first.metadata_blocks[0].get("readout_duration_s") or 0)  # Gen 2's, and not of every firmware
    camera, kept = vrs.calibration.camera(label, width, height, turns, readout_s)
    if camera is not None:
        cameras[name] = camera
    extra = {"vrs": stream, "label": label, "rotation_deg": -90 * turns % 360, "sensor": str(told.get("sensor_model", "")), **kept}
    if encoding in CODECS.values():  # of a packet's own; a decoder asks for no more
        extra["packets"] = "annex b"
    spec = StreamSpec(name, "encoded", "camera", encoding=encoding, rate_hz=float(told.get("nominal_rate") or 0) or None, width_px=width,
                      height_px=height, clock="media", extra=extra)
    count, seen = int(vrs.reader.get_stream_size(stream)), list[tuple[int, int, float, float]]()
    exposure = StreamSpec(f"{name}-exposure", "numeric", "other", names=("exposure", "gain"), units=("s", "1"), about=name, clock="media",
                          extra={"vrs": stream, "of": "the picture of the same sequence"})
    told_of = (Sample(exposure.name, t_ns, t_ns, number, np.array(row)) for t_ns, number, *row in seen)  # once the pictures are written
    return [Track(spec, _pictures(vrs, stream, name, encoding, seen), count), Track(exposure, told_of, count)]


def _pictures(vrs: AriaFile, stream: str, name: str, encoding: str, seen: list[tuple[int, int, float, float]]) -> Iterator[Sample]:
    for record in data(vrs.reader, vrs.source, stream):
        said = record.metadata_blocks[0]
        block = record.image_blocks[0]
        payload = _png(block) if encoding == "png" and np.asarray(block).ndim > 1 else bytes(block)
        flags = KEYFRAME if encoding in ("jpeg", "png") or _starts(payload) else 0
        t_ns = int(said["capture_timestamp_ns"])
        number = int(said["frame_number"])
        seen.append((t_ns, number, float(said.get("exposure_duration_s", np.nan)), float(said.get("gain", np.nan))))
        yield Sample(name, t_ns, t_ns, number, payload, flags)


def _starts(packet: bytes) -> bool:
    """Whether decoding can start with a packet: it begins with a set of parameters, H.265's (VPS, SPS) or H.264's."""
    at = packet.find(b"\0\0\1")
    return 0 <= at < len(packet) - 3 and (packet[at + 3] >> 1 & 0x3F in (32, 33) or packet[at + 3] & 0x1F == 7)


def _png(image: Any) -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.asarray(image))[1])


def _with_mps(vrs: AriaFile, rows: list[Track]) -> list[Track]:
    """The results of MPS added, and the head camera's own poses: from MPS where it is there, else from the device's odometry."""
    results = mps_files(vrs.source)
    poses: tuple[npt.NDArray[np.int64], Floats] | None = None
    if "trajectory" in results:
        t_ns, device, quality = trajectory(results["trajectory"])
        rows = [*rows, trajectory_track(t_ns, device, quality)]
        poses = t_ns, matrices(device[:, :3], device[:, [4, 5, 6, 3]])
    elif found := vrs.arrays("371-3", "capture_timestamp_ns", "txyz_odometry_device", "qxyzw_odometry_device"):
        poses = found[0].astype(np.int64), matrices(*found[1:])
    if "hands" in results:
        rows = [*rows, *hand_tracks(results["hands"])]
    name, label, turns = CAMERAS[vrs.device][RGB]
    T_device_cam = vrs.calibration.T_device_cam(label)
    if poses is not None and T_device_cam is not None:
        extra = {"frame": "T_world_cam, gravity along -z", "up": "z", "from": "mps-trajectory" if "trajectory" in results else "vio"}
        rows = [*rows, numbers(f"{name}-pose", "pose", POSE, POSE_UNITS, poses[0], as_pose(poses[1] @ turned(T_device_cam, turns)),
                               about=name, extra=extra)]
    return rows
