"""One ``/dev/video`` of Linux, by the kernel's own calls: what it is, its modes and controls, and its buffers as they come.

This is the whole of the boundary to the kernel; what is asked of it, and what its answers mean, is elsewhere. FFmpeg's reader of the same
devices hides the numbers of pictures, by which lost ones are known, and OpenCV decodes each.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from firsthand.capture.cameras import videodev2 as v4l2
from firsthand.capture.cameras.modes import Mode
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason

COMMON_PX = ((640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
"""Of a camera that takes any size in a range."""
COMMON_FPS = (15, 24, 25, 30, 50, 60, 90, 120)
_MOST = 512
"""No list of a driver's is followed further."""
_SAYS = {
    errno.ENOENT: "it is not there; plug it in, and see 'firsthand devices'",
    errno.ENODEV: "it is gone; plug it in again",
    errno.ENXIO: "it is gone; plug it in again",
    errno.EACCES: "you may not open it: sudo usermod -aG video $USER, then log in again",
    errno.EPERM: "you may not open it: sudo usermod -aG video $USER, then log in again",
    errno.EBUSY: "another program has it; close that (fuser -v shows which)",
    errno.ENOSPC: "its USB bus has no room for it beside the others; plug it into another port, or ask for MJPEG or a smaller picture",
    errno.ENOTTY: "it is no camera",
    errno.EIO: "it does not answer; plug it in again, without a hub between",
    errno.EPROTO: "it does not answer; plug it in again, without a hub between",
}
_Known = TypeVar("_Known", bound=ctypes.Structure | ctypes.c_int32)


class Filled(NamedTuple):
    """One picture that the kernel handed over."""

    host_ns: int
    data: bytes
    sequence: int
    stamp_ns: int
    flags: int


class Setting(NamedTuple):
    """One control of a camera."""

    id: int
    name: str
    """As v4l2-ctl writes it: ``exposure_time_absolute``."""
    kind: int
    minimum: int
    maximum: int
    step: int
    flags: int


class VideoNode:
    """An opened ``/dev/video``. Raises `FirsthandError` with a sentence for what the kernel refuses."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._maps: list[mmap.mmap] = []
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._refused(error) from error
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def capability(self) -> v4l2.Capability:
        """What it is."""
        return self._ask(v4l2.QUERYCAP, v4l2.Capability())

    def captures(self) -> bool:
        """Whether it gives pictures: other nodes of a camera carry metadata."""
        told = self.capability()
        caps = told.device_caps if told.capabilities & v4l2.CAP_DEVICE_CAPS else told.capabilities
        return bool(caps & v4l2.CAP_VIDEO_CAPTURE and caps & v4l2.CAP_STREAMING)

    def modes(self, *, also_px: tuple[int, int] | None = None, also_fps: float | None = None) -> list[Mode]:
        """What it can send; of ranges the usual sizes and rates, and those named."""
        modes = []
        for told in self._listed(v4l2.ENUM_FMT, lambda n: v4l2.FormatDescription(index=n, type=v4l2.CAPTURE)):
            for width, height in self._sizes(told.pixelformat, also_px):
                rates = list(self._rates(told.pixelformat, width, height, also_fps)) or [0.0]
                modes += [Mode(v4l2.fourcc_text(told.pixelformat), width, height, rate) for rate in rates]
        return modes

    def _sizes(self, pixel_format: int, also_px: tuple[int, int] | None) -> Iterator[tuple[int, int]]:
        for told in self._listed(v4l2.ENUM_FRAMESIZES, lambda n: v4l2.FrameSize(index=n, pixel_format=pixel_format)):
            size = told.size
            if told.type == v4l2.DISCRETE:
                yield size.min_width, size.max_width  # of a discrete size these two places are its width and height
                continue
            for width, height in dict.fromkeys((*COMMON_PX, *([also_px] if also_px else ()))):
                if size.min_width <= width <= size.max_width and size.min_height <= height <= size.max_height and \
                        (width - size.min_width) % max(size.step_width, 1) == 0 == (height - size.min_height) % max(size.step_height, 1):
                    yield width, height
            return

    def _rates(self, pixel_format: int, width: int, height: int, also_fps: float | None) -> Iterator[float]:
        for told in self._listed(v4l2.ENUM_FRAMEINTERVALS,
                                 lambda n: v4l2.FrameInterval(index=n, pixel_format=pixel_format, width=width, height=height)):
            low, high = told.interval[0], told.interval[1]
            if told.type == v4l2.DISCRETE:
                if low.numerator:
                    yield low.denominator / low.numerator
                continue
            if low.numerator and high.numerator:
                fastest, slowest = low.denominator / low.numerator, high.denominator / high.numerator
                yield from (fps for fps in dict.fromkeys((*COMMON_FPS, *([also_fps] if also_fps else ()))) if slowest <= fps <= fastest)
            return

    def settings(self) -> list[Setting]:
        """Its controls, without those that are switched off for good."""
        found, last = [], 0
        for _ in range(_MOST):
            asked = v4l2.QueryControl(id=last | v4l2.CTRL_NEXT)
            try:
                fcntl.ioctl(self._fd, v4l2.QUERYCTRL, asked)
            except OSError:
                break
            last = asked.id
            if asked.type in (v4l2.INTEGER, v4l2.BOOLEAN, v4l2.MENU, v4l2.INTEGER_MENU) and not asked.flags & v4l2.CTRL_DISABLED:
                name = "_".join("".join(c if c.isalnum() else " " for c in _text(asked.name).lower()).split())
                found.append(Setting(asked.id, name, asked.type, asked.minimum, asked.maximum, asked.step, asked.flags))
        return found

    def choices(self, setting: Setting) -> list[int]:
        """The numbers that a menu has."""
        found = []
        for index in range(setting.minimum, min(setting.maximum, setting.minimum + _MOST) + 1):
            with suppress(OSError):
                fcntl.ioctl(self._fd, v4l2.QUERYMENU, v4l2.QueryMenu(id=setting.id, index=index))
                found.append(index)
        return found

    def get(self, setting: Setting) -> int | None:
        """A control's value; None where it cannot be read."""
        control = v4l2.Control(id=setting.id)
        try:
            fcntl.ioctl(self._fd, v4l2.G_CTRL, control)
        except OSError:
            return None
        return int(control.value)

    def set(self, setting: Setting, value: int) -> None:
        """Set a control."""
        try:
            fcntl.ioctl(self._fd, v4l2.S_CTRL, v4l2.Control(id=setting.id, value=value))
        except OSError as error:
            raise FirsthandError(f"{self.path} does not let {setting.name} be set to {value} ({reason(error)})") from error

    def set_mode(self, mode: Mode) -> v4l2.PixFormat:
        """Ask for a mode; how pictures will lie in their buffers. Raises `FirsthandError` when it is granted another."""
        wanted = v4l2.Format(type=v4l2.CAPTURE)
        pix = wanted.fmt.pix
        pix.width, pix.height, pix.pixelformat, pix.field = mode.width_px, mode.height_px, v4l2.fourcc(mode.fourcc), v4l2.FIELD_NONE
        pix = self._ask(v4l2.S_FMT, wanted).fmt.pix
        granted = Mode(v4l2.fourcc_text(pix.pixelformat), pix.width, pix.height, mode.fps)
        if granted != mode:
            raise FirsthandError(f"{self.path} was asked for {mode} and gives {granted}; ask for that, or for another")
        return v4l2.PixFormat.from_buffer_copy(pix)

    def set_rate(self, fps: float) -> float | None:
        """Ask for a rate; the one that is granted, None where the camera has no say in it."""
        wanted = v4l2.StreamParameters(type=v4l2.CAPTURE)
        with suppress(OSError):
            fcntl.ioctl(self._fd, v4l2.G_PARM, wanted)
            if wanted.parm.capture.capability & v4l2.CAP_TIMEPERFRAME:
                interval = wanted.parm.capture.timeperframe
                interval.numerator, interval.denominator = 1000, round(fps * 1000)
                fcntl.ioctl(self._fd, v4l2.S_PARM, wanted)
                interval = wanted.parm.capture.timeperframe
                return interval.denominator / interval.numerator if interval.numerator else None
        return None

    def start(self, buffers: int) -> bool:
        """Lay out buffers, hand them to the kernel and have pictures come; whether their stamps are of the host's monotonic clock."""
        flags = 0
        asked = self._ask(v4l2.REQBUFS, v4l2.RequestBuffers(count=buffers, type=v4l2.CAPTURE, memory=v4l2.MMAP))
        for index in range(asked.count):
            told = self._ask(v4l2.QUERYBUF, v4l2.Buffer(index=index, type=v4l2.CAPTURE, memory=v4l2.MMAP))
            try:
                self._maps.append(mmap.mmap(self._fd, told.length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=told.m.offset))
            except (OSError, ValueError) as error:
                raise FirsthandError(f"{self.path}: its buffers cannot be mapped ({error}); use another camera") from error
            flags = told.flags
            self._ask(v4l2.QBUF, told)
        self._ask(v4l2.STREAMON, ctypes.c_int32(v4l2.CAPTURE))
        return flags & v4l2.BUF_TIMESTAMP_MASK == v4l2.BUF_MONOTONIC

    def take(self, timeout_s: float) -> list[Filled]:
        """The pictures that the kernel has, oldest first; their buffers go back to it at once."""
        if not self._poll.poll(max(timeout_s, 0) * 1000):
            return []
        found: list[Filled] = []
        while len(found) < len(self._maps):
            buffer = v4l2.Buffer(type=v4l2.CAPTURE, memory=v4l2.MMAP)
            try:
                fcntl.ioctl(self._fd, v4l2.DQBUF, buffer)
            except BlockingIOError:
                break
            except OSError as error:
                if found:  # those first; it will say so again
                    break
                raise self._refused(error) from error
            host_ns = time.monotonic_ns()
            data = self._maps[buffer.index][: buffer.bytesused]
            stamp_ns = buffer.seconds * 1_000_000_000 + buffer.microseconds * 1000
            found.append(Filled(host_ns, data, buffer.sequence, stamp_ns, buffer.flags))
            self._ask(v4l2.QBUF, v4l2.Buffer(index=buffer.index, type=v4l2.CAPTURE, memory=v4l2.MMAP))
        return found

    def _listed(self, request: int, item: Callable[[int], _Known]) -> Iterator[_Known]:
        for index in range(_MOST):
            told = item(index)
            try:
                fcntl.ioctl(self._fd, request, told)  # type: ignore[call-overload]
            except OSError:
                return
            yield told

    def _ask(self, request: int, argument: _Known) -> _Known:
        try:
            fcntl.ioctl(self._fd, request, argument)  # type: ignore[call-overload]
        except OSError as error:
            raise self._refused(error) from error
        return argument

    def _refused(self, error: OSError) -> FirsthandError:
        return FirsthandError(f"{self.path}: {_SAYS.get(error.errno or 0) or f'the kernel refuses ({reason(error)})'}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            fcntl.ioctl(self._fd, v4l2.STREAMOFF, ctypes.c_int32(v4l2.CAPTURE))
        for mapped in self._maps:
            mapped.close()
        self._maps.clear()
        os.close(self._fd)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
