"""Joint courses made no faster than the joints can go, without lag, and never out of the limits they kept."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def farthest(fastest: Floats, dt_s: Floats) -> Floats:
    """How far joints (J,) get in times (M,), shape (M, J): infinitely far at infinite speed, even in no time."""
    unlimited = np.isinf(fastest)
    return np.where(unlimited, np.inf, np.where(unlimited, 0.0, fastest) * np.maximum(dt_s, 0)[:, None])


def limit_velocity(q: Floats, t_ns: npt.NDArray[np.int64], fastest: Floats) -> Floats:
    """The course of one unbroken run, shape (N, J), with |dq| <= fastest dt between frames, by their real times.

    Each joint by itself, and unchanged where it is slow enough. Clamping forwards in time lags behind a fast move and clamping
    backwards leads it; both keep the speed, hence so does their mean, which is centred on the move (the allowed courses are a
    convex set, and each stays within the range of q). A last clamp forwards takes away what rounding added.
    """
    step = farthest(fastest, np.diff(t_ns) * 1e-9)  # (N - 1, J)
    if not (np.abs(np.diff(q, axis=0)) > step).any():
        return q
    step *= 1 - 1e-12  # so that the difference of two rounded numbers keeps it as well
    mean = (_clamp(q, step) + _clamp(q[::-1], step[::-1])[::-1]) / 2
    return _clamp(mean, step)


def _clamp(q: Floats, step: Floats) -> Floats:
    """Each row moved to within `step` of the one before it."""
    out = q.copy()
    for t in range(1, len(q)):
        out[t] = np.clip(q[t], out[t - 1] - step[t - 1], out[t - 1] + step[t - 1])
    return out
