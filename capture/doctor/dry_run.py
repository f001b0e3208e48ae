"""The rig tried for a few seconds, with the recorder's own processes, onto the library's own disk; nothing of it is kept."""

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from firsthand.capture.certificate import TimingCertificate, certify
from firsthand.capture.doctor.finding import Finding, Verdict
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import RECORDING
from firsthand.capture.live.status import Status
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.rig import Rig

OPEN_S = 12.0
"""A device that does not deliver by then is not there."""
FINISH_S = 30.0
VERDICTS: dict[str, Verdict] = {"sound": "ok", "degraded": "warn", "unusable": "bad"}
DARK, BRIGHT, FLAT = 12.0, 243.0, 2.0
"""Mean grey, and its standard deviation, of a picture that shows nothing."""


def dry_run(rig: Rig, seconds: float, folder: Path | None = None, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Record for so long into a temporary folder in `folder` (the system's own if not given), and judge every device and stream.

    Rates against the nominal ones, drops, drift, the first and the last picture, how the writer keeps up. A device that is not there is a
    finding, not an error; without the required ones nothing is recorded.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dry-run.") as place:
        numbers = itertools.count()
        with Supervisor(rig, Path(place) / "logs", lambda: Path(place) / f"{next(numbers):03d}") as recorder:
            recorder.wait(lambda status: all(d.state in ("running", "failed", "ended") for d in status.devices), OPEN_S)
            status = recorder.status()
            if status.missing_devices or not any(d.state == "running" for d in status.devices):
                return _devices(status)
            take = recorder.start("dry run")
            status = _watch(recorder, seconds, progress)
            recorder.stop("enough")
            recorder.wait(lambda s: bool(s.takes) and all(t.state != "finishing" for t in s.takes), FINISH_S)
            ended = recorder.status()
        found = _devices(ended)
        try:
            with Recording(take / RECORDING) as recording:
                found += _streams(recording, status)
        except FirsthandError:
            why = "; ".join(t.reason for t in ended.takes if t.reason) or "it was not finished in time"
            return [*found, Finding("dry run", f"no recording ({why})", "", "bad", "see the other lines")]
        return [*found, _writer(status)]


def bytes_per_s(findings: list[Finding]) -> float | None:
    """The data rate that a dry run measured; None where it did not come to that."""
    told = next((f for f in findings if f.what == "data rate"), None)
    return None if told is None else max(float(told.value.split()[0]) * 1e6, 1.0)


def _watch(recorder: Supervisor, seconds: float, progress: Callable[[int, int], None] | None) -> Status:
    """Wait; returns the last status while it recorded."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        time.sleep(min(0.5, seconds - passed))
        if progress:
            progress(min(round(passed + 0.5), round(seconds)), round(seconds))
    return recorder.status()


def _devices(status: Status) -> list[Finding]:
    found = []
    for device in status.devices:
        if device.state == "running":
            found.append(Finding(f"device {device.name}", "there", "there"))
            continue
        verdict: Verdict = "bad" if device.required else "warn"
        came = any(stream.device == device.name for stream in status.streams)
        value = f"{'vanished' if came else 'not there'}: {device.reason or device.state}"
        cure = "check its cable, its battery and its hub" if came else "connect it"
        found.append(Finding(f"device {device.name}", value, "there", verdict, cure + ", or set required = false" * device.required))
    return found


def _streams(recording: Recording, status: Status) -> list[Finding]:
    found = []
    dropped = {s.name: s.dropped for s in status.streams}
    for timing in certify(recording).streams:
        stream = recording[timing.stream]
        found.append(_stream(timing, dropped.get(timing.stream, 0)))
        if len(stream) and stream.spec.role == "camera":
            found.append(_pictures(stream))
    return found


def _stream(timing: TimingCertificate, dropped: int) -> Finding:
    nominal = f"{timing.nominal_hz:g} Hz" if timing.nominal_hz else "sound"
    value = [f"{timing.measured_hz:.1f} Hz" if timing.measured_hz else f"{timing.samples} samples", f"{timing.missing} missing"]
    if dropped:
        value.append(f"{dropped} dropped by this machine")
    if timing.drift_ppm is not None and timing.drift_interval_ppm is not None:
        value.append(f"drift {timing.drift_ppm:+.0f} ±{(timing.drift_interval_ppm[1] - timing.drift_interval_ppm[0]) / 2:.0f} ppm")
    verdict = VERDICTS[timing.verdict]
    if dropped and verdict == "ok":
        verdict = "warn"
    advice = "; ".join(timing.reasons)
    if dropped:
        advice += "; " * bool(advice) + "this machine cannot keep up: fewer or smaller pictures, or MJPEG from the camera"
    return Finding(timing.stream, ", ".join(value), nominal, verdict, advice)


def _pictures(stream: Stream) -> Finding:
    """The first and the last picture: do they decode, and do they show something."""
    name = f"{stream.spec.name} pictures"
    try:
        pictures = [stream.image(0), stream.image(len(stream) - 1)]
    except FirsthandError as error:
        return Finding(name, f"do not decode: {error}", "decode", "bad", "choose another format in the rig file")
    height, width = pictures[0].shape[:2]
    greys = [float(np.mean(picture)) for picture in pictures]
    value = f"{width}x{height} {stream.spec.encoding}, mean grey {np.mean(greys):.0f}"
    if max(greys) < DARK or min(float(np.std(picture)) for picture in pictures) < FLAT:
        return Finding(name, value, "show something", "warn", "nothing is to be seen: take the lens cap off, turn the light on")
    if min(greys) > BRIGHT:
        return Finding(name, value, "show something", "warn", "all white: lower the exposure")
    return Finding(name, value, "show something")


def _writer(status: Status) -> Finding:
    """How much the rig delivers, and how the writer kept up."""
    rate = sum(stream.size_bps for stream in status.streams)
    fill = status.disk.memory_fill if status.disk else 0.0
    full = fill > 0.5
    return Finding("data rate", f"{rate / 1e6:.2f} MB/s, buffers {fill:.0%} full", "≤ 50%", "warn" if full else "ok",
                   "the disk is too slow for this rig" if full else "")
