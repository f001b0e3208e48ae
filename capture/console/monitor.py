"""``firsthand monitor``: the recorder's screen in a second terminal, from the file that the recorder keeps. It only looks."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from firsthand.capture.console.board import CONSOLE, Board, read_board
from firsthand.capture.console.lock import recorder_of
from firsthand.capture.console.picture import PICTURE
from firsthand.capture.console.screen import Screen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import FILE, FOLDER
from firsthand.capture.recover import LEFT

DRAW_S = 0.5
STALE_S = 2.5


def look(library: Path) -> tuple[Board | None, str]:
    """The newest board of a library, and what is wrong with it: empty while a recorder runs and keeps it fresh."""
    if not library.is_dir():
        raise FirsthandError(f"no library at {library}; give the folder that 'firsthand record' writes to")
    board, pid = read_board(library / FOLDER / FILE), recorder_of(library)
    if pid is None:
        return board, _nobody(library, board)
    if board is None:
        return None, f"a recorder, process {pid}, is starting"
    old_s = (time.monotonic_ns() - board.status.t_ns) * 1e-9
    if old_s > STALE_S:
        return board, f"the recorder, process {pid}, has said nothing for {old_s:.0f} s; what is below is old"
    return board, ""


def _nobody(library: Path, board: Board | None) -> str:
    left = sorted({f"{path.parent.parent.name}/{path.parent.name}" for path in library.glob("[!.]*/*/*.h5.*") if LEFT.fullmatch(path.name)})
    if left:
        return (f"no recorder runs, and {', '.join(left)} {'is' if len(left) == 1 else 'are'} unfinished: "
                f"run 'firsthand recover {library}', or go on with 'firsthand record --resume'")
    if board and board.desk.phase != "ended":
        return "no recorder runs; the last one was killed, and its takes are whole"
    return "no recorder runs here"


def show(library: Path, console: Console) -> None:
    """Draw until Ctrl-C. Raises `FirsthandError` when nothing runs."""
    board, wrong = look(library)
    if recorder_of(library) is None:
        raise FirsthandError(f"{library}: {wrong}" + ("" if board else "; start one with 'firsthand record'"))
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live, \
            suppress(KeyboardInterrupt):
        for board, wrong in _boards(library):
            if board:
                live.update(Screen(board, f"{datetime.now():%H:%M:%S}", wrong, keys=False), refresh=True)
    if wrong:
        raise FirsthandError(f"{library}: {wrong}")


def _boards(library: Path) -> Iterator[tuple[Board | None, str]]:
    """One look after the other, until nothing runs."""
    while True:
        yield look(library)
        if recorder_of(library) is None:
            return
        time.sleep(DRAW_S)


def report(library: Path) -> dict[str, Any]:
    """One look, as plain JSON."""
    board, wrong = look(library)
    about = {"running": recorder_of(library) is not None, "problem": wrong}
    return about if board is None else {**about, "status": board.status.to_json(), CONSOLE: board.about()}


def picture(library: Path, to: Path) -> None:
    """Copy the newest picture of the running recorder. Raises `FirsthandError` when there is none."""
    if recorder_of(library) is None:
        raise FirsthandError(f"{library}: no recorder runs here, so there is no newest picture")
    try:
        jpeg = (library / FOLDER / PICTURE).read_bytes()
    except OSError:
        raise FirsthandError(f"{library}: the recorder has no picture to show yet: no camera of its rig delivers JPEGs") from None
    try:
        to.write_bytes(jpeg)
    except OSError as error:
        raise FirsthandError(f"cannot write {to}: {error.strerror}") from error
