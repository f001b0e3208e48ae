"""Turn and place a hand so that it meets its joints in the picture and, where there is one, a depth image; all frames at once.

A tracker's own joints say how the fingers are bent, but hardly how the whole hand is tilted: seen by one network on a cut-out of the
picture, hands come out flatter to the camera than they are, by 15 to 25 degrees on the synthetic wearer and on recordings of
glasses that track hands themselves. What the picture and the sensor say of the tilt is therefore weighed against it.
"""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import WRIST
from firsthand.retarget.metric import solve_translation

Floats = npt.NDArray[np.float64]

ADULT_BONES_M = np.array([
    (38.0, 46.2, 31.6, 25.0), (88.0, 39.8, 22.4, 19.7), (87.0, 44.6, 26.3, 21.3), (82.0, 41.4, 25.7, 21.2), (77.0, 32.7, 18.1, 19.6),
]).ravel() * 1e-3  # fmt: skip
"""A middling adult hand, the 20 bones in the order of `BONES`: metacarpal 1 and the phalanges after Buryanov and Kotiuk 2010
("Proportions of hand segments", Int. J. Morphol. 28), the last ones with 3.9 mm of soft tissue; from the wrist to the knuckles, rounded
from palm lengths of adults. People differ by about 7 % (one sigma), and so does their distance."""

PICTURE_SIGMA = 0.07
"""Of a joint in the picture, as a share of the palm's length there."""
WRIST_WEIGHT = 0.5
"""The wrist has no crease or edge to be seen: it counts for less."""
TILT_SIGMA_RAD = np.radians(30)
"""Of the tracker's idea of how the hand is turned."""
DEPTH_SIGMA_M = 0.005
"""Of a joint's depth from a sensor, against a hand that does not bend."""
OUTLIER_M, OUTLIER_SIGMAS = 0.030, 2.0
"""A depth this far from the hand, and so many of its standard deviations more than a sensor's, counts for half (Cauchy's weight)."""
NEAREST_M = 0.1
"""No hand is nearer to a camera that can see it."""
ROUNDS = 10
PALMS_IN_A_BOX = 2.2
"""Diagonal of the box around an open hand, in palm lengths."""


def fit_hand(shape_m: Floats, xy: Floats, depths_m: Floats | None = None, depth_sigma_m: Floats | float = DEPTH_SIGMA_M) -> Floats:
    """The joints of a hand in the camera, shape (N, 21, 3), metres: `shape_m` (N, 21, 3), turned and moved but not bent.

    `xy` (N, 21, 2) are the joints' rays. `depths_m` (N, 21) are depths of joints along the optical axis, NaN where not known, with one
    standard deviation of each.
    Gauss-Newton on rotation and translation, from the shape as it is turned; nothing may be NaN but depths.
    """
    X = shape_m - shape_m.mean(1, keepdims=True)
    n = len(X)
    known = np.zeros((n, 21), np.bool_) if depths_m is None else np.isfinite(depths_m)
    depths = np.zeros((n, 21)) if depths_m is None else np.where(known, depths_m, 0.0)
    turn, t = np.zeros((n, 3)), solve_translation(X, xy)
    measured, outlier_m = known.any(1), OUTLIER_M + OUTLIER_SIGMAS * (depth_sigma_m - DEPTH_SIGMA_M)
    z = row_median(np.where(known, depths - X[..., 2], np.nan))[measured, None]
    t[measured] = np.concatenate([xy[measured].mean(1) * z, z], 1)

    t[:, 2] = np.maximum(t[:, 2], NEAREST_M)
    palm = np.maximum(np.linalg.norm(np.ptp(xy, axis=1), axis=1), 1e-6) / PALMS_IN_A_BOX
    weight = np.ones(21)
    weight[WRIST] = WRIST_WEIGHT
    per_joint = np.sqrt(weight) / (PICTURE_SIGMA * palm[:, None])  # (N, 21)
    zero, one = np.zeros((n, 21)), np.ones((n, 21))
    for _ in range(ROUNDS):
        Y = np.einsum("nij,nkj->nki", rotations(turn), X)
        a, b, c = np.moveaxis(Y, -1, 0)
        x, y, z = np.moveaxis(Y + t[:, None], -1, 0)
        u, v, w = x / z, y / z, 1 / z
        off = depths - z
        trust = np.where(known, 1 / np.sqrt(1 + (off / outlier_m) ** 2), 0) / depth_sigma_m
        # Rows: picture x, picture y, depth. Columns: a small turn about the three axes, a small move along them.
        J = np.concatenate([
            np.stack([-u * b * w, (c + u * a) * w, -b * w, w, zero, -u * w], -1) * per_joint[..., None],
            np.stack([-(c + v * b) * w, v * a * w, a * w, zero, w, -v * w], -1) * per_joint[..., None],
            np.stack([b, -a, zero, zero, zero, one], -1) * trust[..., None],
        ], 1)  # fmt: skip
        r = np.concatenate([(xy[..., 0] - u) * per_joint, (xy[..., 1] - v) * per_joint, off * trust], 1)
        H, g = np.einsum("nki,nkj->nij", J, J), np.einsum("nki,nk->ni", J, r)
        H[:, [0, 1, 2], [0, 1, 2]] += TILT_SIGMA_RAD**-2
        g[:, :3] -= TILT_SIGMA_RAD**-2 * turn
        step = np.linalg.solve(H, g[..., None])[..., 0]
        turn, t = turn + step[:, :3], t + step[:, 3:]
        t[:, 2] = np.maximum(t[:, 2], NEAREST_M)
    return np.asarray(np.einsum("nij,nkj->nki", rotations(turn), X) + t[:, None])


def rotations(vectors: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) of rotation vectors (N, 3), radians (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    K = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    small = angle < 1e-9
    safe = np.where(small, 1, angle)
    return np.asarray(np.eye(3) + np.where(small, 1, np.sin(safe) / safe) * K + np.where(small, 0.5, (1 - np.cos(safe)) / safe**2) * K @ K)


def row_median(values: Floats) -> Floats:
    """Median of each row's known values, shape (N,); NaN where there are none."""
    out = np.full(len(values), np.nan)
    some = np.isfinite(values).any(1)
    out[some] = np.nanmedian(values[some], axis=1)
    return out
