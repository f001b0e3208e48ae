"""Takes that were interrupted and still wait to be finished, and a recorder that is running right now."""

import time
from pathlib import Path

from firsthand.capture.doctor.finding import Finding
from firsthand.capture.errors import FirsthandError
from firsthand.capture.journal import read_description
from firsthand.capture.probe import Progress, apart
from firsthand.capture.recording import Recording
from firsthand.capture.recover import take_files
from firsthand.capture.rescue import interrupted

FRESH_S = 5.0
STALL_S = 10.0
TOLD = 3


def leftovers(library: Path) -> list[Finding]:
    """What lies in the library. Each interrupted take is opened in a process of its own, as a damaged file may hang the reader."""
    status = library / ".recorder" / "status.json"
    try:
        running = time.time() - status.stat().st_mtime < FRESH_S
    except OSError:
        running = False
    if running:
        return [Finding("recorder", "one is running here", "none", "warn", "these figures are of a busy machine; stop it and ask again")]
    takes = interrupted(library)
    if not takes:
        return [Finding("interrupted takes", "none", "none")]
    broken = [take for take in takes if not _opens(take)]
    named = ", ".join(str(take.parent.relative_to(library)) for take in (broken or takes)[:TOLD]) + ", ..." * (len(broken or takes) > TOLD)
    value = f"{len(takes)}" + (f", {len(broken)} of them damaged" if broken else "") + f": {named}"
    return [Finding("interrupted takes", value, "none", "warn", f"firsthand recover {library}")]


def _opens(recording: Path) -> bool:
    try:
        apart(f"{__name__}:open_take", str(recording), stall_s=STALL_S)
    except FirsthandError:
        return False
    return True


def open_take(recording: str, _progress: Progress) -> int:
    """Open every file of an interrupted take in the process that calls this; returns how many."""
    files = take_files(Path(recording))
    for path in files:
        if path.suffix == ".journal":
            read_description(path).close()
        else:
            Recording(path).close()
    return len(files)
