"""One hand on the video's frames placed in metres: by sensor depth where it holds, else by the size of the hand."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import MIDDLE_MCP, WRIST, Side
from firsthand.retarget.distance import SHARE_SIGMA, misfit, steady
from firsthand.retarget.hand_depth import SENSOR_SIGMA_M, JointDepths, agreeing, plausible, settle
from firsthand.retarget.hand_fit import DEPTH_SIGMA_M, fit_hand
from firsthand.retarget.hand_frames import HandFrames, bridged, interpolate, least
from firsthand.retarget.hand_shape import shaped
from firsthand.retarget.hand_size import ADULT, HandSize
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, MEASURED, METRIC, HandTrack
from firsthand.retarget.metric import face_ray, facing, rays
from firsthand.retarget.pieces import LONGEST_GAP

Floats = npt.NDArray[np.float64]

MONO, SCALED = (METRIC.index(name) for name in ("mono", "mono_scaled"))
SEEN_SIGMA_M = np.array([5, 9, 9, 9, 11, *(6.5, 9, 9, 11) * 4]) * 1e-3
"""Of each joint, (21,), in a frame with depth, where the sensor saw it; this and what follows are held to the truth by bench/sigma.py."""
HIDDEN = 2.5
"""How much less sure a joint is that the sensor did not see: hidden, or at an edge."""
OUTSIDE = 2.5
"""... and one outside the picture, which the tracker can only have guessed."""
SCALED_SIGMA = 0.05
"""Of a joint's distance, as a share of it: placed by the hand's size, corrected by depth elsewhere."""
SURE_SIGMA = 0.01
"""The same with depth, for what it says of frames without."""
INTERPOLATED_SIGMA = 1.0
"""How much less sure an interpolated joint is: over gaps as short as those that are filled no less, once the path is smoothed."""
WRIST_FROM_PICTURE = 0.5
"""The other joints lie on their rays in the picture; the wrist, hard to see, half-way to where the fitted hand has it."""
FEWEST_WITH_DEPTH = 5
"""Frames with depth it takes to correct the distance in the others."""
WRIST_BEYOND = 0.07
"""The wrist's joint lies beyond where MediaPipe's networks see the wrist, by this share of the palm's length in the picture: 0.07 (6 mm) on
the synthetic wearer, 0.08 to 0.29 in five pictures of a Project Aria, against the hands it tracked itself."""
CHUNK = 2048
"""Frames fitted at once, to bound memory."""


def place(side: Side, t_ns: npt.NDArray[np.int64], frames: HandFrames, camera: CameraCalibration, depths: JointDepths | None,
          T_world_cam: Floats | None, size: HandSize = ADULT, wrist_beyond: float = WRIST_BEYOND) -> HandTrack:
    """The track of one hand. `depths`: those of its joints, where anything but its size tells them. Without `T_world_cam`, shape (N, 4, 4),
    or (N, 21, 4, 4) with a pose for each joint, it is in the camera."""
    n = len(t_ns)
    rows = np.flatnonzero(frames.detected)
    xy, local = at_joints(rays(frames.points_px[rows], camera), wrist_beyond), frames.local_m[rows]
    parts = [slice(start, start + CHUNK) for start in range(0, len(rows), CHUNK)]
    placed = _joined([_in_camera(local[p], xy[p], None if depths is None else depths.at(rows[p]), side, size) for p in parts])
    placed = _steadied(_stretched(placed, rows), t_ns[rows])
    points, sigma, metric = np.full((n, 21, 3), np.nan), np.full((n, 21), np.nan), np.zeros(n, np.uint8)
    points[rows], sigma[rows], metric[rows] = placed.points_m, placed.sigma_m, placed.metric
    within = (frames.points_px > -0.5) & (frames.points_px < np.array([camera.width_px, camera.height_px]) - 0.5)
    sigma *= np.where(within.all(2), 1, OUTSIDE)

    seen = frames.detected & (points[..., 2] > 0).all(1)  # behind the camera is nowhere
    posed = np.ones(n, np.bool_)
    if T_world_cam is not None:
        T = T_world_cam[:, None] if T_world_cam.ndim == 3 else T_world_cam
        posed = np.array(np.isfinite(T[..., 0, 0]).all(1), np.bool_)
        points = (T[..., :3, :3] @ points[..., None])[..., 0] + T[..., :3, 3]
    seen &= posed
    filled = bridged(seen, frames.filled & posed)
    provenance = np.where(seen, MEASURED, np.where(filled, INTERPOLATED, ABSENT))
    sigma = interpolate(sigma, seen, filled) * np.where(filled, INTERPOLATED_SIGMA, 1.0)[:, None]
    return HandTrack(side, t_ns, interpolate(points, seen, filled), interpolate(frames.points_px, seen, filled),
                     interpolate(frames.local_m, seen, filled), sigma, np.repeat(provenance[:, None], 21, 1),
                     least(metric, seen, filled), interpolate(frames.score, seen, filled))


def place_by_size(local_m: Floats, xy: Floats, side: Side, size: HandSize = ADULT) -> Floats:
    """Joints in the camera as one picture alone can place them, shape (N, 21, 3): a hand of that size, bent as the tracker says.

    `local_m` (N, 21, 3) are the tracker's joints, `xy` (N, 21, 2) their `rays`. NaN in, NaN out.
    """
    out = np.full(local_m.shape, np.nan)
    known = np.isfinite(local_m).all((1, 2)) & np.isfinite(xy).all((1, 2))
    out[known] = _by_size(local_m[known], at_joints(xy[known]), side, size)[0]
    return out


def at_joints(xy: Floats, wrist_beyond: float = WRIST_BEYOND) -> Floats:
    """Rays (N, 21, 2) as a tracker sees them, with that of the wrist moved to the joint."""
    out = xy.copy()
    out[:, WRIST] -= wrist_beyond * (xy[:, MIDDLE_MCP] - xy[:, WRIST])
    return out


def _by_size(local_m: Floats, xy: Floats, side: Side, size: HandSize) -> tuple[Floats, Floats]:
    """The same without NaN; and how badly each hand fits its picture, shape (N,).

    Fitted by a camera turned to face it, as the tracker saw it: far from the axis the plane z = 1 stretches what is on it.
    """
    R = facing(xy)
    ahead = np.concatenate([xy, np.ones((*xy.shape[:2], 1))], -1) @ R
    faced = ahead[..., :2] / ahead[..., 2:]
    fitted = fit_hand(shaped(local_m, side, size.bones_m), faced)
    return np.einsum("nij,nkj->nki", R, _on_rays(fitted, faced)) * size.distance, misfit(fitted, faced)


def _on_rays(points_m: Floats, xy: Floats, z: Floats | None = None) -> Floats:
    """Joints at their fitted depths, or at `z` (N, 21), where the picture shows them."""
    fitted = points_m[..., :2] / points_m[..., 2:]
    share = np.ones((21, 1))
    share[WRIST] = WRIST_FROM_PICTURE
    depth = points_m[..., 2:] if z is None else z[..., None]
    return np.concatenate([(fitted + share * (xy - fitted)) * depth, depth], -1)


@dataclass(frozen=True, eq=False)
class _Placed:
    """Frames with a detection, in the camera."""

    points_m: Floats
    """Shape (N, 21, 3)."""
    sigma_m: Floats
    """Shape (N, 21)."""
    metric: npt.NDArray[np.uint8]
    """Codes of `METRIC`, shape (N,)."""
    stretch: Floats
    """Distance by depth over distance by size, shape (N,); NaN without depth."""
    misfit: Floats
    """How badly the hand fits its picture, shape (N,)."""


def _in_camera(local_m: Floats, xy: Floats, depths: JointDepths | None, side: Side, size: HandSize) -> _Placed:
    points, bad = _by_size(local_m, xy, side, size)
    sigma = size.distance_sigma * np.repeat(np.linalg.norm(points[:, WRIST], axis=1)[:, None], 21, 1)
    metric, stretch = np.full(len(points), SCALED if size.method else MONO, np.uint8), np.full(len(points), np.nan)
    if depths is None:
        return _Placed(points, sigma, metric, stretch, bad)
    by_size_z = points[:, WRIST, 2].copy()
    depths = plausible(depths, by_size_z)
    fitted, good = fit_to_depths(local_m, xy, depths, side, size)
    rows = np.flatnonzero(good.any(1))
    fitted, good, depths = fitted[rows], good[rows], depths.at(rows)
    points[rows] = _on_rays(fitted, xy[rows], settle(fitted, depths, good))
    shared = np.maximum(depths.sigma_m - SENSOR_SIGMA_M, 0)  # by all joints: a second camera errs alike for the whole hand
    sigma[rows] = np.hypot(SEEN_SIGMA_M * np.where(good, 1, HIDDEN), np.where(good, shared, np.nanmax(shared, 1, initial=0)[:, None]))
    metric[rows], stretch[rows] = depths.metric, points[rows, WRIST, 2] / by_size_z[rows]
    return _Placed(points, sigma, metric, stretch, bad)


def fit_to_depths(local_m: Floats, xy: Floats, depths: JointDepths, side: Side, size: HandSize) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Hands fitted to their pictures and to the depths of their joints, shape (N, 21, 3), NaN without any; which of these lie on the hand,
    (N, 21)."""
    some = np.flatnonzero(np.isfinite(depths.z_m).any(1))
    fitted, good = np.full(local_m.shape, np.nan), np.zeros(depths.z_m.shape, np.bool_)
    shape = shaped(face_ray(local_m[some], xy[some]), side, size.bones_m)
    fitted[some] = fit_hand(shape, xy[some], depths.z_m[some], np.maximum(depths.sigma_m[some], DEPTH_SIGMA_M))
    good[some] = agreeing(depths.at(some), fitted[some])
    return fitted, good


def _stretched(placed: _Placed, rows: npt.NDArray[np.int64]) -> _Placed:
    """Frames placed by size moved to the distance that those with depth, before and after, make likely. `rows` (N,): their numbers.

    In a gap short enough to be interpolated that is the distance between theirs; beyond, the same share of what the size suggests.
    """
    by_depth, by_size = np.flatnonzero(np.isfinite(placed.stretch)), np.flatnonzero(np.isnan(placed.stretch))
    if len(by_depth) < FEWEST_WITH_DEPTH or len(by_size) == 0:
        return placed
    points, sigma, metric = placed.points_m.copy(), placed.sigma_m.copy(), placed.metric.copy()
    at, known, z = rows[by_size], rows[by_depth], points[:, WRIST, 2]
    after = np.clip(np.searchsorted(known, at), 1, len(known) - 1)
    bridge = (known[after - 1] < at) & (at < known[after]) & (known[after] - known[after - 1] <= LONGEST_GAP + 1)
    share = np.where(bridge, np.interp(at, known, z[by_depth]) / z[by_size], np.interp(at, known, placed.stretch[by_depth]))
    points[by_size] *= share[:, None, None]
    sigma[by_size] = SCALED_SIGMA * points[by_size, WRIST, 2, None]
    metric[by_size] = SCALED
    return _Placed(points, sigma, metric, placed.stretch, placed.misfit)


def _steadied(placed: _Placed, t_ns: npt.NDArray[np.int64]) -> _Placed:
    """Frames placed by size moved along their rays to distances that a hand can have had one after the other. `t_ns` (N,)."""
    far, by_depth = np.linalg.norm(placed.points_m[:, WRIST], axis=1), np.isfinite(placed.stretch)
    if by_depth.all():
        return placed
    likely = steady(t_ns, far, np.where(by_depth, SURE_SIGMA, SHARE_SIGMA * np.sqrt(1 + placed.misfit**2)))
    share = np.where(by_depth, 1.0, likely / far)[:, None]
    return _Placed(placed.points_m * share[..., None], placed.sigma_m * share, placed.metric, placed.stretch, placed.misfit)


def _joined(parts: list[_Placed]) -> _Placed:
    return _Placed(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Placed)))
