"""How far the head has turned, as three very different sensors tell it: a gyroscope, a pose tracker, and the pictures themselves.

Each gives the angle turned about its own three axes since the start, summed from small rotations. Sensors on one head then agree up to
the rotation between their axes, whatever it is.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.motion import Floats, Motion
from firsthand.capture.recording import Stream

WIDTH_PX = 320
"""Pictures are made this small first: rotation needs no more."""
CELL_PX, FEWEST = 20, 12
"""One feature in each cell of the picture, so that a hand full of edges does not outvote a plain table."""
AGREE_PX = 0.7
"""How far a point of the background may lie from where the others say."""
TRIALS, LEAST_SHARE = 200, 0.15
"""Rotations tried for a picture, and the share of its features that must agree on one."""
MOST_SKIPPED = 3
"""So many pictures in which no background is found may lie between two that are compared."""
ASSUMED_HFOV_DEG = 70.0
"""Of a camera that was not calibrated. Only the shape of the movement counts, not its size."""


def gyro_columns(stream: Stream) -> list[int]:
    """The three columns of angular rate, in rad/s; empty where the stream has none."""
    columns = [i for i, unit in enumerate(stream.spec.units) if unit == "rad/s"]
    return columns if len(columns) == 3 else []


def pose_columns(stream: Stream) -> list[int]:
    """The columns of the unit quaternion, w first; empty where the stream has none."""
    names = stream.spec.names
    return [names.index(n) for n in ("qw", "qx", "qy", "qz")] if {"qw", "qx", "qy", "qz"} <= set(names) else []


def turned_by_gyro(stream: Stream) -> Motion:
    """The integral of a gyroscope's rates."""
    rates, t_ns = _in_order(stream.values[:, gyro_columns(stream)], stream.t_ns)
    known = np.asarray(np.isfinite(rates).all(1), np.bool_)
    between = np.nan_to_num((rates[1:] + rates[:-1]) / 2)
    return _summed(f"stream {stream.spec.name}", t_ns, between * np.diff(t_ns)[:, None] * 1e-9, known)


def turned_by_pose(stream: Stream) -> Motion:
    """The steps from one orientation to the next, in the tracked body's own axes."""
    quats, t_ns = _in_order(stream.values[:, pose_columns(stream)], stream.t_ns)
    known = np.asarray(np.isfinite(quats).all(1), np.bool_)
    rows = np.flatnonzero(known)
    steps = np.zeros((max(len(quats) - 1, 0), 3))
    if len(rows) > 1:
        steps[rows[1:] - 1] = _quat_steps(quats[rows])
    return _summed(f"stream {stream.spec.name}", t_ns, steps, known)


def turned_by_pictures(stream: Stream, camera: CameraCalibration | None, progress: Callable[[int, int], None] | None = None) -> Motion:
    """How the camera turned, from the flow of the background; NaN where too little of it was found again.

    What most features do is taken for the background, so that hands do not count.
    """
    import cv2

    t_ns, steps, known = stream.t_ns, np.zeros((max(len(stream) - 1, 0), 3)), np.ones(len(stream), np.bool_)
    before: npt.NDArray[np.uint8] | None = None
    scale, optics, compared = 1.0, camera, 0
    for i, picture in enumerate(stream.images()):
        scale = WIDTH_PX / picture.shape[1]
        if optics is None or (optics.width_px, optics.height_px) != (picture.shape[1], picture.shape[0]):
            optics = CameraCalibration.from_hfov(picture.shape[1], picture.shape[0], ASSUMED_HFOV_DEG)
        grey = cv2.cvtColor(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        here = np.asarray(grey, np.uint8)
        if before is not None:
            step = _turn(before, here, optics, scale)
            known[i] = step is not None
            if step is not None:
                steps[i - 1] = step
        if known[i] or i - compared > MOST_SKIPPED:
            before, compared = here, i
        if progress:
            progress(i + 1, len(stream))
    return _summed(f"the pictures of {stream.spec.name}", t_ns, steps, known)


def _turn(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], optics: CameraCalibration, scale: float) -> Floats | None:
    """The rotation vector of the camera between two small grey pictures, shape (3,); None where it cannot be told."""
    import cv2

    corners = _corners(before)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, winSize=(15, 15), maxLevel=3)  # type: ignore[call-overload]
    ok = found.ravel() == 1
    if np.count_nonzero(ok) < FEWEST:
        return None
    p, q = (optics.unproject((points[ok].reshape(-1, 2).astype(np.float64) + 0.5) / scale - 0.5) for points in (corners, moved))
    seen = np.isfinite(p).all(1) & np.isfinite(q).all(1)  # by the lens: a fisheye's corners are black
    R = _background(p[seen], q[seen], AGREE_PX / (float(optics.K[0, 0]) * scale))
    # Points that stay where they are turn the other way in the camera's axes. Small angles: sine and angle are one.
    return None if R is None else -np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2


def _background(before: Floats, after: Floats, near_rad: float) -> Floats | None:
    """The rotation (3, 3) that takes more unit rays (P, 3) to where they went than any other; None where too few agree on one.

    Random sample consensus: what two rays tell, tried on all.
    """
    first, second = np.random.default_rng(0).integers(0, len(before), (2, TRIALS))
    frames = []
    for rays in (before, after):
        across = np.cross(rays[first], rays[second])
        across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
        frames.append(np.stack([rays[first], across, np.cross(rays[first], across)], 2))
    trials = frames[1] @ frames[0].transpose(0, 2, 1)  # (H, 3, 3)
    off = np.linalg.norm(np.einsum("hij,pj->hpi", trials, before) - after, axis=2)
    R = trials[int(np.argmax((off < near_rad).sum(1)))]
    for _ in range(3):
        agree = np.linalg.norm(before @ R.T - after, axis=1) < near_rad
        if np.count_nonzero(agree) < max(FEWEST, LEAST_SHARE * len(before)):
            return None
        u, _, vt = np.linalg.svd(after[agree].T @ before[agree])  # Kabsch
        u[:, 2] *= np.sign(np.linalg.det(u @ vt))
        R = u @ vt
    return np.asarray(R, np.float64)


def _corners(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """The strongest corner of each cell, shape (P, 1, 2)."""
    import cv2

    strength = cv2.cornerMinEigenVal(grey, 5)
    rows, columns = grey.shape[0] // CELL_PX, grey.shape[1] // CELL_PX
    cells = strength[: rows * CELL_PX, : columns * CELL_PX].reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2)
    y, x = np.divmod(cells.reshape(rows, columns, -1).argmax(2), CELL_PX)
    y, x = y + np.arange(rows)[:, None] * CELL_PX, x + np.arange(columns) * CELL_PX
    return np.stack([x.ravel(), y.ravel()], 1)[:, None].astype(np.float32)


def _quat_steps(quats: Floats) -> Floats:
    """Rotation vectors from each unit quaternion (N, 4), w first, to the next, in the axes of the former, shape (N - 1, 3)."""
    quats = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    w, v = quats[:, :1], quats[:, 1:]
    real = w[:-1] * w[1:] + (v[:-1] * v[1:]).sum(1, keepdims=True)
    turn = w[:-1] * v[1:] - w[1:] * v[:-1] - np.cross(v[:-1], v[1:])
    turn = np.where(real < 0, -turn, turn)
    sine = np.linalg.norm(turn, axis=1, keepdims=True)
    angle = 2 * np.arctan2(sine, np.abs(real))
    return np.asarray(turn * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0), np.float64)


def _in_order(values: Floats, t_ns: npt.NDArray[np.int64]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """By time: a network may let samples overtake each other."""
    order = np.argsort(t_ns, kind="stable")
    return values[order], t_ns[order]


def _summed(name: str, t_ns: npt.NDArray[np.int64], steps: Floats, known: npt.NDArray[np.bool_]) -> Motion:
    values = np.vstack([np.zeros((min(len(t_ns), 1), 3)), np.cumsum(steps, 0)])
    values[~known] = np.nan
    return Motion(name, t_ns, values)
