"""How a hand moves, for plots and suggestions: wrist speed and aperture, smoothed without inventing what was not seen."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP, WRIST
from firsthand.retarget.hand_track import HandTrack

Floats = npt.NDArray[np.float64]


def smooth(values: npt.ArrayLike, sigma: float) -> Floats:
    """Gaussian-weighted mean along time of (N,) or (N, C) values, `sigma` in samples.

    Weights are renormalised at the ends and around NaN rows; a row that was NaN stays NaN.
    """
    x = np.asarray(values, np.float64)
    if sigma <= 0 or len(x) == 0:
        return x.copy()
    reach = max(1, round(4 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    columns = x.reshape(len(x), -1)
    seen = np.asarray(np.isfinite(columns).all(1))
    weight = np.convolve(seen.astype(np.float64), kernel)[reach:-reach]
    filled = np.where(seen[:, None], columns, 0.0)
    sums = np.stack([np.convolve(filled[:, c], kernel)[reach:-reach] for c in range(filled.shape[1])], 1)  # (N, C)
    result = np.full_like(columns, np.nan)
    result[seen] = sums[seen] / weight[seen, None]
    return result.reshape(x.shape)


def rate(values: npt.ArrayLike, t_s: npt.ArrayLike) -> Floats:
    """Time derivative of (N,) or (N, C) values by central differences, one-sided beside NaN and at the ends; NaN where alone."""
    x, t = np.asarray(values, np.float64), np.asarray(t_s, np.float64)
    if len(x) < 2:
        return np.full_like(x, np.nan)
    dt = np.diff(t).reshape(-1, *[1] * (x.ndim - 1))
    step = np.diff(x, axis=0) / np.where(dt > 0, dt, np.nan)
    nothing = np.full_like(x[:1], np.nan)
    before, after = np.concatenate([nothing, step]), np.concatenate([step, nothing])
    both = (before + after) / 2
    result = np.where(np.isfinite(both), both, np.where(np.isfinite(before), before, after))
    return np.where(np.isfinite(x), result, np.nan)


def wrist_speed(track: HandTrack, *, sigma_position: float = 3.0, sigma_speed: float = 2.0) -> Floats:
    """Speed of the wrist in m/s, shape (N,), in the frame the track is in; NaN where the wrist was not seen. Sigmas in frames."""
    velocity = rate(smooth(track.points_m[:, WRIST], sigma_position), track.t_ns * 1e-9)
    return smooth(np.linalg.norm(velocity, axis=1), sigma_speed)


def aperture(track: HandTrack) -> Floats:
    """Distance between the tips of thumb and index finger in metres, shape (N,); NaN where either was not seen."""
    return np.asarray(np.linalg.norm(track.points_m[:, THUMB_TIP] - track.points_m[:, INDEX_TIP], axis=1), np.float64)
