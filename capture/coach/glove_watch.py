"""One glove: silent, frozen, or with a column that died."""

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.coach.gates import Gates
from firsthand.capture.stream import StreamSpec

EVERY_S = 0.1
"""Samples nearer than this to the one before are not looked at."""
LEAST_LOOKS = 10


class GloveWatch:
    """Remembers a thinned history of one glove's values."""

    def __init__(self, spec: StreamSpec, gates: Gates, t_ns: int) -> None:
        self._spec, self._gates = spec, gates
        self._seen: deque[tuple[int, npt.NDArray[np.float64]]] = deque(maxlen=round(gates.glove_column_s / EVERY_S) + 2)
        self._heard_ns = t_ns

    def add(self, t_ns: int, values: npt.NDArray[np.floating[Any]]) -> None:
        """The newest sample, shape (C,)."""
        self._heard_ns = max(self._heard_ns, t_ns)
        if not self._seen or t_ns - self._seen[-1][0] >= EVERY_S * 1e9:
            self._seen.append((t_ns, np.array(values, np.float64)))

    def moved_rad(self, now_ns: int) -> float | None:
        """The most that any value changed over the last second; None while that is unknown."""
        recent = np.array([values for t_ns, values in self._seen if now_ns - t_ns <= 1e9])
        if len(recent) < 2:
            return None
        spread = recent.max(0) - recent.min(0)
        return float(np.nanmax(spread)) if np.isfinite(spread).any() else None

    def fault(self, now_ns: int) -> str:
        """What is wrong with it at the moment; empty when nothing is."""
        name, g = self._spec.name, self._gates
        if now_ns - self._heard_ns > g.glove_silent_s * 1e9:
            return f"{name} sends nothing: check its battery and plug"
        t_ns = np.array([t for t, _ in self._seen])
        values = np.array([v for _, v in self._seen])
        if len(t_ns) < LEAST_LOOKS:
            return ""
        recent = values[t_ns >= now_ns - 1e9]
        if len(recent) and (lost := np.isnan(recent).mean(0) > 0.5).any():
            return f"{name} gives no number for {self._columns(lost)}: check the cable of that finger"
        frozen = values[t_ns >= now_ns - g.glove_frozen_s * 1e9]
        if now_ns - t_ns[0] >= g.glove_frozen_s * 1e9 and len(frozen) >= LEAST_LOOKS and (frozen == frozen[0]).all():
            return f"{name} repeats the same values: it is frozen, switch it off and on"
        if now_ns - t_ns[0] >= g.glove_column_s * 1e9:
            spread = values.max(0) - values.min(0)
            if (dead := spread == 0).any() and (spread >= g.glove_moves_rad).sum() >= 3:
                return f"{name} does not move {self._columns(dead)} while other fingers move: check the cable of that finger"
        return ""

    def _columns(self, which: npt.NDArray[np.bool_]) -> str:
        names = [name for name, one in zip(self._spec.names, which, strict=True) if one]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
