"""The driver ``lsl``: any outlet of numbers of the Lab Streaming Layer, with its own stamps, and the comparison of clocks beside them."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self

import numpy as np

from firsthand.capture.calibration import Calibration
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.sources.lsl_inlet import LslInlet, Outlet
from firsthand.capture.stream import Role, Sample, StreamSpec
from firsthand.capture.units import to_si
from firsthand.capture.wire_formats.lsl import LslReader

NEEDS = {"pylsl": "gloves"}
ROLES: dict[str, Role] = {"accelerometer": "imu", "gyroscope": "imu", "magnetometer": "imu", "imu": "imu",
                          "mocap": "pose", "glove": "glove"}
"""By what an outlet says it is."""
SPELLED = {"degrees": "deg", "degree": "deg", "radians": "rad", "meters": "m", "metres": "m", "millimeters": "mm", "millimetres": "mm",
           "seconds": "s", "milliseconds": "ms"}
LEAST_MOST_HZ, UNSTATED_HZ = 500.0, 5000.0


def open_lsl(*, name: str, stream: str = "", source_id: str = "", host: str = "", units: str | Sequence[str] = (), counter: str = "",
             role: Role | None = None, side: Literal["", "left", "right"] = "", about: str = "", timeout_s: float = 1.0) -> list[Driver]:
    """The outlet called `name` as `stream`, and the comparisons of clocks as ``<stream>-clock``.

    `units` where the outlet does not state them, one for all or one for each channel; `counter` is the label of a channel that counts
    samples. Raises `FirsthandError` for options that cannot be.
    """
    if not name or timeout_s <= 0:
        raise FirsthandError(f"name is {name!r} and timeout_s {timeout_s}; name the outlet, and a time above 0")
    ours = stream or "".join(c if c.isalnum() or c in "_-" else "-" for c in name)
    return [LslDriver(ours, LslInlet(name, source_id, host), units, counter, role, side, about, timeout_s)]


class LslDriver:
    """One outlet; a `Driver`. What it delivers is only known when it was found."""

    calibration = Calibration()

    def __init__(self, name: str, source: LslInlet, units: str | Sequence[str], counter: str, role: Role | None,
                 side: Literal["", "left", "right"], about: str, timeout_s: float) -> None:
        self.name, self._source, self._units, self._counter = name, source, units, counter
        self._role, self._side, self._about, self._timeout_s = role, side, about, timeout_s
        self.streams: tuple[StreamSpec, ...] = ()
        self.rejected: Counter[str] = Counter()
        """Samples that were left out since it was opened, by reason."""
        self._messages: MessageDriver

    def read(self, timeout_s: float) -> list[Sample] | None:
        """What came, oldest first. Raises `FirsthandError` when nothing did for a while, or the outlet ended."""
        return self._messages.read(timeout_s)

    def __enter__(self) -> Self:
        outlet = self._source.find()
        labels = tuple(label or f"c{n}" for n, label in enumerate(outlet.labels))
        if len(set(labels)) < len(labels):
            labels = tuple(f"{label}_{n}" for n, label in enumerate(labels))
        if self._counter and self._counter not in labels:
            raise unknown("channel", self._counter, labels)
        units = self._stated(outlet)
        spec = StreamSpec(self.name, "numeric", self._role or ROLES.get(outlet.kind.lower(), "other"), names=labels,
                          units=tuple(unit for _, unit in units), rate_hz=outlet.rate_hz, side=self._side, about=self._about,
                          extra={"lsl": {"name": outlet.name, "type": outlet.kind, "host": outlet.host, "source_id": outlet.source_id}})
        clock = StreamSpec(f"{self.name}-clock", "numeric", "other", names=("offset",), units=("s",), about=self.name,
                           extra={"lsl": "what to add to the sender's stamps to have the host's, by LSL's own comparison"})
        factors, counter = np.array([factor for factor, _ in units]), labels.index(self._counter) if self._counter else None
        most_hz = max(4 * outlet.rate_hz, LEAST_MOST_HZ) if outlet.rate_hz else UNSTATED_HZ
        self._messages = MessageDriver(self.name, (spec, clock), self._source, lambda: LslReader(self.name, factors, counter), raw=None,
                                       timeout_s=self._timeout_s, most_hz=most_hz, check="check that its sender is on and streams")
        self.rejected = self._messages.rejected
        self._messages.__enter__()
        self.streams = self._messages.streams
        return self

    def _stated(self, outlet: Outlet) -> list[tuple[float, str]]:
        """Factor and SI unit of each channel."""
        given = [self._units] * len(outlet.labels) if isinstance(self._units, str) else list(self._units) or list(outlet.units)
        if len(given) != len(outlet.labels):
            raise FirsthandError(f"{len(given)} units are given for the {len(outlet.labels)} channels of {outlet.name}; give one for each")
        return [to_si(SPELLED.get(unit.lower(), unit) or "1") for unit in given]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._messages.__exit__(kind, error, trace)
