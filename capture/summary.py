"""A recording in figures: what `firsthand info` shows and `firsthand validate` checks."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.certificate import certify
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording, Stream


@dataclass(frozen=True)
class StreamSummary:
    """One stream in figures."""

    name: str
    role: str
    carries: str
    """Encoding and size, or the number of columns."""
    samples: int
    rate_hz: float | None
    """Measured: samples over time, drops not counted."""
    jitter_ms: float | None
    """99th percentile of how far intervals are from their median."""
    missing: int
    """Samples the device counted that never arrived."""
    drift_ppm: float | None
    """Of the device's clock against the session's; None where stamps are the session's own."""


def summarise(recording: Recording) -> dict[str, Any]:
    """The recording as plain JSON: task, source, duration, every stream, and the timing certificate."""
    missing: dict[str, int] = {}
    for _, gap in recording.gaps:
        missing[gap["stream"]] = missing.get(gap["stream"], 0) + int(gap["missing"])
    streams = [asdict(_summarise(s, missing.get(s.spec.name, 0))) for s in recording.streams.values() if s.spec.role != "events"]
    return {"path": str(recording.path), "task": recording.task, "source": recording.source, "duration_s": round(recording.duration_s, 3),
            "streams": streams, "timing": certify(recording).to_json(),
            "markers": len(recording.markers), "cameras_calibrated": sorted(recording.calibration.cameras)}


def _summarise(stream: Stream, missing: int) -> StreamSummary:
    spec, t_s = stream.spec, stream.t_ns * 1e-9
    size = f" {spec.width_px}x{spec.height_px}" if spec.width_px else ""
    carries = f"{len(spec.names)} columns" if spec.kind == "numeric" else f"{spec.encoding}{size}"
    steps = np.diff(t_s)
    rate = float((len(t_s) - 1) / (t_s[-1] - t_s[0])) if len(t_s) > 1 and t_s[-1] > t_s[0] else None
    jitter = float(np.quantile(np.abs(steps - np.median(steps)), 0.99) * 1e3) if len(steps) else None
    drift = stream.clock.drift_ppm if len(stream) and spec.clock == "device" else None
    return StreamSummary(spec.name, spec.role, carries, len(stream), rate, jitter, missing, drift)


def check_recording(path: Path, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Everything wrong with a recording, one sentence each: checksums, times, and every picture decoded. Empty when it is sound."""
    try:
        recording = Recording(path)
    except FirsthandError as error:
        return [str(error)]
    with recording:
        found: list[str] = []
        for stream in recording.streams.values():
            try:
                found += stream.damage()
                stream.t_ns  # noqa: B018 - its clock must be readable
            except FirsthandError as error:
                return [*found, str(error)]
        pictures = [s for s in recording.streams.values() if s.spec.role in ("camera", "depth")]
        total, done = sum(map(len, pictures)), 0
        for stream in pictures:
            steps = np.diff(stream.t_ns)
            back = steps < 0 if stream.spec.clock == "media" else steps <= 0  # frames of a file may share a time
            if np.any(back):
                found.append(f"stream {stream.spec.name}: times do not increase at sample {int(np.argmax(back)) + 1}")
            try:
                decoded = (stream.depth_m(i) for i in range(len(stream))) if stream.spec.role == "depth" else stream.images()
                for _ in decoded:
                    done += 1
                    if progress:
                        progress(done, total)
            except FirsthandError as error:
                found.append(str(error))
    return found
