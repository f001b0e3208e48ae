"""Everything the screen shows, as plain values: drawn by ``firsthand record``, and from the status file by ``firsthand monitor``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.console.orders import Level
from firsthand.capture.console.view import DeskView
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import Status

CONSOLE = "console"
"""What the console adds to the recorder's status."""


@dataclass(frozen=True)
class Note:
    """One line that was told."""

    at: str
    """Local time, such as ``10:15:03``."""
    level: Level
    text: str


@dataclass(frozen=True)
class Board:
    """One moment of a recorder."""

    status: Status
    desk: DeskView
    rig: str
    wearer: str
    session: str
    """Name of its folder; empty before the first take."""
    pid: int
    notes: tuple[Note, ...] = ()
    """The last ones, oldest first."""
    advice: tuple[str, ...] = ()
    """What the coach says at the moment."""
    power: str = ""

    def about(self) -> dict[str, Any]:
        """All but the status, as plain JSON."""
        known = asdict(self)
        del known["status"]
        return known

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Board":
        """A status with `about` under `CONSOLE`."""
        about = document[CONSOLE]
        status = Status.from_json({key: value for key, value in document.items() if key != CONSOLE})
        return cls(status, DeskView.from_json(about["desk"]), about["rig"], about["wearer"], about["session"], about["pid"],
                   tuple(Note(**note) for note in about["notes"]), tuple(about["advice"]), about["power"])


def read_board(path: Path) -> Board | None:
    """The board in a status file; None where there is none. Raises `FirsthandError` for a file that is something else."""
    try:
        return Board.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FirsthandError(f"{path} is not the status of a recorder of this version; remove it, or update firsthand") from error
