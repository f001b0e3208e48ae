"""A synthetic take's pictures rendered before they are needed, and kept: painting one takes longer than a camera may wait."""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import need_space, whole_file

if TYPE_CHECKING:
    from firsthand.capture.synthetic.wearer import Wearer

KEPT_BYTES = 2 << 30
"""When the kept takes are larger, the oldest go."""
_FRAME_BYTES = 400_000
_log = logging.getLogger(__name__)


class Ahead:
    """The payloads of a take's frames, read from their file as they are asked for."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        self._index: npt.NDArray[np.int64] = self._file["index"][()]

    def payload(self, frame: int, stream: int) -> bytes:
        """What stream 0 (colour) or 1 (depth) delivers of a frame."""
        offset, size = self._index[frame, stream]
        return bytes(self._file["heap"][offset : offset + size].tobytes())


def rendered(wearer: "Wearer", progress: Callable[[int, int], None] | None = None) -> Ahead:
    """The frames of a take, from the user's cache, or rendered now and put there (about 60 ms each).

    Raises `FirsthandError` when there is no room for them.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firsthand" / "wearer"
    path = folder / f"{_key(wearer)}.h5"
    try:
        ahead = Ahead(path)
        os.utime(path)
        return ahead
    except (OSError, KeyError):  # not there, or not whole
        _render(wearer, path, progress)
    _forget_the_oldest(folder, path)
    return Ahead(path)


def _render(wearer: "Wearer", path: Path, progress: Callable[[int, int], None] | None) -> None:
    count = len(wearer.seconds("head"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FirsthandError(f"cannot keep rendered pictures in {path.parent}: {error.strerror}; set XDG_CACHE_HOME") from error
    need_space(path.parent, count * _FRAME_BYTES)
    index = np.zeros((count, 2, 2), np.int64)
    at = 0
    with whole_file(path) as part, h5py.File(part, "w", libver=("v110", "v110")) as file:
        heap = file.create_dataset("heap", (0,), np.uint8, maxshape=(None,), chunks=(1 << 20,))
        for i in range(count):
            if i % max(count // 10, 1) == 0:
                _log.info("rendering the synthetic wearer ahead: %d of %d frames", i, count)
            image, depth = wearer.frame(i)
            for k, payload in enumerate((wearer.sensor.jpeg(i, image), wearer.sensor.depth_png(i, depth))):
                heap.resize((at + len(payload),))
                heap[at:] = np.frombuffer(payload, np.uint8)
                index[i, k] = at, len(payload)
                at += len(payload)
            if progress:
                progress(i + 1, count)
        file["index"] = index


def _forget_the_oldest(folder: Path, newest: Path) -> None:
    left = KEPT_BYTES
    for file in sorted(folder.glob("*.h5"), key=lambda f: f.stat().st_mtime, reverse=True):
        left -= file.stat().st_size
        if left < 0 and file != newest:
            with suppress(OSError):
                file.unlink()


def _key(wearer: "Wearer") -> str:
    """Names what the pictures depend on: the take, and the code that paints it."""
    return hashlib.sha256(json.dumps([wearer.looks, _code()]).encode()).hexdigest()[:24]


@cache
def _code() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
