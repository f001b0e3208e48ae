"""How large a hand is, from joints whose place is known: by sensor depth, two cameras, a device that tracks hands, or a board under it.

A tracker's joints are not an anatomist's: each lies some millimetres from where the bone ends, the same way in every frame. So each length
that was seen counts for what it is worth beside the proportions of a middling hand, and most of what is learned is the hand's scale.
One camera alone cannot tell a large hand far away from a small one near by: from nothing but that, there is nothing to learn.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import BONES, WRIST, Side
from firsthand.retarget.hand_depth import JointDepths, plausible, settle
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_frames import HandFrames
from firsthand.retarget.hand_place import at_joints, fit_to_depths, place_by_size
from firsthand.retarget.hand_size import ADULT, PEOPLE_SIGMA, PROPORTION_SIGMA, HandSize
from firsthand.retarget.hand_track import METRIC
from firsthand.retarget.metric import rays

Floats = npt.NDArray[np.float64]

LANDMARK_SIGMA_M = 0.004
"""How far the tracker's joint may be from the end of the bone."""
FEWEST_FRAMES = 30
"""It takes a second of a hand that is seen well."""
FEWEST_BONES, FEWEST_JOINTS = 8, 5
SHORTEST_M = 0.003
TOGETHER = 15
"""So many frames in a row are about one look: the errors of neighbours are alike."""
COARSE_SIGMA_M = 0.025
"""Depths with a larger error say nothing of single bones."""
MOST_FRAMES = 1500
"""More add nothing."""
OTHER_TAKE_SIGMA = 0.055
"""How far the misjudgement of distance in another take, with other poses, is from that in the one it was found in, as a share."""
FARTHEST_SCALE = 0.3
"""A hand further from the adult's than this, as a logarithm, is none."""
ROUNDS = 10


def measure(joints_m: Floats, noise_m: float, *, method: str, what: str) -> HandSize:
    """The size of the hand whose joints were seen at `joints_m` (N, 21, 3), NaN where one was not, each with `noise_m` along the ray.

    Raises `FirsthandError` when there is too little to go by, naming `what` it was looked for in.
    """
    parents, ends = np.array(BONES).T
    lengths = np.linalg.norm(joints_m[:, ends] - joints_m[:, parents], axis=-1)  # (N, 20)
    count = np.isfinite(lengths).sum(0)
    frames = int((np.isfinite(joints_m).all(2).sum(1) >= FEWEST_JOINTS).sum())
    seen = count >= FEWEST_FRAMES
    if seen.sum() < FEWEST_BONES:
        raise _too_little(what, frames)
    y, sigma = np.zeros(20), np.full(20, np.inf)
    quarters = np.nanquantile(lengths[:, seen], (0.25, 0.5, 0.75), axis=0)
    middle = np.sqrt(np.maximum(quarters[1] ** 2 - 2 * noise_m**2, (0.5 * quarters[1]) ** 2))  # noise lengthens what is short
    middle = np.maximum(middle, SHORTEST_M)
    chance = 1.25 * (quarters[2] - quarters[0]) / 1.35 / np.sqrt(np.maximum(count[seen] / TOGETHER, 1))
    y[seen] = np.log(middle / ADULT_BONES_M[seen])
    sigma[seen] = np.sqrt(chance**2 + LANDMARK_SIGMA_M**2 + (noise_m**2 / middle) ** 2) / ADULT_BONES_M[seen]
    size, share = _posterior(y, sigma)
    if abs(np.mean(size)) > FARTHEST_SCALE:
        raise FirsthandError(f"a hand of {np.exp(np.mean(size)):.0%} of an adult's was found in {what}; its depths or optics are wrong")
    bones = ADULT_BONES_M * np.exp(size)
    return HandSize(bones, bones * share, method=method, frames=frames)


def measure_by_depths(local_m: Floats, xy: Floats, depths: JointDepths, side: Side, *, tracker: str, what: str) -> HandSize:
    """The size of a hand from frames in which depths of its joints are known: the tracker's joints (N, 21, 3) and their rays (N, 21, 2).

    Raises `FirsthandError` when there is too little to go by.
    """
    rows = np.flatnonzero(np.isfinite(local_m).all((1, 2)) & np.isfinite(xy).all((1, 2)))
    rows = rows[:: max(len(rows) // MOST_FRAMES, 1)]
    local_m, xy = local_m[rows], xy[rows]
    adult = place_by_size(local_m, xy, side)
    depths = plausible(depths.at(rows), adult[:, WRIST, 2])
    if np.nanmedian(depths.sigma_m) > COARSE_SIGMA_M:
        return _by_distance(adult[..., 2], depths, tracker, what)
    seen_xy, xy = xy, at_joints(xy)
    fitted, good = fit_to_depths(local_m, xy, depths, side, ADULT)
    z = np.where(good, depths.z_m, np.nan)
    size = measure(np.concatenate([xy * z[..., None], z[..., None]], -1), float(np.nanmedian(depths.sigma_m)),
                   method=METRIC[depths.metric], what=what)
    held = np.flatnonzero(good.any(1))
    wrist_z = settle(fitted[held], depths.at(held), good[held])[:, WRIST]
    return with_distance(size, local_m[held], seen_xy[held], wrist_z, side, tracker)


def _by_distance(adult_z_m: Floats, depths: JointDepths, tracker: str, what: str) -> HandSize:
    """The size of a hand whose joints' depths are too coarse for lengths of bones: as much larger than the adult's as it is further away
    than that would be, at `adult_z_m` (N, 21). What the tracker misjudges is in it, so that its `distance` is 1."""
    seen = np.isfinite(depths.z_m).sum(1) >= FEWEST_JOINTS
    if seen.sum() < FEWEST_FRAMES:
        raise _too_little(what, int(seen.sum()))
    ratio = np.nanmedian(depths.z_m[seen] / adult_z_m[seen], axis=1)
    low, middle, high = np.quantile(ratio, (0.16, 0.5, 0.84))
    scale = float(np.clip(middle, 0.75, 1.3))
    bones = ADULT_BONES_M * scale
    share = float(np.clip((high - low) / 2 / middle, 0.02, 0.3))
    return HandSize(bones, bones * np.hypot(PROPORTION_SIGMA, share), 1.0, share, tracker, METRIC[depths.metric], int(seen.sum()))


def _too_little(what: str, frames: int) -> FirsthandError:
    return FirsthandError(f"the size of the hand cannot be told from {what}: {frames} frames in which its joints' places are known, and "
                          f"{FEWEST_FRAMES} are needed; show the open hand to the sensor for some seconds")


def with_distance(size: HandSize, local_m: Floats, xy: Floats, wrist_z_m: Floats, side: Side, tracker: str) -> HandSize:
    """The same with how the tracker misjudges distance, from its joints (N, 21, 3), their rays (N, 21, 2), and the wrist's depths (N,)."""
    by_size = place_by_size(local_m, xy, side, replace(size, distance=1.0))[:, WRIST, 2]
    ratio = wrist_z_m / by_size
    ratio = ratio[np.isfinite(ratio)]
    low, middle, high = np.quantile(ratio, (0.16, 0.5, 0.84))
    middle = float(np.clip(middle, 0.6, 1.6))
    share = np.hypot((high - low) / 2 / middle, OTHER_TAKE_SIGMA)
    return replace(size, distance=middle, distance_sigma=float(np.clip(share, 0.02, 0.3)), tracker=tracker)


def _posterior(y: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """The logarithms of 20 lengths over the adult's, and one sigma of each: seen as `y` with `sigma`, infinite where not seen; in advance a
    scale common to all and a share of its own for each. What is far off counts for less (Cauchy)."""
    prior = np.linalg.inv(PEOPLE_SIGMA**2 * np.ones((20, 20)) + PROPORTION_SIGMA**2 * np.eye(20))
    trust = np.ones(20)
    for _ in range(ROUNDS):
        weight = trust / sigma**2
        covariance = np.linalg.inv(prior + np.diag(weight))
        mean = covariance @ (weight * y)
        trust = 1 / (1 + ((y - mean) / np.hypot(sigma, PROPORTION_SIGMA) / 2) ** 2)
    return np.asarray(mean), np.sqrt(np.diag(covariance))


def size_for(side: Side, known: Mapping[Side, HandSize], frames: HandFrames, camera: CameraCalibration, depths: JointDepths | None,
             tracker: str) -> HandSize:
    """The wearer's measured size where it is `known`; else what the recording itself shows, where there are depths; else the adult's."""
    if side in known:
        return known[side].seen_by(tracker)
    if depths is None:
        return ADULT
    try:
        return measure_by_depths(frames.local_m, rays(frames.points_px, camera), depths, side, tracker=tracker, what="the recording")
    except FirsthandError:  # too little of it
        return ADULT
