"""Training formats by name, and the two verbs: export episodes, validate a dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.capture import plugins
from firsthand.capture.certificate import certify
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sha256, whole_folder
from firsthand.capture.library import Episode
from firsthand.datasets.export_report import REPORT, ExportReport, changed_files
from firsthand.datasets.rows import Frame
from firsthand.datasets.selection import Progress, Selection, select
from firsthand.datasets.video_writer import VideoOptions

FORMATS: dict[str, str] = {
    "lerobot-v3": "firsthand.datasets.lerobot_v3:FORMAT",
}
"""Name on the command line -> ``"module:object"`` of its `ExportFormat`. One line a format."""


@dataclass(frozen=True)
class ExportFormat:
    """One training format: three functions and a name."""

    name: str
    write: Callable[[Selection, Path, VideoOptions, Progress | None], Sequence[str]]
    """Fill an empty folder; returns what the format lost, one sentence each. Progress is in rows."""
    validate: Callable[[Path, Progress | None], list[str]]
    """What is wrong with a dataset, one sentence each; every row and every picture is read."""
    recognises: Callable[[Path], bool]
    """Whether a folder looks like this format, by a glance at its metadata."""
    report_in: str = "."
    """Folder of the dataset in which the report lies."""


def export(episodes: Sequence[Episode], out: Path, *, format: str, robot: str, fps: int | None = None, frame: Frame | None = None,
           video: VideoOptions | None = None, progress: Progress | None = None) -> ExportReport:
    """Write episodes as a new dataset folder `out`, whole or not at all.

    `fps` resamples; None keeps the cameras' own whole rate. `frame` is what poses refer to; None keeps them as they are.
    `progress` counts rows. Raises `FirsthandError` for an unknown format, missing actions, episodes that do not fit together,
    and a folder that is already there.
    """
    chosen: ExportFormat = plugins.find("formats", FORMATS, format)
    options = video or VideoOptions()
    with whole_folder(out) as part:
        selection = select(episodes, robot, fps=fps, frame=frame)
        losses = [*selection.losses, *chosen.write(selection, part, options, progress)]
        parameters = {"robot": robot, "fps": selection.fps, "frame": selection.frame, "gop": options.gop, "crf": options.crf}
        inputs = {episode.id: _hashes(episode, robot) for episode, _ in selection.episodes}
        outputs = {str(file.relative_to(part)): sha256(file) for file in sorted(part.rglob("*")) if file.is_file()}
        report = ExportReport(format, out, len(selection.episodes), selection.frames, selection.left_out, tuple(losses), parameters,
                              inputs, {episode.id: _timing(episode) for episode, _ in selection.episodes}, outputs)
        report.write(part / chosen.report_in)
    return report


def validate(path: Path, progress: Progress | None = None) -> list[str]:
    """What is wrong with a dataset of any known format, one sentence each; empty when it is sound.

    Raises `FirsthandError` when no format recognises the folder.
    """
    found = recognise(path)
    return [*changed_files(path, path / found.report_in / REPORT), *found.validate(path, progress)]


def recognise(path: Path) -> ExportFormat:
    """The format of a dataset. Raises `FirsthandError` when it is none that is known."""
    for name in plugins.names("formats", FORMATS):
        found: ExportFormat = plugins.find("formats", FORMATS, name)
        if found.recognises(path):
            return found
    raise FirsthandError(f"{path} is not a dataset of a known format (there are: {', '.join(plugins.names('formats', FORMATS))})")


def _timing(episode: Episode) -> dict[str, Any]:
    with episode.recording() as recording:
        return certify(recording).to_json()


def _hashes(episode: Episode, robot: str) -> dict[str, str]:
    files = (episode.recording_path, episode.hands_path, episode.actions_path(robot), episode.annotations_path)
    return {path.name: sha256(path) for path in files if path.exists()}
