"""Depths of joints from a second camera of the rig: its detections matched along epipolar lines, and triangulated."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.hand_depth import JointDepths
from firsthand.retarget.hand_fit import NEAREST_M, PALMS_IN_A_BOX
from firsthand.retarget.hand_frames import HandFrames
from firsthand.retarget.hand_track import METRIC
from firsthand.retarget.metric import rays

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

BASELINE_M = (0.02, 0.6)
"""Nearer to each other two cameras see the same; further apart, other sides of the hand."""
WIDEST_RAD = np.radians(60)
"""Between the directions in which they look."""
LONGEST_STEP_NS = 100_000_000
"""Joints in the second camera are joined by a line between frames no further apart."""
EPIPOLAR_PALMS = 0.2
"""A hand whose joints are further from their epipolar lines, in the middle and in palm lengths, is another one."""
JOINT_PALMS = 0.02
"""One standard deviation of a joint in a picture against the same joint in the other: most of a tracker's error is common to both."""


def second_view(recording: Recording, first: Stream, camera: CameraCalibration) -> tuple[Stream, CameraCalibration] | None:
    """The other camera of a stereo pair: calibrated, of the same kind, not far away, and looking the same way; None without one."""
    for stream in recording.role("camera"):
        other = recording.calibration.cameras.get(stream.spec.name)
        if stream is first or other is None or "assumed" in (other.source, camera.source):
            continue
        T = np.linalg.inv(other.T_rig_cam) @ camera.T_rig_cam
        alike = (other.width_px, other.height_px, other.model) == (camera.width_px, camera.height_px, camera.model)
        apart_m, turned = np.linalg.norm(T[:3, 3]), np.arccos(np.clip(T[2, 2], -1, 1))
        if alike and BASELINE_M[0] <= apart_m <= BASELINE_M[1] and turned <= WIDEST_RAD:
            return stream, other
    return None


def stereo_depths(t_ns: Times, frames: Mapping[Side, HandFrames], camera: CameraCalibration, other_t_ns: Times,
                  others: Mapping[Side, HandFrames], other: CameraCalibration) -> dict[Side, JointDepths]:
    """Depths of the joints that both cameras saw, by side, NaN where the second did not see that hand.

    `others` are the hands in the second camera, at its own times (M,); which of them is which is told by epipolar geometry, not by side.
    """
    T = np.linalg.inv(other.T_rig_cam) @ camera.T_rig_cam
    there = {side: rays(at_times(t_ns, other_t_ns, found), other) for side, found in others.items()}
    out = {}
    for side, found in frames.items():
        xy = rays(found.points_px, camera)
        palm = np.linalg.norm(np.ptp(xy, axis=1), axis=1)[:, None] / PALMS_IN_A_BOX  # (N, 1)
        z, sigma, best = np.full(xy.shape[:2], np.nan), np.full(xy.shape[:2], np.nan), np.full(len(xy), EPIPOLAR_PALMS)
        for candidate in sorted(there, key=lambda s: s != side or SIDES.index(s)):
            depth, per_ray, off = triangulate(xy, there[candidate], T)
            middle = _row_medians(off / palm)
            nearer = (middle < best) & (depth > NEAREST_M).all(1)
            best = np.where(nearer, middle, best)
            z[nearer], sigma[nearer] = depth[nearer], (per_ray * JOINT_PALMS * np.sqrt(2) * palm)[nearer]
        out[side] = JointDepths(z, sigma, METRIC.index("stereo"))
    return out


def triangulate(xy: Floats, other_xy: Floats, T_other_cam: Floats) -> tuple[Floats, Floats, Floats]:
    """Depths (N, K) of points on the rays `xy` (N, K, 2) that were seen on `other_xy` (N, K, 2) by a camera at `T_other_cam` (4, 4).

    With them how far depth changes for a move in the other picture along its epipolar line (m a unit of the plane z = 1), and how far the
    point is from that line. NaN in, NaN out.
    """
    R, t = T_other_cam[:3, :3], T_other_cam[:3, 3]
    d = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], -1) @ R.T  # the ray, in the other camera
    a = d[..., :2] - other_xy * d[..., 2:]
    b = other_xy * t[2] - t[:2]
    length = np.maximum(np.linalg.norm(a, axis=-1), 1e-9)
    z = (a * b).sum(-1) / length**2
    there = np.maximum(np.abs(d[..., 2] * z + t[2]), 1e-6)
    return z, there / length, np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / length / there


def at_times(t_ns: Times, other_t_ns: Times, found: HandFrames) -> Floats:
    """Joints (M, 21, 2) of a camera at another's times, shape (N, 21, 2): joined by lines, NaN where one end was not seen."""
    if len(other_t_ns) < 2:
        return np.full((len(t_ns), 21, 2), np.nan)
    after = np.clip(np.searchsorted(other_t_ns, t_ns), 1, len(other_t_ns) - 1)
    a, b = other_t_ns[after - 1], other_t_ns[after]
    share = ((t_ns - a) / np.maximum(b - a, 1))[:, None, None]
    exact = np.where(np.abs(share - np.rint(share)) < 0.02, np.rint(share), share)  # nearly at once: one end will do
    before_px, after_px = found.points_px[after - 1], found.points_px[after]
    out = np.where(exact == 0, before_px, np.where(exact == 1, after_px, before_px * (1 - exact) + after_px * exact))
    out[(exact[:, 0, 0] < 0) | (exact[:, 0, 0] > 1) | (b - a > LONGEST_STEP_NS)] = np.nan
    return np.asarray(out, np.float64)


def _row_medians(values: Floats) -> Floats:
    """Infinite for a row with a NaN."""
    return np.where(np.isfinite(values).all(1), np.median(np.nan_to_num(values), 1), np.inf)
