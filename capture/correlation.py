"""How well two motions agree at each lag, over seconds on either side: the FFT correlation, normalised over what both have seen."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.motion import STEP_S, Floats, Gridded

Pairing = Literal["channels", "rotation"]
"""How the channels of two motions belong together. ``channels``: each follows one of the other's, which one is found out, turned round
or not. ``rotation``: three axes on either side, turned against each other by an unknown mounting."""

LEAST_SHARE = 0.4
"""A lag counts where the motions share this much of the most that they share."""


def correlate(x: Gridded, y: Gridded, reach_s: float, pairing: Pairing) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Lags in seconds (L,), agreement 0..1 at each (L,), and which channel of x each of y's follows (Cy,), -1 for none.

    y as seen `lag` earlier agrees with x: y(t) is like x(t + lag). NaN where the two share too little.
    """
    steps = int(reach_s / STEP_S)
    lags = np.arange(-steps, steps + 1)
    size = 1 << (len(x.known) + steps).bit_length()
    seen_x, seen_y = (np.fft.rfft(part.known.astype(np.float64), size)[:, None] for part in (x, y))
    fx, fy = np.fft.rfft(x.values, size, axis=0), np.fft.rfft(y.values, size, axis=0)
    fxx, fyy = np.fft.rfft(x.values**2, size, axis=0), np.fft.rfft(y.values**2, size, axis=0)

    def shifted(spectrum: npt.NDArray[np.complex128], other: npt.NDArray[np.complex128]) -> Floats:
        """Sum over t of x-part(t + lag) times y-part(t), shape (L, C)."""
        return np.asarray(np.fft.irfft(spectrum * np.conj(other), size, axis=0)[lags], np.float64)

    n = np.maximum(shifted(seen_x, seen_y), 1e-9)  # (L, 1)
    mean_x, mean_y = shifted(fx, seen_y) / n, shifted(seen_x, fy) / n
    var_x = np.maximum(shifted(fxx, seen_y) / n - mean_x**2, 0)
    var_y = np.maximum(shifted(seen_x, fyy) / n - mean_y**2, 0)
    cross = np.stack([shifted(fx, fy[:, k : k + 1]) / n - mean_x * mean_y[:, k : k + 1] for k in range(fy.shape[1])], 2)  # (L, Cx, Cy)
    enough = n[:, 0] >= LEAST_SHARE * n.max()
    with np.errstate(divide="ignore", invalid="ignore"):
        if pairing == "rotation":
            agreement = nuclear(cross) / np.sqrt(var_x.sum(1) * var_y.sum(1))
            chosen = np.arange(fy.shape[1])
        else:
            single = np.abs(cross) / np.sqrt(var_x[:, :, None] * var_y[:, None, :])
            agreement, chosen = _best_channels(np.where(enough[:, None, None], np.nan_to_num(single), 0))
    agreement = np.where(enough & np.isfinite(agreement), np.minimum(agreement, 1), np.nan)
    return lags.astype(np.float64) * STEP_S, agreement.astype(np.float64), chosen.astype(np.int64)


def _best_channels(single: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Agreement over lags, and the channel of x for each of y's, from the correlations of all pairs (L, Cx, Cy)."""
    best = single.max(1)  # (L, Cy): every lag may choose, so that no lag is favoured
    top = np.minimum(best.max(0), 0.99)
    weight = np.where(top >= 0.5 * top.max(), top**2 / (1 - top**2), 0)
    joint = best @ weight / max(float(weight.sum()), 1e-12)
    partner = single[int(np.argmax(joint))].argmax(0)
    return joint, np.where(weight > 0, partner, -1)


def nuclear(cross: Floats) -> Floats:
    """The most that a proper rotation makes of cross-covariances (..., 3, 3): the sum of their singular values, the last one signed."""
    sizes = np.linalg.svd(cross, compute_uv=False)
    sizes[..., 2] *= np.sign(np.linalg.det(cross))
    return np.asarray(sizes.sum(-1), np.float64)
