"""From one take of free movement to the latency of every stream of the rig against its reference camera."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from firsthand.capture.correlation import Pairing
from firsthand.capture.errors import FirsthandError
from firsthand.capture.lag import Lag, find_lag
from firsthand.capture.latency import ITSELF, Latency
from firsthand.capture.library import Episode
from firsthand.capture.motion import Motion
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.sudden import match_events, spikes, steps
from firsthand.capture.turning_motion import gyro_columns, pose_columns, turned_by_gyro, turned_by_pictures, turned_by_pose
from firsthand.retarget.hand_motion import CHANNELS, hand_motion
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.tracker import DEFAULT_TRACKER

Progress = Callable[[str, int, int], None]

FINGERS, TURNING, STAMPS, CLAPS, FLASHES = "fingers", "head turning", "same stamps", "claps", "flashes"
"""What two streams are compared by."""
TRACKER_NS = 2e6
"""What a hand tracker adds to the interval: its errors follow the movement, so leaving out blocks of time does not show all of them. From
`bench/intervals.py`."""
SAME_STAMPS = 0.5
"""Share of a stream's device stamps that the reference must have too, for both to be taken for one device's."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two streams compared."""

    first: str
    second: str
    method: str
    lag: Lag
    """Of the second against the first, between times as their clocks give them."""
    error_ns: int | None
    """Half its 95 % interval, what the clocks of both do not know included."""
    signals: tuple[Motion, Motion] | None = None
    labels: tuple[str, str] = ("", "")
    """What the channels are that agree best, for a picture."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        ms = None if self.lag.lag_ns is None else self.lag.lag_ns * 1e-6
        return {"first": self.first, "second": self.second, "method": self.method, "lag_ms": ms,
                "residual_ms": None if self.error_ns is None else self.error_ns * 1e-6, "correlation": self.lag.correlation,
                "confidence": self.lag.confidence, "observable": self.lag.observable, "problem": self.lag.problem}


@dataclass(frozen=True, eq=False)
class Sync:
    """What a calibration take tells."""

    reference: str
    pairs: tuple[Pair, ...]
    latencies: dict[str, Latency]
    """By stream, the reference with 0 among them; only of streams whose lag is observable."""

    @property
    def missing(self) -> dict[str, str]:
        """The streams without a latency, and why."""
        found: dict[str, list[str]] = {}
        for pair in self.pairs:
            for name in (pair.first, pair.second):
                if name not in self.latencies and pair.lag.problem:
                    found.setdefault(name, []).append(pair.lag.problem)
        return {name: "; ".join(dict.fromkeys(problems)) for name, problems in found.items()}


def calibrate(episode: Episode, *, tracker: str = DEFAULT_TRACKER, progress: Progress | None = None) -> Sync:
    """Compare every glove, inertial and pose stream with the reference camera, and with each other.

    Tracks the hands when there is a glove. Raises `FirsthandError` when there is no camera, or nothing to compare with it.
    """
    def step(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(what, done, total) if progress else None

    with episode.recording() as recording:
        reference = recording.camera()
        gloves = [s for s in recording.role("glove") if s.spec.side]
        pairs = [*_stamped(recording, reference), *_turning(recording, reference, step), *_flashes(recording, reference)]
        if gloves:
            hands = make_hands(episode, tracker=tracker, progress=step("hands"))
            for glove in gloves:
                seen = _raw(hand_motion(hands, glove.spec.side), reference)  # type: ignore[arg-type]
                pairs.append(_compare(reference, glove, FINGERS, seen, _all_columns(glove), "channels", CHANNELS, glove.spec.names))
        pairs += _claps(recording)
        if not pairs:
            raise FirsthandError(f"{recording.path} has nothing to calibrate against camera {reference.spec.name}: no glove with a side, "
                                 "gyroscope, head pose or second camera")
        return Sync(reference.spec.name, tuple(pairs), _latencies(reference.spec.name, pairs, episode))


def _turning(recording: Recording, reference: Stream, step: Callable[[str], Callable[[int, int], None]]) -> list[Pair]:
    """The cameras' pictures, gyroscopes and head poses, by how the head turns."""
    gyros = [s for s in recording.role("imu") if gyro_columns(s)]
    poses = [s for s in recording.role("pose") if pose_columns(s)]
    cameras = [s for s in recording.role("camera") if s is not reference]
    if not (gyros or poses or cameras):
        return []
    optics = recording.calibration.cameras
    seen = {s.spec.name: _raw(turned_by_pictures(s, optics.get(s.spec.name), step(f"pictures of {s.spec.name}")), s)
            for s in [reference, *cameras]}  # fmt: skip
    turned = {s.spec.name: _raw((turned_by_gyro if s in gyros else turned_by_pose)(s), s) for s in [*gyros, *poses]} | seen
    axes = ("x", "y", "z")
    others = [*gyros, *poses, *cameras]
    pairs = [_compare(reference, s, TURNING, turned[reference.spec.name], turned[s.spec.name], "rotation", axes, axes) for s in others]
    among = [(gyros[0], s) for s in [*gyros[1:], *poses]] if gyros else []
    return pairs + [_compare(a, b, TURNING, turned[a.spec.name], turned[b.spec.name], "rotation", axes, axes) for a, b in among]


def _stamped(recording: Recording, reference: Stream) -> list[Pair]:
    """Streams of the reference's own device: where their stamps are the same, so is the time."""
    pairs = []
    t_ns = reference.t_ns + _known_ns(reference)
    for stream in recording.role("depth"):
        same, mine, its = np.intersect1d(reference.device_ns, stream.device_ns, return_indices=True)
        if len(same) >= SAME_STAMPS * len(stream):
            late = (stream.t_ns[its] + _known_ns(stream) - t_ns[mine]).astype(np.float64)
            lag = Lag(round(float(np.median(late))), round(float(np.quantile(np.abs(late - np.median(late)), 0.95))), 1.0, 1.0)
            pairs.append(Pair(reference.spec.name, stream.spec.name, STAMPS, lag, _with_clocks(lag, reference, stream)))
    return pairs


def _flashes(recording: Recording, reference: Stream) -> list[Pair]:
    """Cameras among each other, by sudden light. Only told of where there was some."""
    cameras = [s for s in recording.role("camera") if s is not reference]
    if not cameras:
        return []
    light = {s.spec.name: steps(s.t_ns + _known_ns(s), np.array([float(image[::8, ::8].mean()) for image in s.images()]))
             for s in [reference, *cameras]}  # fmt: skip
    return [pair for s in cameras if (pair := _matched(reference, s, FLASHES, light[reference.spec.name], light[s.spec.name]))]


def _claps(recording: Recording) -> list[Pair]:
    """Accelerometers among each other, by sudden shocks. Only told of where there were some."""
    felt = {}
    for stream in (s for s in recording.streams.values() if s.spec.kind == "numeric" and len(s)):
        columns = [i for i, unit in enumerate(stream.spec.units) if unit == "m/s^2"]
        if len(columns) == 3:
            felt[stream.spec.name] = spikes(stream.t_ns + _known_ns(stream), np.linalg.norm(stream.values[:, columns], axis=1))
    names = list(felt)
    return [pair for name in names[1:] if (pair := _matched(recording[names[0]], recording[name], CLAPS, felt[names[0]], felt[name]))]


def _matched(a: Stream, b: Stream, what: str, a_ns: Any, b_ns: Any) -> Pair | None:
    if min(len(a_ns), len(b_ns)) < 2:
        return None
    grain_s = float(np.hypot(*(np.median(np.diff(s.device_ns)) * 1e-9 for s in (a, b))))
    lag = match_events(a_ns, b_ns, grain_s=grain_s, what=what)
    return Pair(a.spec.name, b.spec.name, what, lag, _with_clocks(lag, a, b))


def _compare(a: Stream, b: Stream, method: str, seen: Motion, felt: Motion, pairing: Pairing, a_names: tuple[str, ...],
             b_names: tuple[str, ...]) -> Pair:
    lag = find_lag(seen, felt, pairing=pairing)
    i, k = lag.pairs[0] if lag.pairs else (0, 0)
    error_ns = _with_clocks(lag, a, b, TRACKER_NS if method == FINGERS else 0.0)
    return Pair(a.spec.name, b.spec.name, method, lag, error_ns, (seen, felt), (a_names[i], b_names[k]))


def _with_clocks(lag: Lag, a: Stream, b: Stream, more_ns: float = 0.0) -> int | None:
    """A lag's interval with those of both clocks, which err independently of it, and of whatever else does."""
    if lag.error_ns is None:
        return None
    clocks = [float(np.nanmax(s.clock.error_ns)) if np.isfinite(s.clock.error_ns).any() else 0.0 for s in (a, b)]
    return round(float(np.sqrt(lag.error_ns**2 + clocks[0] ** 2 + clocks[1] ** 2 + more_ns**2)))


def _latencies(reference: str, pairs: list[Pair], episode: Episode) -> dict[str, Latency]:
    """For each stream the way from the reference with the least error, over one stream between at most."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    known = {reference: Latency(0, 0, reference, ITSELF, 1.0, episode.id, now)}
    good = [p for p in pairs if p.lag.observable and p.lag.lag_ns is not None and p.error_ns is not None]
    for _ in range(2):
        found = dict(known)
        for pair in good:
            for start, end, sign in ((pair.first, pair.second, 1), (pair.second, pair.first, -1)):
                if start not in known or end == reference:
                    continue
                before = known[start]
                error_ns = round(float(np.hypot(before.error_ns, pair.error_ns or 0)))
                if end not in found or error_ns < found[end].error_ns:
                    method = pair.method if start == reference else f"{pair.method}, by {start}"
                    confidence = min(before.confidence, pair.lag.confidence)
                    lag_ns = before.latency_ns + sign * (pair.lag.lag_ns or 0)
                    found[end] = Latency(lag_ns, error_ns, reference, method, round(confidence, 3), episode.id, now)
        known = found
    return known


def _known_ns(stream: Stream) -> int:
    """What is taken off this stream's times already; a calibration starts from none."""
    return stream.latency.latency_ns if stream.latency else 0


def _raw(motion: Motion, stream: Stream) -> Motion:
    return Motion(motion.name, motion.t_ns + _known_ns(stream), motion.values)


def _all_columns(stream: Stream) -> Motion:
    order = np.argsort(stream.t_ns, kind="stable")
    return Motion(f"stream {stream.spec.name}", stream.t_ns[order] + _known_ns(stream), stream.values[order])
