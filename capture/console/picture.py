"""The newest picture of a camera, left beside the status for who looks on: once a second, as the device delivered it."""

import os
from contextlib import suppress
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.supervisor import Supervisor

PICTURE = "newest.jpg"


def leave_picture(recorder: Supervisor, folder: Path) -> None:
    """Write the newest JPEG of the first camera that has one; cameras stored as video have none."""
    camera = next((name for name, spec in recorder.specs().items() if spec.role == "camera" and spec.encoding == "jpeg"), None)
    if camera is None:
        return
    with suppress(OSError, FirsthandError):
        if (sample := recorder.look(camera)) is not None:
            new = folder / f".{PICTURE}"
            new.write_bytes(bytes(sample.data))
            os.replace(new, folder / PICTURE)


def remove_picture(folder: Path) -> None:
    """Nobody's picture stays when nothing runs."""
    for name in (PICTURE, f".{PICTURE}"):
        with suppress(OSError):
            (folder / name).unlink()
