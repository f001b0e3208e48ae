"""Part of a video file, or all of it, as a stream: its own packets and presentation times, counted from the part's first frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.tracks import Track
from firsthand.capture.stream import DISCARD, KEYFRAME, Role, Sample, StreamSpec

NS = 1_000_000_000
LAST_NS = 2**62
BACK_S = (0, 1, 4, 16, 64, 256)
"""How far before the start to look for a keyframe: the one found by decoding time may be shown after it."""


@dataclass(frozen=True)
class Part:
    """Which frames of a file: those shown from `start_s` until before `stop_s`; None for up to the end."""

    start_s: Fraction = Fraction(0)
    stop_s: Fraction | None = None
    half_frame_s: Fraction = Fraction(1, 1000)
    """A frame this near to an edge is on its later side: edges are often rounded."""


@contextmanager
def open_clip(source: Path | BinaryIO, where: str, stream: str, part: Part | None = None, *, role: Role = "camera",
              count: int | None = None, extra: dict[str, Any] | None = None) -> Iterator[Track]:
    """Yield the packets of a file's video as a track, to be read inside the block; nothing is decoded but one frame, for the description.

    Packets that are only needed to decode the part's own have the flag `DISCARD`. `where` names the file in errors. With `count`, that
    many frames must be in the part, else `DamagedError`, as for a file that is no video, damaged, or without times.
    """
    import av
    from av.error import FFmpegError

    try:
        container: Any = av.open(str(source) if isinstance(source, Path) else source, metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        why = "it is not there" if isinstance(source, Path) and not source.exists() else "it is cut off or no video FFmpeg can open"
        raise DamagedError(f"cannot import {where}: {why}") from error
    with container:
        video = container.streams.best("video")
        if video is None:
            raise DamagedError(f"cannot import {where}: there is no video stream in it")
        part = part or Part()
        try:
            if part.start_s > 0:
                container.seek(int(part.start_s / video.time_base), stream=video)
            first = next(container.decode(video), None)
        except FFmpegError as error:
            raise DamagedError(f"cannot import {where}: its first frame does not decode ({error.strerror})") from error
        if first is None:
            raise DamagedError(f"cannot import {where}: the video has no frames at {float(part.start_s):.3f} s")
        codec = video.codec_context
        spec = StreamSpec(
            stream, "encoded", role, encoding=codec.codec.canonical_name, rate_hz=float(video.average_rate or 0) or None,
            width_px=first.width, height_px=first.height, clock="media", extradata=bytes(codec.extradata or b""),
            extra={"rotation_deg": first.rotation, "time_base": str(video.time_base), "pix_fmt": first.format.name, **(extra or {})},
        )  # fmt: skip
        yield Track(spec, _samples(container, video, stream, where, part, count), count or int(video.frames or 0))


def _samples(container: Any, video: Any, stream: str, where: str, part: Part, count: int | None) -> Iterator[Sample]:
    from av.error import FFmpegError

    shown = number = 0
    waiting: list[Sample] = []  # packets that nothing shown has needed so far
    try:
        for packet, flags, t_ns in _window(_packets(container, video, where, part), where, part):
            waiting.append(Sample(stream, t_ns, t_ns, number, bytes(packet), flags))
            number += 1
            if not flags & DISCARD:
                shown += 1
                yield from waiting
                waiting.clear()
                if shown == count and part.stop_s is not None:
                    return
    except FFmpegError as error:
        raise DamagedError(f"cannot import {where}: it is damaged ({error.strerror})") from error
    if count is not None and shown != count:
        place = f" from {float(part.start_s):.3f} s on" if part.start_s else ""
        raise DamagedError(f"cannot import {where}: there are {shown} frames{place} where {count} are wanted, so pictures and rows "
                           "cannot be matched; export it again")


def _window(packets: Iterator[Any], where: str, part: Part) -> Iterator[tuple[Any, int, int]]:
    """Each packet with its flags and time in the part, until none that follows can be shown in it."""
    first = part.start_s - part.half_frame_s if part.start_s else None
    last = None if part.stop_s is None else part.stop_s - part.half_frame_s
    for packet in packets:
        base, stamp = packet.time_base, packet.pts if packet.pts is not None else packet.dts
        if last is not None and packet.dts is not None and packet.dts * base >= last:
            return
        t_ns = round((stamp * base - part.start_s) * NS)
        if abs(t_ns) >= LAST_NS:
            raise DamagedError(f"cannot import {where}: it is damaged, a frame is said to be shown at {float(stamp * base):g} s")
        inside = (first is None or stamp * base >= first) and (last is None or stamp * base < last) and not packet.is_discard
        yield packet, KEYFRAME * packet.is_keyframe | DISCARD * (not inside), t_ns


def _packets(container: Any, video: Any, where: str, part: Part) -> Iterator[Any]:
    """Packets in decoding order, from a keyframe shown at or before the start."""
    for back_s in BACK_S:
        target = part.start_s - back_s
        container.seek(max(0, int(target / video.time_base)), stream=video)
        packets = _sound(container.demux(video), where)
        first = next(packets, None)
        if first is None or target <= 0 or (first.is_keyframe and first.pts is not None
                                            and first.pts * first.time_base <= part.start_s + part.half_frame_s):
            break
    if first is not None:
        yield first
        yield from packets


def _sound(packets: Iterator[Any], where: str) -> Iterator[Any]:
    for packet in packets:
        if not packet.size:  # the demuxer's end mark
            continue
        if packet.pts is None and packet.dts is None:
            raise DamagedError(f"cannot import {where}: its frames carry no presentation times; put it into an mp4 or mkv first")
        if packet.is_corrupt:
            raise DamagedError(f"cannot import {where}: it is cut off or damaged")
        yield packet
