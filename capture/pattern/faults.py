"""What goes wrong with a pattern device, and when: it is away, it starts anew, samples do not come through."""

from dataclasses import dataclass
from typing import Literal, get_args

from firsthand.capture.errors import FirsthandError

OnReturn = Literal["restarted", "continued"]


@dataclass(frozen=True)
class Boot:
    """One run of the device's counter and clock, nanoseconds from the start of its life."""

    start_ns: int
    stop_ns: int | None


@dataclass(frozen=True)
class Faults:
    """All times count from the start of the device's life, in seconds."""

    drop_rate: float = 0.0
    """Share of the samples that transport loses."""
    vanish_at_s: float | None = None
    back_after_s: float | None = None
    """How long it is away; None: for good."""
    on_return: OnReturn = "restarted"
    """``restarted``: with a new counter and a new clock, as something unplugged; ``continued``: as something out of radio range."""
    restart_at_s: float | None = None
    """When counter and clock start anew without any other sign."""

    def __post_init__(self) -> None:
        if not 0 <= self.drop_rate < 1:
            raise FirsthandError(f"drop_rate is {self.drop_rate}; it is the share of the samples that get lost, 0 to less than 1")
        if self.on_return not in get_args(OnReturn):
            raise FirsthandError(f"on_return is {self.on_return!r}; it is 'restarted' or 'continued'")
        if self.back_after_s is not None and self.vanish_at_s is None:
            raise FirsthandError("back_after_s says how long the device is away; say with vanish_at_s when it goes")
        for name in ("vanish_at_s", "back_after_s", "restart_at_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise FirsthandError(f"{name} is {value}; it must be more than 0 seconds")

    @property
    def away_ns(self) -> tuple[int, int | None] | None:
        """From when to when the device is away; None for ever, or (the whole) for never."""
        if self.vanish_at_s is None:
            return None
        stop_s = None if self.back_after_s is None else self.vanish_at_s + self.back_after_s
        return round(self.vanish_at_s * 1e9), None if stop_s is None else round(stop_s * 1e9)

    def is_away(self, t_ns: int) -> bool:
        """Whether the device is not there at a time."""
        return self.away_ns is not None and self.away_ns[0] <= t_ns and (self.away_ns[1] is None or t_ns < self.away_ns[1])

    def boots(self) -> list[Boot]:
        """The runs of the counter, in order."""
        edges: list[tuple[int, int | None]] = []  # (one run stops, the next starts)
        if self.restart_at_s is not None:
            edges.append((round(self.restart_at_s * 1e9), round(self.restart_at_s * 1e9)))
        if self.away_ns and (self.on_return == "restarted" or self.away_ns[1] is None):
            edges = [edge for edge in edges if not self.is_away(edge[0])] + [self.away_ns]
        boots, start = [], 0
        for stop, following in sorted(edges, key=lambda edge: edge[0]):
            boots.append(Boot(start, stop))
            if following is None:
                return boots
            start = following
        return [*boots, Boot(start, None)]
