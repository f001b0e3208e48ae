"""Printed boards and tags that stand still where people work: what the camera's pose is found from where no device tells it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError, unknown

ANCHORS = "anchors.toml"
"""In a library: the anchors of sessions whose rig file names none."""
KINDS = ("charuco", "apriltag")
DICTIONARIES = tuple(f"{bits}x{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000))
MOST_M = 2.0


@dataclass(frozen=True)
class Anchor:
    """A ChArUco board, or a tag of AprilTag's family 36h11. Its axes: x to the right of the print, y down, z into it."""

    name: str
    kind: str
    size_m: float
    """Side of a chess square, or of a tag, measured on its black border."""
    id: int = 0
    """Of the tag, or of the board's first marker."""
    columns: int = 0
    """Chess squares of a board from left to right."""
    rows: int = 0
    """... and from top to bottom."""
    marker_m: float = 0.0
    """Side of a board's markers, measured on their black border."""
    dictionary: str = ""
    """Of a board's markers: one of OpenCV's, such as ``5x5_100``."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, and as a table of a rig file."""
        return {key: value for key, value in asdict(self).items() if value or key in ("id", "name", "kind", "size_m")}


def parse_anchors(where: str, tables: Any) -> tuple[Anchor, ...]:
    """The anchors that ``[[anchor]]`` tables describe. Raises `FirsthandError` naming the key that is wrong, and what it should be."""
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        raise FirsthandError(f"{where}: anchor is no list of tables; write [[anchor]], in double brackets")
    anchors = tuple(_anchor(f"{where}, anchor {number}", number, table) for number, table in enumerate(tables, 1))
    for anchor in anchors:
        if sum(anchor.name == other.name for other in anchors) > 1:
            raise FirsthandError(f"{where}: two anchors are called {anchor.name!r}; give each a name of its own")
    return anchors


def _anchor(where: str, number: int, table: Any) -> Anchor:
    kinds: Mapping[str, Any] = {"name": str, "kind": str, "size_m": (int, float), "id": int, "columns": int, "rows": int,
                                "marker_m": (int, float), "dictionary": str}
    values = dict(table) if isinstance(table, Mapping) else {}
    for key, value in values.items():
        if key not in kinds:
            raise FirsthandError(f"{where}: {unknown('key', key, kinds)}")
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise FirsthandError(f"{where}: {key} cannot be {value!r}")
    if values.get("kind") not in KINDS:
        raise FirsthandError(f"{where}: kind is {values.get('kind')!r}; it is one of {', '.join(KINDS)}")
    board = values["kind"] == "charuco"
    needed = ("size_m", "columns", "rows", "marker_m", "dictionary") if board else ("size_m", "id")
    if missing := [key for key in needed if key not in values]:
        raise FirsthandError(f"{where} has no {missing[0]}; a {values['kind']} needs {', '.join(needed)}")
    anchor = Anchor(**{"name": f"{values['kind']}-{values.get('id', number)}", **values})
    if not 0 < anchor.size_m < MOST_M or anchor.id < 0:
        raise FirsthandError(f"{where}: size_m is {anchor.size_m} and id {anchor.id}; the size is in metres, and an id is not negative")
    if board and not (0 < anchor.marker_m < anchor.size_m and min(anchor.columns, anchor.rows) >= 3):
        raise FirsthandError(f"{where}: a board has at least 3 columns and rows, and markers smaller than its squares of {anchor.size_m} m")
    if board and anchor.dictionary not in DICTIONARIES:
        raise FirsthandError(f"{where}: {unknown('dictionary', anchor.dictionary, DICTIONARIES)}")
    return anchor


def library_anchors(library: Path) -> tuple[Anchor, ...]:
    """Those of a library's ``anchors.toml``; none without one. Raises `FirsthandError` when it cannot be read, or is wrong."""
    path = library / ANCHORS
    if not path.exists():
        return ()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DamagedError(f"cannot read {path} ({error}); correct it, or delete it") from error
    return parse_anchors(str(path), document.get("anchor", []))
