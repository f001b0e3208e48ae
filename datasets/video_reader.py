"""Any frames of an MP4 by number: a table of keyframes built once, a seek only where decoding on would cost more."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError


@dataclass(frozen=True, eq=False)
class FrameTable:
    """The packets of a video in order of presentation; built by reading the file once without decoding."""

    pts: npt.NDArray[np.int64]
    """Presentation time of each frame in ticks, shape (N,), increasing."""
    keyframe: npt.NDArray[np.bool_]
    """Frames that decoding can start at, shape (N,)."""
    tick_s: float
    reordered: bool
    """Whether frames are stored in another order than shown, as with B-frames."""
    width_px: int
    height_px: int
    codec: str
    pixel_format: str

    def __post_init__(self) -> None:
        n = len(self.pts)
        set_frozen(self, "pts", np.int64, (n,))
        set_frozen(self, "keyframe", np.bool_, (n,))


def frame_table(path: Path) -> FrameTable:
    """Read the table of a video's frames. Raises `FirsthandError` when the file is missing or no video."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        packets = [(p.pts, bool(p.is_keyframe)) for p in container.demux(stream) if p.pts is not None and p.size]
        pts = np.array([p[0] for p in packets], np.int64)
        order = np.argsort(pts, kind="stable")
        keyframe = np.array([p[1] for p in packets], bool)
        reordered = bool(np.any(np.diff(order) < 0))
        return FrameTable(pts[order], keyframe[order], float(stream.time_base), reordered, stream.width, stream.height,
                          stream.codec_context.name, str(stream.codec_context.pix_fmt))


def decode_all(path: Path) -> Iterator[Any]:
    """Every frame in order, as PyAV frames. Raises `FirsthandError` where decoding fails."""
    from av.error import FFmpegError

    with _opened(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        try:
            yield from container.decode(video=0)
        except FFmpegError as error:
            raise FirsthandError(f"{path} does not decode ({error.strerror})") from error


def _opened(path: Path) -> Any:
    import av
    from av.error import FFmpegError

    try:
        container = av.open(str(path))
    except (FFmpegError, OSError) as error:
        raise FirsthandError(f"cannot open {path} as a video ({getattr(error, 'strerror', None) or error})") from error
    if not container.streams.video:
        container.close()
        raise FirsthandError(f"{path} holds no video")
    return container


class VideoReader:
    """One open video for random reads. Belongs to the process that made it; a forked copy must open its own."""

    def __init__(self, path: Path, table: FrameTable | None = None) -> None:
        from av.video.reformatter import VideoReformatter

        self.path = path
        self.table = table or frame_table(path)
        self._keys = np.flatnonzero(self.table.keyframe)
        self._container = _opened(path)
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1  # loader workers are the parallelism; frame threads add delay
        self._to_rgb = VideoReformatter()  # one for all frames: setting a conversion up costs as much as doing it
        self._decoder: Iterator[Any] | None = None
        self._at = 0

    def read(self, start: int, count: int, size_px: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
        """Frames `start` up to `start + count`, RGB uint8, shape (count, 3, H, W), scaled to `size_px` (height, width) if given."""
        from av.error import FFmpegError
        from av.video.reformatter import Interpolation

        if not 0 <= start <= start + count <= len(self.table.pts):
            raise FirsthandError(f"{self.path} has {len(self.table.pts)} frames; {start}..{start + count} was asked for")
        height, width = size_px or (self.table.height_px, self.table.width_px)
        frames = np.empty((count, 3, height, width), np.uint8)
        how = Interpolation.AREA if size_px else Interpolation.BILINEAR
        try:
            for i, frame in enumerate(self._frames(start, count)):
                planar = self._to_rgb.reformat(frame, width, height, "gbrp", interpolation=how, threads=1)
                for channel, plane in zip((1, 2, 0), planar.planes, strict=True):  # FFmpeg stores green, blue, red
                    frames[i, channel] = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)[:, :width]
        except FFmpegError as error:
            raise FirsthandError(f"{self.path} does not decode at frame {start} ({error.strerror})") from error
        return frames

    def _frames(self, start: int, count: int) -> Iterator[Any]:
        key = int(self._keys[np.searchsorted(self._keys, start, side="right") - 1])
        if self._decoder is None or not key <= self._at <= start:
            self._container.seek(int(self.table.pts[key]), stream=self._stream, backward=True)
            self._decoder, self._at = self._container.decode(self._stream), key
        for frame in self._decoder:
            number = int(np.searchsorted(self.table.pts, frame.pts))
            self._at = number + 1
            if number >= start:
                yield frame
                count -= 1
                if count == 0:
                    return
        self._decoder = None
        if count:
            raise FirsthandError(f"{self.path} ends {count} frames early")

    def close(self) -> None:
        """Close the file."""
        self._decoder = None
        self._container.close()
