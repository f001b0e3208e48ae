"""The timing certificate: how well each stream of an episode is timed, in figures, with a verdict and its reasons."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.recording import Recording, Stream

Verdict = Literal["sound", "degraded", "unusable"]
VERDICTS: tuple[Verdict, ...] = ("sound", "degraded", "unusable")
"""From best to worst."""
GROUP = "certificate"
"""Where it lies in ``recording.h5``."""
SAMPLED = 1 << 20
"""How many intervals the jitter of a long stream is taken from."""
SLOW = 3
"""Intervals without a sample that are no pause, however long they last: a thermometer speaks once a second."""
LIMITS: Mapping[str, tuple[float, float]] = {
    "missing": (0.05, 0.2), "longest_gap_s": (0.5, 5.0), "offset_ms": (10.0, 50.0), "drift_ppm": (100.0, 190.0),
    "rate": (0.05, float("inf")), "jitter": (0.5, float("inf")),
}  # fmt: skip
"""What a stream may reach and still be sound, and still be usable: shares of samples, seconds, ms, ppm, shares of the nominal rate and
of a period."""


@dataclass(frozen=True)
class TimingCertificate:
    """How well one stream is timed. None: there is nothing to say it from."""

    stream: str
    samples: int
    nominal_hz: float | None
    measured_hz: float | None
    """Samples over time on the session clock, drops and cuts included."""
    jitter_p50_ms: float | None
    """How far intervals between neighbours in sequence are from their median, session clock."""
    jitter_p99_ms: float | None
    delay_p50_ms: float | None
    """What transport added to the fastest delivery."""
    delay_p99_ms: float | None
    gaps: int
    """Drops that the sequence shows."""
    missing: int
    """Samples in them."""
    longest_gap_s: float | None
    """The longest time without a sample, whatever the reason."""
    drift_ppm: float | None
    """How much faster the session clock runs than the device's."""
    drift_interval_ppm: tuple[float, float] | None
    """Where it lies with 95 % confidence."""
    offset_interval_ms: float | None
    """The mapping is this near the truth (95 %) at its worst knot, the calibration's residual included; up to a constant: the fastest
    delivery's own delay, of this stream, or once calibrated of the reference."""
    segments: int
    """Runs of the device's counter: 1 more than there were restarts, jumps and stalls. A counter that wraps goes on."""
    calibration_residual_ms: float | None
    """What motion seen by two streams leaves of the constant; None until they were calibrated against each other."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """Why it is not sound, one sentence each."""
    calibrated_against: str | None = None
    """The reference stream whose times these now share; None until then, the stream's own name for the reference."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, lossless."""
        interval = self.drift_interval_ppm
        return {**asdict(self), "drift_interval_ppm": None if interval is None else list(interval), "reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "TimingCertificate":
        """What `to_json` gave."""
        interval = fields["drift_interval_ppm"]
        return cls(**{**fields, "reasons": tuple(fields["reasons"]), "drift_interval_ppm": None if interval is None else tuple(interval)})


@dataclass(frozen=True)
class EpisodeTiming:
    """The certificates of an episode's streams; events have none."""

    streams: tuple[TimingCertificate, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the streams'; ``unusable`` where there is none."""
        return VERDICTS[max((VERDICTS.index(s.verdict) for s in self.streams), default=2)]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, lossless."""
        return {"verdict": self.verdict, "streams": [s.to_json() for s in self.streams]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "EpisodeTiming":
        """What `to_json` gave."""
        return cls(tuple(TimingCertificate.from_json(fields) for fields in document["streams"]))

    def write(self, group: Any) -> None:
        """Put this into an open HDF5 group: the verdict and one JSON text a stream, all attributes."""
        group.attrs["verdict"] = self.verdict
        for stream in self.streams:
            group.attrs[f"stream:{stream.stream}"] = json.dumps(stream.to_json())

    @classmethod
    def read(cls, group: Any) -> "EpisodeTiming":
        """The certificate an HDF5 group holds."""
        return cls(tuple(TimingCertificate.from_json(json.loads(group.attrs[name])) for name in sorted(group.attrs) if name != "verdict"))


def certify(recording: Recording) -> EpisodeTiming:
    """Judge every stream of a recording, in order of name, from its stamps, its clock and its gaps."""
    ledger: dict[str, list[int]] = {}
    for _, gap in recording.gaps:
        ledger.setdefault(gap["stream"], []).append(int(gap["missing"]))
    streams = (recording.streams[name] for name in sorted(recording.streams))
    return EpisodeTiming(tuple(_certify(s, ledger.get(s.spec.name, [])) for s in streams if s.spec.role != "events"))


def store_certificate(path: Path) -> EpisodeTiming:
    """Judge a recording that nobody has open yet, and put the certificate into it, in place of the one it had."""
    with Recording(path) as recording:
        timing = certify(recording)
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        if GROUP in file:
            del file[GROUP]
        timing.write(file.create_group(GROUP))
    return timing


@dataclass
class _Steps:
    """What the stamps of a stream come to, gathered block by block."""

    samples: int = 0
    span_s: float = 0.0
    longest_s: float | None = None
    same: int = 0
    back: int = 0
    arrivals: bool = True
    """Whether all stamps are those of arrival."""
    standing: bool = True
    """Whether all times are the same."""
    neighbours_s: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """Intervals between neighbours in sequence: of a very long stream from blocks spread over it."""


def _steps(stream: Stream) -> _Steps:
    found, near, first, last = _Steps(), [], 0, np.zeros(0, np.int64)
    every = -(-stream.stored // SAMPLED)
    for block, (at, rows) in enumerate(stream.row_blocks()):
        if len(rows) == 0:
            continue
        t_ns, sequence = stream.clock.to_session(rows["device_ns"], at), rows["sequence"]
        if found.samples:
            t_ns, sequence = np.r_[last[:1], t_ns], np.r_[last[1:], sequence]
        else:
            first = int(t_ns[0])
        step = np.diff(t_ns)
        found.samples += len(rows)
        found.same += int(np.count_nonzero(step == 0))
        found.back += int(np.count_nonzero(step < 0))
        found.arrivals = found.arrivals and np.array_equal(rows["device_ns"], rows["host_ns"])
        found.standing = found.standing and not step.any()
        if len(step):
            found.longest_s = max(found.longest_s or 0.0, float(step.max()) * 1e-9)
        if block % every == 0:
            near.append(step[np.diff(sequence) == 1] if stream.spec.clock != "media" else step)  # across a drop they say nothing of jitter
        last = np.array([t_ns[-1], sequence[-1]])
    found.span_s = (int(last[0]) - first) * 1e-9 if found.samples else 0.0
    found.neighbours_s = np.concatenate(near) * 1e-9 if near else np.zeros(0)
    return found


def _certify(stream: Stream, missing: list[int]) -> TimingCertificate:
    spec, steps = stream.spec, _steps(stream)
    neighbours = steps.neighbours_s
    jitter = np.quantile(np.abs(neighbours - np.median(neighbours)), [0.5, 0.99]) * 1e3 if len(neighbours) else None
    rate = (steps.samples - 1) / steps.span_s if steps.span_s > 0 else None
    clock = stream.clock if steps.samples and spec.clock != "media" else None
    drift = clock.drift_ppm if clock and clock.drift_error_ppm == clock.drift_error_ppm else None
    known = clock is not None and bool(np.isfinite(clock.error_ns).all())
    latency = stream.latency
    residual_ns = latency.error_ns if latency else 0
    draft = TimingCertificate(
        stream=spec.name, samples=steps.samples, nominal_hz=spec.rate_hz, measured_hz=rate,
        jitter_p50_ms=None if jitter is None else float(jitter[0]), jitter_p99_ms=None if jitter is None else float(jitter[1]),
        delay_p50_ms=None if clock is None else clock.residual_ns * 1e-6,
        delay_p99_ms=None if clock is None or not known else clock.residual_p99_ns * 1e-6,
        gaps=len(missing), missing=sum(missing), longest_gap_s=steps.longest_s,
        drift_ppm=clock.drift_ppm if clock else None,
        drift_interval_ppm=(drift - clock.drift_error_ppm, drift + clock.drift_error_ppm) if clock and drift is not None else None,
        offset_interval_ms=(float(clock.error_ns.max()) + residual_ns) * 1e-6 if clock and known else None,
        segments=len(clock.spans) if clock else 1, calibration_residual_ms=residual_ns * 1e-6 if latency else None, verdict="sound",
        reasons=(), calibrated_against=latency.reference if latency else None,
    )
    found = _judge(draft, stream, steps)
    verdict = VERDICTS[max((level for level, _ in found), default=0)]
    return TimingCertificate(**{**asdict(draft), "verdict": verdict, "reasons": tuple(reason for _, reason in found)})


def _judge(c: TimingCertificate, stream: Stream, steps: _Steps) -> list[tuple[int, str]]:
    """What speaks against a stream: how bad it is (1 degraded, 2 unusable), and a sentence."""
    if c.samples < 2:
        return [(2, f"it has {c.samples} sample{'s' * (c.samples != 1)}, which have no rate")]
    found: list[tuple[int, str]] = []

    def over(limit: str, value: float | None, reason: str) -> None:
        if value is not None and value > LIMITS[limit][0]:
            found.append((1 + (value > LIMITS[limit][1]), reason))

    if steps.standing:
        return [(2, "its stamps are all the same: a device without a clock is to be stamped on arrival")]
    if steps.same:
        found.append((1 + (steps.same > c.samples // 2), f"{steps.same} samples carry the time of the one before"))
    if steps.back:
        found.append((1, f"{steps.back} samples are older than the one before: the network let others overtake them"))
    share = c.missing / (c.samples + c.missing)
    over("missing", share, f"{c.missing} of {c.samples + c.missing} samples are missing ({share:.1%})")
    usual_s = float(np.median(steps.neighbours_s)) if len(steps.neighbours_s) else steps.span_s / (steps.samples - 1)
    pause_s = c.longest_gap_s if c.longest_gap_s and c.longest_gap_s > SLOW * usual_s else None
    over("longest_gap_s", pause_s, f"{c.longest_gap_s or 0:.2f} s passed without a sample")
    if stream.spec.clock == "media":
        return found  # presentation times: their own rate, nothing of clocks or transport
    if steps.arrivals:
        found.append((1, "the device has no clock of its own: its times are those of arrival, and delays are in them"))
    if c.segments > 1:
        times = f"{c.segments - 1} time{'s' * (c.segments > 2)}"
        found.append((1, f"its clock broke off {times} (a restart, a jump or a stall); each run is mapped by itself"))
    if c.offset_interval_ms is None:
        found.append((1, "its clock was fitted without an interval; how well it is timed is not known"))
    over("offset_ms", c.offset_interval_ms, f"its times are only known to ±{c.offset_interval_ms or 0:.1f} ms")
    drift = abs(c.drift_ppm or 0)
    over("drift_ppm", drift - (c.drift_interval_ppm[1] - c.drift_interval_ppm[0]) / 2 if c.drift_interval_ppm else None,
         f"its clock is {drift:.0f} ppm off, more than a sound quartz")
    if c.nominal_hz and c.measured_hz:
        whole_hz = c.measured_hz / (1 - share)  # drops are judged above
        over("rate", abs(whole_hz / c.nominal_hz - 1), f"it ran at {whole_hz:.1f} Hz instead of {c.nominal_hz:g}")
    if c.jitter_p99_ms is not None and c.measured_hz:
        over("jitter", c.jitter_p99_ms * 1e-3 * c.measured_hz, f"one interval in a hundred is off by {c.jitter_p99_ms:.1f} ms or more")
    return found
