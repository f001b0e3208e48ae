"""Whether a file of hands from another program can be believed: shapes, frames, camera, and what it says against what it says."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.skeleton import INDEX_MCP, KNUCKLES, LITTLE_MCP, MIDDLE_MCP, SIDES, TIPS, WRIST
from firsthand.retarget.hand_track import METRIC

Floats = npt.NDArray[np.float64]
Arrays = dict[str, npt.NDArray[Any]]

SHAPES: Mapping[str, tuple[int, ...]] = {
    "frame": (), "side": (), "kpts2d": (21, 2), "kpts3d_cam": (21, 3), "wrist_T_cam": (4, 4), "score": (), "valid": (),
    "metric_quality": (),
}
"""What each hand has, after the axis of hands."""
SAME_K = 0.01
"""Of the focal length, as a share; the centre as a share of the width."""
MOST_APART = 0.25
"""Joints in metres lie off the joints in the picture by no more, in palm lengths, median over the hands."""
WRIST_APART_M = 0.02
BENT, FEWEST_BENT, MOST_WRONG = 0.15, 10, 0.8
"""A hand tells its side when its fingers leave the palm's plane by so much of their length; so many must, and no more may be wrong."""


def check_hands(path: Path, t_ns: npt.NDArray[np.int64], camera: CameraCalibration) -> Arrays:
    """The arrays of a file, `SHAPES`, for frames at `t_ns` (N,) of pictures as `camera` makes them.

    Raises `DamagedError`, one sentence, for the first thing that is wrong.
    """
    told = _read(path)
    count = _shapes(path, told)
    _frames(path, told, t_ns)
    _camera(path, told, camera)
    _values(path, told)
    if count and told["valid"].any():
        _agree(path, told, camera)
        _sides(path, told)
    return told


def _read(path: Path) -> Arrays:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            told = {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DamagedError(f"{path} cannot be read as a file of NumPy arrays ({error}); write it with numpy.savez") from error
    if lacking := sorted({*SHAPES, "frame_t_ns", "K"} - set(told)):
        raise DamagedError(f"{path} has no array {', '.join(lacking)}; docs/hands.md lists what it must hold")
    return told


def _shapes(path: Path, told: Arrays) -> int:
    count = len(told["kpts2d"]) if told["kpts2d"].ndim else 0
    for name, shape in {**{name: (count, *shape) for name, shape in SHAPES.items()}, "K": (3, 3)}.items():
        if told[name].shape != shape:
            raise DamagedError(f"{path}: {name} must have shape {shape}, one row for each of the {count} hands in kpts2d, "
                               f"got {told[name].shape}" if name != "K" else f"{path}: K must have shape (3, 3), got {told[name].shape}")
    kinds = {"frame": "iu", "frame_t_ns": "iu", "valid": "b", "side": "U", "metric_quality": "U"}
    for name in (*SHAPES, "frame_t_ns", "K"):
        if told[name].dtype.kind not in (wanted := kinds.get(name, "fiu")):
            words = {"iu": "whole numbers", "b": "truth values", "U": "texts", "fiu": "numbers"}[wanted]
            raise DamagedError(f"{path}: {name} must hold {words}, got {told[name].dtype}")
    return count


def _frames(path: Path, told: Arrays, t_ns: npt.NDArray[np.int64]) -> None:
    times = told["frame_t_ns"]
    if times.shape != t_ns.shape:
        raise DamagedError(f"{path} is of {times.size} frames, the recording has {len(t_ns)}; run the model on all frames that "
                           "'firsthand frames' puts out of this episode")
    if not np.array_equal(times, t_ns):
        raise DamagedError(f"{path} is of other frames: its frame_t_ns are not those of this recording, from frame "
                           f"{int(np.flatnonzero(times != t_ns)[0])} on; give the file that belongs to this episode")
    outside = (told["frame"] < 0) | (told["frame"] >= len(t_ns))
    if outside.any():
        raise DamagedError(f"{path}: frame counts from 0 to {len(t_ns) - 1}, got {int(told['frame'][outside][0])}")


def _camera(path: Path, told: Arrays, camera: CameraCalibration) -> None:
    K, ours = told["K"].astype(np.float64), camera.K
    near = np.abs(K - ours) <= SAME_K * np.array([[ours[0, 0], ours[0, 0], camera.width_px], [ours[1, 1], ours[1, 1], camera.width_px],
                                                  [1, 1, 1]])
    if not near.all():
        raise DamagedError(f"{path} is for a camera with a focal length of {K[0, 0]:.1f} px and its centre at ({K[0, 2]:.1f}, "
                           f"{K[1, 2]:.1f}); the frames have {ours[0, 0]:.1f} px and ({ours[0, 2]:.1f}, {ours[1, 2]:.1f}): use the K of "
                           "their frames.json, and scale what the model found back to their size")


def _values(path: Path, told: Arrays) -> None:
    for name, known in (("side", SIDES), ("metric_quality", METRIC[1:])):
        if odd := sorted(set(told[name].tolist()) - set(known)):
            raise DamagedError(f"{path}: {name} is one of {', '.join(known)}, got {odd[0]!r}")
    valid = told["valid"]
    for name in ("kpts2d", "kpts3d_cam", "score"):
        bad = valid & ~np.isfinite(told[name]).all(tuple(range(1, told[name].ndim)))
        if bad.any():
            raise DamagedError(f"{path}: {name} of hand {int(np.flatnonzero(bad)[0])} is not a number though the hand is valid; "
                               "mark what was not found as not valid")
    score = told["score"][valid]
    if ((score < 0) | (score > 1)).any():
        raise DamagedError(f"{path}: score lies between 0 and 1, got {float(score[np.abs(score - 0.5).argmax()]):g}")
    behind = valid & (told["kpts3d_cam"][:, WRIST, 2] <= 0)
    if behind.any():
        raise DamagedError(f"{path}: kpts3d_cam of hand {int(np.flatnonzero(behind)[0])} lies behind the camera; its axes are x right, "
                           "y down, z forward, in metres")
    T = told["wrist_T_cam"][valid]
    posed = np.isfinite(T).all((1, 2))
    apart = np.linalg.norm(T[posed, :3, 3] - told["kpts3d_cam"][valid][posed, WRIST], axis=1)
    R = T[posed, :3, :3]
    turned = np.abs(R @ R.swapaxes(1, 2) - np.eye(3)).max((1, 2), initial=0) < 1e-2
    if (apart > WRIST_APART_M).any() or not turned.all():
        raise DamagedError(f"{path}: wrist_T_cam takes points of the wrist to the camera, but its place is not that of joint 0 in "
                           "kpts3d_cam, or it does not only turn; NaN stands for a pose that is not known")


def _agree(path: Path, told: Arrays, camera: CameraCalibration) -> None:
    """Joints in metres against joints in the picture: a wrong focal length, a picture cut or scaled, one mirrored."""
    points, pixels = (told[name][told["valid"]].astype(np.float64) for name in ("kpts3d_cam", "kpts2d"))
    shown = camera.project(points)
    palm = np.linalg.norm(pixels[:, MIDDLE_MCP] - pixels[:, WRIST], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.nan_to_num(np.linalg.norm(shown - pixels, axis=2).mean(1) / palm, nan=np.inf)
    if np.median(apart) > MOST_APART:
        raise DamagedError(f"{path}: with its K, kpts3d_cam lands {np.median(apart):.1f} palm lengths off kpts2d in the picture; both "
                           "must be of the frames as they were put out, not cut, scaled or mirrored, the distance for their focal length")


def _sides(path: Path, told: Arrays) -> None:
    """Fingers bend towards the palm: on which side of the plane of wrist and knuckles they lie tells a left hand from a right one."""
    for side in SIDES:
        points = told["kpts3d_cam"][told["valid"] & (told["side"] == side)].astype(np.float64)
        bend = bent_as_right(points) * (1 if side == "right" else -1)
        bend = bend[np.abs(bend) > BENT]
        wrong = int((bend < 0).sum())
        if len(bend) >= FEWEST_BENT and wrong > MOST_WRONG * len(bend):
            other = "left" if side == "right" else "right"
            raise DamagedError(f"{path}: {wrong} of {len(bend)} hands called {side} bend their fingers as only a {other} hand can; "
                               "exchange the sides, or undo the mirroring of kpts3d_cam")


def bent_as_right(points_m: Floats) -> Floats:
    """How far the fingers of hands (M, 21, 3) bend out of the palm's plane to where a right hand has its palm, -1 to 1, shape (M,)."""
    wrist = points_m[:, WRIST]
    normal = np.cross(points_m[:, INDEX_MCP] - wrist, points_m[:, LITTLE_MCP] - wrist)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    fingers = points_m[:, list(TIPS[1:])] - points_m[:, list(KNUCKLES)]
    fingers /= np.maximum(np.linalg.norm(fingers, axis=2, keepdims=True), 1e-12)
    return np.asarray(np.einsum("nkj,nj->n", fingers, normal) / 4, np.float64)
