"""Bringing what others recorded into a library: which importer reads what, and never the same take twice."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import sha256 as sha256_of
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import need_space, only_one, reason, sha256, sync_path
from firsthand.capture.intake import Asked, Found, Importer, Intake
from firsthand.capture.library import Episode, imported, new_session
from firsthand.capture.plugins import find, names

IMPORTERS: dict[str, str] = {
    "egodex": "firsthand.annotate.labelled_import:egodex",
    "egoverse": "firsthand.annotate.labelled_import:egoverse",
    "aria": "firsthand.capture.importers.aria:aria",
    "gopro": "firsthand.capture.importers.gopro:gopro",
    "realsense": "firsthand.capture.importers.realsense:realsense",
    "lerobot": "firsthand.annotate.labelled_import:lerobot",
    "mcap": "firsthand.annotate.labelled_import:mcap",
    "robomimic": "firsthand.annotate.labelled_import:robomimic",
    "webdataset": "firsthand.annotate.labelled_import:webdataset",
    "xdf": "firsthand.capture.importers.xdf:xdf",
    "video": "firsthand.capture.importers.video:video",
}
"""Name -> ``"module:function"`` of an `Importer`; the first to recognise a source has it, so the particular stand before the general.
The function may be in a later layer. One line an importer."""

MARGIN_BYTES = 2**20
"""What a recording takes besides the packets."""
STAGING = ".import-"


def recognise(source: Path, asked: Asked, name: str | None = None) -> tuple[str, Found] | None:
    """The importer that reads a source and what it finds there; None when there is none for it.

    With `name` that importer, or `FirsthandError` when the source is nothing for it.
    """
    for candidate in [name] if name else names("importers", IMPORTERS):
        read: Importer = find("importers", IMPORTERS, candidate)
        try:
            found = read(source, asked)
        except OSError as error:
            raise FirsthandError(f"cannot read {source}: {reason(error)}") from error
        if found is not None:
            return candidate, found
    if name:
        raise FirsthandError(f"{source} is nothing that the importer {name!r} reads; leave '--as' out to have it recognised")
    return None


def content_of(source: Path, found: Found) -> str:
    """What tells a source from every other: the SHA-256 of its one file, or of the hashes of several and their places in its folder.

    What the source itself is called, and where it is, does not matter.
    """
    try:
        files = [(path, file) for path in found.identity or (source,) for file in _files_of(path)]
        if files == [(source, source)]:
            return _hash_of(source, *_state(source))
        hashes = [(file.relative_to(path).as_posix(), _hash_of(file, *_state(file))) for path, file in files]
    except OSError as error:
        raise FirsthandError(f"cannot read {source}: {reason(error)}") from error
    return sha256_of(json.dumps(hashes).encode()).hexdigest()


def refusal_of(source: Path, found: Found) -> str:
    """What has to change before a bad source is tried again: its content, and of a folder also any file that is no part of that."""
    content = content_of(source, found)
    if not source.is_dir():
        return content
    states = [(file.relative_to(source).as_posix(), *_state(file)) for file in _files_of(source)]
    return sha256_of(json.dumps([content, states]).encode()).hexdigest()


def _files_of(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def _state(path: Path) -> tuple[int, int]:
    return path.stat().st_size, path.stat().st_mtime_ns


@lru_cache(maxsize=4096)
def _hash_of(path: Path, _size: int, _mtime_ns: int) -> str:
    """Hundreds of takes may share one source, which is read through only once."""
    return sha256(path)


def import_file(source: Path, library: Path, *, task: str = "", wearer: str = "w00", hfov_deg: float | None = None,
                importer: str | None = None, progress: Callable[[int, int], None] | None = None) -> tuple[Episode, bool]:
    """Import a source of one take as a session of one episode, in this process; returns it and whether it is new.

    A source whose content is in the library already is not imported again. When anything is wrong with it, nothing is written.
    """
    asked = Asked(task, hfov_deg)
    found = look(source, asked, importer)
    if len(found.takes) != 1:
        raise FirsthandError(f"{source} holds {len(found.takes)} episodes; import it with 'firsthand import', which takes them all")
    return import_take(source, found, 0, library, asked, wearer=wearer, progress=progress)


def look(source: Path, asked: Asked, importer: str | None = None) -> Found:
    """What a source that a person named holds. Raises `FirsthandError` when that is nothing we read."""
    if not source.exists():
        raise FirsthandError(f"no such file: {source}")
    if not source.is_dir() and not source.is_file():
        raise FirsthandError(f"{source} is neither a file nor a folder")
    known = recognise(source, asked, importer)
    if known:
        return known[1]
    if source.is_dir():
        raise FirsthandError(f"{source} is a folder; name the files in it, such as {source}/*.mp4")
    raise FirsthandError(f"{source} is no kind of file firsthand imports (it reads {', '.join(names('importers', IMPORTERS))})")


def import_take(source: Path, found: Found, number: int, library: Path, asked: Asked, *, wearer: str = "w00",
                progress: Callable[[int, int], None] | None = None) -> tuple[Episode, bool]:
    """Import one take of a source; returns its episode and whether it is new. The takes of one source share a session.

    May run in several processes at once, also for the same take. The episode appears whole or not at all.
    """
    if library.exists() and not library.is_dir():
        raise FirsthandError(f"cannot write to {library}: it is a file; a library is a folder")
    content, name = content_of(source, found), f"{number:03d}"
    try:
        library.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FirsthandError(f"cannot write to {library}: {reason(error)}") from error
    with only_one(library):
        if known := _episode_of(library, content, name):
            return known, False
        size = sum(file.stat().st_size for path in (source, *found.files) for file in _files_of(path))
        need_space(library, size // len(found.takes) * 102 // 100 + MARGIN_BYTES)
    with _staging(library) as folder:
        made = folder / name
        made.mkdir()
        try:
            found.takes[number].write(Intake(Episode(made), asked, {source.name: content}, progress or (lambda done, total: None)))
        except FirsthandError as error:
            if str(made) not in str(error):
                raise
            # What the recorder would say of a take tells of a hidden folder, which will be gone.
            fault = error.__cause__
            why = reason(fault) if isinstance(fault, OSError) else str(error).replace(str(Episode(made).recording_path), "its recording")
            raise type(error)(f"cannot import {source} into {library}: {why}") from error
        for file in filter(Path.is_file, made.rglob("*")):
            sync_path(file)
        with only_one(library):
            if known := _episode_of(library, content, name):
                return known, False
            session = next((library / s for s in imported(library).get(content, ())), None)
            if session is None:
                tasks = (asked.task,) if asked.task else found.tasks
                with new_session(library, source.stem, wearer=wearer, tasks=tasks, consent=asked.consent,
                                 inputs={source.name: content}) as part:
                    os.replace(made, part / name)
            else:
                shutil.rmtree(session / name, ignore_errors=True)  # one whose recording somebody removed
                os.replace(made, session / name)
                sync_path(session)
            episode = _episode_of(library, content, name)
    if episode is None:
        raise FirsthandError(f"{library} lost what was just imported from {source}; import it again")
    return episode, True


def _episode_of(library: Path, content: str, name: str) -> Episode | None:
    """The episode that was imported from that take of a source of this content, if it is still there."""
    found = (Episode((library / session / name).resolve()) for session in imported(library).get(content, ()))
    return next((episode for episode in found if episode.recording_path.exists()), None)


@contextmanager
def _staging(library: Path) -> Iterator[Path]:
    """A hidden folder in the library, locked while this process uses it, and gone afterwards."""
    with only_one(library):
        folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=library))
        handle = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def sweep(library: Path) -> None:
    """Remove what imports that were killed have left in a library; those that run are let be."""
    if not library.is_dir():
        return
    with only_one(library):
        for folder in library.glob(f"{STAGING}*"):
            handle = _lock(folder)
            if handle is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _lock(folder: Path) -> int | None:
    """Hold a folder until the descriptor is closed or the process ends; None when another holds it, or the system has no such lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
        return handle
    return None
