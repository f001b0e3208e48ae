"""A camera of this Linux machine: its mode and controls set, its packets as they come, with the kernel's stamps and numbers."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from firsthand.capture.cameras import videodev2 as v4l2
from firsthand.capture.cameras.controls import Value, set_controls
from firsthand.capture.cameras.feed import Facts, Incoming
from firsthand.capture.cameras.find_camera import find
from firsthand.capture.cameras.modes import JPEG, RAW, VIDEO, choose
from firsthand.capture.cameras.pixels import Picture, to_bgr
from firsthand.capture.cameras.video_node import VideoNode
from firsthand.capture.errors import FirsthandError

BUFFERS = 8
"""The kernel fills so many while nobody takes them: a quarter of a second at 30 Hz."""
RAW_BUFFERS = 4
DAMAGED = "the kernel calls it damaged"


class V4l2Feed:
    """The camera that `camera` names; see `find`."""

    check = "check its cable, and that no cover is shut; plug it in again"

    def __init__(self, camera: str, *, size_px: tuple[int, int] | None, fps: float, format: str, controls: Mapping[str, Value]) -> None:
        self.where = camera or "the camera"
        self.refused: Counter[str] = Counter()
        self.facts = Facts("jpeg")
        self._camera, self._size_px, self._fps, self._format, self._controls = camera, size_px, fps, format, controls
        self._convert: Callable[[bytes], Picture | str] | None = None
        self._node: VideoNode
        self._stack = ExitStack()

    def receive(self, timeout_s: float) -> list[Incoming]:
        """Pictures that the kernel has."""
        return [self._incoming(*filled) for filled in self._node.take(timeout_s)]

    def _incoming(self, host_ns: int, data: bytes, sequence: int, stamp_ns: int, flags: int) -> Incoming:
        problem = DAMAGED if flags & v4l2.BUF_ERROR else ""
        # A stamp of 0 is none; of another clock than the monotonic one nobody knows the name, so it counts as the device's own.
        picture = Incoming(host_ns, data, stamp_ns or None, sequence, problem)
        if self._convert is None or problem:
            return picture
        pixels = self._convert(data)
        return picture._replace(problem=pixels) if isinstance(pixels, str) else picture._replace(data=pixels)

    def __enter__(self) -> Self:
        self.where = find(self._camera)
        with ExitStack() as stack:
            node = self._node = stack.enter_context(VideoNode(self.where))
            if not node.captures():
                raise FirsthandError(f"{self.where} gives no pictures; it is another node of a camera, see 'firsthand devices'")
            told = node.capability()
            mode = choose(node.modes(also_px=self._size_px, also_fps=self._fps), self._format, self._size_px, self._fps, self.where)
            if mode.fourcc not in (*JPEG, *VIDEO, *RAW):
                raise FirsthandError(f"{self.where}: pictures in the format {mode.fourcc} cannot be read; ask for another")
            pix = node.set_mode(mode)
            rate_hz = node.set_rate(self._fps) or mode.fps or self._fps
            values = set_controls(node, self._controls)
            raw = mode.fourcc in RAW
            self._convert = to_bgr(mode.fourcc, pix.width, pix.height, pix.bytesperline) if raw else None
            monotonic = node.start(RAW_BUFFERS if raw else BUFFERS)
            extra = {"device": told.card.decode("utf-8", "replace"), "bus": told.bus_info.decode("utf-8", "replace"),
                     "driver": told.driver.decode("utf-8", "replace"), "path": self.where, "format": mode.fourcc, "controls": values}
            encoding = "raw" if raw else VIDEO.get(mode.fourcc, "jpeg")
            self.facts = Facts(encoding, (pix.width, pix.height), rate_hz, monotonic=monotonic, extra=extra)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
