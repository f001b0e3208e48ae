"""What an importer is given and gives back: the options that were asked for, what a source holds, and one take of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from firsthand.capture.calibration import Calibration
from firsthand.capture.errors import unknown
from firsthand.capture.files import Provenance
from firsthand.capture.library import Episode
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.wire_formats.manus import AXES

Rung = Literal["teleop", "wearable", "egocentric", "fleet", "simulation"]
"""Where on the data ladder a recording comes from."""


@dataclass(frozen=True)
class Asked:
    """What the person who imports said; the same for every source of one call. Plain JSON values."""

    task: str = ""
    """What the wearer was doing; wins over what a source says."""
    hfov_deg: float | None = None
    """Horizontal field of view, for a camera whose optics are not known."""
    keep_gps: bool = False
    """Places are dropped unless asked for."""
    keep_eyes: bool = False
    """Pictures of the wearer's eyes, and where they looked, are dropped unless asked for."""
    source: Rung | None = None
    """The rung of the data ladder; None for what the importer takes it to be."""
    consent: Mapping[str, Any] | None = None
    """What the people in it agreed to, for the session's document."""
    hand_axes: str = "unity"
    """Axes of hands whose messages do not tell them: one of `wire_formats.manus.AXES`."""

    def __post_init__(self) -> None:
        if self.source is not None and self.source not in get_args(Rung):
            raise unknown("source", self.source, get_args(Rung))
        if self.hand_axes not in AXES:
            raise unknown("axes of hands", self.hand_axes, AXES)


@dataclass(frozen=True)
class Intake:
    """One take on its way into a library: where it goes, and what is known of it."""

    episode: Episode
    """An empty folder to fill: ``recording.h5``, and whatever other files of an episode the source can tell."""
    asked: Asked
    inputs: Mapping[str, str]
    """Content hash of the source, by name, for the provenance."""
    progress: Callable[[int, int], None]
    """To be called (done, total) at least every few seconds: who is silent for long is taken to hang."""

    def recording(self, stage: str, *, source: Rung, task: str = "", calibration: Calibration | None = None,
                  **parameters: Any) -> RecordingWriter:
        """The writer of the take's ``recording.h5``, to be used with ``with``. `stage` is such as ``"import-video/1"``."""
        return RecordingWriter(self.episode.recording_path, task=self.asked.task or task, source=self.asked.source or source,
                               calibration=calibration,
                               provenance=Provenance(self.inputs, parameters, stage))


@dataclass(frozen=True)
class Take:
    """One episode of a source, not read yet."""

    name: str
    """Tells it from the others of the source, such as ``"demo_12"``; the source's own name where there is one only."""
    write: Callable[[Intake], None]
    """Reads it and fills the episode's folder. Raises `DamagedError` when the content is at fault."""


@dataclass(frozen=True)
class Found:
    """What an importer makes of a source, from a look at its beginning or its index."""

    takes: tuple[Take, ...]
    """In order; number i becomes the episode ``i`` of the source's session. Cheap to list: hundreds are usual."""
    identity: tuple[Path, ...] = ()
    """Files whose content tells this source from any other; for a data set its index will do. The source itself if not given."""
    files: tuple[Path, ...] = ()
    """Every file or folder that is read besides, so that a search of their folder does not import them by themselves as well."""
    tasks: tuple[str, ...] = field(default=())
    """What the session's document names as its tasks."""


class Importer(Protocol):
    """One function. The line in `IMPORTERS` is its address."""

    def __call__(self, source: Path, asked: Asked) -> Found | None:
        """What there is to import at `source`, a file or a folder; None when it is not of this importer's kind.

        Decided by name and first bytes, in milliseconds: it is asked of every file of a folder. Damage is told when a take is written.
        """
