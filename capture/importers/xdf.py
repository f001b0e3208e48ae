"""XDF, what LabRecorder writes of the Lab Streaming Layer: every stream, its own stamps, and the clock offsets measured beside them.

Public specification: sccn/xdf.
"""

import json
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.tracks import Track, numbers, stream_name, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.places import tell_place
from firsthand.capture.stream import Role, Sample, StreamSpec

STAGE = "import-xdf/1"
MAGIC = b"XDF:"
AGAIN = "copy it again from where it was recorded"
LAST_S = 9e9
"""No clock of a computer is further from 0; in nanoseconds it fits int64."""
RESET_S = 60.0
"""A step of the stamps by more may be a reset, where the measured offsets say that there was one."""
Floats = npt.NDArray[np.float64]
STREAM_HEADER, SAMPLES, CLOCK_OFFSET = 2, 3, 4
FORMATS = {"float32": "<f4", "double64": "<f8", "int8": "<i1", "int16": "<i2", "int32": "<i4", "int64": "<i8"}
ROLES: dict[str, Role] = {"accelerometer": "imu", "gyroscope": "imu", "magnetometer": "imu", "imu": "imu",
                          "mocap": "pose", "glove": "glove"}


def xdf(source: Path, asked: Asked) -> Found | None:
    """An ``.xdf`` file that begins as one."""
    if source.is_dir() or source.suffix.lower() != ".xdf":
        return None
    with source.open("rb") as file:
        return Found((Take(source.stem, lambda intake: _write(source, intake)),)) if file.read(4) == MAGIC else None


@dataclass
class XdfStream:
    """One stream of the file."""

    name: str
    kind: str
    format: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float
    about: dict[str, str]
    stamps_s: list[Floats] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    """Arrays (N, C) of numbers, or lists of texts a sample."""
    offsets_s: list[tuple[float, float]] = field(default_factory=list)
    """When a clock offset was measured, on the sender's clock, and what to add to that to have the recorder's."""


def read_xdf(source: Path) -> list[XdfStream]:
    """Every stream of a file. Raises `DamagedError` when it is cut off or no XDF."""
    streams: dict[int, XdfStream] = {}
    size = source.stat().st_size
    with source.open("rb") as file:
        if file.read(4) != MAGIC:
            raise DamagedError(f"cannot import {source}: it does not begin as an XDF file")
        try:
            for tag, content in _chunks(file, size):
                if tag == STREAM_HEADER:
                    streams[_id(content)] = _header(content[4:])
                elif tag == SAMPLES:
                    _samples(streams[_id(content)], memoryview(content)[4:])
                elif tag == CLOCK_OFFSET:
                    streams[_id(content)].offsets_s.append(struct.unpack_from("<dd", content, 4))
        except (LookupError, ValueError, struct.error, ET.ParseError) as error:
            raise DamagedError(f"cannot import {source}: it is cut off or damaged near byte {file.tell()} ({error}); {AGAIN}") from error
    return list(streams.values())


def _id(content: bytes) -> int:
    return int.from_bytes(content[:4], "little")


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    while head := file.read(1):
        if head[0] not in (1, 4, 8):
            raise ValueError(f"a length of {head[0]} bytes")
        length = int.from_bytes(file.read(head[0]), "little")
        if length < 2 or file.tell() + length > size:
            raise ValueError(f"a chunk of {length} bytes, {size - file.tell()} are left")
        content = file.read(length)
        yield int.from_bytes(content[:2], "little"), content[2:]


def _header(content: bytes) -> XdfStream:
    root = ET.fromstring(content)
    count = int(root.findtext("channel_count") or 0)
    shape = root.findtext("channel_format") or ""
    if not 0 < count < 2**20 or shape not in (*FORMATS, "string"):
        raise ValueError(f"{count} channels of {shape!r}")
    channels = root.findall("desc/channels/channel")
    labels = tuple(c.findtext("label") or "" for c in channels) if len(channels) == count else ()
    units = tuple(c.findtext("unit") or "1" for c in channels) if len(channels) == count else ()
    named = labels if all(labels) and len(set(labels)) == count else tuple(f"channel_{i}" for i in range(count))
    about = {key: root.findtext(key) or "" for key in ("name", "type", "channel_format", "source_id", "version", "created_at")}
    rate_hz = float(root.findtext("nominal_srate") or 0)
    if not 0 <= rate_hz < np.inf:
        raise ValueError(f"a rate of {rate_hz} Hz")
    return XdfStream(about["name"], about["type"], shape, named, units or ("1",) * count, rate_hz, about)


def _samples(stream: XdfStream, content: memoryview) -> None:
    """The samples of a chunk: each with its stamp, or none where it follows the one before by the nominal rate."""
    count, at = _length(content, 0)
    step = 1 / stream.rate_hz if stream.rate_hz else 0.0
    last = float(stream.stamps_s[-1][-1]) if stream.stamps_s and len(stream.stamps_s[-1]) else 0.0
    width = len(stream.labels)
    texts = stream.format == "string"
    kind = np.dtype(FORMATS.get(stream.format, "<f8"))
    if count > len(content):
        raise ValueError(f"{count} samples in {len(content)} bytes")
    stamps, rows = np.empty(count), list[Any]()
    for i in range(count):
        flag = content[at]
        at += 1
        if flag not in (0, 8):
            raise ValueError(f"a stamp of {flag} bytes")
        if flag:
            last = struct.unpack_from("<d", content, at)[0]
            at += 8
        else:
            last += step
        stamps[i] = last
        if texts:
            row = []
            for _ in range(width):
                size, at = _length(content, at)
                if at + size > len(content):
                    raise ValueError("a text beyond its chunk")
                row.append(bytes(content[at : at + size]).decode("utf-8", errors="replace"))
                at += size
            rows.append(row)
        else:
            rows.append(np.frombuffer(content, kind, width, at))
            at += width * kind.itemsize
    stream.stamps_s.append(stamps)
    stream.rows += rows


def _length(content: memoryview, at: int) -> tuple[int, int]:
    """A number of 1, 4 or 8 bytes, after a byte that says which; and where it ends."""
    size = content[at]
    if size not in (1, 4, 8) or at + 1 + size > len(content):
        raise ValueError(f"a length of {size} bytes")
    return int.from_bytes(content[at + 1 : at + 1 + size], "little"), at + 1 + size


def _write(source: Path, intake: Intake) -> None:
    tracks: list[Track] = []
    left_out = []
    for stream in read_xdf(source):
        if not intake.asked.keep_gps and tell_place([stream.name, stream.kind, *stream.labels]):
            left_out.append(f"{stream.name}: a place, which was not asked for")
            continue
        tracks += _tracks(stream, [track.spec.name for track in tracks])
    if not any(track.count for track in tracks):
        raise DamagedError(f"cannot import {source}: there are no samples in it")
    with intake.recording(STAGE, source="wearable", left_out=left_out) as writer:
        write_tracks(writer, tracks, intake.progress)


def _tracks(stream: XdfStream, taken: list[str]) -> Iterator[Track]:
    stamps_s = np.concatenate([np.zeros(0), *stream.stamps_s])
    if not (np.abs(stamps_s) <= LAST_S).all():  # also where it is NaN
        raise DamagedError(f"stream {stream.name} has stamps that are no times; {AGAIN}")
    device_ns = np.rint(stamps_s * 1e9).astype(np.int64)
    host_ns = device_ns
    if stream.offsets_s:
        at_s, offset_s = np.array(stream.offsets_s).T
        if not (np.abs([at_s, offset_s]) <= LAST_S).all() or np.abs(stamps_s).max(initial=0) + np.abs(offset_s).max() > LAST_S:
            raise DamagedError(f"stream {stream.name} has clock offsets that are no times; {AGAIN}")
        host_ns = device_ns + np.rint(_offsets(stamps_s, at_s, offset_s) * 1e9).astype(np.int64)
    name = stream_name(stream.name or "stream", taken)
    extra = {**stream.about, "stamps": "the sender's; arrival is the recorder's clock, by the offsets in " + f"{name}-clock"
             if stream.offsets_s else "the sender's, without any measured offset"}
    if stream.format == "string":
        payloads = [json.dumps({"values": row}).encode() for row in stream.rows]
        spec = StreamSpec(name, "encoded", "events", encoding="json", rate_hz=stream.rate_hz or None, clock="device", extra=extra)
        samples = (Sample(name, int(d), int(h), i, p) for i, (d, h, p) in enumerate(zip(device_ns, host_ns, payloads, strict=True)))
        yield Track(spec, samples, len(payloads))
    else:
        values = np.array(stream.rows).reshape(-1, len(stream.labels))
        role = ROLES.get(stream.kind.lower(), "other")
        yield numbers(name, role, stream.labels, stream.units, device_ns, values, host_ns=host_ns, clock="device",
                      rate_hz=stream.rate_hz or None, extra=extra)
    if stream.offsets_s:
        measured_ns = np.rint(at_s * 1e9).astype(np.int64)
        yield numbers(stream_name(f"{name}-clock", [*taken, name]), "other", ("offset",), "s", measured_ns, offset_s[:, None],
                      host_ns=measured_ns + np.rint(offset_s * 1e9).astype(np.int64), clock="device")


def _offsets(stamps_s: Floats, at_s: Floats, offset_s: Floats) -> Floats:
    """What to add to each stamp, from offsets measured at times of the sender's clock. Where that was reset, in its runs."""
    stamp_cuts = np.flatnonzero(np.abs(np.diff(stamps_s)) > RESET_S) + 1 if np.ptp(offset_s) > 1.0 else np.zeros(0, np.int64)
    offset_cuts = np.flatnonzero((np.diff(at_s) < 0) | (np.abs(np.diff(offset_s)) > 1.0)) + 1
    runs = [run for run in np.split(np.arange(len(at_s)), offset_cuts) if len(run)]
    out = np.empty(len(stamps_s))
    for part in np.split(np.arange(len(stamps_s)), stamp_cuts):
        if len(part):  # with the run measured nearest to these samples, on the clock that stamped both
            near = min(runs, key=lambda run: abs(float(np.median(at_s[run])) - float(np.median(stamps_s[part]))))
            out[part] = np.interp(stamps_s[part], at_s[near], offset_s[near])
    return out
