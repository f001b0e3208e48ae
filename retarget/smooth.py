"""Smoothing without lag that lets sudden stops and contacts through.

Each path is the most likely one given noisy positions and a hand that mostly keeps its acceleration: the fixed-interval (Rauch-Tung-
Striebel) smoother of a constant-acceleration model, solved for the whole run at once (Whittaker 1923; Eilers 2003, "A perfect smoother").
Jerk has Student's t in place of a Gauss bell (Aravkin, Burke and Pillonetto 2014): where a hand stops or a finger meets something, the
path may break; elsewhere it is held together. Positions are weighed by their own noise, along the line of sight and across it, as the
path itself shows it: a camera alone knows the one far worse.

The palm is smoothed in the world, the other joints relative to it: what shakes the whole hand does not blur the fingers.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import KNUCKLES, WRIST
from firsthand.retarget.hand_track import ABSENT, FIXED, INTERPOLATED, HandTrack
from firsthand.retarget.runs import run_numbers

Floats = npt.NDArray[np.float64]

JERK_M_S3 = 12.0
"""Of a hand that does nothing sudden, one sigma at 30 frames a second."""
FREEDOM = 1.0
"""Degrees of freedom of jerk's distribution: Cauchy's."""
ROUNDS = 6
SHORTEST_RUN = 5
"""Shorter runs, in frames, are left as they are."""
LEAST_NOISE_M, MOST_NOISE_M = 0.0003, 0.030
PALM = (WRIST, *KNUCKLES)
_NOMINAL_S = 1 / 30
_THIRD_OF_NOISE = 20**0.5
"""The third difference of white noise is this much larger than the noise: 1, 3, 3, 1 squared and added, and the root of it."""


def smoothed(track: HandTrack, T_world_cam: Floats | None) -> HandTrack:
    """A track with its joints smoothed and those it had kept as `raw_m`; without poses (N, 4, 4) it is in the camera.

    Interpolated joints are laid on the smoothed path, and what a person fixed stays where it is.
    """
    camera_m = np.zeros((len(track.t_ns), 3)) if T_world_cam is None else T_world_cam[:, :3, 3]
    known = track.valid & np.isfinite(track.points_m).all((1, 2))
    sight = track.points_m[:, PALM].mean(1) - camera_m
    points = smooth_hand(track.points_m, track.t_ns, known, known & (track.provenance != INTERPOLATED).all(1), sight)
    points = np.where((track.provenance == FIXED)[..., None], track.points_m, points)
    return replace(track, points_m=np.where((track.provenance == ABSENT)[..., None], track.points_m, points), raw_m=track.points_m)


def smooth_hand(points_m: Floats, t_ns: npt.NDArray[np.int64], valid: npt.NDArray[np.bool_], measured: npt.NDArray[np.bool_],
                sight: Floats) -> Floats:
    """Smoothed joints, shape (N, 21, 3), NaN where not `valid` (N,).

    Frames that are valid but not `measured` (N,) count for nothing: the path through them is that of the frames around them.
    `sight` (N, 3) is the direction of the line of sight, in the axes of `points_m` (N, 21, 3).
    """
    out = np.where(valid[:, None, None], points_m, np.nan)
    joints = points_m.shape[1]
    run = run_numbers(valid)
    for number in range(int(run.max(initial=-1)) + 1):
        rows = np.flatnonzero(run == number)
        if measured[rows].sum() < SHORTEST_RUN:
            continue
        t_s = (t_ns[rows] - t_ns[rows[0]]) * 1e-9
        if (np.diff(t_s) <= 0).any():  # two pictures of one time: no speed can be had
            continue
        palm = points_m[rows][:, PALM].mean(1)
        root = smooth_path(palm, t_s, measured[rows], sight[rows])
        relative = points_m[rows] - palm[:, None]
        out[rows] = np.stack([root + smooth_path(relative[:, j], t_s, measured[rows], sight[rows]) for j in range(joints)], 1)
    return out


def smooth_path(points_m: Floats, t_s: Floats, measured: npt.NDArray[np.bool_], sight: Floats) -> Floats:
    """One point's most likely path, shape (N, 3), N of at least 4."""
    from scipy.linalg import solveh_banded

    n = len(points_m)
    step = np.diff(t_s)
    jerk = _jerk_operator(t_s)  # (N-3, 4)
    spread = JERK_M_S3 * np.sqrt(_NOMINAL_S / (step[:-2] + step[1:-1] + step[2:]) * 3)  # of white jerk, seen over an interval
    axes = _axes(sight)
    information = _information(noise_m(points_m, measured, axes), axes) * measured[:, None, None]  # (N, 3, 3)
    target = np.einsum("nij,nj->ni", information, np.where(measured[:, None], points_m, 0.0)).ravel()
    trust = np.ones(n - 3)
    for _ in range(ROUNDS):
        bands = _bands(information, jerk / spread[:, None], trust)
        path = solveh_banded(bands, target, lower=True).reshape(n, 3)
        found = np.einsum("km,kmi->ki", jerk, np.lib.stride_tricks.sliding_window_view(path, 4, 0).transpose(0, 2, 1))
        trust = 1 / (1 + (found**2).sum(1) / (FREEDOM * spread**2))
    return np.asarray(path, np.float64)


def noise_m(points_m: Floats, measured: npt.NDArray[np.bool_], axes: Floats) -> Floats:
    """Noise of a path across the line of sight and along it, shape (2,): from its third differences, by their median."""
    four = np.lib.stride_tricks.sliding_window_view(points_m, 4, 0)  # (N-3, 3, 4)
    whole = np.lib.stride_tricks.sliding_window_view(measured, 4).all(1)
    if whole.sum() < SHORTEST_RUN:
        whole = np.ones(len(four), np.bool_)
    third = four[whole] @ np.array([-1.0, 3.0, -3.0, 1.0])
    along = np.einsum("nij,nj->ni", axes[1:-2][whole], third)
    size = np.median(np.abs(along), 0) / (0.6745 * _THIRD_OF_NOISE)
    return np.asarray(np.clip([np.hypot(size[0], size[1]) / 2**0.5, size[2]], LEAST_NOISE_M, MOST_NOISE_M), np.float64)


def _axes(sight: Floats) -> Floats:
    """Rotations (N, 3, 3) whose third row is the line of sight (N, 3)."""
    z = sight / np.linalg.norm(sight, axis=1, keepdims=True)
    other = np.where(np.abs(z[:, :1]) < 0.9, np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0]]))
    x = np.cross(other, z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], 1)


def _information(noise: Floats, axes: Floats) -> Floats:
    """Inverse covariances of positions, shape (N, 3, 3)."""
    inverse = np.array([noise[0], noise[0], noise[1]]) ** -2.0
    return np.asarray(np.einsum("nki,k,nkj->nij", axes, inverse, axes))


def _jerk_operator(t_s: Floats) -> Floats:
    """What turns four positions in a row into their third derivative, shape (N-3, 4): six times the third divided difference."""
    four = np.lib.stride_tricks.sliding_window_view(t_s, 4)
    apart = four[:, :, None] - four[:, None, :] + np.eye(4)
    return np.asarray(6 / apart.prod(2))


def _bands(information: Floats, jerk: Floats, trust: Floats) -> Floats:
    """The normal equations' lower bands, shape (10, 3N): `information` on the diagonal blocks, and jerk's penalty between the same axes."""
    n = len(information)
    bands = np.zeros((10, n, 3))
    for a in range(3):
        for b in range(a, 3):
            bands[b - a, :, a] += information[:, a, b]
    for a in range(4):
        for b in range(a, 4):
            bands[3 * (b - a), a : n - 3 + a] += (trust * jerk[:, a] * jerk[:, b])[:, None]
    return bands.reshape(10, 3 * n)
