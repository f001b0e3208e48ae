"""Hands in every picture of a camera, the same to the bit for any number of processes.

A video is cut into units of `UNIT_FRAMES`, wherever the work is divided. Each is tracked for itself, from `LEAD_FRAMES` before it on, so
that the tracker has found its hands where the unit begins.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.recording import Stream
from firsthand.retarget.tracker import Detection, Tracker, WholeTracker

UNIT_FRAMES = 300
LEAD_FRAMES = 15
PARAMETERS = {"unit_frames": UNIT_FRAMES, "lead_frames": LEAD_FRAMES}
"""What, besides the tracker's own, decides the result."""

M_MMAP_THRESHOLD = -3
"""Of glibc's ``malloc.h``."""

Picture = npt.NDArray[np.uint8]
Found = list[list[Detection]]
"""The hands of each frame."""


def units(frames: int) -> int:
    """How many units a video of so many frames has."""
    return -(-frames // UNIT_FRAMES)


def detect_units(stream: Stream, tracker: Tracker, wanted: range, tick: Callable[[int], None] | None = None) -> Found:
    """The hands in the frames of successive units. `tick` gets how many of these frames are done.

    Raises `DamagedError` when the video does not decode.
    """
    _keep_pictures_apart()
    t_ns = stream.t_ns
    first, last = wanted.start * UNIT_FRAMES, min(wanted.stop * UNIT_FRAMES, len(t_ns))
    decoded = _Decoded(stream, max(first - LEAD_FRAMES, 0), last)

    def frames(begin: int, end: int) -> Iterator[tuple[int, Picture]]:
        for i, image in decoded.until(end):
            yield int(t_ns[i]), image
            if tick and i >= begin:
                tick(i + 1 - first)

    found: Found = []
    for begin in range(first, last, UNIT_FRAMES):
        end = min(begin + UNIT_FRAMES, last)
        with tracker:
            if isinstance(tracker, WholeTracker):
                hands = tracker.detect_all(frames(begin, end))
            else:
                hands = [tracker.detect(t, image) for t, image in frames(begin, end)]
        found += hands[begin - end :]  # without the lead
    return found


def _keep_pictures_apart() -> None:
    """Have glibc map large blocks one by one: on its heap, pictures and the small things that outlive them take gigabytes of each other."""
    with suppress(OSError, AttributeError, TypeError):  # another system's library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


class _Decoded:
    """The pictures of a camera from one frame to another, the last few of which are handed out again."""

    def __init__(self, stream: Stream, start: int, stop: int) -> None:
        self._images = enumerate(stream.images(start, stop), start)
        self._start = start
        self._kept: deque[tuple[int, Picture]] = deque(maxlen=LEAD_FRAMES)

    def until(self, stop: int) -> Iterator[tuple[int, Picture]]:
        """The kept ones, then those up to frame `stop`."""
        yield from tuple(self._kept)
        for i, image in islice(self._images, stop - self._start):
            self._start = i + 1
            self._kept.append((i, image))
            yield i, image


def write_found(path: Path, found: Found) -> None:
    """Put hands into a file for the process that asked for them."""
    hands = [hand for frame in found for hand in frame]
    columns: dict[str, Any] = {name: np.array([getattr(hand, name) for hand in hands]) for name in Detection.__dataclass_fields__}
    np.savez(path, counts=np.array([len(frame) for frame in found]), **columns)


def read_found(path: Path) -> Found:
    """What `write_found` wrote."""
    with np.load(path) as file:
        columns = {name: file[name] for name in Detection.__dataclass_fields__}
        counts = file["counts"].tolist()
    hands = iter([Detection(**{name: values[i] if values.ndim > 1 else values[i].item() for name, values in columns.items()})
                  for i in range(sum(counts))])
    return [list(islice(hands, n)) for n in counts]
