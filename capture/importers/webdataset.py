"""WebDataset: a tar of clips, a take each: ``<key>.mp4`` with ``.json``, ``.txt`` and ``.npy`` beside. Nothing is unpacked to disk."""

import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.clip import open_clip
from firsthand.capture.importers.tracks import numbers, stream_name, timed, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.places import tell_place, without_places
from firsthand.capture.source_labels import SourceLabels

STAGE = "import-webdataset/1"
SUFFIXES = (".tar", ".tar.gz", ".tgz")
FILMS = ("mp4", "mov", "mkv", "webm")
TEXTS = ("task", "instruction", "caption", "text", "prompt")
"""Where a clip's ``.json`` may say what is done, first come."""
RUNGS = ("teleop", "wearable", "egocentric", "fleet", "simulation")
LARGEST_TEXT, LARGEST_ARRAY = 2**22, 2**30
Members = dict[str, tarfile.TarInfo]


def webdataset(source: Path, asked: Asked) -> Found | None:
    """A tar whose first clip has a film; a damaged one is told when it is read."""
    if not source.name.lower().endswith(SUFFIXES) or not source.is_file():
        return None
    try:
        clips = _clips(source)
    except DamagedError as error:
        told = error

        def refuse(intake: Intake) -> None:
            raise told

        return Found((Take(source.stem, refuse),))
    takes = tuple(Take(key, lambda intake, key=key: _write(source, key, intake)) for key, members in clips.items()  # type: ignore[misc]
                  if any(kind in members for kind in FILMS))
    return Found(takes) if takes else None


def _clips(source: Path) -> dict[str, Members]:
    """The members by key, then by what follows its first dot. Raises `DamagedError`: a tar cut off, or one that is meant to harm."""
    clips: dict[str, Members] = {}
    with _open(source) as tar:
        for member in tar:
            folder, _, name = member.name.rpartition("/")
            if member.name.startswith(("/", "\\")) or ".." in member.name.replace("\\", "/").split("/"):
                raise DamagedError(f"cannot import {source}: the member {member.name!r} points out of the archive; it is not to be trusted")
            if member.isdir():
                continue
            if not member.isreg():
                raise DamagedError(f"cannot import {source}: the member {member.name!r} is a link or a device, not a file")
            key, _, kind = name.partition(".")
            members = clips.setdefault(f"{folder}/{key}" if folder else key, {})
            if kind.lower() in members:
                raise DamagedError(f"cannot import {source}: {member.name!r} is in it twice")
            members[kind.lower()] = member
        _end(source, tar)
    return clips


@contextmanager
def _open(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:*") as tar:
            yield tar
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        what = str(error).partition("\n")[0]
        raise DamagedError(f"cannot import {source}: the tar is cut off or damaged ({what}); copy it again") from error


def _end(source: Path, tar: tarfile.TarFile) -> None:
    """Python's reader takes a header it cannot read for the end of the archive: see that the end's zeros are there."""
    last = max(tar.getmembers(), key=lambda member: member.offset_data, default=None)
    file: Any = tar.fileobj
    file.seek(0 if last is None else last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        after = f" after {last.name!r}" if last else ""
        raise DamagedError(f"cannot import {source}: the tar is cut off or damaged{after}; copy it again")


def _write(source: Path, key: str, intake: Intake) -> None:
    members = _clips(source)[key]
    kind = next(kind for kind in FILMS if kind in members)
    with _open(source) as tar:
        about = _json(source, tar, members.get("json"))
        left_out = []
        if not intake.asked.keep_gps:
            about = without_places(about)
            left_out = [name for name in members if name.endswith(".npy") and tell_place([name])]
        plain = _bytes(source, tar, members["txt"], LARGEST_TEXT).decode("utf-8", "replace").strip() if "txt" in members else ""
        arrays = {name.removesuffix(".npy"): _array(source, tar, member) for name, member in members.items()
                  if name.endswith(".npy") and name not in left_out}
        rows = {name: len(values) for name, values in arrays.items()}
        if len(set(rows.values())) > 1:
            raise DamagedError(f"cannot import {source}: the arrays of {key!r} differ in length ({rows})")
        with _film(source, tar, members[kind]) as film, \
                open_clip(film, f"{source}, {key}.{kind}", "head", count=next(iter(rows.values()), None)) as head:
            picture, times = timed(head)
            tracks = [picture]
            for name, values in arrays.items():
                names = _names(about, name, values.shape[1])
                tracks.append(numbers(stream_name(name, [t.spec.name for t in tracks]), "other", names, None, times, values))
            labels = SourceLabels(next((str(about[t]) for t in TEXTS if about.get(t)), plain),
                                  about["success"] if isinstance(about.get("success"), bool) else None)
            rung = about.get("source")
            with intake.recording(STAGE, source=rung if rung in RUNGS else "egocentric",  # type: ignore[arg-type]
                                  task=labels.instruction, key=key, said=about, left_out=left_out) as writer:
                writer.add_stream(labels.spec)
                write_tracks(writer, tracks, intake.progress)
                for sample in labels.samples(int(times()[0])):
                    writer.append(sample)


@contextmanager
def _film(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[BinaryIO]:
    """The film as a file to seek in: in the tar itself where that is not packed."""
    inside: Any = tar.extractfile(member)
    if not source.name.lower().endswith("gz"):
        yield inside
        return
    with tempfile.TemporaryFile() as copy:
        while part := inside.read(2**20):
            copy.write(part)
        copy.seek(0)
        yield copy


def _bytes(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, largest: int) -> bytes:
    if member.size > largest:
        raise DamagedError(f"cannot import {source}: {member.name!r} has {member.size} bytes, more than the {largest} allowed")
    data: bytes = tar.extractfile(member).read()  # type: ignore[union-attr]
    return data


def _json(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> dict[str, Any]:
    if member is None:
        return {}
    try:
        document = json.loads(_bytes(source, tar, member, LARGEST_TEXT))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"cannot import {source}: {member.name!r} is not JSON") from error
    if not isinstance(document, dict):
        raise DamagedError(f"cannot import {source}: {member.name!r} is JSON but no object")
    return document


def _array(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> npt.NDArray[Any]:
    """A NumPy file as (N, C); one with objects, which would be unpickled, is refused."""
    data = io.BytesIO(_bytes(source, tar, member, LARGEST_ARRAY))
    try:
        values = np.load(data, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError) as error:
        raise DamagedError(f"cannot import {source}: {member.name!r} is no array of plain numbers") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub" or values.ndim == 0 or values.size == 0:
        raise DamagedError(f"cannot import {source}: {member.name!r} is no array of plain numbers")
    return values.reshape(len(values), -1)


def _names(about: dict[str, Any], name: str, width: int) -> list[str]:
    """The columns' names, from ``<array>_names`` of the JSON where they are there and fit."""
    given = about.get(f"{name}_names")
    if isinstance(given, list) and len(given) == width and all(isinstance(n, str) and n for n in given):
        return given
    return [str(i) for i in range(width)]
