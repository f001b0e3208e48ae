"""Joints that a device told at its own times, at the times of frames: without lag, and never across a longer gap."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LONGEST_GAP_S = 0.2
"""Samples further apart are not joined: five missing frames at 30 a second, as for gaps in what pictures show."""
MEASURED_GAP_S, NEAR_S = 0.05, 0.005
"""A value between samples no further apart than the first, or no further from one than the second, counts as measured."""
MOST_UNEVEN = 2.0
"""A cubic goes through samples whose steps differ by no more than this factor."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Joints at the times of frames."""

    points_m: Floats
    """Shape (N, J, 3); NaN where the device does not tell."""
    measured: npt.NDArray[np.bool_]
    """Whether a sample is near enough, shape (N, J); what is known and not measured was interpolated."""
    curve_s2: Floats
    """What an acceleration that nobody saw is to be multiplied with for how far off the value may be, shape (N, J)."""


def resample(t_ns: npt.NDArray[np.int64], at_ns: npt.NDArray[np.int64], points_m: Floats) -> Resampled:
    """Joints (M, J, 3) told at `at_ns` (M,) as they were at `t_ns` (N,).

    Through the two samples before and the two after where these follow evenly (a line would cut the corners of a turning hand), else on
    the line between two. Nothing is held beyond the first and the last sample, nor where a gap is longer than `LONGEST_GAP_S`.
    """
    order = np.argsort(at_ns, kind="stable")
    order = order[np.append(np.diff(at_ns[order]) > 0, np.ones(min(len(order), 1), np.bool_))]  # of two at one time the later one
    at_ns, points_m = at_ns[order], points_m[order]
    shape = (len(t_ns), points_m.shape[1])
    out, measured, curve = np.full((*shape, 3), np.nan), np.zeros(shape, np.bool_), np.full(shape, np.nan)
    there = np.isfinite(points_m).all(2)
    patterns, which = np.unique(there, axis=1, return_inverse=True)
    for k in range(patterns.shape[1]):  # joints that come and go together, as a rule all of them
        rows, joints = np.flatnonzero(patterns[:, k]), np.flatnonzero(which.ravel() == k)
        if len(rows):
            found, near, bend = _between(t_ns, at_ns[rows], points_m[np.ix_(rows, joints)])
            out[:, joints], measured[:, joints], curve[:, joints] = found, near[:, None], bend[:, None]
    return Resampled(out, measured, curve)


def _between(t_ns: npt.NDArray[np.int64], at_ns: npt.NDArray[np.int64],
             values: Floats) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """Values (N, J, 3) from (M, J, 3) without NaN; whether measured, and half the product of the times to both neighbours, (N,)."""
    after = np.clip(np.searchsorted(at_ns, t_ns), min(1, len(at_ns) - 1), len(at_ns) - 1)
    before = np.maximum(after - 1, 0)
    since, until = (t_ns - at_ns[before]) * 1e-9, (at_ns[after] - t_ns) * 1e-9
    on = (since == 0) | (until == 0)
    known = on | ((since > 0) & (until > 0) & (since + until <= LONGEST_GAP_S))
    out = np.full((len(t_ns), *values.shape[1:]), np.nan)
    share = np.where(on, until == 0, since / np.where(since + until > 0, since + until, 1))
    a, b, w = values[before[known]], values[after[known]], share[known, None, None]
    out[known] = a * (1 - w) + b * w
    first, last = before - 1, after + 1
    four = known & ~on & (first >= 0) & (last < len(at_ns)) & (after == before + 1)
    rows = np.flatnonzero(four)
    if len(rows):
        nodes = at_ns[first[rows, None] + np.arange(4)]
        step = np.diff(nodes) * 1e-9
        even = (step.max(1) <= MOST_UNEVEN * step.min(1)) & (step.max(1) <= LONGEST_GAP_S)
        rows, nodes = rows[even], nodes[even]
        weights = _lagrange((nodes - t_ns[rows, None]) * 1e-9)
        out[rows] = np.einsum("nk,nkjc->njc", weights, values[first[rows, None] + np.arange(4)])
    near = known & ((since + until <= MEASURED_GAP_S) | (np.minimum(np.abs(since), np.abs(until)) <= NEAR_S))
    return out, near, np.where(known & ~on, since * until / 2, 0.0)


def _lagrange(x: Floats) -> Floats:
    """Weights (N, 4) of values at `x` (N, 4) for the value of their cubic at 0."""
    out = np.ones_like(x)
    for k in range(4):
        for other in range(4):
            if other != k:
                out[:, k] *= x[:, other] / (x[:, other] - x[:, k])
    return out
