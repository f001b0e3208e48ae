"""The coach at work: a few looks a second at the newest of everything, never more than its share of the processor."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.coach.advice import Advice
from firsthand.capture.coach.coach import Coach
from firsthand.capture.coach.look import WIDTH_PX, Picture
from firsthand.capture.coach.seen_hand import FindHands

LOOKS_HZ = 3.0
CPU_SHARE = 0.15
"""Of one core, at most: looks become rarer where they are dear."""
POLL_S = 0.1
"""Between two looks at the numbers."""
SECOND_S = 0.12
"""How long to wait for the picture after the one just seen."""
STILL_NEW_S = 1.0
"""A picture older than this is the past: its camera is gone, which others say."""

Newest = Callable[[], tuple[int, bytes] | None]
"""The newest picture: its time on the host's monotonic clock, and its JPEG or PNG bytes."""
Numbers = Callable[[], Iterable[tuple[str, int, npt.NDArray[np.floating[Any]]]]]
"""The newest sample of each numeric stream: name, time, values."""


@dataclass(frozen=True)
class Outcome:
    """What one look came to."""

    t_ns: int
    advice: tuple[Advice, ...]
    look_ms: float
    """Processor time it took, with decoding and hands."""
    looks_hz: float
    """How often there is time for one."""


def watch(coach: Coach, picture: Newest, numbers: Numbers, tell: Callable[[Outcome], None], stop: Callable[[float], bool], *,
          find_hands: FindHands | None = None, looks_hz: float = LOOKS_HZ, cpu_share: float = CPU_SHARE) -> None:
    """Look until `stop`, which waits up to so many seconds, says so; `tell` gets the outcome of each look."""
    seen_ns, next_s, cost_s = -1, time.monotonic(), 0.0
    while not stop(POLL_S):
        for stream, t_ns, values in numbers():
            coach.numeric(stream, t_ns, values)
        now_s = time.monotonic()
        if now_s < next_s:
            continue
        began_s = time.process_time()
        seen_ns = _look(coach, picture, seen_ns, stop, find_hands)
        now_ns = time.monotonic_ns()
        advice = coach.advice(now_ns)
        spent_s = time.process_time() - began_s
        cost_s = spent_s if cost_s == 0 else 0.8 * cost_s + 0.2 * spent_s
        period_s = max(1 / looks_hz, cost_s / cpu_share)
        next_s = now_s + period_s
        tell(Outcome(now_ns, advice, 1000 * spent_s, 1 / period_s))


def _look(coach: Coach, newest: Newest, seen_ns: int, stop: Callable[[float], bool], find_hands: FindHands | None) -> int:
    """Judge the newest picture and the one after it; returns the time of the last that was judged."""
    until_s = time.monotonic() + SECOND_S
    first = True
    while True:
        found = newest()
        if found and found[0] > seen_ns and time.monotonic_ns() - found[0] < STILL_NEW_S * 1e9:
            seen_ns, small = found[0], decode_small(found[1])
            if small is not None:
                coach.picture(seen_ns, small)
                if not first:
                    return seen_ns
                if find_hands:
                    coach.hands(seen_ns, find_hands(small))
                    found = newest()  # the detector takes longer than a picture: a fresh pair
                first = False
        if time.monotonic() > until_s or stop(0.005):
            return seen_ns


def decode_small(image: bytes) -> Picture | None:
    """A still image as BGR, decoded at the least size that is still `WIDTH_PX` across; None when it does not decode.

    A JPEG decodes at a quarter of its size in a tenth of the time.
    """
    import cv2

    width = jpeg_width(image) or 0
    flag = (cv2.IMREAD_REDUCED_COLOR_4 if width >= 4 * WIDTH_PX else cv2.IMREAD_REDUCED_COLOR_2 if width >= 2 * WIDTH_PX
            else cv2.IMREAD_COLOR)
    try:
        picture: Any = cv2.imdecode(np.frombuffer(image, np.uint8), flag)
    except cv2.error:  # an empty payload
        return None
    return picture  # type: ignore[no-any-return]


def jpeg_width(image: bytes) -> int | None:
    """The width that a JPEG's header states."""
    at = 2
    while at + 9 < len(image) and image[at] == 0xFF:
        marker, size = image[at + 1], int.from_bytes(image[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(image[at + 7 : at + 9], "big")
        at += 2 + size
    return None
