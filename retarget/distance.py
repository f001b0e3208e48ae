"""The distance of a hand over time: the most likely one, where single frames are sometimes far off.

Seen by one camera a hand's distance hangs on its size, its tilt and how its fingers are bent. A tracker that misjudges the last two, as it
does round a held object, throws the distance off by a quarter from one frame to the next and back a second later. No hand moves so.
"""

import numpy as np
import numpy.typing as npt

from firsthand.retarget.hand_fit import PALMS_IN_A_BOX, PICTURE_SIGMA

Floats = npt.NDArray[np.float64]

SHARE_SIGMA = 0.1
"""Of one frame's distance by size, as a share of it; more where the hand does not fit its picture."""
ACCELERATION_PER_S2 = 2.0
"""Of the logarithm of the distance, the mean over a second, one sigma. Over the 0.2 s of a reach it is 4.5: 2.2 m/s^2 at half a metre."""
ALIKE_S = 0.2
"""Errors of frames nearer to each other are alike: together they count as one."""
LONGEST_PAUSE_S = 0.5
"""Frames further apart say nothing of each other."""
ROUNDS = 15


def misfit(points_m: Floats, xy: Floats) -> Floats:
    """How far fitted hands (N, 21, 3) are from their joints' rays `xy` (N, 21, 2), RMS, in standard deviations: shape (N,)."""
    palm = np.maximum(np.linalg.norm(np.ptp(xy, axis=1), axis=1), 1e-6) / PALMS_IN_A_BOX
    off = np.linalg.norm(points_m[..., :2] / points_m[..., 2:] - xy, axis=-1) / palm[:, None]
    return np.asarray(np.sqrt((off**2).mean(1) / 2) / PICTURE_SIGMA, np.float64)


def steady(t_ns: npt.NDArray[np.int64], z_m: Floats, share_sigma: Floats) -> Floats:
    """Distances (N,) over time made likely: a path whose logarithm accelerates little, met by single frames with errors that are Cauchy's.

    `share_sigma` (N,) is one standard deviation of each as a share of it. Times rise; where two are equal nothing is changed.
    """
    out, t_s = z_m.copy(), np.asarray((t_ns - t_ns[:1]) * 1e-9, np.float64)
    for rows in np.split(np.arange(len(t_s)), np.flatnonzero(np.diff(t_s) > LONGEST_PAUSE_S) + 1):
        if len(rows) > 3 and (np.diff(t_s[rows]) > 0).all():
            out[rows] = np.exp(_path(t_s[rows], np.log(z_m[rows]), share_sigma[rows]))
    return out


def _path(t_s: Floats, y: Floats, sigma: Floats) -> Floats:
    """The smoother for second differences (Whittaker 1923), its weights iterated for Cauchy's errors."""
    from scipy.linalg import solveh_banded

    before, after = np.diff(t_s)[:-1], np.diff(t_s)[1:]
    a, c = 2 / (before * (before + after)), 2 / (after * (before + after))
    b, weight = -(a + c), (before + after) / 2 / ACCELERATION_PER_S2**2
    bands = np.zeros((3, len(y)))  # of the normal matrix, upper form: second, first, main diagonal
    bands[0, 2:] = weight * a * c
    bands[1, 1:-1] += weight * a * b
    bands[1, 2:] += weight * b * c
    for k, part in enumerate((a, b, c)):
        bands[2, k : k + len(a)] += weight * part**2
    sure = np.minimum(np.median(np.diff(t_s)) / ALIKE_S, 1) / sigma**2
    trust, x = np.ones(len(y)), y
    for _ in range(ROUNDS):
        A = bands.copy()
        A[2] += trust * sure
        x = solveh_banded(A, trust * sure * y)
        trust = 1 / (1 + ((y - x) / sigma) ** 2)
    return np.asarray(x, np.float64)
