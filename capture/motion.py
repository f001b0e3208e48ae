"""One stream's view of a movement, made comparable with another's: on a grid, in one band, with what is missing told."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

STEP_S = 0.004
"""Of the grid."""
SMOOTH_S = 0.015
"""One sigma of the low-pass: faster than any joint moves, and enough that interpolation leaves no trace of the samples."""
SLOW_S = 0.5
"""One sigma of what is taken off as slow: poses held, and errors that come with them."""
BRIDGED_S = 0.05
"""Samples this near are joined by a line, and those within three of the stream's own periods; nothing is made up in longer gaps."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Anything that moves with the wearer, in any unit: joint angles, the angle the head has turned by, a distance."""

    name: str
    """As it stands in a sentence, such as ``"stream imu"``."""
    t_ns: npt.NDArray[np.int64]
    """Session times, shape (N,), in order."""
    values: Floats
    """Shape (N, C); NaN where it was not seen."""

    def __post_init__(self) -> None:
        set_frozen(self, "t_ns", np.int64, (None,))
        set_frozen(self, "values", np.float64, (len(self.t_ns), None))

    @property
    def seen(self) -> Bools:
        """Samples in which every channel was, shape (N,)."""
        return np.asarray(np.isfinite(self.values).all(1), np.bool_)

    @property
    def rate_hz(self) -> float:
        """Samples a second, the missing ones not counted; 0 where there is none."""
        at = self.t_ns[self.seen]
        return float((len(at) - 1) / ((at[-1] - at[0]) * 1e-9)) if len(at) > 1 and at[-1] > at[0] else 0.0

    def useful(self) -> npt.NDArray[np.int64]:
        """The channels that say something: not those that never change, nor those missing in most samples in which any is there."""
        there = np.isfinite(self.values)
        share = there.mean(0) / max(float(there.any(1).mean()), 1e-12)
        spread = np.array([np.ptp(column[known]) if known.any() else 0.0 for column, known in zip(self.values.T, there.T, strict=True)])
        return np.flatnonzero((share > 0.5) & (spread > 0))

    def only(self, channels: npt.NDArray[np.int64]) -> "Motion":
        """Some of the channels."""
        return Motion(self.name, self.t_ns, self.values[:, channels])


@dataclass(frozen=True, eq=False)
class Gridded:
    """A motion on an even grid from `start_ns`, `STEP_S` apart; 0 where it is not known."""

    start_ns: int
    values: Floats
    """Shape (G, C)."""
    known: Bools
    """Shape (G,)."""

    def at(self, t_ns: Floats) -> tuple[Floats, Bools]:
        """Values and whether they are known at session times after `start_ns`, as floats, shapes (..., C) and (...)."""
        place = t_ns * (1e-9 / STEP_S)
        below = np.floor(place).astype(np.int64)
        inside = (below >= 0) & (below < len(self.known) - 1)
        below = np.clip(below, 0, len(self.known) - 2)
        share = (place - below)[..., None]
        values = self.values[below] * (1 - share) + self.values[below + 1] * share
        return values, inside & self.known[below] & self.known[below + 1]


def on_grid(motion: Motion, start_ns: int, stop_ns: int) -> Gridded:
    """A motion joined by lines on the grid from `start_ns` to `stop_ns`, as it was measured."""
    count = int((stop_ns - start_ns) * 1e-9 / STEP_S) + 1
    grid = np.arange(count) * STEP_S
    seen = motion.seen
    at, values = (motion.t_ns[seen] - start_ns) * 1e-9, motion.values[seen]
    if len(at) < 2:
        return Gridded(start_ns, np.zeros((count, motion.values.shape[1])), np.zeros(count, np.bool_))
    reach = max(BRIDGED_S, 3.2 / motion.rate_hz)
    after = np.clip(np.searchsorted(at, grid), 1, len(at) - 1)
    known = (grid >= at[0]) & (grid <= at[-1]) & (at[after] - at[after - 1] <= reach)
    filled = np.stack([np.interp(grid, at, column) for column in values.T], 1)
    return Gridded(start_ns, np.where(known[:, None], filled, 0.0), np.asarray(known, np.bool_))


def band(raw: Gridded) -> Gridded:
    """Without what is faster than a joint and slower than a gesture. Both filters are even in time, so nothing is delayed."""
    weight = raw.known.astype(np.float64)[:, None]
    smooth = smoothed(raw.values * weight, SMOOTH_S) / np.maximum(smoothed(weight, SMOOTH_S), 1e-6)
    return Gridded(raw.start_ns, np.where(raw.known[:, None], smooth - slow(raw), 0.0), raw.known)


def without_slow(motion: Motion, raw: Gridded) -> tuple[Floats, Bools]:
    """The samples that were seen, less the slow part, and whether that is known, shapes (M, C) and (M,). `raw`: the motion on a grid."""
    seen = motion.seen
    drift, known = Gridded(raw.start_ns, slow(raw), raw.known).at((motion.t_ns[seen] - raw.start_ns).astype(np.float64))
    return motion.values[seen] - drift, known


def slow(raw: Gridded) -> Floats:
    """The slow part of a motion, shape (G, C)."""
    weight = raw.known.astype(np.float64)[:, None]
    return np.asarray(smoothed(raw.values * weight, SLOW_S) / np.maximum(smoothed(weight, SLOW_S), 1e-6), np.float64)


def smoothed(values: Floats, sigma_s: float) -> Floats:
    """Columns (G, C) under a Gaussian of this sigma, zero beyond the ends."""
    reach = int(4 * sigma_s / STEP_S)
    size = 1 << (len(values) + 2 * reach - 1).bit_length()
    frequency = np.fft.rfftfreq(size, STEP_S)
    shape = np.exp(-2 * (np.pi * sigma_s * frequency) ** 2)[:, None]
    return np.asarray(np.fft.irfft(np.fft.rfft(values, size, axis=0) * shape, size, axis=0)[: len(values)], np.float64)
