"""Streams on their way into a recording: what each carries, and its samples in order."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import DISCARD, KEYFRAME, Role, Sample, StreamSpec

EXACT = 2**53
"""Whole numbers up to this fit a float64."""
UNSTATED = "the source does not state units; 1 stands for that"
SAY = 64
"""Samples between two words of progress."""


@dataclass(frozen=True, eq=False)
class Track:
    """One stream and all its samples, which may be read on the way."""

    spec: StreamSpec
    samples: Iterable[Sample]
    count: int
    """How many there will be, for the progress; a guess will do."""


def write_tracks(writer: RecordingWriter, tracks: Sequence[Track], progress: Callable[[int, int], None]) -> None:
    """Declare all streams, then append their samples, one stream after the other."""
    for track in tracks:
        writer.add_stream(track.spec)
    done, total = 0, max(1, sum(track.count for track in tracks))
    for track in tracks:
        for sample in track.samples:
            writer.append(sample)
            done += 1
            if done % SAY == 0:
                progress(done, max(done, total))
    progress(max(done, total), max(done, total))


Times = npt.NDArray[np.int64] | Callable[[], npt.NDArray[np.int64]]
"""Times of rows (N,), or what tells them once the track before has been written."""


def numbers(name: str, role: Role, names: Sequence[str], units: Sequence[str] | str | None, t_ns: Times,
            values: npt.NDArray[Any], *, host_ns: npt.NDArray[np.int64] | None = None, clock: Literal["device", "media"] = "media",
            about: str = "", side: Literal["", "left", "right"] = "", rate_hz: float | None = None,
            extra: Mapping[str, Any] | None = None) -> Track:
    """A track of rows of numbers (N, C) at times (N,); `units` None for a source that does not state them.

    Whole numbers too large for a float64 are kept less the first row's, which then stands under ``offset`` in ``extra``.
    """
    said = dict(extra or {})
    if units is None:
        units, said["units"] = "1", UNSTATED
    floats, offsets = _exact(name, names, values)
    if offsets:
        said["offset"] = offsets
    spec = StreamSpec(name, "numeric", role, names=tuple(names), units=(units,) * len(names) if isinstance(units, str) else tuple(units),
                      rate_hz=rate_hz, about=about, side=side, clock=clock, extra=said)
    return Track(spec, _rows(name, t_ns, host_ns, floats), len(floats))


def _rows(name: str, t_ns: Times, host_ns: npt.NDArray[np.int64] | None, values: npt.NDArray[np.float64]) -> Iterator[Sample]:
    times = t_ns() if callable(t_ns) else t_ns
    for i, (t, host, row) in enumerate(zip(times, times if host_ns is None else host_ns, values, strict=True)):
        yield Sample(name, int(t), int(host), i, row)


def timed(track: Track) -> tuple[Track, Callable[[], npt.NDArray[np.int64]]]:
    """The same track, and the times of its shown samples in order of presentation, to be asked for when it has been written."""
    seen: list[int] = []

    def noted() -> Iterator[Sample]:
        for sample in track.samples:
            if not sample.flags & DISCARD:
                seen.append(sample.device_ns)
            yield sample

    return Track(track.spec, noted(), track.count), lambda: np.array(sorted(seen), np.int64)


def _exact(name: str, names: Sequence[str], values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], dict[str, int]]:
    offsets: dict[str, int] = {}
    if values.dtype.kind == "u" and values.size and int(values.max()) >= 2**63:
        raise DamagedError(f"{name} holds whole numbers up to {int(values.max())}, which no column of a recording can hold exactly")
    if values.dtype.kind in "iu" and values.size:
        values = values.astype(np.int64)
        for column in np.flatnonzero((values > EXACT).any(0) | (values < -EXACT).any(0)).tolist():
            first = int(values[0, column])
            less = [int(v) - first for v in values[:, column]]  # in Python's own numbers, which do not run over
            if max(map(abs, less)) > EXACT:
                raise DamagedError(f"{name}.{names[column]} holds whole numbers too far apart for a column of a recording")
            values[:, column] = less
            offsets[names[column]] = first
    return np.ascontiguousarray(values, np.float64), offsets


def pictures(spec: StreamSpec, t_ns: npt.NDArray[np.int64], payloads: Iterable[bytes]) -> Track:
    """A track of encoded stills, each on its own, at presentation times."""
    samples = (Sample(spec.name, int(t), int(t), i, data, KEYFRAME) for i, (t, data) in enumerate(zip(t_ns, payloads, strict=True)))
    return Track(spec, samples, len(t_ns))


def grid_ns(count: int, fps: float) -> npt.NDArray[np.int64]:
    """Times of rows that a source only counts: ``index / fps``, from 0, shape (N,)."""
    return np.asarray(np.rint(np.arange(count) * (1e9 / fps)), np.int64)


def stream_name(text: str, taken: Iterable[str] = ()) -> str:
    """A name for a stream made from a source's: letters, digits, ``_`` and ``-``, and none that is taken."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-") or "stream"
    used = set(taken)
    return next(tried for tried in (name, *(f"{name}-{n}" for n in range(2, len(used) + 3))) if tried not in used)

