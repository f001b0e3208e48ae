"""A video file (mp4, mov, mkv ...) as a recording: its own packets and presentation times, nothing decoded, nothing re-encoded."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.files import Provenance
from firsthand.capture.importers.cut_off import missing_bytes
from firsthand.capture.importers.tracks import Track
from firsthand.capture.intake import Asked, Found, Intake, Rung, Take
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import DISCARD, KEYFRAME, Sample, StreamSpec

STREAM = "head"
SLACK_S = 0.1
"""Containers round, and the last packet need not say how long it lasts."""
AGAIN = "copy it again from the camera"
PROBED = 16
"""Frames at the start that are decoded to see that they can be."""
SUFFIXES = (".mp4", ".mov", ".mkv", ".m4v", ".webm", ".avi")


def video(source: Path, asked: Asked) -> Found | None:
    """A video file, by its ending."""

    def write(intake: Intake) -> None:
        import_video(source, intake.episode.recording_path, task=asked.task, hfov_deg=asked.hfov_deg, content=intake.inputs[source.name],
                     progress=intake.progress, rung=asked.source or "egocentric")

    return Found((Take(source.stem, write),)) if source.suffix.lower() in SUFFIXES and not source.is_dir() else None


def import_video(source: Path, recording: Path, *, task: str = "", hfov_deg: float | None = None, content: str = "",
                 progress: Callable[[int, int], None] | None = None, stage: str = "import-video/1", beside: Sequence[Track] = (),
                 parameters: Mapping[str, Any] | None = None, extra: Mapping[str, Any] | None = None,
                 rung: Rung = "egocentric") -> None:
    """Copy the packets of a file's main video stream, each with its presentation time, into a new ``recording.h5``.

    `beside` are further streams of the same file, on its time line; `parameters` join the provenance, `extra` the stream's description.

    Constant and variable frame rates come through alike. Sound and location tags are left behind. With `hfov_deg` (horizontal
    field of view) the camera gets assumed optics. Raises `FirsthandError` for a file that is no video, is cut off, or is empty.
    """
    import av
    from av.error import FFmpegError
    from av.stream import Disposition

    if source.stat().st_size == 0:
        raise DamagedError(f"{source} is empty (0 bytes); {AGAIN}")
    if lacking := missing_bytes(source):
        raise DamagedError(f"cannot import {source}: it is cut off or damaged, {lacking} bytes are missing at its end; {AGAIN}")
    try:
        container: Any = av.open(str(source), metadata_errors="replace")
    except FFmpegError as error:
        why = "it is cut off or damaged (its index is missing)" if _looks_like_mp4(source) else "it is not a video file FFmpeg can open"
        raise DamagedError(f"cannot import {source}: {why}; {AGAIN}") from error
    with container:
        video = container.streams.best("video")
        if video is None or video.disposition & Disposition.attached_pic:  # the cover of a piece of music
            raise DamagedError(f"cannot import {source}: there is no video stream in it")
        try:
            first = next(container.decode(video), None)
        except FFmpegError as error:
            raise DamagedError(f"cannot import {source}: its first frame does not decode ({error.strerror})") from error
        if first is None:
            raise DamagedError(f"cannot import {source}: the video has no frames")
        container.seek(0, stream=video, any_frame=False)
        spec = _describe(video, first, extra or {})
        calibration = Calibration()
        if hfov_deg is not None:
            upright = first.rotation % 180 == 0
            size = (first.width, first.height) if upright else (first.height, first.width)
            calibration = Calibration({STREAM: CameraCalibration.from_hfov(*size, hfov_deg)})
        provenance = Provenance({source.name: content}, {"hfov_deg": hfov_deg, **(parameters or {})}, stage)
        with RecordingWriter(recording, task=task, source=rung, provenance=provenance, calibration=calibration) as writer:
            writer.add_stream(spec)
            for track in beside:
                writer.add_stream(track.spec)
            try:
                _copy_packets(container, video, writer, source, progress)
            except FFmpegError as error:
                raise DamagedError(f"cannot import {source}: it is damaged ({error.strerror}); {AGAIN}") from error
            for track in beside:
                for sample in track.samples:
                    writer.append(sample)
    with Recording(recording) as written:  # both ends decode from what was stored
        stream = written[STREAM]
        if not len(stream):
            raise DamagedError(f"cannot import {source}: the video has no frames")
        try:
            for _ in stream.images(0, PROBED):  # several: times that do not fit the pictures show in their order
                pass
            stream.image(len(stream) - 1)
        except DamagedError as error:
            raise DamagedError(f"cannot import {source}: its pictures ({spec.encoding}) cannot be had from its packets, as it is damaged "
                               "or keeps no times for them; convert it to an H.264 mp4") from error


def _copy_packets(container: Any, video: Any, writer: RecordingWriter, source: Path, progress: Callable[[int, int], None] | None) -> None:
    base = Fraction(video.time_base)
    expected, copied, end_s = int(video.frames or 0), 0, 0.0
    if "mp4" not in container.format.name:  # others count what is not there, such as a frame that repeats the last one
        expected = 0
    for packet in container.demux():
        if not packet.size:  # the demuxer's end mark
            continue
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != video.index:
            continue
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            raise DamagedError(f"cannot import {source}: its frames carry no presentation times; put it into an mp4 or mkv first")
        if packet.is_corrupt:
            place = f"frame {copied}" + f" of {expected}" * bool(expected)
            raise DamagedError(f"cannot import {source}: it is cut off or damaged at {place}; {AGAIN}")
        pts_ns = round(Fraction(stamp) * base * 1_000_000_000)
        flags = KEYFRAME * packet.is_keyframe | DISCARD * packet.is_discard
        writer.append(Sample(STREAM, pts_ns, pts_ns, copied, bytes(packet), flags))
        copied += 1
        if progress:
            progress(copied, max(expected, copied))
    if copied < expected:
        raise DamagedError(f"cannot import {source}: it is cut off, {copied} of {expected} frames are there; {AGAIN}")
    whole_s = (container.duration or 0) * 1e-6
    if not expected and whole_s - end_s > SLACK_S:
        raise DamagedError(f"cannot import {source}: it is cut off, {end_s:.1f} of {whole_s:.1f} s are there; {AGAIN}")


def _describe(video: Any, first: Any, more: Mapping[str, Any]) -> StreamSpec:
    extra = {"rotation_deg": first.rotation, "time_base": str(video.time_base), "pix_fmt": first.format.name, **more}
    codec = video.codec_context
    return StreamSpec(
        STREAM, "encoded", "camera", encoding=codec.codec.canonical_name, rate_hz=float(video.average_rate or 0) or None,
        width_px=first.width, height_px=first.height, clock="media", extra=extra, extradata=bytes(codec.extradata or b""),
    )  # fmt: skip


def _looks_like_mp4(source: Path) -> bool:
    with source.open("rb") as stream:
        return stream.read(12)[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
