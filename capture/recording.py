"""Reading ``recording.h5``: streams on one session clock, images decoded on demand, every checksum checkable."""

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.clock import Clock, Nanoseconds
from firsthand.capture.clock_fit import clock_of
from firsthand.capture.decode import decode_depth, decode_images
from firsthand.capture.errors import DamagedError, unknown
from firsthand.capture.files import Provenance, reading_inside
from firsthand.capture.latency import Latency
from firsthand.capture.layout import FORMAT, GAPS, MARKERS, VERSION, checksum
from firsthand.capture.scan import scan
from firsthand.capture.segment import LIVE, place
from firsthand.capture.stream import DISCARD, Role, StreamSpec

BLOCK_ROWS = 1 << 16
RESTORE = "restore it from a copy, or remove its episode"


class Recording:
    """An open ``recording.h5``, read-only. Use with ``with``.

    Also of a take that is still being recorded or was interrupted: each ``recording.h5.part`` opens at any time and shows the samples
    that were whole when each stream was first asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            what = "no such file" if not path.exists() else "not an HDF5 file, or cut off"
            raise DamagedError(f"cannot open {path} as a recording: {what}") from error
        try:
            with reading_inside(path, RESTORE):
                self._read_head()
        except DamagedError:
            self._file.close()
            raise

    def _read_head(self) -> None:
        attrs = self._file.attrs
        if attrs.get("format") != FORMAT:
            raise DamagedError(f"{self.path} is HDF5 but not a firsthand recording (its 'format' attribute is not {FORMAT!r})")
        if int(attrs["version"]) > VERSION:
            raise DamagedError(f"{self.path} is of version {attrs['version']}; this firsthand reads recordings up to {VERSION}: upgrade it")
        self.task = str(attrs["task"])
        """What the wearer was asked to do; empty where nobody said."""
        self.source = str(attrs["source"])
        """Where on the data ladder it comes from: teleop, wearable, egocentric, fleet or simulation."""
        self.created_utc = str(attrs["created_utc"])
        """When the take began, ISO 8601."""
        self.streams: Mapping[str, Stream] = {name: Stream(self._file["streams"][name], self.path) for name in self._file["streams"]}

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration stored with the recording."""
        with reading_inside(self.path, RESTORE):
            return Calibration({name: CameraCalibration.read(group) for name, group in self._file["calibration"].items()})

    @cached_property
    def provenance(self) -> Provenance:
        """What the recording was made from."""
        with reading_inside(self.path, RESTORE):
            return Provenance.read(self._file["provenance"])

    def __getitem__(self, name: str) -> "Stream":
        if name not in self.streams:
            raise unknown("stream", name, self.streams)
        return self.streams[name]

    def role(self, role: Role, *, about: str | None = None) -> "list[Stream]":
        """The streams of a role that hold at least one sample, in order of name; only those about a given stream if asked."""
        return [s for s in self.streams.values() if s.spec.role == role and len(s) and (about is None or s.spec.about == about)]

    def camera(self) -> "Stream":
        """The reference camera: ``head`` if there is one, else the first. Raises `FirsthandError` when there is none."""
        cameras = self.role("camera")
        if not cameras:
            raise DamagedError(f"{self.path} has no camera images")
        return next((s for s in cameras if s.spec.name == "head"), cameras[0])

    def events(self, name: str) -> list[tuple[int, dict[str, Any]]]:
        """The events of ``gaps`` or ``markers``: (session ns, fields)."""
        stream = self.streams.get(name)
        return [] if stream is None else [(int(t), json.loads(stream.payload(i))) for i, t in enumerate(stream.t_ns)]

    @property
    def gaps(self) -> list[tuple[int, dict[str, Any]]]:
        """Every drop that was seen: (session ns, {stream, first_sequence, missing, ...})."""
        return self.events(GAPS)

    @property
    def markers(self) -> list[tuple[int, dict[str, Any]]]:
        """What was marked while recording: (session ns, {kind, text})."""
        return self.events(MARKERS)

    @property
    def duration_s(self) -> float:
        """From the first to the last sample of any stream."""
        spans = [(s.t_ns.min(), s.t_ns.max()) for s in self.streams.values() if len(s) and s.spec.role != "events"]
        return float(max(b for _, b in spans) - min(a for a, _ in spans)) * 1e-9 if spans else 0.0

    def close(self) -> None:
        """Close the file; streams can no longer be read."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Stream:
    """One stream of an open recording. Arrays are in presentation order; (N,) samples."""

    def __init__(self, group: Any, path: Path) -> None:
        self._group = group
        self.path = path
        """The recording it is in."""
        self.spec = read_spec(group)

    @property
    def stored(self) -> int:
        """Rows in the index, those not shown included; of a live file, room for them."""
        return len(self._group["index"])

    @cached_property
    def rows(self) -> npt.NDArray[np.void]:
        """The index as stored, in the order written (decoding order for a video codec); of a live file, the rows that are whole."""
        with reading_inside(self.path, RESTORE):
            rows: npt.NDArray[np.void] = self._live[0] if self._live else self._group["index"][()]
        rows.setflags(write=False)
        return rows

    @cached_property
    def _live(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]] | None:
        """Of a file that is being recorded: the rows that are whole, and where they stand in the index."""
        if LIVE not in self._group.file.attrs:
            return None
        with open(self._group.file.filename, "rb") as file:
            chunks = [chunk for chunk in scan(file.fileno(), place(self._group)) if chunk.sound.any()]
        if not chunks:
            return np.zeros(0, self._group["index"].dtype), np.zeros(0, np.int64)
        rows = [(chunk.rows[chunk.sound], chunk.first + np.flatnonzero(chunk.sound)) for chunk in chunks]
        return np.concatenate([found for found, _ in rows]), np.concatenate([at for _, at in rows])

    @cached_property
    def _heap(self) -> Any:
        return self._group["heap"]

    @cached_property
    def _values(self) -> npt.NDArray[np.float64]:
        """One row of numbers for each of `rows`."""
        values: npt.NDArray[np.float64]
        if self._live:
            stored = self._live[1]
            values = self._group["values"][: stored[-1] + 1 if len(stored) else 0][stored]
        else:
            values = self._group["values"][()]
        return values

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """Row of each shown sample, in order of presentation, shape (N,)."""
        shown = np.flatnonzero((self.rows["flags"] & DISCARD) == 0)
        if self.spec.clock == "media":  # presentation times; B-frames are stored in decoding order
            shown = shown[np.argsort(self.rows["device_ns"][shown], kind="stable")]
        return shown

    def row_blocks(self) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]]:
        """The shown rows in order of presentation and where they stand in the index, a block at a time: a day need not fit in memory."""
        if self._live or self.spec.clock == "media":
            yield self.order, self.rows[self.order]
            return
        with reading_inside(self.path, RESTORE):
            index = self._group["index"]
            for first in range(0, len(index), BLOCK_ROWS):
                rows = index[first : first + BLOCK_ROWS]
                shown = np.flatnonzero((rows["flags"] & DISCARD) == 0)
                yield first + shown, rows[shown]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def device_ns(self) -> Nanoseconds:
        """The device's own stamps, raw."""
        return self.rows["device_ns"][self.order]  # type: ignore[no-any-return]

    @property
    def host_ns(self) -> Nanoseconds:
        """Arrival on the host's monotonic clock, raw; equal to `device_ns` for imported media."""
        return self.rows["host_ns"][self.order]  # type: ignore[no-any-return]

    @property
    def sequence(self) -> Nanoseconds:
        """The device's counter."""
        return self.rows["sequence"][self.order]  # type: ignore[no-any-return]

    @cached_property
    def clock(self) -> Clock:
        """The mapping from device to session time; of a live file, fitted to what is there."""
        with reading_inside(self.path, RESTORE):
            if self._live:
                return clock_of(self.spec.clock, self.rows, self.spec.wrap_ns)
            return Clock.read(self._group["clock"])

    @cached_property
    def latency(self) -> Latency | None:
        """How late the clock's times are against the rig's reference; None where the rig was not calibrated."""
        with reading_inside(self.path, RESTORE):
            return Latency.read(self._group)

    @cached_property
    def t_ns(self) -> Nanoseconds:
        """Times on the session clock, the latency taken off."""
        if not len(self):
            return np.zeros(0, np.int64)
        late_ns = self.latency.latency_ns if self.latency else 0
        return self.clock.to_session(self.device_ns, self.order) - late_ns

    @cached_property
    def values(self) -> npt.NDArray[np.float64]:
        """The numbers of a numeric stream, shape (N, C)."""
        with reading_inside(self.path, RESTORE):
            return self._values[self.order]

    def payload(self, i: int) -> bytes:
        """The encoded bytes of sample `i`."""
        return self.row_payload(int(self.order[i]))

    def row_payload(self, row: int) -> bytes:
        """The encoded bytes of a row as stored."""
        entry = self.rows[row]
        with reading_inside(self.path, RESTORE):
            return self._heap[int(entry["offset"]) : int(entry["offset"]) + int(entry["size"])].tobytes()  # type: ignore[no-any-return]

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode the pictures from `start` up to `stop`, in order: BGR, uint8, shape (H, W, 3), upright.

        Raises `DamagedError` for a stream of something else.
        """
        if self.spec.kind != "encoded":
            raise DamagedError(f"{self.path}: stream {self.spec.name} holds numbers, and there are no pictures to show beside them")
        yield from decode_images(self, start, len(self) if stop is None else min(stop, len(self)))

    def image(self, i: int) -> npt.NDArray[np.uint8]:
        """One picture; costs a decode from the keyframe before it."""
        return next(self.images(i, i + 1))

    def depth_m(self, i: int) -> npt.NDArray[np.float32]:
        """One depth image in metres along the optical axis, shape (H, W); NaN where the sensor saw nothing."""
        return decode_depth(self.payload(i), float(self.spec.extra["depth_unit_m"]), self.spec)

    def damage(self) -> list[str]:
        """What is wrong with the stored rows, one sentence each; empty when all checksums hold."""
        rows, name = self.rows, self.spec.name
        if self.spec.kind == "numeric":
            values = self._values
            if len(values) != len(rows):
                return [f"stream {name}: {len(rows)} index rows but {len(values)} rows of values"]
            payloads = (row.astype("<f8").tobytes() for row in values)
        else:
            size = self._heap.shape[0]
            ends = rows["offset"].astype(np.int64) + rows["size"]
            if len(rows) and int(ends.max()) > size:
                return [f"stream {name}: row {int(ends.argmax())} ends at byte {int(ends.max())}, the heap at {size}"]
            payloads = (self.row_payload(i) for i in range(len(rows)))
        bad = [i for i, payload in enumerate(payloads) if checksum(rows[i], payload) != int(rows[i]["crc32"])]
        return [f"stream {name}: {len(bad)} of {len(rows)} rows fail their checksum, first row {bad[0]}"] if bad else []


def read_spec(group: Any) -> StreamSpec:
    """The description a stream's group carries."""
    attrs = dict(group.attrs)
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    if "values" in group:
        names, units = tuple(group["values"].attrs["names"]), tuple(group["values"].attrs["units"])
    size = {name: int(attrs[name]) if name in attrs else None for name in ("width_px", "height_px")}
    return StreamSpec(
        name=str(group.name).rsplit("/", 1)[-1], kind=attrs["kind"], role=attrs["role"], encoding=attrs.get("encoding", ""),
        names=names, units=units, rate_hz=float(attrs["rate_hz"]) if "rate_hz" in attrs else None, **size,
        about=attrs.get("about", ""), side=attrs.get("side", ""), clock=attrs.get("clock", "device"),
        wrap_ns=int(attrs["wrap_ns"]) if "wrap_ns" in attrs else None,
        extra=json.loads(attrs.get("extra", "{}")), extradata=group["extradata"][()].tobytes() if "extradata" in group else b"",
    )
