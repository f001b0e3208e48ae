"""The recorder's screen: what matters in letters that can be read from two metres, the rest below. Fits 80 columns and 24 rows."""

import textwrap
from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

from firsthand.capture.console.board import Board
from firsthand.capture.console.letters import big
from firsthand.capture.console.rows import HEADER, SETTLE_S, Light, Row, device_rows, fitting
from firsthand.capture.controls.keys import KEYS
from firsthand.capture.controls.press import WORDS, Action
from firsthand.capture.live.status import DiskStatus

Line = tuple[str, Style | None]

PLAIN, BOLD, DIM = None, Style(bold=True), Style(dim=True)
COLOURS: dict[Light, Style] = {"GREEN": Style(color="green"), "AMBER": Style(color="yellow"), "RED": Style(color="red", bold=True)}
TOLD: dict[str, Style | None] = {"info": None, "warn": Style(color="yellow"), "error": Style(color="red", bold=True)}
HEADLINES: dict[str, Style] = {"RECORDING": Style(color="red", bold=True), "READY": Style(color="green", bold=True),
                               "DEVICE LOST": Style(color="yellow", bold=True)}
TURN_NS = 2_000_000_000
"""In a take without a device, the letters say one thing and then the other, so long each."""
LOW_MIN = 10.0
KEYS_LINE = "Space start/stop · K keep · D discard · R redo · M mark · N next task · Q quit · ? help"
KEYS_SHORT = "Space start/stop  K keep  D discard  R redo  M mark  N next  Q quit  ? help"


class Screen:
    """One picture of a board; a rich renderable that fills the terminal."""

    def __init__(self, board: Board, clock: str, warning: str = "", *, keys: bool = True) -> None:
        """`clock` is the local time. `warning` stands above all else; a monitor has no `keys`."""
        self._board, self._clock, self._warning, self._keys = board, clock, warning, keys

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = options.max_width, options.height or console.size.height
        blocks = (console.encoding or "").lower().startswith("utf")
        for i, (text, style) in enumerate(lines(self._board, self._clock, self._warning, columns, rows, keys=self._keys, blocks=blocks)):
            if i:
                yield Segment.line()
            yield Segment(text if blocks else text.encode("ascii", "replace").decode(), style)


def headline(board: Board) -> str:
    """The state, in one or two words and a time."""
    desk = board.desk
    recording = f"RECORDING {clock_of(desk.recorded_s)}"
    match desk.phase:
        case "recording" if desk.lost:
            return recording if board.status.t_ns // TURN_NS % 2 else "DEVICE LOST"
        case "recording":
            return recording
        case "countdown" | "starting":
            return f"{max(int(desk.left_s or 0) + 1, 1)}"
        case "stopping" | "leaving":
            return "FINISHING"
        case "ended":
            return "ENDED"
        case "ready":
            return "ALL DONE" if desk.complete else "READY"
    return "DEVICE LOST" if desk.lost else "WAIT"


def lines(board: Board, clock: str, warning: str, columns: int, rows: int, *, keys: bool = True, blocks: bool = True) -> list[Line]:
    """The screen as exactly `rows` lines, each exactly `columns` wide."""
    desk = board.desk
    word = headline(board)
    style = next((s for start, s in HEADLINES.items() if word.startswith(start)), BOLD)
    where = " · ".join(part for part in (board.rig, board.wearer, board.session or "no session yet") if part)
    top: list[Line] = [(where.ljust(columns - len(clock) - 1)[: columns - len(clock) - 1] + " " + clock, DIM)]
    top += [(part, TOLD["error"]) for part in wrap(warning, columns)]
    room = 10 if rows >= 40 else 5 if rows >= 22 else 3 if rows >= 16 else 1
    letters: list[Line] = [(line.center(columns).rstrip(), style) for line in big(word, columns - 2, room, blocks=blocks)]
    if len(letters) > 1:
        letters = [("", PLAIN), *letters, ("", PLAIN)]
    middle = [_task(board), *_folded([_take(board)], columns)]
    coach: list[Line] = [(f"COACH  {text}", TOLD["warn"]) for text in board.advice[:2]]
    bottom = [_disk(board), *_folded(coach, columns)]
    shown = 8 if rows >= 34 else 3 if rows >= 22 else 1
    notes = _newest([(f"{note.at}  {note.text}", TOLD[note.level]) for note in board.notes], columns, shown)
    last: list[Line] = [_keys_line(board, columns)] if keys else []
    left = rows - len(top) - len(letters) - len(middle) - len(bottom) - shown - len(last)
    body: list[Line] = _help(left) if desk.help else [
        (HEADER, DIM), *(line for row in fitting(device_rows(board.status), left - 1) for line in _row(row, columns))]
    body += [("", PLAIN)] * (left - len(body))
    notes = [("", PLAIN)] * (shown - len(notes)) + notes
    whole = [*top, *letters, *middle, *body[: max(left, 0)], *bottom, *notes, *last]
    return [(set_cell_size(_printable(text), columns), style) for text, style in [*whole[: rows - 1], *whole[-1:]][:rows]]


def wrap(text: str, columns: int, indent: int = 0) -> list[str]:
    """A text on as many lines as it takes."""
    return [text] * bool(text) if len(text) <= columns else textwrap.wrap(text, columns, subsequent_indent=" " * indent)


def _folded(given: Sequence[Line], columns: int) -> list[Line]:
    """Lines that are too long go on below, set in."""
    return [(part, style) for text, style in given for part in wrap(text, columns, 10)]


def _newest(given: Sequence[Line], columns: int, most: int) -> list[Line]:
    """The last lines that fit, whole; of the very last one its beginning at least."""
    kept: list[Line] = []
    for line in reversed(given):
        folded = _folded([line], columns)
        if kept and len(kept) + len(folded) > most:
            break
        kept = [*folded, *kept]
    return kept[:most]


def clock_of(seconds: float) -> str:
    """Minutes and seconds, hours only where there are any."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}" if minutes < 100 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _printable(text: str) -> str:
    """What devices and people say must not steer the terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _row(row: Row, columns: int) -> list[Line]:
    told: Line = (f"{row.light:<7}{row.text}", COLOURS[row.light])
    return [told] if row.table else _folded([told], columns)


def _task(board: Board) -> Line:
    desk = board.desk
    which = f"TASK {desk.task_number} of {desk.tasks}" if desk.tasks > 1 else "TASK"
    return f"{which}  {desk.task}", BOLD


def _take(board: Board) -> Line:
    desk = board.desk
    if desk.phase == "recording" and desk.lost:
        return f"RECORDING {clock_of(desk.recorded_s)} GOES ON without {', '.join(desk.lost)}", COLOURS["AMBER"]
    if desk.phase == "waiting" and desk.blocked:
        missing = [device.name for device in board.status.missing_devices]
        return f"WAITING for {', '.join(missing)}" if missing else f"WAITING: {desk.blocked}", COLOURS["RED"]
    if desk.asking:
        return "A TAKE IS RUNNING: press Q again to keep it and end the session, any other key to go on", COLOURS["AMBER"]
    counted = f"{desk.done} of {desk.wanted}" if desk.wanted else f"{desk.done}"
    parts = [f"TAKE {desk.take} · number {counted}" if desk.take else f"{counted} done",
             f"{clock_of(desk.left_s + 0.99)} left" if desk.phase == "recording" and desk.left_s is not None else "",
             f"last: {desk.last}" if desk.last else "", f"finishing {desk.finishing}" if desk.finishing else ""]
    return " · ".join(part for part in parts if part), PLAIN


def _disk(board: Board) -> Line:
    disk: DiskStatus | None = board.status.disk
    if disk is None:
        return f"DISK unknown · {board.power}".rstrip(" ·"), PLAIN
    settled = all(device.since_s > SETTLE_S for device in board.status.devices if device.state == "running")
    left_min = disk.minutes_left if settled else None
    minutes = "" if left_min is None else f"{left_min:.0f} min, " if left_min < 600 else f"{left_min / 60:.0f} h, "
    low = left_min is not None and left_min < LOW_MIN
    sync = f" · sync {disk.sync_p99_ms:.0f} ms" if disk.sync_p99_ms else ""
    told = f"{'DISK LOW' if low else 'DISK'} {minutes}{disk.free_bytes / 1e9:.1f} GB · MEMORY {disk.memory_fill:.0%}{sync}"
    worse = low or disk.memory_fill > 0.5 or board.power.isupper()
    return told + (f" · {board.power}" if board.power else ""), COLOURS["AMBER"] if worse else PLAIN


def _keys_line(board: Board, columns: int) -> Line:
    if board.desk.phase in ("leaving", "ended"):
        return "the last takes are being finished; press Ctrl-C to leave that to the background", DIM
    return KEYS_LINE if len(KEYS_LINE) <= columns else KEYS_SHORT, DIM


def _help(most: int) -> list[Line]:
    by_action: dict[Action, list[str]] = {}
    for key, action in KEYS.items():
        by_action.setdefault(action, []).append(key)
    table: list[Line] = [(f"  {' or '.join(keys):<30}{WORDS[action]}", PLAIN) for action, keys in by_action.items()]
    return table[:most]
