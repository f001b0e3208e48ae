"""Exactly two strokes, a short while apart, and nothing else around them: what nobody does by accident while working."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Stroke:
    """One short event: a clap, a knock."""

    t_ns: int
    strength_db: float
    """How loud or hard, on a logarithmic scale."""


@dataclass(frozen=True)
class Pairing:
    """When two strokes are meant."""

    least_s: float = 0.35
    """Faster ones are one event with its echo, or a drum."""
    most_s: float = 1.0
    alone_s: float = 0.6
    """No other stroke may come so long before the first and after the second, nor within 1.25 times their distance: three claps,
    applause and rhythms are no pair."""
    late_s: float = 0.1
    """A stroke may be told so long after it happened."""
    similar_db: float = 14.0
    """The two may differ by so much."""


class PairFinder:
    """Finds pairs in a run of strokes. The answer comes some `alone_s` after the second stroke."""

    def __init__(self, pairing: Pairing | None = None) -> None:
        self._pairing = pairing or Pairing()
        self._strokes: deque[Stroke] = deque(maxlen=3)
        self._judged = True

    def add(self, stroke: Stroke) -> None:
        """The next stroke, in order of time."""
        self._strokes.append(stroke)
        self._judged = False

    def found(self, now_ns: int) -> int | None:
        """The time of the second stroke of a pair that is complete at `now_ns`; each pair is told once."""
        p = self._pairing
        if self._judged or len(self._strokes) < 2:
            return None
        *before, first, second = self._strokes
        apart_s = (second.t_ns - first.t_ns) * 1e-9
        alone_s = max(p.alone_s, 1.25 * min(apart_s, p.most_s))
        if now_ns - second.t_ns < (alone_s + p.late_s) * 1e9:
            return None
        self._judged = True
        alone = not before or first.t_ns - before[-1].t_ns > alone_s * 1e9
        similar = abs(first.strength_db - second.strength_db) <= p.similar_db
        return second.t_ns if alone and similar and p.least_s <= apart_s <= p.most_s else None
