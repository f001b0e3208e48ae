"""What Project Aria's cloud (MPS) made of a recording, as CSV files beside it: the trajectory and the hands."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.aria_hands import aria_hand
from firsthand.capture.importers.poses import POSE, POSE_UNITS
from firsthand.capture.importers.tracks import Track, numbers
from firsthand.capture.skeleton import SIDES

Floats = npt.NDArray[np.float64]
AXES = "xyz"


def mps_folder(source: Path) -> Path | None:
    """The folder of results that belongs to a recording, as Aria's tools name it; None where there is none."""
    names = (f"mps_{source.stem}_vrs", f"mps_{source.stem}", f"{source.stem}_mps", "mps")
    return next((folder for name in names if (folder := source.parent / name).is_dir()), None)


def mps_files(source: Path) -> dict[str, Path]:
    """The files we read of them, by what they hold."""
    folder = mps_folder(source)
    if folder is None:
        return {}
    patterns = {"trajectory": "closed_loop_trajectory*.csv", "hands": "hand_tracking_results*.csv"}
    found = {what: sorted(folder.rglob(pattern)) for what, pattern in patterns.items()}
    return {what: paths[-1] for what, paths in found.items() if paths}


def trajectory(path: Path) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Times (N,), poses of the device in a world with gravity along -z (N, 7) as `POSE`, and their quality (N,). No place on earth."""
    wanted = [*(f"t{a}_world_device" for a in AXES), *(f"q{a}_world_device" for a in "wxyz"), "quality_score"]
    t_ns, values = _read(path, wanted)
    return t_ns, values[:, :7], values[:, 7]


def trajectory_track(t_ns: npt.NDArray[np.int64], poses: Floats, quality: Floats) -> Track:
    """The device's poses as a stream."""
    extra = {"frame": "T_world_device, gravity along -z", "up": "z", "made_by": "MPS closed loop"}
    return numbers("mps-trajectory", "pose", (*POSE, "quality"), (*POSE_UNITS, "1"), t_ns, np.c_[poses, quality], extra=extra)


def hand_tracks(path: Path) -> list[Track]:
    """Both hands as streams."""
    tracks = []
    for side in SIDES:
        landmarks = [f"t{a}_{side}_landmark_{i}_device" for i in range(21) for a in AXES]
        wrist = [f"q{a}_{side}_device_wrist" for a in "wxyz"]
        t_ns, values = _read(path, [f"{side}_tracking_confidence", *landmarks], optional=wrist)
        confidence = np.where(values[:, 0] < 0, np.nan, values[:, 0])  # -1: no hand
        quat = values[:, 64:] if values.shape[1] == 68 else np.full((len(values), 4), np.nan)
        tracks.append(aria_hand(side, t_ns, values[:, 1:64].reshape(-1, 21, 3), quat, confidence, "MPS hand tracking", prefix="mps-"))
    return tracks


def _read(path: Path, names: Sequence[str], optional: Sequence[str] = ()) -> tuple[npt.NDArray[np.int64], Floats]:
    """Times, and columns by name, those that are all there of the optional ones last; NaN for an empty cell."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        head = next(rows, [])
        stamp = next((name for name in ("tracking_timestamp_us", "tracking_timestamp_ns") if name in head), None)
        lacking = [name for name in names if name not in head]
        if stamp is None or lacking:
            raise DamagedError(f"{path} has no column {lacking[0] if lacking else 'tracking_timestamp_us'}; is it a file of MPS?")
        wanted = [head.index(name) for name in [*names, *(optional if set(optional) <= set(head) else ())]]
        at, factor = head.index(stamp), 1000 if stamp.endswith("us") else 1
        times, values = [], []
        try:
            for row in filter(None, rows):
                times.append(int(row[at]) * factor)
                values.append([float(row[i] or "nan") for i in wanted])
        except (ValueError, IndexError) as error:
            raise DamagedError(f"{path} is damaged in line {rows.line_num} ({error}); fetch it again from MPS") from error
    return np.array(times, np.int64), np.array(values, np.float64).reshape(-1, len(wanted))
