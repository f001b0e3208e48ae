"""One recorded stream: what it carries (`StreamSpec`) and one reading of it (`Sample`)."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy.typing as npt

Kind = Literal["encoded", "numeric"]
Role = Literal["camera", "depth", "imu", "glove", "pose", "events", "other"]

WHOLE_ENCODINGS = frozenset({"jpeg", "png", "ffv1", "depth-zstd", "json", "csv"})
"""Encodings of which every row can be read by itself; of the others one that starts at a key frame is needed."""
KEYFRAME = 1
"""Flag: decoding can start at this row."""
DISCARD = 2
"""Flag: needed to decode later rows but not to be shown (an edit list cut it off)."""


@dataclass(frozen=True)
class StreamSpec:
    """What one stream carries. Frozen when recording starts and stored with the stream."""

    name: str
    """Unique in the recording: letters, digits, ``_`` and ``-``."""
    kind: Kind
    """``encoded``: one byte string a row (an image, a packet, a JSON event). ``numeric``: one row of numbers."""
    role: Role
    """What later stages use it as."""
    encoding: str = ""
    """For ``encoded``: ``jpeg``, ``png`` (16-bit depth), ``json``, or a codec's FFmpeg name such as ``h264`` or ``hevc``.

    ``raw``, from a driver only: its samples are pictures as arrays, (H, W, 3) BGR uint8 or (H, W) uint16, and are encoded as the rig
    says before they are stored."""
    names: tuple[str, ...] = ()
    """For ``numeric``: one name per column."""
    units: tuple[str, ...] = ()
    """For ``numeric``: one unit per column, SI."""
    rate_hz: float | None = None
    """Nominal rate, where there is one."""
    width_px: int | None = None
    height_px: int | None = None
    about: str = ""
    """The stream this one belongs to: the camera a depth stream is aligned with, or whose pose this is."""
    side: Literal["", "left", "right"] = ""
    clock: Literal["device", "host", "media"] = "device"
    """``device``: own counter, mapped to the session by a `Clock`. ``host``: stamped by the host's kernel with its monotonic clock, which
    is the session's. ``media``: presentation times, already the session's."""
    wrap_ns: int | None = None
    """The range of the device's counter, where it is known to wrap; without it the usual ones are recognised."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Anything else worth keeping, as plain JSON: serial number, firmware, ``depth_unit_m``, ``rotation_deg``."""
    extradata: bytes = b""
    """Codec configuration of a video stream (avcC, hvcC), needed to decode its packets."""

    def __post_init__(self) -> None:
        if not self.name or not all(c.isalnum() or c in "_-" for c in self.name):
            raise ValueError(f"a stream's name is letters, digits, '_' and '-', got {self.name!r}")
        if self.kind == "numeric" and (not self.names or len(self.names) != len(self.units)):
            raise ValueError(f"numeric stream {self.name!r} needs one name and one unit per column")
        if self.kind == "encoded" and not self.encoding:
            raise ValueError(f"encoded stream {self.name!r} needs an encoding")

    @property
    def is_video(self) -> bool:
        """Whether a row can need those before it, back to a key frame, to be decoded."""
        return self.role in ("camera", "depth") and self.kind == "encoded" and self.encoding not in WHOLE_ENCODINGS


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One reading of one stream, stamped before anything else is done with it."""

    stream: str
    device_ns: int
    """The device's own clock, raw, never adjusted."""
    host_ns: int
    """The host's monotonic clock on arrival, raw."""
    sequence: int
    """The device's counter; a step of more than one is a drop and is written down as a gap."""
    data: bytes | memoryview | npt.NDArray[Any]
    """The encoded bytes; or the row of values, shape (C,), or their little-endian float64 bytes; from a driver of a ``raw`` stream the
    picture."""
    flags: int = KEYFRAME
