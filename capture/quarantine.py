"""Sources that could not be imported, and why: ``.quarantine.json`` in the library. They are not tried again until something changed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError
from firsthand.capture.files import code_version, only_one, write_json

QUARANTINE = ".quarantine.json"
FORMAT = "firsthand.quarantine"


@dataclass(frozen=True)
class Refused:
    """One take, or a source of which nothing can be listed, that is bad."""

    source: str
    """Where it was, absolute."""
    importer: str
    take: int
    content: str
    """Content hash; for what could not be read so far, its size and time of change."""
    reason: str
    version: str = ""
    """Of firsthand; another may do better."""

    def same(self, other: "Refused") -> bool:
        """Whether trying again would come to the same."""
        return (self.content, self.take, self.importer, self.version) == (other.content, other.take, other.importer, other.version)


def refused(source: Path, importer: str, take: int, content: str, reason: str = "") -> Refused:
    """A refusal by this version of firsthand."""
    return Refused(str(source.resolve()), importer, take, content or _state(source), reason, code_version())


def _state(source: Path) -> str:
    try:
        found = source.stat()
    except OSError:
        return ""
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns"


def read_quarantine(library: Path) -> list[Refused]:
    """What is in quarantine. Raises `DamagedError` when the list is not one of ours."""
    path = library / QUARANTINE
    if not path.exists():
        return []
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return [Refused(**entry) for entry in document["refused"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path} cannot be read as a list of refused files; delete it, and they are tried again") from error


def update_quarantine(library: Path, *, add: tuple[Refused, ...] = (), clear: tuple[Refused, ...] = ()) -> None:
    """Put entries in, and take those out that came through, as one change; others may do so at the same time."""
    with only_one(library):
        before = read_quarantine(library)
        gone = {(entry.source, entry.take) for entry in (*add, *clear)} - {("", 0)}
        after = [entry for entry in before if (entry.source, entry.take) not in gone] + list(add)
        if after != before:
            write_json(library / QUARANTINE, {"format": FORMAT, "version": 1, "refused": [asdict(entry) for entry in after]})
