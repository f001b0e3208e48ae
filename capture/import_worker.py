"""A process that imports what it is told: ``python -m firsthand.capture.import_worker``, started by `import_many`.

What a foreign file does to a reader (a hang, a crash in a library's C code) ends here. One JSON document a line each way.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importer import import_take, recognise, refusal_of
from firsthand.capture.intake import Asked, Found
from firsthand.capture.library import SESSION
from firsthand.capture.live.wire import Outbox, commands
from firsthand.capture.quarantine import read_quarantine, refused

TELL_S = 0.2


def main() -> None:
    """Serve until stdin ends."""
    outbox, incoming = Outbox(), commands()
    config = next(incoming)
    worker = _Worker(Path(config["library"]), Asked(**config["asked"]), config["wearer"], config["importer"], config["retry"], outbox)
    for order in incoming:
        try:
            answer = worker.look(Path(order["source"])) if order["do"] == "look" else worker.take(Path(order["source"]), order["take"])
            outbox.say("done", **answer)
        except FirsthandError as error:
            outbox.say("fault", reason=str(error), damaged=isinstance(error, DamagedError))
        except Exception as error:  # an importer's mistake must not end the others' work
            why = f"{type(error).__name__}: {error}".partition("\n")[0]
            outbox.say("fault", reason=f"cannot import {order['source']}: its reader failed ({why}); the file is damaged, or firsthand "
                                       "has a fault: please report it", damaged=True)
    outbox.flush()


class _Worker:
    """The options of one call, and the last source looked at."""

    def __init__(self, library: Path, asked: Asked, wearer: str, importer: str | None, retry: bool, outbox: Outbox) -> None:
        self._library, self._asked, self._wearer, self._importer, self._retry = library, asked, wearer, importer, retry
        self._outbox = outbox
        self._recognise: Callable[[Path], tuple[str, Found] | None] = lru_cache(maxsize=4)(lambda path: recognise(path, asked, importer))
        self._refusal: Callable[[Path, Found], str] = lru_cache(maxsize=4)(refusal_of)

    def look(self, source: Path) -> dict[str, Any]:
        """Which takes there are; of a folder that no importer reads, what is in it."""
        if not source.exists():
            raise FirsthandError(f"no such file: {source}")
        if not source.is_dir() and not source.is_file():
            raise FirsthandError(f"{source} is neither a file nor a folder")
        if source.is_dir() and self._importer:  # a folder of what that importer reads need not be one itself
            with suppress(FirsthandError):
                return self._found(source)
            return {"inside": _inside(source)}
        found = self._found(source)
        return {"inside": _inside(source)} if source.is_dir() and not found["importer"] else found

    def _found(self, source: Path) -> dict[str, Any]:
        known = self._recognise(source)
        if known is None:
            return {"importer": "", "takes": [], "files": []}
        name, found = known
        return {"importer": name, "takes": [take.name for take in found.takes], "files": [str(path.resolve()) for path in found.files]}

    def take(self, source: Path, number: int) -> dict[str, Any]:
        """Import one take."""
        known = self._recognise(source)
        if known is None or number >= len(known[1].takes):
            raise FirsthandError(f"{source} changed while it was imported; import it again")
        importer, found = known
        content = self._refusal(source, found)
        this = refused(source, importer, number, content)
        if not self._retry:
            for entry in read_quarantine(self._library):
                if entry.same(this):
                    return {"quarantined": entry.reason}
        self._outbox.say("began", content=content)
        told_s = 0.0

        def progress(done: int, total: int) -> None:
            nonlocal told_s
            if time.monotonic() - told_s > TELL_S:
                told_s = time.monotonic()
                self._outbox.say("status", done=done, total=total)

        episode, new = import_take(source, found, number, self._library, self._asked, wearer=self._wearer, progress=progress)
        return {"episode": str(episode.path), "new": new}


def _inside(folder: Path) -> list[str]:
    """What a folder holds that may be imported: nothing hidden, no pipe or device, and no session of a library."""
    if (folder / SESSION).exists():
        return []
    try:
        return sorted(str(path) for path in folder.iterdir() if not path.name.startswith(".") and not _special(path))
    except OSError as error:
        raise FirsthandError(f"cannot read {folder}: {error.strerror or error}") from error


def _special(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


if __name__ == "__main__":
    main()
