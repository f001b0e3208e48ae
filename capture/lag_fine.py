"""The lag near a first guess to a fraction of a sample, with its interval: a likelihood from sums over blocks of time."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.correlation import Pairing, nuclear
from firsthand.capture.motion import Floats, Gridded, Motion, without_slow

FINE_S, FINE_STEP_S = 0.06, 0.002
"""The lags that are looked at closely, around the guess."""
BLOCK_S, BLOCKS = 1.5, 12
"""The interval comes from leaving out one block of this length after another; shorter ones where there would be fewer than that."""
OUTLIER = 4.0
"""A sample this many sigmas off is a mistake of the tracker."""
T_975 = ((8, 2.36), (10, 2.26), (12, 2.20), (15, 2.14), (20, 2.09), (30, 2.05), (60, 2.00))
"""Blocks, and the 97.5 % quantile of Student's t with one degree of freedom less."""


class FineLag:
    """The agreement around a peak: `x` interpolated at the samples of `sparse`, whose channels each follow the one `chosen` of x."""

    def __init__(self, sparse: Motion, y_raw: Gridded, x: Gridded, chosen: npt.NDArray[np.int64], pairing: Pairing) -> None:
        self._at = (sparse.t_ns[sparse.seen] - y_raw.start_ns).astype(np.float64)
        y, known = without_slow(sparse, y_raw)
        self._pairing = pairing
        self._used = np.flatnonzero(chosen >= 0)
        self._x = x if pairing == "rotation" else Gridded(x.start_ns, x.values[:, chosen[self._used]], x.known)
        self._y = y[:, self._used]
        self._weight = np.repeat(known[:, None].astype(np.float64), len(self._used), 1)
        span_s = float(np.ptp(self._at[known])) * 1e-9 if known.any() else BLOCK_S
        self._block = (self._at * 1e-9 / min(BLOCK_S, max(span_s, 1.0) / BLOCKS)).astype(np.int64)
        self._channels = len(chosen)

    def solve(self, around_s: float) -> tuple[float, float, Floats]:
        """The lag in seconds, half its 95 % interval, and the strength of each channel (C,). NaN where there is no peak, or no interval.

        The interval is a jackknife's: the lag is found again without each block.
        """
        tau, width, rho = around_s, float("nan"), np.zeros(len(self._used))
        for last in (False, False, True):
            taus = tau + np.arange(-FINE_S, FINE_S + FINE_STEP_S / 2, FINE_STEP_S)
            sums = self._sums(taus)
            total = {name: part.sum(1) for name, part in sums.items()}
            score, rho = self._score(total)
            tau = _peak(taus, score)
            if not np.isfinite(tau):
                return tau, width, np.zeros(self._channels)
            if not last:
                self._leave_out_outliers(tau)
        blocks = np.flatnonzero(sums["n"].max((0, 2)) > 0)
        if len(blocks) < T_975[0][0]:
            return tau, width, np.zeros(self._channels)
        without = np.array([_peak(taus, self._score({name: total[name] - part[:, b] for name, part in sums.items()})[0]) for b in blocks])
        n = len(blocks)
        t = next((q for most, q in T_975 if n <= most), 1.96)
        width = t * float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
        strength = np.zeros(self._channels)
        strength[self._used] = rho
        return tau, width, strength

    def _sums(self, taus: Floats) -> dict[str, Floats]:
        """Over blocks, of weights, values, squares and products: shapes (T, B, ...)."""
        x, known = self._x.at(self._at + taus[:, None] * 1e9)  # (T, N, K)
        w = self._weight * known[..., None]
        y = self._y
        products = (w[..., :1, None] * x[..., :, None] * y[:, None, :]) if self._pairing == "rotation" else w * x * y
        parts = {"n": w, "x": w * x, "y": w * y, "xx": w * x**2, "yy": w * y**2, "xy": products}
        starts = np.flatnonzero(np.r_[True, self._block[1:] != self._block[:-1]])
        return {name: np.add.reduceat(part, starts, axis=1) for name, part in parts.items()}

    def _score(self, s: dict[str, Floats]) -> tuple[Floats, Floats]:
        """The log likelihood at each lag (T,), and each channel's correlation at the best (K,)."""
        n = np.maximum(s["n"], 1e-9)
        mean_x, mean_y = s["x"] / n, s["y"] / n
        var_x, var_y = np.maximum(s["xx"] / n - mean_x**2, 1e-30), np.maximum(s["yy"] / n - mean_y**2, 1e-30)
        if self._pairing == "rotation":
            cross = s["xy"] / n[..., :1, None] - mean_x[..., :, None] * mean_y[..., None, :]
            rho = (nuclear(cross) / np.sqrt(var_x.sum(-1) * var_y.sum(-1)))[:, None].repeat(3, 1)
        else:
            rho = (s["xy"] / n - mean_x * mean_y) / np.sqrt(var_x * var_y)
        score = -0.5 * (n * np.log1p(-np.minimum(rho**2, 1 - 1e-9))).sum(-1)
        return score, np.abs(rho[int(np.argmax(score))])

    def _leave_out_outliers(self, tau: float) -> None:
        """Give no weight to samples that lie far from what the other stream says there."""
        x, known = self._x.at(self._at + tau * 1e9)
        w = self._weight * known[:, None]
        n = np.maximum(w.sum(0), 1e-9)
        x, y = x - (w * x).sum(0) / n, self._y - (w * self._y).sum(0) / n
        if self._pairing == "rotation":
            u, _, vt = np.linalg.svd((w * x).T @ y)
            u[:, 2] *= np.sign(np.linalg.det(u @ vt))
            fitted = x @ (u @ vt)
            fitted *= (w * fitted * y).sum() / max(float((w * fitted**2).sum()), 1e-30)
            off = np.linalg.norm(y - fitted, axis=1)[:, None]
        else:
            off = np.abs(y - x * ((w * x * y).sum(0) / np.maximum((w * x**2).sum(0), 1e-30)))
        usual = np.median(off[known], axis=0) if known.any() else np.zeros(off.shape[1])
        self._weight = self._weight * (off <= OUTLIER * 1.4826 * np.maximum(usual, 1e-12))


def _peak(taus: Floats, score: Floats) -> float:
    """Where a smooth score is highest: the parabola through its top. NaN where that is at an end."""
    k = int(np.argmax(score))
    if k in (0, len(taus) - 1):
        return float("nan")
    before, top, after = score[k - 1 : k + 2]
    bend = before - 2 * top + after
    return float(taus[k] + (FINE_STEP_S * 0.5 * (before - after) / bend if bend < 0 else 0.0))
