"""Where the hands of a recording are taken from: a device's own tracking, the pictures, both, or a file of another program."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.retarget import device_hands
from firsthand.retarget.device_source import best_source, device_sources
from firsthand.retarget.external_hands import PREFIX, external_parameters, external_path
from firsthand.retarget.tracker import DEFAULT_TRACKER, TRACKERS, Tracker

AUTO, DEVICE = "auto", "device"


@dataclass(frozen=True)
class HandWay:
    """Where hands are taken from; from neither, there are none."""

    device: bool
    """Whether a device's own tracking comes first."""
    tracker: str | None
    """What looks at the pictures for what the device does not tell; None for nothing."""
    file: Path | None = None
    """What another program found in the pictures, in place of a tracker."""

    @property
    def parameters(self) -> dict[str, Any]:
        """What decides the result, as plain JSON."""
        told = dict(external_parameters(self.file) if self.file else _tracker(self.tracker).parameters if self.tracker else {})
        return {**told, "device_hands": device_hands.PARAMETERS} if self.device else told


def check_way(name: str) -> None:
    """Raises `FirsthandError` when nobody knows this name: `AUTO`, `DEVICE`, ``npz:PATH``, or that of a tracker."""
    if name.startswith(PREFIX):
        if not Path(name.removeprefix(PREFIX)).expanduser().exists():
            raise FirsthandError(f"there is nothing at {name.removeprefix(PREFIX)}; after npz: comes a file of hands, or the folder of "
                                 "'firsthand frames' with hands.npz in it")
    elif name not in (AUTO, DEVICE):
        _tracker(name)


def looks_at_pictures(name: str) -> bool:
    """Whether a tracker of ours may be needed."""
    return name != DEVICE and not name.startswith(PREFIX)


def hand_way(name: str, recording: Recording) -> HandWay:
    """What a name means for a recording. Raises `FirsthandError` for a name nobody knows, `DamagedError` when it cannot be had here."""
    if name not in (AUTO, DEVICE) or recording.role("camera"):
        camera: str | None = recording.camera().spec.name
    else:
        camera = None
    if name.startswith(PREFIX):
        return HandWay(False, None, external_path(name, Episode(recording.path.parent)))
    if name not in (AUTO, DEVICE):
        return HandWay(False, _known(name))
    if best_source(recording, camera) is not None or camera is None:
        return HandWay(True, DEFAULT_TRACKER if name == AUTO and camera else None)
    if name == AUTO:
        return HandWay(False, DEFAULT_TRACKER)
    there = ", ".join(source.names for source in device_sources(recording)) or "none"
    raise DamagedError(f"{recording.path} has no hands of a device that knows where they were (streams of hands: {there}); "
                       "track the pictures with '--tracker auto'")


def _known(name: str) -> str:
    _tracker(name)
    return name


def _tracker(name: str) -> Tracker:
    tracker: Tracker = find("trackers", TRACKERS if name in TRACKERS else {**TRACKERS, AUTO: "", DEVICE: "", f"{PREFIX}PATH": ""}, name)()
    return tracker
