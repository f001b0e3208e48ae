"""Interrupted takes made whole: what ``firsthand recover`` does."""

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import close
from pathlib import Path

import h5py

from firsthand.capture.compact import Progress, Recovered, compact, describe
from firsthand.capture.disk import claim
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording
from firsthand.capture.scan import scan
from firsthand.capture.segment import LIVE, places

LEFT = re.compile(r"(?P<recording>.+\.h5)\.(?:part(?:\.(?P<number>\d+))?|journal|tmp|(?:part(?:\.\d+)?|journal)\.new)")
"""What an interrupted take may leave beside the recording it was to be."""


STILLBORN_S = 60
"""Nothing takes as long to lay out a file."""


def recover(path: Path, progress: Progress | None = None) -> list[Recovered]:
    """Finish every interrupted take at `path`: a file one left, or a folder with such files at any depth, hidden ones included.

    Only whole samples go into the recording; what is missing between them is told in its ``gaps``. A take's files are removed once its
    recording is synced and checked, so this may be interrupted and repeated. Raises `FirsthandError` for a file that cannot be
    recovered; in a folder that is told in the result's ``problem`` and the others go on.
    """
    if not path.is_dir():
        named = LEFT.fullmatch(path.name)
        recording = path.with_name(named["recording"]) if named else path
        if not take_files(recording) and not recording.exists():
            raise FirsthandError(f"no interrupted recording at {path}; name a .part file, or a folder that holds some")
        return recover_take(recording, progress)
    found = []
    for recording in sorted({p.with_name(m["recording"]) for p in path.rglob("*.h5.*") if (m := LEFT.fullmatch(p.name))}):
        try:
            found += recover_take(recording, progress)
        except FirsthandError as error:
            found.append(Recovered(recording, {}, {}, 0, str(error)))
    return found


def recover_take(recording: Path, progress: Progress | None = None) -> list[Recovered]:
    """Finish the take whose recording would be at `recording`; an empty list when there is nothing left of one."""
    result = finish_take(recording, progress=progress)
    return [result] if result else []


def finish_take(recording: Path, counts: Mapping[str, int] | None = None, progress: Progress | None = None) -> Recovered | None:
    """From what a take left to its recording, in any process and as often as one likes; None when there is nothing left to do.

    `counts`, what `RecordingWriter.close` returned, says that the take ended in good order: its rows are then checked only in the copy.
    Raises `FirsthandError` when the take is being recorded, or cannot be finished; its files are then as they were.
    """
    files = take_files(recording)
    if not files:
        _remove_stillborn(recording)
        return None
    held = claim(files[0])
    try:
        if recording.exists():
            result = _finished_before(recording, files)
        else:
            result = compact(files, recording, temporary_path(recording), counts=counts, progress=progress)
        remove_take(recording)
    finally:
        close(held)
    return result


def take_files(recording: Path) -> list[Path]:
    """The files of an unfinished take in order: its segments or its journal; only the first when that stands for all."""
    journal, part = recording.with_name(f"{recording.name}.journal"), recording.with_name(f"{recording.name}.part")
    if journal.exists():
        return [journal]
    segments = _segments(recording)
    if segments[:1] == [part]:
        with describe(part) as file:
            return segments if LIVE in file.attrs else [part]
    return segments


def remove_take(recording: Path) -> None:
    """Remove what a take left, once its recording is there: the first file last, for as long as it is there the rest can be understood."""
    left = [p for p in recording.parent.glob(f"{recording.name}.*") if (m := LEFT.fullmatch(p.name)) and m["recording"] == recording.name]
    first = {f"{recording.name}.part", f"{recording.name}.journal"}
    for path in sorted(left, key=lambda p: p.name in first):
        with suppress(FileNotFoundError):
            path.unlink()


def _remove_stillborn(recording: Path) -> None:
    """Remove the first file of a take that ended before it had its name, and before any sample; one that is being made is left alone."""
    for path in recording.parent.glob(f"{recording.name}.*.new"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STILLBORN_S:
                path.unlink()


def temporary_path(recording: Path) -> Path:
    """Where a recording is put together before it gets its name."""
    return recording.with_name(f"{recording.name}.tmp")


def _segments(recording: Path) -> list[Path]:
    named = ((p, LEFT.fullmatch(p.name)) for p in recording.parent.glob(f"{recording.name}.part*"))
    numbered = [(int(m["number"] or 0), p) for p, m in named if m and not p.name.endswith(".new")]
    return [p for _, p in sorted(numbered)]


def _finished_before(recording: Path, files: Sequence[Path]) -> Recovered:
    """The take was interrupted between getting its name and clearing up. Raises `FirsthandError` when it is another take's recording."""
    with Recording(recording) as whole:
        created = whole.created_utc
    saved, damaged = _whole(recording)
    with describe(files[0]) as taken:
        same = created == str(taken.attrs["created_utc"])
    if damaged or not same:
        raise FirsthandError(f"{recording} exists already and is not what {files[0]} would become; move one of them to a folder of its own")
    return Recovered(recording, saved, {}, 0)


def _whole(recording: Path) -> tuple[dict[str, int], bool]:
    """Rows by stream of a finished recording, and whether any does not hold."""
    with h5py.File(recording, "r") as file, recording.open("rb") as raw:
        laid = places(file)
        lost = [chunk.lost for place in laid.values() for chunk in scan(raw.fileno(), place)]
    return {name: place.rows for name, place in laid.items()}, any(lost)
