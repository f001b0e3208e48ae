"""The folder everything lives in: a library of sessions, a session of episodes, an episode of files."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.files import code_version, whole_folder, write_json
from firsthand.capture.recording import Recording

RECORDING, HANDS, ANNOTATIONS, TRUTH, SESSION, STORE = (
    "recording.h5", "hands.h5", "annotations.json", "truth.h5", "session.json", "firsthand.db",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Episode:
    """One take: a folder, to which each stage adds one file and rewrites none of another's."""

    path: Path

    @property
    def id(self) -> str:
        """Session and number, such as ``2026-11-22T101500Z-kitchen-w07/000``; names the episode inside its library."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def library(self) -> Path:
        """The library the episode is in."""
        return self.path.parent.parent

    @property
    def recording_path(self) -> Path:
        """What the devices said."""
        return self.path / RECORDING

    @property
    def hands_path(self) -> Path:
        """Where the hands were."""
        return self.path / HANDS

    @property
    def annotations_path(self) -> Path:
        """What people said of it."""
        return self.path / ANNOTATIONS

    @property
    def truth_path(self) -> Path:
        """What really happened; only for the synthetic wearer."""
        return self.path / TRUTH

    def actions_path(self, robot: str) -> Path:
        """What a robot would do."""
        return self.path / f"actions-{robot}.h5"

    def robots(self) -> list[str]:
        """The robots that have actions here."""
        return sorted(p.stem.removeprefix("actions-") for p in self.path.glob("actions-*.h5"))

    def recording(self) -> Recording:
        """Open the recording."""
        return Recording(self.recording_path)

    def session(self) -> dict[str, Any]:
        """The session's document."""
        return read_session(self.path.parent)


def read_session(folder: Path) -> dict[str, Any]:
    """The document of a session's folder. Raises `DamagedError` when it is missing or no session's."""
    try:
        document = json.loads((folder / SESSION).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{folder / SESSION} is missing or no JSON; every session needs one: restore it from a copy") from error
    if not isinstance(document, dict) or not all(isinstance(document.get(name, {}), dict) for name in ("inputs", "rig")):
        raise DamagedError(f"{folder / SESSION} is not the document of a session; restore it from a copy")
    return document


def find_episodes(path: Path) -> list[Episode]:
    """The episodes of a library, of one session, or the one episode at `path`, in order.

    Raises `FirsthandError` when there is nothing there, or no episode in it.
    """
    if not path.is_dir():
        raise FirsthandError(f"no library at {path}; give the folder that 'firsthand record' or 'firsthand import' wrote to")
    found = sorted(Episode(p.parent.resolve()) for pattern in (RECORDING, f"*/{RECORDING}", f"*/*/{RECORDING}") for p in path.glob(pattern)
                   if not any(part.startswith(".") for part in p.relative_to(path).parts))
    if not found:
        raise FirsthandError(f"no episode in {path}; record one with 'firsthand record' or bring one in with 'firsthand import'")
    return found


def slug(text: str) -> str:
    """A text as part of a folder name: lower-case letters and digits joined by single dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "session"


@contextmanager
def new_session(library: Path, name: str, *, wearer: str = "w00", tasks: tuple[str, ...] = (), rig: Mapping[str, Any] | None = None,
                consent: Mapping[str, Any] | None = None, inputs: Mapping[str, str] | None = None) -> Iterator[Path]:
    """Yield the folder of a new session to fill with episodes ``000``, ``001`` ...; it appears whole or not at all.

    `wearer` is a pseudonym. `inputs` are content hashes of imported files, so that importing twice can be noticed.
    """
    now = datetime.now(UTC)
    stem = f"{now:%Y-%m-%dT%H%M%SZ}-{slug(name)}-{slug(wearer)}"
    taken = (stem if n == 1 else f"{stem}-{n}" for n in range(1, 1000))
    path = next(library / candidate for candidate in taken if not (library / candidate).exists())
    with whole_folder(path) as part:
        write_json(part / SESSION, {
            "format": "firsthand.session", "version": 1, "id": path.name, "created_utc": now.isoformat(timespec="seconds"),
            "wearer": wearer, "consent": dict(consent) if consent else None, "rig": dict(rig or {}), "tasks": list(tasks),
            "inputs": dict(inputs or {}), "versions": {"firsthand": code_version()},
        })  # fmt: skip
        yield part


def begin_session(library: Path, name: str, *, wearer: str = "w00", tasks: tuple[str, ...] = (), rig: Mapping[str, Any] | None = None,
                  consent: Mapping[str, Any] | None = None) -> Path:
    """Make a session that is there from now on, to record takes into; returns its folder."""
    with new_session(library, name, wearer=wearer, tasks=tasks, rig=rig, consent=consent) as part:
        document = read_session(part)
    return library / str(document["id"])


def sessions(library: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The sessions of a library: folder and document, in order. One still being made, which has a hidden name, is passed over."""
    for path in sorted(library.glob(f"[!.]*/{SESSION}")):
        yield path.parent, read_session(path.parent)


def imported(library: Path) -> dict[str, list[str]]:
    """Content hash -> sessions of every file that was imported into a library."""
    found: dict[str, list[str]] = {}
    for path, document in sessions(library):
        for content in document.get("inputs", {}).values():
            found.setdefault(content, []).append(path.name)
    return found
