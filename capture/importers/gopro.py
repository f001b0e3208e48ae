"""GoPro files: the video as it is, and beside it what the camera's sensors said (GPMF), on the video's time line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.gpmf import Series, read_payload, without_places
from firsthand.capture.importers.tracks import Track, numbers, stream_name, write_tracks
from firsthand.capture.importers.video import AGAIN, STREAM, import_video
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.stream import Role, Sample, StreamSpec

STAGE = "import-gopro/1"
HANDLER = b"GoPro MET"
SUFFIXES = (".mp4", ".mov", ".360", ".lrv")
LAST_NS = 2**62
NOMINAL_NS = 1_001_000_000
"""What a payload covers where no time says: the cameras write one every 1.001 s."""
MOOV_BYTES = 2**26
"""More than the index of any camera's file."""

STREAMS: dict[str, tuple[str, Role, tuple[str, ...]]] = {
    "ACCL": ("accelerometer", "imu", ("ax", "ay", "az")), "GYRO": ("gyroscope", "imu", ("gx", "gy", "gz")),
    "MAGN": ("magnetometer", "imu", ("mx", "my", "mz")), "GRAV": ("gravity", "other", ("x", "y", "z")),
    "CORI": ("camera-orientation", "other", ("qw", "qx", "qy", "qz")), "IORI": ("image-orientation", "other", ("qw", "qx", "qy", "qz")),
    "SHUT": ("exposure", "other", ("exposure",)), "ISOE": ("iso", "other", ("iso",)), "ISOG": ("gain", "other", ("gain",)),
    "WBAL": ("white-balance", "other", ("temperature",)), "GPS5": ("gps", "other", ("lat", "lon", "alt", "speed_2d", "speed_3d")),
    "GPS9": ("gps", "other", ("lat", "lon", "alt", "speed_2d", "speed_3d", "days", "seconds", "dop", "fix")),
}  # fmt: skip
"""Key -> stream, role and columns; other keys of numbers become ``gpmf-<key>`` with numbered columns."""
A_FRAME = ("SHUT", "CORI", "IORI", "GRAV", "ISOE")
"""Written once a frame, so that their first stamp is that of the first frame."""
UNITS = {"m/s²": ("m/s^2", 1.0), "µT": ("T", 1e-6), "uT": ("T", 1e-6)}
NAMED_ORDER = {"(up/down, right/left, forward/back)": "ZXY", "(z,x,y)": "ZXY"}
"""What cameras before the Hero6's update say in words."""


def gopro(source: Path, asked: Asked) -> Found | None:
    """A GoPro's MP4 with a metadata track, or bare GPMF payloads."""
    if source.is_dir() or source.suffix.lower() not in (*SUFFIXES, ".raw", ".gpmf"):
        return None
    with source.open("rb") as file:
        if source.suffix.lower() not in SUFFIXES:
            return Found((Take(source.stem, lambda intake: _write_bare(source, intake)),)) if file.read(4) == b"DEVC" else None
        end, at, size = file.seek(0, 2), 0, 0
        while at + 8 <= end:
            file.seek(at)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size
            if head[4:8] == b"moov":
                file.seek(at)
                return Found((Take(source.stem, lambda intake: _write_movie(source, intake)),)) \
                    if HANDLER in file.read(min(size, MOOV_BYTES)) else None
            if size < 8:
                return None
            at += size
    return None


def _write_movie(source: Path, intake: Intake) -> None:
    payloads = list(_payloads(source))
    device, tracks = _tracks(source, payloads, intake.asked.keep_gps)
    extra = {"camera": device} if device else {}
    import_video(source, intake.episode.recording_path, task=intake.asked.task, hfov_deg=intake.asked.hfov_deg, stage=STAGE,
                 content=intake.inputs[source.name], progress=intake.progress, beside=tracks, extra=extra,
                 parameters={"keep_gps": intake.asked.keep_gps}, rung=intake.asked.source or "egocentric")


def _write_bare(source: Path, intake: Intake) -> None:
    _, tracks = _tracks(source, [Payload(0, NOMINAL_NS, source.read_bytes())], intake.asked.keep_gps)
    with intake.recording(STAGE, source="egocentric", keep_gps=intake.asked.keep_gps) as writer:
        write_tracks(writer, tracks, intake.progress)


@dataclass(frozen=True)
class Payload:
    """One packet of the metadata track."""

    pts_ns: int
    duration_ns: int
    data: bytes


def _payloads(source: Path) -> Iterator[Payload]:
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(source)) as container:
            track = next((s for s in container.streams if HANDLER.decode() in s.metadata.get("handler_name", "")), None)
            for packet in container.demux(track) if track is not None else ():
                if packet.size and packet.pts is not None and packet.time_base is not None:
                    unit = packet.time_base * 1_000_000_000
                    yield Payload(round(packet.pts * unit), round((packet.duration or 0) * unit) or NOMINAL_NS, bytes(packet))
    except FFmpegError as error:
        raise DamagedError(f"cannot import {source}: it is cut off or damaged ({error.strerror}); {AGAIN}") from error


def _tracks(source: Path, payloads: Sequence[Payload], keep_gps: bool) -> tuple[str, list[Track]]:
    """The camera's name, and a track for each series of numbers, with the raw payloads as the last."""
    found: dict[tuple[str, str, str], list[tuple[Payload, Series]]] = {}
    kept: list[bytes] = []
    for n, payload in enumerate(payloads):
        try:
            data = payload.data if keep_gps else without_places(payload.data)
            series = read_payload(data)
        except DamagedError as error:
            raise DamagedError(f"cannot import {source}: {error} (metadata packet {n}); {AGAIN}") from error
        kept.append(data)
        for one in series:
            found.setdefault((one.device, one.key, one.name), []).append((payload, one))
    offset_ns = _offset(found)
    tracks: list[Track] = []
    for runs in found.values():
        width = runs[0][1].values.shape[1]
        runs = [run for run in runs if run[1].values.shape[1] == width]
        taken = [track.spec.name for track in tracks]
        try:
            tracks.append(_track(runs, offset_ns, first_device=runs[0][1].device == next(iter(found))[0], taken=taken))
        except DamagedError as error:
            raise DamagedError(f"cannot import {source}: {error}; {AGAIN}") from error
    spec = StreamSpec("gpmf", "encoded", "events", encoding="gpmf", clock="media",
                      extra={} if keep_gps else {"left_out": "streams that tell places"})
    samples = (Sample("gpmf", p.pts_ns, p.pts_ns, n, data) for n, (p, data) in enumerate(zip(payloads, kept, strict=True)))
    device = next(iter(found))[0] if found else ""
    return device, [*tracks, Track(spec, samples, len(payloads))]


def _offset(found: dict[tuple[str, str, str], list[tuple[Payload, Series]]]) -> int | None:
    """The video's time line less the camera's clock, from what is written once a frame; None where nothing is stamped."""
    stamped = {key: runs[0] for (_, key, _), runs in found.items() if runs[0][1].first_us is not None}
    for key in (*A_FRAME, *stamped):
        if key in stamped:
            payload, series = stamped[key]
            return payload.pts_ns - (series.first_us or 0) * 1000
    return None


def _track(runs: Sequence[tuple[Payload, Series]], offset_ns: int | None, first_device: bool, taken: Sequence[str]) -> Track:
    first = runs[0][1]
    name, role, columns = STREAMS.get(first.key, ("", "other", ())) if first_device else ("", "other", ())
    width = first.values.shape[1]
    values = np.concatenate([series.values for _, series in runs])
    known = len(columns) or width  # what a camera adds to a vector is not in the vector's unit
    units = [UNITS.get(unit, (unit, 1.0)) if i < known else ("1", 1.0) for i, unit in enumerate(first.units)]
    values = values * np.array([factor for _, factor in units])
    extra: dict[str, object] = {"gpmf": first.key, "device": first.device, "says": first.name, **first.extra}
    order = first.axes or next((axes for words, axes in NAMED_ORDER.items() if words in first.name), "")
    turned = role == "imu" and width == 3 and sorted(order.upper()) == list("XYZ")
    if len(columns) > width or (first.key in ("ACCL", "GYRO") and not turned):
        columns = ()
    if turned:
        back = [order.upper().index(axis) for axis in "XYZ"]
        values = values[:, back] * np.array([1.0 if order[i].isupper() else -1.0 for i in back])
        extra["axes"] = f"the camera's own, sorted to x, y, z from {order}; z is up"
    columns = (*columns, *(f"{first.key.lower()}_{i}" for i in range(len(columns), width)))
    t_ns, sequence, stamped = _times(runs, offset_ns)
    extra["times"] = "stamped by the camera" if stamped else "spread over the packet's time"
    label = stream_name(name or f"gpmf-{first.key.lower()}", taken)
    track = numbers(label, role, columns, [unit for unit, _ in units], t_ns, values, about=STREAM if name else "", extra=extra)
    numbered = (Sample(s.stream, s.device_ns, s.host_ns, int(n), s.data) for s, n in zip(track.samples, sequence, strict=True))
    return Track(track.spec, numbered, track.count)


def _times(runs: Sequence[tuple[Payload, Series]], offset_ns: int | None) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Time on the video's line and number of each sample, and whether the camera stamped them.

    A packet's samples are spread from its first to the next packet's first; the last packet goes on at the pace of those before.
    """
    counts = np.array([len(series.values) for _, series in runs])
    totals = [series.total for _, series in runs]
    ends = np.cumsum(counts) if None in totals else np.array(totals, np.int64)
    starts = ends - counts  # the number of each packet's first sample
    if np.any(starts[1:] < ends[:-1]):  # totals that do not add up tell nothing
        starts = np.cumsum(counts) - counts
    starts = starts - starts[0]
    stamped = offset_ns is not None and all(series.first_us is not None for _, series in runs)
    if stamped:
        firsts = np.array([(series.first_us or 0) * 1000 + (offset_ns or 0) for _, series in runs], np.int64)
    else:
        firsts = np.array([payload.pts_ns for payload, _ in runs], np.int64)
    steps = np.array([payload.duration_ns for payload, _ in runs]) / counts
    if len(runs) > 1:
        between = np.diff(firsts) / np.diff(starts)
        steps[:-1] = np.where(between > 0, between, steps[:-1])
        steps[-1] = np.median(steps[:-1])
    t_ns = np.concatenate([first + np.rint(np.arange(n) * step) for first, n, step in zip(firsts, counts, steps, strict=True)])
    if not (np.abs(t_ns) < LAST_NS).all():
        raise DamagedError(f"the times of {runs[0][1].key} are none")
    sequence = np.concatenate([start + np.arange(n) for start, n in zip(starts, counts, strict=True)])
    return np.maximum.accumulate(t_ns.astype(np.int64)), sequence, stamped
