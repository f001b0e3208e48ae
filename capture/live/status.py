"""What a running recorder says of itself: plain values, to be shown, sent as JSON, and read by `firsthand monitor`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["opening", "ready", "recording", "stopped"]
DeviceState = Literal["opening", "running", "vanished", "ended", "failed"]
FOLDER, FILE = ".recorder", "status.json"
"""Where in a library the status of the recorder that is running there lies."""


@dataclass(frozen=True)
class DeviceStatus:
    """One device of the rig."""

    name: str
    state: DeviceState
    """``vanished``: was there and is looked for every second; ``ended``: has no more to give; ``failed``: its process is gone for good."""
    required: bool
    reason: str = ""
    """Why it is not running, one sentence."""
    since_s: float = 0.0
    """How long it has been in this state."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Packets that did not become a sample since it was opened, by reason."""
    rejected_s: float | None = None
    """How long ago the last of them was told of; None where there was none."""


@dataclass(frozen=True)
class StreamStatus:
    """One stream, over the last few seconds and over the take."""

    name: str
    device: str
    nominal_hz: float | None
    rate_hz: float
    """Samples that arrived in the last two seconds, over time."""
    samples: int
    """In this take."""
    missing: int
    """Samples the device's own sequence says are missing in this take."""
    dropped: int
    """Samples this machine had to let go in this take: memory full, or encoding too slow."""
    age_s: float | None
    """Since the last sample arrived; None before the first."""
    drift_ppm: float | None
    """How much faster the session clock runs than the device's, estimated live."""
    size_bps: float = 0.0
    """Bytes a second to disk."""


@dataclass(frozen=True)
class DiskStatus:
    """Where the takes go."""

    free_bytes: int
    minutes_left: float | None
    """At the present rate; None before there is one."""
    sync_p99_ms: float
    """Of the writer's syncs."""
    memory_fill: float
    """Of the fullest device's shared memory, 0 to 1: how far the writer is behind."""


@dataclass(frozen=True)
class Message:
    """Something the person should know."""

    level: Literal["info", "warn", "error"]
    text: str
    t_ns: int
    """Host's monotonic clock."""


@dataclass(frozen=True)
class TakeStatus:
    """A take that is over, or is being finished."""

    path: str
    """Its folder."""
    state: Literal["finishing", "finished", "interrupted", "failed"]
    duration_s: float
    samples: Mapping[str, int]
    gaps: int
    """Rows of ``gaps``: runs of samples that are missing."""
    reason: str = ""


@dataclass(frozen=True)
class Status:
    """Everything at one moment."""

    t_ns: int
    """Host's monotonic clock."""
    state: State
    take: str
    """Folder of the take that is being recorded, or empty."""
    recorded_s: float
    """Of the running take, pre-roll not counted."""
    devices: tuple[DeviceStatus, ...]
    streams: tuple[StreamStatus, ...]
    disk: DiskStatus | None
    takes: tuple[TakeStatus, ...]
    """Of this run of the recorder, oldest first."""
    messages: tuple[Message, ...]
    """The last few, oldest first."""

    @property
    def missing_devices(self) -> tuple[DeviceStatus, ...]:
        """Required devices that are not running: no take can begin."""
        return tuple(d for d in self.devices if d.required and d.state != "running")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, lossless."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Status":
        """What `to_json` gave."""
        lists = {"devices": DeviceStatus, "streams": StreamStatus, "takes": TakeStatus, "messages": Message}
        made = {key: tuple(kind(**item) for item in document[key]) for key, kind in lists.items()}
        disk = None if document["disk"] is None else DiskStatus(**document["disk"])
        return cls(**{**document, **made, "disk": disk})
