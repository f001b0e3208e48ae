"""Limits of joint speed and acceleration over real timestamps: as terms of an augmented Lagrangian, and made exact at the end."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.retarget.velocity import farthest, limit_velocity

Floats = npt.NDArray[np.float64]
MARGIN = 1e-3
"""Limits are sought this much tighter, as a share, so that what the solver leaves of a violation is none."""
_SOONEST_S = 1e-4
"""Frames closer in time than this tell nothing of an acceleration."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Bounds |sum_k c_k q_{t+k}| <= bound_t on every joint, k up to `reach`, with multipliers and a penalty."""

    coefficients: Floats
    """Shape (N - reach, reach + 1)."""
    bound: Floats
    """Shape (N - reach, J)."""
    multiplier: Floats
    penalty: float = 0.0

    @property
    def reach(self) -> int:
        """How many frames on the farthest variable is."""
        return int(self.coefficients.shape[1]) - 1

    def values(self, q: Floats) -> Floats:
        """What is bounded, shape (N - reach, J)."""
        return np.asarray(sum(self.coefficients[:, k, None] * q[k : k + len(self.bound)] for k in range(self.reach + 1)), np.float64)

    def violation(self, q: Floats) -> float:
        """The largest, beyond the limit as it was given (`MARGIN`), in joint units; 0 where there is none."""
        return float(np.max(np.abs(self.values(q)) - self.bound * (1 + 0.9 * MARGIN) - 1e-9, initial=0.0))

    def started(self) -> "Rows":
        """With a first penalty, of the order of the data cost's own curvature."""
        return replace(self, penalty=5.0)

    def _push(self, q: Floats) -> Floats:
        """Multiplier plus penalty times violation: the force of each bound, 0 where it is not active."""
        force = self.multiplier + self.penalty * self.values(q)
        return np.asarray(force - np.clip(force, -self.penalty * self.bound, self.penalty * self.bound), np.float64)

    def cost(self, q: Floats) -> float:
        """The augmented Lagrangian's part, up to a constant."""
        return float((self._push(q) ** 2).sum() / (2 * self.penalty))

    def updated(self, q: Floats, *, harder: bool) -> "Rows":
        """Multipliers from where q is, and a larger penalty where violations shrink slowly."""
        return replace(self, multiplier=self._push(q), penalty=self.penalty * (4 if harder else 1))

    def add(self, q: Floats, g: Floats, H: Floats, one: Floats, two: Floats) -> None:
        """Add gradient and curvature to g (N, J), diagonals of H (N, J, J), and to those one and two frames on (N, J)."""
        force, n, c = self._push(q), len(self.bound), self.coefficients
        active = self.penalty * (force != 0)
        diagonal = np.arange(q.shape[1])
        for k in range(self.reach + 1):
            g[k : k + n] += c[:, k, None] * force
            H[k : k + n, diagonal, diagonal] += c[:, k, None] ** 2 * active
        for k in range(self.reach):
            one[k : k + n] += (c[:, k] * c[:, k + 1])[:, None] * active
        if self.reach == 2:
            two[:n] += (c[:, 0] * c[:, 2])[:, None] * active


@dataclass(frozen=True, eq=False)
class RateLimits:
    """Speeds and accelerations the joints of a course may have; infinite where they may have any."""

    t_ns: npt.NDArray[np.int64]
    """Times of the frames, shape (N,), not falling."""
    velocity: Floats
    """Per second, shape (J,)."""
    acceleration: Floats
    """Per second squared, shape (J,)."""

    def __post_init__(self) -> None:
        set_frozen(self, "t_ns", np.int64, (len(self.t_ns),))
        for name in ("velocity", "acceleration"):
            set_frozen(self, name, np.float64, (len(self.velocity),))

    def rows(self, span: Any = slice(None)) -> tuple[Rows, ...]:
        """The bounds among some of the frames."""
        dt = np.maximum(np.diff(self.t_ns[span]), 0) * 1e-9  # (N - 1,)
        found = []
        if np.isfinite(self.velocity).any() and len(dt):
            bound = farthest(self.velocity, dt) * (1 - MARGIN)
            found.append(Rows(np.tile([-1.0, 1.0], (len(dt), 1)), bound, np.zeros_like(bound)))
        if np.isfinite(self.acceleration).any() and len(dt) > 1:
            c, bound = self._bends(dt)
            found.append(Rows(c, bound * (1 - MARGIN), np.zeros_like(bound)))
        return tuple(found)

    def _bends(self, dt: Floats) -> tuple[Floats, Floats]:
        """Change of speed between a step and the next, in joint units: coefficients (N - 2, 3) and bounds (N - 2, J)."""
        before, after = np.maximum(dt[:-1], _SOONEST_S), np.maximum(dt[1:], _SOONEST_S)
        mean = (before + after) / 2
        c = np.stack([mean / before, -mean / before - mean / after, mean / after], 1)
        told = (dt[:-1] >= _SOONEST_S) & (dt[1:] >= _SOONEST_S)
        return c, np.where(told[:, None], self.acceleration * (mean**2)[:, None], np.inf)

    def keep(self, q: Floats) -> Floats:
        """The course q (N, J) with both kinds of limits made exact: as it is where they hold, and never beyond the range of q.

        Speeds are clamped (`velocity.py`). A joint that still bends too fast is drawn towards its mean place, all of its course by the same
        share: that shrinks speeds and accelerations alike, so it cannot fail.
        """
        q = limit_velocity(q, self.t_ns, self.velocity)
        dt = np.maximum(np.diff(self.t_ns), 0) * 1e-9
        if not np.isfinite(self.acceleration).any() or len(dt) < 2:
            return q
        c, bound = self._bends(dt)
        rows = Rows(c, bound, np.zeros_like(bound))
        with np.errstate(invalid="ignore"):
            share = np.max(np.abs(rows.values(q)) / bound, axis=0, initial=1.0)  # (J,)
        if (share > 1).any():
            middle = (q.min(0) + q.max(0)) / 2
            q = np.where(share > 1, middle + (q - middle) / (share * (1 + 1e-9)), q)
        return q
