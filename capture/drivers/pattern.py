"""The driver ``pattern``: cameras and sensors that are not there, paced by the wall clock, whose recordings can be checked to the bit."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from firsthand.capture.calibration import Calibration
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.pattern.barcode import Barcode
from firsthand.capture.pattern.faults import Faults, OnReturn
from firsthand.capture.pattern.losses import LossLog
from firsthand.capture.pattern.pictures import PictureKind, numbered
from firsthand.capture.pattern.rows import pattern_rows
from firsthand.capture.pattern.schedule import Schedule, Taken
from firsthand.capture.stream import Role, Sample, StreamSpec
from firsthand.capture.synthetic.devices import Link
from firsthand.capture.synthetic.driver import Start

_CAMERA_LINK, _SENSOR_LINK = Link(4_000_000, 1_000_000), Link(1_000_000, 400_000, shape=1.0)
_JITTER_NS = 5_000.0


@dataclass(frozen=True)
class PatternCamera:
    """One camera."""

    name: str
    size_px: Sequence[int] = (1280, 720)
    fps: float = 30
    picture: PictureKind = "mjpeg"
    """``mjpeg``: ready JPEGs. ``raw``: BGR pictures and ``depth``: 16-bit depth in millimetres, for the device's process to encode."""
    quality: int = 82
    """Of the JPEGs."""
    loop: int = 16
    """Different pictures, rendered ahead."""
    buffer: int = 4
    """Pictures the device keeps for a reader that is late; what comes while they are full is lost."""
    about: str = ""

    def driver(self, make: "Callable[..., Driver]", k: int, seed: int) -> Driver:
        """The camera as the recorder sees it."""
        width, height = self.size_px
        Barcode.of(width, height)
        if self.picture not in get_args(PictureKind):
            raise FirsthandError(f"camera {self.name!r}: picture is {self.picture!r}; it is 'mjpeg', 'raw' or 'depth'")
        role: Role = "depth" if self.picture == "depth" else "camera"
        spec = StreamSpec(self.name, "encoded", role, encoding="jpeg" if self.picture == "mjpeg" else "raw", rate_hz=self.fps,
                          width_px=width, height_px=height, about=self.about,
                          extra={"depth_unit_m": 0.001} if role == "depth" else {})

        def prepare() -> Callable[[int], Any]:
            return numbered(self.picture, width, height, loop=self.loop, quality=self.quality, seed=seed + k)

        return make(spec, prepare, self.buffer, k, _CAMERA_LINK)


@dataclass(frozen=True)
class PatternSensor:
    """One stream of numbers."""

    name: str
    columns: int = 6
    rate_hz: float = 200
    role: Role = "other"
    side: Literal["", "left", "right"] = ""
    unit: str = "1"
    buffer: int = 64
    """Samples the device keeps for a reader that is late."""
    about: str = ""

    def driver(self, make: "Callable[..., Driver]", k: int, seed: int) -> Driver:
        """The sensor as the recorder sees it."""
        spec = StreamSpec(self.name, "numeric", self.role, names=tuple(f"c{i}" for i in range(self.columns)),
                          units=(self.unit,) * self.columns, rate_hz=self.rate_hz, side=self.side, about=self.about)

        def prepare() -> Callable[[int], Any]:
            return lambda sequence: pattern_rows([sequence], self.columns)[0]

        return make(spec, prepare, self.buffer, k, _SENSOR_LINK)


def open_pattern(*, cameras: Sequence[Mapping[str, Any]] = (), sensors: Sequence[Mapping[str, Any]] = (), seed: int = 0,
                 seconds: float | None = None, start_ns: int | None = None, drift_ppm: float | None = None, drop_rate: float = 0.0,
                 vanish_at_s: float | None = None, back_after_s: float | None = None, on_return: OnReturn = "restarted",
                 restart_at_s: float | None = None, log: str | None = None) -> list[Driver]:
    """The drivers of a pattern device: one a camera (`PatternCamera`) and one a sensor (`PatternSensor`); a 720p camera if none is named.

    It lives from its first read, or from `start_ns` on the host's monotonic clock, for `seconds` or for ever; `Faults` tells what goes
    wrong. What it took and did not deliver is written to the file `log`. Raises `FirsthandError` for options that cannot be.
    """
    faults = Faults(drop_rate, vanish_at_s, back_after_s, on_return, restart_at_s)
    if seconds is not None and vanish_at_s is not None and vanish_at_s >= seconds:
        raise FirsthandError(f"vanish_at_s is {vanish_at_s}, but the pattern ends after {seconds} s; let it vanish before")
    life = Start(start_ns)
    losses = LossLog(Path(log) if log else None)

    def make(spec: StreamSpec, prepare: Callable[[], Callable[[int], Any]], buffer: int, k: int, link: Link) -> Driver:
        if not spec.rate_hz or spec.rate_hz <= 0 or buffer < 1:
            raise FirsthandError(f"{spec.name!r} needs a rate above 0 and a buffer of 1 or more, got {spec.rate_hz} Hz and {buffer}")
        schedule = Schedule(spec.rate_hz, link, faults, (seed, k), drift_ppm=drift_ppm, jitter_ns=_JITTER_NS, seconds=seconds)
        return PatternDriver(spec, prepare, schedule, buffer, life, faults, losses)

    named = [*(_checked(PatternCamera, table) for table in cameras), *(_checked(PatternSensor, table) for table in sensors)]
    return [part.driver(make, k, seed) for k, part in enumerate(named or [PatternCamera("camera")])]


def _checked(kind: Any, table: Mapping[str, Any]) -> Any:
    known = [f.name for f in fields(kind)]
    for key in table:
        if key not in known:
            raise unknown(f"option of a {kind.__name__}", key, known)
    if "name" not in table:
        raise FirsthandError(f"a {kind.__name__} has no name; give each camera and sensor of the pattern its own")
    try:
        return kind(**table)
    except (TypeError, ValueError) as error:
        raise FirsthandError(f"{table['name']!r}: {error}") from error


class PatternDriver:
    """One stream of a pattern device; a `Driver`. Host stamps are real: the monotonic clock when the sample was read."""

    calibration = Calibration()

    def __init__(self, spec: StreamSpec, prepare: Callable[[], Callable[[int], Any]], schedule: Schedule, buffer: int, life: Start,
                 faults: Faults, losses: LossLog) -> None:
        self.name, self.streams, self.schedule = spec.name, (spec,), schedule
        self._prepare, self._buffer, self._life, self._faults, self._losses = prepare, buffer, life, faults, losses
        self._make: Callable[[int], Any] | None = None
        self._opened = self._has_lived = False
        self._saw_it_go = False

    def read(self, timeout_s: float) -> list[Sample] | None:
        """What arrived, as it arrives; None at the end of its life. Raises `FirsthandError` when the device vanishes."""
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            host_ns = time.monotonic_ns()
            now_ns = host_ns - self._life.ns()
            away = self._faults.away_ns
            if away and now_ns >= away[0] and not self._saw_it_go:
                self._saw_it_go = True
                self._lose("away", self.schedule.due(now_ns))
                raise FirsthandError(f"{self.name} is gone; its pattern was told to vanish after {self._faults.vanish_at_s:g} s")
            due = self.schedule.due(now_ns)
            if not self._opened:  # what came before anyone listened
                self._opened = True
                if self._has_lived or self._life.given:
                    self._lose("away", due)
                    due = []
            self._has_lived = True
            if samples := self._delivered(due, host_ns):
                return samples
            ahead = [at for at in (self.schedule.next_ns(), away[0] if away and not self._saw_it_go else None) if at is not None]
            if not ahead:
                return None
            if host_ns >= deadline_ns:
                return []
            time.sleep(max(min(deadline_ns - host_ns, min(ahead) - now_ns), 0) * 1e-9)

    def _delivered(self, due: list[Taken], host_ns: int) -> list[Sample]:
        """What transport lets through and the device's buffer held."""
        assert self._make is not None
        self._lose("transport", [taken for taken in due if taken.lost])
        come = [taken for taken in due if not taken.lost]
        self._lose("buffer", come[self._buffer :])
        return [Sample(self.name, t.device_ns, host_ns, t.sequence, self._make(t.sequence)) for t in come[: self._buffer]]

    def _lose(self, why: Any, taken: list[Taken]) -> None:
        self._losses.add(self.name, why, [(t.boot, t.sequence) for t in taken])

    def __enter__(self) -> Self:
        if self._has_lived or self._life.given:
            now_ns = time.monotonic_ns() - self._life.ns()
            if self._faults.is_away(now_ns):
                self._saw_it_go = True
                raise FirsthandError(f"{self.name} is not there; its pattern was told to be away for now")
            self._saw_it_go = self._faults.away_ns is not None and now_ns >= self._faults.away_ns[0]
        if self._make is None:
            self._make = self._prepare()
        self._opened = False
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
