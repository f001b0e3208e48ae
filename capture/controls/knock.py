"""Knocks in acceleration: the same pair of strokes, felt by a glove's or a head's IMU instead of heard."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.controls.pair import PairFinder, Pairing, Stroke

LEAST_S = 0.08
"""Shakes within this time are one knock."""


@dataclass(frozen=True)
class KnockShape:
    """What tells a knock from a moving hand."""

    step_m_s2: float = 15.0
    """Change of specific force between neighbouring samples: quick gestures change by 5, at 100 Hz and more."""
    above_usual: float = 6.0
    """And so many times the usual change of late."""


class KnockDetector:
    """Feed it an accelerometer sample by sample, 50 Hz or more; it returns a time when a double knock is complete."""

    def __init__(self, shape: KnockShape | None = None, pairing: Pairing | None = None) -> None:
        self._shape, self._pairs = shape or KnockShape(), PairFinder(pairing)
        self._before: npt.NDArray[np.float64] | None = None
        self._usual = 0.5
        self._last_ns = -(10**18)

    def feed(self, t_ns: int, acceleration: npt.NDArray[np.floating[Any]]) -> int | None:
        """One sample of specific force in m/s^2, shape (3,); the time of the second knock of a pair, once known."""
        now = np.asarray(acceleration, np.float64)
        if not np.isfinite(now).all():
            return self._pairs.found(t_ns)
        step = float(np.linalg.norm(now - self._before)) if self._before is not None else 0.0
        self._before = now
        if step >= max(self._shape.step_m_s2, self._shape.above_usual * self._usual):
            if t_ns - self._last_ns >= LEAST_S * 1e9:
                self._pairs.add(Stroke(t_ns, 20 * float(np.log10(step))))
            self._last_ns = t_ns
        else:
            self._usual += 0.01 * (step - self._usual)
        return self._pairs.found(t_ns)
