"""A copy of an episode's pictures that a browser plays: small, exact in time, quick to seek; and a thumbnail."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file, write_json
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording, Stream

TICKS = 90_000
"""Presentation times are whole ticks of 1/90000 s."""
MAX_WIDTH_PX = 640
KEYFRAME_EVERY = 15
THUMBNAIL_WIDTH_PX = 240
VERSION = 1


@dataclass(frozen=True)
class Proxy:
    """A proxy that is there: where, and how its pixels relate to the camera's."""

    video: Path
    pts: Path
    """Presentation time of each frame in seconds, float64, little endian, as the finished file says."""
    width_px: int
    height_px: int
    source_width_px: int
    source_height_px: int
    n_frames: int

    def pts_s(self) -> npt.NDArray[np.float64]:
        """Presentation times in seconds, shape (N,)."""
        return np.fromfile(self.pts, "<f8")


def cache_folder(episode: Episode) -> Path:
    """Where what can be made again is kept, hidden in the library."""
    return episode.library / ".cache" / episode.path.parent.name / episode.path.name


def recording_key(episode: Episode) -> str:
    """What a cached copy is of; changes when the recording does."""
    stat = episode.recording_path.stat()
    return f"v{VERSION} {MAX_WIDTH_PX} {stat.st_size} {stat.st_mtime_ns}"


def find_proxy(episode: Episode) -> Proxy | None:
    """The proxy, when there is one of the recording as it is now."""
    folder = cache_folder(episode)
    try:
        about = json.loads((folder / "proxy.json").read_text(encoding="utf-8"))
        if about.pop("key") != recording_key(episode) or not (folder / "proxy.mp4").is_file():
            return None
        return Proxy(folder / "proxy.mp4", folder / "proxy.pts", **about)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not there, or of an older version: it is made again


def make_proxy(episode: Episode, progress: Callable[[int, int], None] | None = None) -> Proxy:
    """The proxy, made now if it is not there. Raises `FirsthandError` when a picture does not decode."""
    found = find_proxy(episode)
    if found:
        return found
    folder = cache_folder(episode)
    with episode.recording() as recording:
        camera = recording.camera()
        if len(camera) == 0:
            raise FirsthandError(f"{episode.id} has no pictures")
        (folder / "proxy.json").unlink(missing_ok=True)  # last to be written, first to go: it vouches for the others
        with whole_file(folder / "proxy.mp4") as part:
            size = _encode(camera, part, progress)
            pts_s = read_pts(part)
    if len(pts_s) != len(camera):
        raise FirsthandError(f"{episode.id}: the proxy holds {len(pts_s)} frames of {len(camera)}")
    with whole_file(folder / "proxy.pts") as part:
        pts_s.astype("<f8").tofile(part)
    proxy = Proxy(folder / "proxy.mp4", folder / "proxy.pts", *size, len(pts_s))
    about = {name: value for name, value in asdict(proxy).items() if name not in ("video", "pts")}
    write_json(folder / "proxy.json", {"key": recording_key(episode), **about})
    return proxy


def read_pts(video: Path) -> npt.NDArray[np.float64]:
    """Presentation times of a video file's frames in seconds, shape (N,), in order, by demuxing."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        ticks = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size)
        return np.array([float(tick * stream.time_base) for tick in ticks], np.float64)  # type: ignore[operator]


def thumbnail(episode: Episode) -> Path:
    """A small JPEG of a frame a third into the episode, made now if it is not there."""
    import cv2

    folder = cache_folder(episode)
    path = folder / "thumbnail.jpg"
    if path.is_file() and path.stat().st_mtime_ns >= episode.recording_path.stat().st_mtime_ns:
        return path
    with Recording(episode.recording_path) as recording:
        camera = recording.camera()
        image = camera.image(len(camera) // 3)
    height = max(1, round(image.shape[0] * THUMBNAIL_WIDTH_PX / image.shape[1]))
    small = cv2.resize(image, (THUMBNAIL_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    with whole_file(path) as part:
        part.write_bytes(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 82])[1].tobytes())
    return path


def _ticks(t_ns: npt.NDArray[np.int64]) -> list[int]:
    """Times from the first frame in whole ticks, made strictly increasing."""
    ticks = np.rint((t_ns - t_ns[0]) * (TICKS / 1e9)).astype(np.int64)
    steps = np.arange(len(ticks))
    return [int(tick) for tick in np.maximum.accumulate(ticks - steps) + steps]


def _encode(camera: Stream, path: Path, progress: Callable[[int, int], None] | None) -> tuple[int, int, int, int]:
    """Write H.264 without B-frames and with real times; return the size written and the size of the source, in pixels."""
    import av
    import cv2

    ticks = _ticks(camera.t_ns)
    size: tuple[int, int, int, int] | None = None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=30)
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, TICKS)
        video.options = {"preset": "veryfast", "crf": "23", "g": str(KEYFRAME_EVERY), "bf": "0"}
        for i, image in enumerate(camera.images()):
            if size is None:
                height, width = image.shape[:2]
                scale = min(1.0, MAX_WIDTH_PX / width)
                size = (max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2)), width, height)
                video.width, video.height = size[:2]
            if image.shape[1::-1] != size[:2]:
                image = cv2.resize(image, size[:2], interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = ticks[i], Fraction(1, TICKS)
            container.mux(video.encode(frame))
            if progress:
                progress(i + 1, len(ticks))
        container.mux(video.encode(None))
    if size is None:
        raise FirsthandError(f"stream {camera.spec.name} has no pictures")
    return size
