"""What other people's readers find in a recording: one JSON line of {stream: [count, first_s, last_s, first row, last row]}.

    python read_source.py gopro|aria|xdf|realsense FILE

Runs in an environment of its own; firsthand is not there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

Found = dict[str, list[Any]]


def gopro(path: Path) -> Found:
    """GoPro's own parser."""
    from py_gpmf_parser.gopro_telemetry_extractor import GoProTelemetryExtractor

    extractor = GoProTelemetryExtractor(str(path))
    extractor.open_source()
    found: Found = {}
    for key in ("ACCL", "GYRO", "MAGN", "SHUT", "ISOE", "ISOG", "CORI", "IORI", "GRAV", "WBAL"):
        try:
            values, times = extractor.extract_data(key)
        except IndexError:
            continue
        if len(values) == 0:
            continue
        found[key] = [len(values), float(times[0]), float(times[-1]), values[0].tolist(), values[-1].tolist()]
    extractor.close_source()
    return found


def aria(path: Path) -> Found:
    """Project Aria's own tools, with their projection of points on a ray fan by each camera."""
    from projectaria_tools.core import data_provider
    from projectaria_tools.core.sensor_data import TimeDomain

    provider = data_provider.create_vrs_data_provider(str(path))
    found: Found = {}
    for stream in provider.get_all_streams():
        times = provider.get_timestamps_ns(stream, TimeDomain.DEVICE_TIME)
        label = provider.get_label_from_stream_id(stream)
        found[str(stream)] = [len(times), *([times[0] / 1e9, times[-1] / 1e9] if len(times) else [0, 0]), label, ""]
    calibration = provider.get_device_calibration()
    rays = [[x, y, 1.0] for x in (-0.6, 0.0, 0.5) for y in (-0.4, 0.1, 0.6)]
    for label in calibration.get_camera_labels():
        camera = calibration.get_camera_calib(label)
        pixels = [camera.project(np.array(ray)) for ray in rays]
        seen = [[ray, pixel.tolist()] for ray, pixel in zip(rays, pixels) if pixel is not None]  # noqa: B905
        found[f"project {label}"] = [len(seen), 0, 0, seen, camera.get_transform_device_camera().to_matrix().tolist()]
    return found


def xdf(path: Path) -> Found:
    """The reader of the people who made the format."""
    import pyxdf

    streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=False)
    found: Found = {}
    for stream in streams:
        times, rows = stream["time_stamps"], stream["time_series"]
        ends = [[str(v) for v in rows[0]], [str(v) for v in rows[-1]]] if len(rows) else [[], []]
        found[stream["info"]["name"][0]] = [len(rows), *([float(times[0]), float(times[-1])] if len(times) else [0, 0]), *ends]
    return found


def realsense(path: Path) -> Found:
    """The messages of a ROS bag, as a reader of ROS bags counts them."""
    from rosbags.rosbag1 import Reader

    with Reader(path) as reader:
        return {c.topic: [c.msgcount, 0, 0, c.msgtype, ""] for c in reader.connections}


if __name__ == "__main__":
    print(json.dumps({"gopro": gopro, "aria": aria, "xdf": xdf, "realsense": realsense}[sys.argv[1]](Path(sys.argv[2]))))
