"""Runs of frames in which a hand is known, and smoothing in time that never reaches across a gap."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def run_numbers(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number of the unbroken run each frame belongs to, from 0, shape (N,); -1 where not valid."""
    starts = valid & ~np.r_[False, valid[:-1]]
    return np.where(valid, np.cumsum(starts) - 1, -1)


def smooth(values: npt.ArrayLike, t_ns: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_], sigma_s: float) -> Floats:
    """Gaussian mean over time without lag, of real timestamps, each run by itself: shape (N, ...) in and out, NaN where not valid."""
    values = np.asarray(values, np.float64)
    run, t_s = run_numbers(valid), (t_ns - t_ns[:1]) * 1e-9
    shape = (-1,) + (1,) * (values.ndim - 1)
    kept = np.where(valid.reshape(shape), values, 0.0)
    total, weight = kept.copy(), np.ones(len(values))
    for step in range(1, len(values)):
        apart = np.abs(t_s[step:] - t_s[:-step])
        if apart.min() > 4 * sigma_s:
            break
        w = np.where(run[step:] == run[:-step], np.exp(-0.5 * (apart / sigma_s) ** 2), 0.0)
        total[step:] += w.reshape(shape) * kept[:-step]
        total[:-step] += w.reshape(shape) * kept[step:]
        weight[step:] += w
        weight[:-step] += w
    return np.where(valid.reshape(shape), total / weight.reshape(shape), np.nan)


def carry(values: npt.ArrayLike, t_ns: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]) -> Floats:
    """Fill the rows of (N, C) that are valid but not known, linearly in time between the known ones of their run.

    Before the first and after the last they are held; a run without a known row stays NaN.
    """
    filled = np.where((valid & known)[:, None], np.asarray(values, np.float64), np.nan)
    run, t_s = run_numbers(valid), (t_ns - t_ns[:1]) * 1e-9
    for number in range(int(run.max(initial=-1)) + 1):
        rows = np.flatnonzero(run == number)
        anchors = rows[known[rows]]
        if 0 < len(anchors) < len(rows):
            for column in range(filled.shape[1]):
                filled[rows, column] = np.interp(t_s[rows], t_s[anchors], filled[anchors, column])
    return filled
