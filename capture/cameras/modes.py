"""What a camera can send, and which of it a rig asks for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from firsthand.capture.errors import FirsthandError

JPEG, VIDEO = ("MJPG", "JPEG"), {"H264": "h264", "HEVC": "hevc"}
RAW = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "BGR3", "RGB3", "GREY")
"""Those that become pictures; see pixels.py."""
FORMATS = ("auto", "mjpeg", "h264", "hevc", "raw")
NEAR = 0.02
"""A rate is the one asked for if it is as near as this: cameras say 30 and mean 29.97."""


@dataclass(frozen=True)
class Mode:
    """One pixel format, size and rate."""

    fourcc: str
    width_px: int
    height_px: int
    fps: float
    """0 where the driver does not say."""

    def __str__(self) -> str:
        return f"{self.fourcc} {self.width_px}x{self.height_px}" + (f" at {self.fps:.3g}" if self.fps else "")


def choose(modes: Sequence[Mode], format: str, size_px: tuple[int, int] | None, fps: float, camera: str) -> Mode:
    """The mode that a rig asks for. Without a size it is the largest that comes at `fps`.

    ``auto`` prefers MJPEG, which is stored as it comes, to raw pictures. Raises `FirsthandError` listing what there is.
    """
    for kind in _kinds(format):
        fits = [mode for mode in modes if mode.fourcc in kind and (mode.fps == 0 or abs(mode.fps / fps - 1) < NEAR)
                and size_px in (None, (mode.width_px, mode.height_px))]
        if fits:
            return max(fits, key=lambda mode: (mode.width_px * mode.height_px, -kind.index(mode.fourcc), -abs(mode.fps - fps)))
    size = f" of {size_px[0]}x{size_px[1]}" if size_px else ""
    what = "picture" if format == "auto" else format
    raise FirsthandError(f"{camera} has no {what}{size} at {fps:g} a second; it has {'; '.join(told(modes)) or 'no format that is known'}")


def _kinds(format: str) -> list[tuple[str, ...]]:
    named: dict[str, list[tuple[str, ...]]] = {"auto": [JPEG, RAW], "mjpeg": [JPEG], "raw": [RAW], "h264": [("H264",)], "hevc": [("HEVC",)]}
    return named.get(format) or [(format,)]


def told(modes: Iterable[Mode]) -> list[str]:
    """The modes for people, a line for each format and size: ``MJPG 1920x1080 at 30, 15``."""
    lines = []
    order = sorted(set(modes), key=lambda m: (m.fourcc not in JPEG, m.fourcc, -m.width_px * m.height_px, -m.width_px, -m.fps))
    for (fourcc, width, height), same in groupby(order, key=lambda m: (m.fourcc, m.width_px, m.height_px)):
        rates = ", ".join(f"{mode.fps:.3g}" for mode in same if mode.fps)
        lines.append(f"{fourcc} {width}x{height}" + (f" at {rates}" if rates else ""))
    return lines
