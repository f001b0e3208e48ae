"""The takes of one session while it is being recorded: where the next one goes, and where discarded ones go."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.compact import Recovered
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import sync_path
from firsthand.capture.library import RECORDING, begin_session, read_session, sessions
from firsthand.capture.recover import recover
from firsthand.capture.rig import Rig

TRASH = ".trash"
"""In the library: discarded takes, by session. Nothing is ever deleted from it by firsthand."""


@dataclass(frozen=True)
class Takes:
    """A session's folder and its trash."""

    session: Path

    @classmethod
    def begin(cls, library: Path, rig: Rig, *, wearer: str, tasks: tuple[str, ...], consent: dict[str, Any] | None = None) -> "Takes":
        """A new session in the library, which is made when it is not there."""
        return cls(begin_session(library, rig.name, wearer=wearer, tasks=tasks, rig=rig.to_json(), consent=consent))

    @classmethod
    def resume(cls, library: Path, rig: Rig, *, wearer: str) -> "Takes":
        """The newest session of this rig and wearer. Raises `FirsthandError` when there is none."""
        found = [path for path, document in sessions(library)
                 if document.get("wearer") == wearer and document.get("rig", {}).get("name") == rig.name]
        if not found:
            raise FirsthandError(f"no session of rig {rig.name!r} and wearer {wearer!r} in {library} to resume; "
                                 "leave --resume out to begin one")
        return cls(found[-1])

    @property
    def trash(self) -> Path:
        """Where this session's discarded takes are."""
        return self.session.parent / TRASH / self.session.name

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks the session was begun with."""
        return tuple(read_session(self.session).get("tasks", ()))

    def next(self) -> Path:
        """The folder of the next take; a number that was ever used, also by a discarded take, is not used again."""
        used = [int(p.name) for folder in (self.session, self.trash) if folder.is_dir() for p in folder.iterdir() if p.name.isdigit()]
        return self.session / f"{max(used, default=-1) + 1:03d}"

    def kept(self) -> list[Path]:
        """The finished takes, in order."""
        return sorted(p.parent for p in self.session.glob(f"*/{RECORDING}"))

    def discard(self, take: Path) -> Path:
        """Move a take to the trash and return where it is now."""
        self.trash.mkdir(parents=True, exist_ok=True)
        to = self.trash / take.name
        os.rename(take, to)
        sync_path(self.trash)
        sync_path(self.session)
        return to

    def recover(self) -> list[Recovered]:
        """Finish what an earlier run left unfinished."""
        return recover(self.session)
