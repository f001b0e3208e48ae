"""H.264 as trainers need it: constant rate from time zero, no B-frames, a keyframe every few frames and at each episode."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError


@dataclass(frozen=True)
class VideoOptions:
    """How the pictures of an export are compressed."""

    gop: int = 2
    """Frames from keyframe to keyframe: 2 reads random frames fastest, 15 suits windows of many frames and is about 4 times smaller."""
    crf: int = 20
    """x264's quality; 18 is hard to tell from the source, every 6 more halves the size."""

    def __post_init__(self) -> None:
        if not (1 <= self.gop <= 600 and 0 <= self.crf <= 40):
            raise FirsthandError(f"video options must have a GOP of 1..600 and a CRF of 0..40, got {self.gop} and {self.crf}")


class VideoWriter:
    """Appends pictures of one size to one MP4 file. Used with ``with``."""

    def __init__(self, path: Path, fps: int, width_px: int, height_px: int, options: VideoOptions) -> None:
        import av

        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = 0
        self.size_bytes = 0
        self._shape = (height_px, width_px, 3)
        self._container = av.open(str(path), "w", format="mp4")
        stream: Any = self._container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = even(width_px), even(height_px), "yuv420p"
        codec = stream.codec_context
        codec.time_base = Fraction(1, fps)
        codec.color_range, codec.colorspace = 1, 6  # limited range, BT.601: what the conversion below produces
        # min-keyint 1 with forced-idr lets every episode begin with a keyframe wherever the one before ended.
        stream.options = {"preset": "veryfast", "crf": str(options.crf), "bf": "0", "forced-idr": "1",
                          "x264-params": f"keyint={options.gop}:min-keyint=1:scenecut=0:open-gop=0:log-level=error"}
        self._stream = stream

    def write(self, picture_bgr: npt.NDArray[np.uint8], *, keyframe: bool = False) -> None:
        """Append one picture, shape (H, W, 3), BGR; an odd edge is repeated once, as H.264 halves the colours."""
        import av
        from av.video.frame import PictureType

        if picture_bgr.shape != self._shape:
            raise FirsthandError(f"a picture of shape {picture_bgr.shape} cannot join a video of {self._shape}; export such episodes apart")
        height, width = picture_bgr.shape[:2]
        if height % 2 or width % 2:
            picture_bgr = np.pad(picture_bgr, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(picture_bgr, format="bgr24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        frame.pts, frame.time_base = self.frames, self._stream.codec_context.time_base
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._mux(frame)
        self.frames += 1

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            self.size_bytes += packet.size
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        if self.frames:
            self._mux(None)
        self._container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def even(size_px: int) -> int:
    """The next even number."""
    return size_px + size_px % 2
