"""Where a camera's pictures come from, whatever it is connected by: what `CameraDriver` makes streams of."""

from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt


class Incoming(NamedTuple):
    """One picture as it came."""

    host_ns: int
    """The host's monotonic clock, when it was all here."""
    data: bytes | npt.NDArray[np.uint8]
    """A packet; or the picture itself, (H, W, 3) BGR."""
    device_ns: int | None = None
    """What the device, or the kernel for it, stamped; None where nobody did."""
    sequence: int | None = None
    """Its number; None where they are to be counted as they come."""
    problem: str = ""
    """Why it is no picture, in a few words; empty for one that is."""


@dataclass(frozen=True)
class Facts:
    """What a camera that was opened says of itself."""

    encoding: str
    """``jpeg``, ``h264``, ``hevc``, or ``raw`` for pictures that are arrays."""
    size_px: tuple[int, int] | None = None
    """Width and height; None where the first picture is to tell."""
    rate_hz: float | None = None
    monotonic: bool = False
    """Whether stamps are of the host's own monotonic clock."""
    extra: dict[str, Any] = field(default_factory=dict)
    parameter_sets: bytes = b""
    """Of video, where they come beside the packets."""


class Feed(Protocol):
    """Opened with ``with``, any number of times; raises `FirsthandError` when the camera is not there, or is gone."""

    where: str
    """For sentences: what is listened to."""
    check: str
    """For sentences: what to look at when nothing comes."""
    refused: Counter[str]
    """What was not even a picture, by reason."""

    @property
    def facts(self) -> Facts:
        """Known once entered."""

    def receive(self, timeout_s: float) -> list[Incoming]:
        """What has come, oldest first; empty when nothing did in time."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
