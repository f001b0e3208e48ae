"""A gyroscope beside the camera: steadier orientations, and orientations where for a moment no anchor was seen."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_shape import best_rotations

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]

LONGEST_GAP_S = 0.5
"""A gyroscope that drifts by a degree a second is a quarter of a degree off in the middle of such a gap, known at both ends."""
WINDOW_S, FADES_S = 0.2, 0.08
"""Orientations so near in time are averaged, carried over by the gyroscope, with weights that fall with the distance."""
COMPARED_S = 0.25
"""The turning of camera and gyroscope is compared over such spans: orientations from pictures are noisy."""
FEWEST_STEPS = 15
LEAST_TURN_RAD_S = 0.02
"""A head that turns less about its second axis, one sigma, tells nothing of how the sensor is mounted."""
UNEXPLAINED = 0.5
"""Share of the turning that the gyroscope may leave unexplained."""
ALIGNED_RAD = np.radians(10)
"""A sensor said to have the camera's axes that seems to be turned by less has them."""
GAP_S = 0.05
"""Samples of it further apart are a gap."""


@dataclass(frozen=True, eq=False)
class Gyro:
    """A gyroscope whose axes are known in the camera's."""

    t_ns: Times
    """Shape (S,), rising."""
    turning: Floats
    """How far the camera has turned since the first sample, shape (S, 3, 3): rotations from the camera now to the camera then."""
    R_cam_imu: Floats
    """Takes the sensor's axes to the camera's, shape (3, 3)."""
    mount_sigma_rad: float
    """One standard deviation of that, about its least certain axis."""

    def turned(self, t_ns: Times) -> Floats:
        """`turning` at other times, shape (N, 3, 3); NaN outside of the stream and in its gaps."""
        after = np.clip(np.searchsorted(self.t_ns, t_ns), 1, len(self.t_ns) - 1)
        nearest = np.where(t_ns - self.t_ns[after - 1] < self.t_ns[after] - t_ns, after - 1, after)
        step_s = (t_ns - self.t_ns[nearest]) * 1e-9
        around = np.clip(nearest, 1, len(self.t_ns) - 2)
        rate = rotation_vectors(np.einsum("nji,njk->nik", self.turning[around - 1], self.turning[around + 1]))
        rate /= (self.t_ns[around + 1] - self.t_ns[around - 1])[:, None] * 1e-9
        out = self.turning[nearest] @ rotations(rate * step_s[:, None])
        out[np.abs(step_s) > GAP_S] = np.nan
        return np.asarray(out, np.float64)


def mounted(imu_t_ns: Times, gyro_rad_s: Floats, t_ns: Times, R_world_cam: Floats, *, aligned: bool = False) -> Gyro | None:
    """A gyroscope (S, 3) whose mounting is found from orientations of the camera (N, 3, 3), NaN where not known (Wahba's problem).

    One that is said to be `aligned` with the camera is, unless that is seen to be wrong. None when the gyroscope does not explain how the
    camera turned, or this turned too little.
    """
    kept = np.isfinite(gyro_rad_s).all(1) & (np.diff(imu_t_ns, prepend=imu_t_ns[:1] - 1) > 0)
    at, rates = imu_t_ns[kept], gyro_rad_s[kept]
    known = np.flatnonzero(np.isfinite(R_world_cam[:, 0, 0]))
    if len(at) < 3 or len(known) < 2:
        return None
    later = np.searchsorted(t_ns[known], t_ns[known] + int(COMPARED_S * 1e9))
    use = np.flatnonzero(later < len(known))
    a, b = known[use], known[later[use]]
    use = (t_ns[b] - t_ns[a] < 2e9 * COMPARED_S) & (t_ns[a] >= at[0]) & (t_ns[b] <= at[-1])
    a, b = a[use], b[use]
    if len(a) < FEWEST_STEPS:
        return None
    span_s = (t_ns[b] - t_ns[a])[:, None] * 1e-9
    seen = rotation_vectors(np.einsum("nji,njk->nik", R_world_cam[a], R_world_cam[b])) / span_s
    total = np.concatenate([np.zeros((1, 3)), np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(at)[:, None] * 1e-9, 0)])
    felt = np.stack([np.interp(t_ns[b], at, total[:, k]) - np.interp(t_ns[a], at, total[:, k]) for k in range(3)], 1) / span_s
    if np.sort(np.std(seen, 0))[-2] < LEAST_TURN_RAD_S:
        return None
    good, R, bias = np.ones(len(a), np.bool_), np.eye(3), np.zeros(3)
    for _ in range(4):
        R = best_rotations(felt[good], seen[good][None])[0]
        bias = np.median(felt[good] - seen[good] @ R, 0)
        off = np.linalg.norm(seen - (felt - bias) @ R.T, axis=1)
        good = off <= 3 * np.median(off)
    if np.median(off) > UNEXPLAINED * np.median(np.linalg.norm(seen - np.median(seen, 0), axis=1)):
        return None
    f = felt[good] - felt[good].mean(0)
    information = (f**2).sum() * np.eye(3) - f.T @ f
    alike = max(COMPARED_S / float(np.median(np.diff(t_ns[known]) * 1e-9)), 1.0)  # the spans overlap
    sigma = float(np.sqrt(alike * (off[good] ** 2).mean() / 3 / np.linalg.eigvalsh(information)[0]))
    if aligned and np.linalg.norm(rotation_vectors(R[None])) < max(ALIGNED_RAD, 3 * sigma):
        R, sigma = np.eye(3), 0.0
        bias = np.median(felt[good] - seen[good], 0)
    return Gyro(at, _integrated(at, (rates - bias) @ R.T), R, sigma)


def _integrated(t_ns: Times, rad_s: Floats) -> Floats:
    steps = rotations((rad_s[1:] + rad_s[:-1]) / 2 * np.diff(t_ns)[:, None] * 1e-9)
    out = np.empty((len(t_ns), 3, 3))
    out[0] = np.eye(3)
    for i, step in enumerate(steps):
        out[i + 1] = out[i] @ step
    return out


def steadied(t_ns: Times, R_world_cam: Floats, gyro: Gyro) -> Floats:
    """Orientations (N, 3, 3) averaged with their neighbours', carried over by the gyroscope, and found in gaps short enough.

    NaN stays where neither tells. Without lag: neighbours before and after count the same.
    """
    turned = gyro.turned(t_ns)
    known = np.isfinite(R_world_cam[:, 0, 0]) & np.isfinite(turned[:, 0, 0])
    # Of the gyroscope's own world: hardly changes, so that orientations far apart can be compared.
    drift = np.where(known[:, None, None], R_world_cam @ np.swapaxes(turned, 1, 2), np.nan)
    rows = np.flatnonzero(known)
    total, weight = np.zeros_like(R_world_cam), np.zeros(len(t_ns))
    if len(rows) == 0:
        return R_world_cam
    first, last = (np.searchsorted(t_ns[rows], t_ns + int(sign * WINDOW_S * 1e9)) for sign in (-1, 1))
    for k in range(int((last - first).max(initial=0))):
        j = np.minimum(first + k, len(rows) - 1)
        share = np.where(first + k < last, np.exp(-np.abs(t_ns[rows[j]] - t_ns) * 1e-9 / FADES_S), 0.0)
        total += share[:, None, None] * drift[rows[j]]
        weight += share
    out = R_world_cam.copy()
    fill = _bridged(t_ns, rows, drift)
    total = np.where((weight > 0)[:, None, None], total, fill)
    ready = np.isfinite(total).all((1, 2)) & np.isfinite(turned[:, 0, 0]) & (np.abs(total).sum((1, 2)) > 0) & np.isfinite(fill[:, 0, 0])
    U, _, Vt = np.linalg.svd(total[ready])
    flip = np.sign(np.linalg.det(U @ Vt))
    out[ready] = np.einsum("nij,nj,njk->nik", U, np.stack([np.ones_like(flip), np.ones_like(flip), flip], 1), Vt) @ turned[ready]
    return out


def _bridged(t_ns: Times, rows: npt.NDArray[np.int64], drift: Floats) -> Floats:
    """`drift` (N, 3, 3) between known `rows` no further apart than `LONGEST_GAP_S`, mixed linearly; NaN elsewhere."""
    out = drift.copy()
    after = np.clip(np.searchsorted(rows, np.arange(len(t_ns))), 1, max(len(rows) - 1, 1)) if len(rows) > 1 else None
    if after is None:
        return out
    a, b = rows[after - 1], rows[after]
    span = (t_ns[b] - t_ns[a]) * 1e-9
    share = np.clip((t_ns - t_ns[a]) * 1e-9 / np.maximum(span, 1e-9), 0, 1)[:, None, None]
    inside = (np.arange(len(t_ns)) > a) & (np.arange(len(t_ns)) < b) & (span <= LONGEST_GAP_S)
    out[inside] = (drift[a] * (1 - share) + drift[b] * share)[inside]
    return out


def rotation_vectors(R: Floats) -> Floats:
    """Axis times angle (N, 3) of rotations (N, 3, 3) well below half a turn."""
    twice_sine = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], 1)
    sine = np.linalg.norm(twice_sine, axis=1) / 2
    angle = np.arctan2(sine, (np.trace(R, axis1=1, axis2=2) - 1) / 2)
    return np.asarray(twice_sine / 2 * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 1.0)[:, None], np.float64)
