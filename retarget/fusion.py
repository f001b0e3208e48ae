"""Hands from two sources: fingers as the glove feels them, the wrist where the pictures or a tracker on it have it, by one forward model.

Each joint says what it is known from. Where the glove drops out, a finger is as the pictures show it; where the hand is out of the picture
and something on the wrist tells its place, the glove goes on alone; where neither does, the joint is absent. Told in docs/hands.md.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import WRIST
from firsthand.retarget.glove_calibration import GloveCalibration
from firsthand.retarget.glove_model import PALM, joints_m
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_sight import best_pose, cross, root, turn_between
from firsthand.retarget.hand_track import ABSENT, FIXED, FUSED, GLOVE, INTERPOLATED, MEASURED, METRIC, HandTrack

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SEEN_TURN_SIGMA_RAD = np.radians(3.0)
"""How far a hand is turned wrongly as a whole when the calibrated hand is laid on what was seen: synthetic wearer, with depth."""
TRACKER_TURN_SIGMA_RAD, TRACKER_SIGMA_M = np.radians(0.5), 0.002
"""Of a tracker on the wrist beside what is not known of its mount: straps slip."""
ROUNDS, OUTLIER = 8, 2.5
CHUNK = 1024
"""Frames fitted at once, to bound memory."""
DEVICE = METRIC.index("device")
FINGERS = 1 + np.arange(20).reshape(5, 4)[:, 1:]
"""The joints that angles move, shape (5, 3)."""


@dataclass(frozen=True, eq=False)
class Poses:
    """Where the hand's axes were, and how well that is known, as far as it is."""

    R: Floats
    """Shape (N, 3, 3)."""
    wrist_m: Floats
    """Shape (N, 3)."""
    turn_sigma_rad: Floats
    """Per axis, shape (N,); infinite where nothing is known."""
    wrist_sigma_m: Floats
    """Per axis, shape (N,); infinite where nothing is known."""


def fuse(track: HandTrack, calibration: GloveCalibration, channels: Floats, eye_m: Floats, T_world_hand: Floats | None = None, *,
         camera: CameraCalibration | None = None, T_world_cam: Floats | None = None) -> HandTrack:
    """A track with its fingers from the glove. `channels` (N, C): its numbers at the frames, NaN where it dropped out. `eye_m` (N, 3): the
    camera. `T_world_hand` (N, 4, 4): poses of the hand as a tracker on the wrist tells them, NaN where it does not. With `camera`, and its
    poses (N, 4, 4) where the track is in a world, joints that were not seen get their place in the picture as well.

    What a person fixed stays.
    """
    angles = calibration.linear.angles(channels)
    felt = np.asarray(np.isfinite(angles).reshape(-1, 5, 4).all(2), np.bool_)  # (N, 5)
    local = joints_m(np.where(np.isfinite(angles), angles, 0.0), calibration.shape, calibration.side)
    seen = np.asarray(np.isfinite(track.points_m).all((1, 2)) & np.isfinite(eye_m).all(1), np.bool_)
    counted = np.ones((len(local), 21), np.bool_)
    counted[:, FINGERS] = felt[..., None]
    by_sight = seen_poses(track, local, counted, seen, eye_m)
    by_tracker = tracker_poses(calibration, T_world_hand, len(local))
    poses = _wrist_again(joined(by_sight, by_tracker), by_tracker, track, local, counted, seen, eye_m)

    known = np.isfinite(poses.turn_sigma_rad) & np.isfinite(poses.wrist_sigma_m)
    points = np.einsum("nij,nkj->nki", poses.R, local) + poses.wrist_m[:, None]
    with np.errstate(invalid="ignore"):
        seen_fingers = np.einsum("nij,nkj->nki", poses.R @ by_sight.R.swapaxes(1, 2), track.points_m - by_sight.wrist_m[:, None])
    sigma = _sigma(calibration, local, poses, np.isfinite(by_tracker.wrist_sigma_m))
    placed = np.isfinite(by_tracker.wrist_sigma_m)
    fresh = seen & (track.provenance == MEASURED).all(1)
    codes = np.full(track.provenance.shape, ABSENT, np.uint8)
    codes[:, PALM] = np.select([~known, fresh & (np.isfinite(by_tracker.turn_sigma_rad)), fresh, placed], [ABSENT, FUSED, MEASURED, GLOVE],
                               INTERPOLATED)[:, None]
    fingers = np.select([~known[:, None] & ~felt, known[:, None] & felt & fresh[:, None], known[:, None] & felt, (known & seen)[:, None]],
                        [ABSENT, FUSED, GLOVE, track.provenance[:, 8:9].astype(np.int64)], ABSENT)  # (N, 5)
    codes[:, FINGERS] = fingers[..., None]
    bare = known[:, None] & ~felt & seen[:, None]  # (N, 5): fingers the glove says nothing of
    for finger, joints in enumerate(FINGERS):
        rows = np.flatnonzero(bare[:, finger])
        points[np.ix_(rows, joints)] = (seen_fingers + poses.wrist_m[:, None])[np.ix_(rows, joints)]
        sigma[np.ix_(rows, joints)] = track.sigma_m[np.ix_(rows, joints)]
    absent, fixed = codes == ABSENT, track.provenance == FIXED
    points[absent], sigma[absent] = np.nan, np.nan
    points[fixed], sigma[fixed], codes[fixed] = track.points_m[fixed], track.sigma_m[fixed], FIXED
    pixels = _pixels(track.points_px, points, camera, T_world_cam)
    metric = np.where(known & placed & ~fresh, DEVICE, np.where(known, track.metric, 0)).astype(np.uint8)
    before = track.points_m if track.raw_m is None else track.raw_m
    return replace(track, points_m=points, raw_m=before, points_px=pixels, sigma_m=sigma, provenance=codes, metric=metric)


def seen_poses(track: HandTrack, local_m: Floats, counted: Bools, seen: Bools, eye_m: Floats) -> Poses:
    """The calibrated hand laid on what was seen, each joint by what it is worth: `counted` joints (N, 21) in `seen` frames (N,)."""
    n = len(local_m)
    R, t = np.tile(np.eye(3), (n, 1, 1)), np.full((n, 3), np.nan)
    rows = np.flatnonzero(seen)
    for part in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
        if len(part):
            R[part], t[part] = _laid(local_m[part], track.points_m[part], counted[part], eye_m[part])
    wrist = np.where(seen, track.sigma_m[:, WRIST], np.inf)
    return Poses(R, t, np.where(seen, SEEN_TURN_SIGMA_RAD, np.inf), np.where(np.isfinite(wrist), wrist, np.inf))


def _laid(local: Floats, points: Floats, counted: Bools, eye: Floats) -> tuple[Floats, Floats]:
    R, t = best_pose(local[:, PALM], points[:, PALM])
    for _ in range(ROUNDS):
        x = np.einsum("nij,nkj->nki", R, local)
        A = _trusted(x, points, t, counted, eye)
        J = np.concatenate([-cross(x), np.broadcast_to(np.eye(3), (*x.shape, 3))], -1)
        J = np.einsum("nkij,nkjl->nkil", A, J).reshape(len(x), 63, 6)
        r = np.einsum("nkij,nkj->nki", A, points - x - t[:, None]).reshape(len(x), 63)
        step = np.linalg.solve(np.einsum("nai,naj->nij", J, J), np.einsum("nai,na->ni", J, r)[..., None])[..., 0]
        R, t = rotations(step[:, :3]) @ R, t + step[:, 3:]
    return R, t


def _trusted(x: Floats, points: Floats, t: Floats, counted: Bools, eye: Floats) -> Floats:
    """Whitening of the joints, less for outliers, none for those not counted, shape (N, 21, 3, 3)."""
    A = root(x + t[:, None], eye)
    r = np.einsum("nkij,nkj->nki", A, points - x - t[:, None])
    return np.asarray(A * (counted / np.sqrt(1 + (r**2).sum(-1) / 3 / OUTLIER**2))[..., None, None], np.float64)


def tracker_poses(calibration: GloveCalibration, T_world_hand: Floats | None, n: int) -> Poses:
    """What a tracker on the wrist says of the hand, with its sigmas from frame to frame: how it sits was learned from what was seen, so
    the error of that is in both, and speaks for neither."""
    R, t = np.tile(np.eye(3), (n, 1, 1)), np.zeros((n, 3))
    turn, wrist = np.full(n, np.inf), np.full(n, np.inf)
    if T_world_hand is not None:
        known = np.isfinite(T_world_hand[:, 0, 0])
        R[known], turn[known] = T_world_hand[known, :3, :3], TRACKER_TURN_SIGMA_RAD
        if calibration.placed:
            t[known], wrist[known] = T_world_hand[known, :3, 3], np.hypot(calibration.offset_sigma_m, TRACKER_SIGMA_M)
    return Poses(R, t, turn, wrist)


def joined(a: Poses, b: Poses) -> Poses:
    """The most likely poses of what both say, each by its sigma; where one knows nothing, the other's."""
    def share(mine: Floats, theirs: Floats) -> Floats:
        out = np.where(np.isinf(mine), np.where(np.isinf(theirs), 0.0, 1.0), 0.0)
        both = np.isfinite(mine) & np.isfinite(theirs)
        out[both] = mine[both] ** 2 / (mine[both] ** 2 + theirs[both] ** 2)
        return out

    turn, wrist = share(a.turn_sigma_rad, b.turn_sigma_rad), share(a.wrist_sigma_m, b.wrist_sigma_m)
    R = rotations(turn_between(a.R, b.R) * turn[:, None]) @ a.R
    t = np.nan_to_num(a.wrist_m) * (1 - wrist[:, None]) + np.nan_to_num(b.wrist_m) * wrist[:, None]
    return Poses(R, t, _both(a.turn_sigma_rad, b.turn_sigma_rad), _both(a.wrist_sigma_m, b.wrist_sigma_m))


def _both(a: Floats, b: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(1 / np.sqrt(1 / a**2 + 1 / b**2), np.float64)


def _wrist_again(poses: Poses, by_tracker: Poses, track: HandTrack, local: Floats, counted: Bools, seen: Bools, eye: Floats) -> Poses:
    """The wrist once more, now that a tracker has changed how the hand is turned: where the whole hand then meets what was seen."""
    rows = np.flatnonzero(seen & np.isfinite(by_tracker.turn_sigma_rad))
    wrist = poses.wrist_m.copy()
    for part in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
        if len(part) == 0:
            continue
        x, points, t = np.einsum("nij,nkj->nki", poses.R[part], local[part]), track.points_m[part], poses.wrist_m[part]
        for _ in range(3):
            A = _trusted(x, points, t, counted[part], eye[part])
            W = A.swapaxes(-1, -2) @ A
            t = np.linalg.solve(W.sum(1), np.einsum("nkij,nkj->ni", W, points - x)[..., None])[..., 0]
        mine, theirs = track.sigma_m[part, WRIST] ** 2, by_tracker.wrist_sigma_m[part] ** 2
        share = np.where(np.isinf(theirs), 0.0, mine / (mine + np.where(np.isinf(theirs), 1.0, theirs)))[:, None]
        wrist[part] = t * (1 - share) + by_tracker.wrist_m[part] * share
    return replace(poses, wrist_m=wrist)


def _sigma(calibration: GloveCalibration, local: Floats, poses: Poses, on_tracker: Bools) -> Floats:
    """One standard deviation of each joint per axis, shape (N, 21): of the wrist, how the hand is turned, and the calibration."""
    with np.errstate(invalid="ignore"):
        turned = 2 / 3 * (local**2).sum(-1) * poses.turn_sigma_rad[:, None] ** 2
    learned = np.where(on_tracker[:, None], np.minimum(calibration.on_tracker_m, 1.0), calibration.sigma_m)
    wrist = np.where(on_tracker, np.minimum(poses.wrist_sigma_m, TRACKER_SIGMA_M), poses.wrist_sigma_m)
    return np.asarray(np.sqrt(wrist[:, None] ** 2 + turned + learned**2), np.float64)


def _pixels(points_px: Floats, points_m: Floats, camera: CameraCalibration | None, T_world_cam: Floats | None) -> Floats:
    """Where the picture showed the joints; where it did not but they are known and in front of the camera, where they would be."""
    out = points_px.copy()
    if camera is None:
        return out
    local = points_m
    if T_world_cam is not None:
        local = np.einsum("nji,nkj->nki", T_world_cam[:, :3, :3], points_m - T_world_cam[:, None, :3, 3])
    lacking = ~np.isfinite(out).all(-1) & np.isfinite(local).all(-1) & (np.nan_to_num(local[..., 2]) > 0)
    out[lacking] = camera.project(local[lacking])
    return out
