"""How fast streams arrive, over the last two seconds."""

from collections import deque
from collections.abc import Iterable

from firsthand.capture.live.ring import Figure, Ring

OVER_S = 2.0


class Rates:
    """Samples and bytes a second of one device's streams, from looks at its counters."""

    def __init__(self) -> None:
        self._looks: dict[int, deque[tuple[float, int, int]]] = {}

    def look(self, ring: Ring, streams: Iterable[int], now_s: float) -> None:
        """Take down the counters."""
        for n in streams:
            looks = self._looks.setdefault(n, deque())
            looks.append((now_s, ring.figure(n, Figure.COUNT), ring.figure(n, Figure.BYTES)))
            while len(looks) > 2 and looks[1][0] <= now_s - OVER_S:
                looks.popleft()

    def of(self, stream: int) -> tuple[float, float]:
        """Samples and bytes a second; 0 before there are two looks."""
        looks = self._looks.get(stream)
        if not looks or looks[-1][0] <= looks[0][0]:
            return 0.0, 0.0
        (t0, count0, bytes0), (t1, count1, bytes1) = looks[0], looks[-1]
        return (count1 - count0) / (t1 - t0), (bytes1 - bytes0) / (t1 - t0)
