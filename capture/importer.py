"""Bringing existing files into a library: which importer reads what, and never the same file twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import need_space, only_one, reason, sha256
from firsthand.capture.library import Episode, imported, new_session
from firsthand.capture.plugins import find

IMPORTERS: dict[str, str] = {
    "video": "firsthand.capture.importers.video:import_video",
}
"""Name -> ``"module:function"`` of an `Importer`. One line an importer."""

SUFFIXES: dict[str, str] = dict.fromkeys((".mp4", ".mov", ".mkv", ".m4v", ".webm", ".avi"), "video")
"""File ending -> importer, where the ending tells."""

MARGIN_BYTES = 2**20
"""What a recording takes besides the packets."""


class Importer(Protocol):
    """Writes what a file holds into the (not yet existing) ``recording.h5`` of an episode."""

    def __call__(self, source: Path, recording: Path, *, task: str, hfov_deg: float | None, content: str,
                 progress: Callable[[int, int], None] | None) -> None:
        """`content` is the file's SHA-256, for the provenance. Raises `FirsthandError` when the file is not what it should be."""


def import_file(source: Path, library: Path, *, task: str = "", wearer: str = "w00", hfov_deg: float | None = None,
                importer: str | None = None, progress: Callable[[int, int], None] | None = None) -> tuple[Episode, bool]:
    """Import one file as a session of one episode; returns it and whether it is new.

    A file whose content is in the library already is not imported again. When anything is wrong with the file, nothing is written.
    """
    if not source.exists():
        raise FirsthandError(f"no such file: {source}")
    if source.is_dir():
        raise FirsthandError(f"{source} is a folder; name the files in it, such as {source}/*.mp4")
    name = importer or SUFFIXES.get(source.suffix.lower())
    if name is None:
        raise FirsthandError(f"{source} is no kind of file firsthand imports (it reads {' '.join(sorted(SUFFIXES))})")
    if library.exists() and not library.is_dir():
        raise FirsthandError(f"cannot write to {library}: it is a file; a library is a folder")
    read: Importer = find("importers", IMPORTERS, name)
    try:
        content = sha256(source)
    except OSError as error:
        raise FirsthandError(f"cannot read {source}: {reason(error)}") from error
    try:
        library.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FirsthandError(f"cannot write to {library}: {reason(error)}") from error
    with only_one(library):
        if known := _episode_of(library, content):
            return known, False
        need_space(library, source.stat().st_size * 102 // 100 + MARGIN_BYTES)
        with new_session(library, source.stem, wearer=wearer, tasks=(task,) if task else (), inputs={source.name: content}) as session:
            read(source, Episode(session / "000").recording_path, task=task, hfov_deg=hfov_deg, content=content, progress=progress)
        made = _episode_of(library, content)
    if made is None:
        raise FirsthandError(f"{library} lost what was just imported from {source}; import it again")
    return made, True


def _episode_of(library: Path, content: str) -> Episode | None:
    """The episode that was imported from a file of this content, if it is still there."""
    found = (Episode((library / session / "000").resolve()) for session in imported(library).get(content, ()))
    return next((episode for episode in found if episode.recording_path.exists()), None)
