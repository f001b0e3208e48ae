"""What the collector sees, at any size of terminal; and what a monitor says when nobody writes it any more."""

import io
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from firsthand.capture.console import monitor
from firsthand.capture.console.board import CONSOLE, Board, Note
from firsthand.capture.console.desk import Desk
from firsthand.capture.console.letters import big
from firsthand.capture.console.lock import only_recorder
from firsthand.capture.console.notebook import Notebook
from firsthand.capture.console.orders import Event
from firsthand.capture.console.plan import Plan, read_tasks
from firsthand.capture.console.power import one_line
from firsthand.capture.console.screen import Screen, headline, lines
from firsthand.capture.console.view import DeskView
from firsthand.capture.doctor.finding import Finding
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import DeviceStatus, DiskStatus, Status, StreamStatus

HEAD = DeviceStatus("head", "running", True, since_s=60.0)
STREAM = StreamStatus("head", "head", 30.0, 29.9, 300, 0, 0, 0.02, 12.3, 4e6)
WHY = "nothing came over UDP 127.0.0.1:9100 for 1 s; check that it is on, and sends there"
GONE = DeviceStatus("glove-right", "vanished", True, WHY, 4.0)


def board(view: dict[str, Any] | None = None, **status: Any) -> Board:
    disk = DiskStatus(40_000_000_000, 142.0, 6.0, 0.02)
    parts = {"devices": (HEAD,), "streams": (STREAM,), "disk": disk, "takes": (), "messages": (), **status}
    state = Status(1, "recording", "s/000", 12.0, **parts)
    desk = Desk(Plan(("put the cup on the shelf",), episodes=5))
    desk.look(replace(state, take="", state="ready"), 1.0)
    view = {"phase": "recording", "take": "003", "recorded_s": 12.4, **(view or {})}
    notes = tuple(Note(f"10:15:{i:02d}", "info", f"number {i} " + "takes a while to be told " * 4) for i in range(9))
    return Board(state, replace(desk.view(), **view), "kitchen", "w07", "2026-11-22T101500Z-kitchen-w07", 1, notes)


def text(made: Board, columns: int = 80, rows: int = 24, warning: str = "") -> str:
    return "\n".join(line for line, _ in lines(made, "10:15:03", warning, columns, rows))


@pytest.mark.parametrize("size", [(80, 24), (80, 12), (40, 8), (20, 3), (200, 60)])
@pytest.mark.parametrize("phase", ["waiting", "ready", "countdown", "recording", "stopping", "leaving", "ended"])
def test_the_screen_fits_every_terminal(size: tuple[int, int], phase: Any) -> None:
    many = tuple(replace(STREAM, name=f"camera-{i}") for i in range(30))
    for help in (False, True):
        made = board({"phase": phase, "help": help, "left_s": 2.5}, devices=(HEAD, GONE), streams=many)
        made = replace(made, advice=("no hand is in view: look at your hands, or tilt the camera down",))
        drawn = lines(made, "10:15:03", "old " * 30, *size)
        assert len(drawn) == size[1] and all(len(line) == size[0] for line, _ in drawn)


def test_the_state_stands_in_letters_as_wide_as_the_screen() -> None:
    for word in ("RECORDING 00:12", "RECORDING 1:40:00", "DEVICE LOST", "FINISHING", "READY", "ALL DONE", "WAIT"):
        drawn = big(word, 78, 5)
        assert len(drawn) == 5 and len({len(line) for line in drawn}) == 1 and len(drawn[0]) <= 78
    assert len(big("RECORDING 00:12", 150, 10)) == 10 and len(big("READY", 78, 3)) == 3
    assert big("RECORDING 00:12", 40, 5) == ["RECORDING 00:12"]
    assert set("".join(big("READY", 78, 5, blocks=False))) == {"#", " "}


def test_a_lost_device_is_told_in_words_with_the_reason_and_the_recording_goes_on() -> None:
    made = board({"lost": ("glove-right",)}, devices=(HEAD, GONE))
    shown = text(made)
    assert "RED    glove-right" in shown and "check that it is on" in shown and "GOES ON without glove-right" in shown
    words = {headline(replace(made, status=replace(made.status, t_ns=s * 10**9))) for s in range(6)}
    assert words == {"DEVICE LOST", "RECORDING 00:12"}


def test_each_light_has_its_word() -> None:
    slow = replace(STREAM, name="slow", rate_hz=20.0)
    losing = replace(STREAM, name="losing", missing=30)
    dropping = replace(STREAM, name="dropping", dropped=1)
    shown = text(board(streams=(STREAM, slow, losing, dropping))).splitlines()
    words = {name: next(line for line in shown if f" {name} " in line).split() for name in ("slow", "losing", "dropping", "head")}
    assert [words[name][0] for name in words] == ["AMBER", "AMBER", "AMBER", "GREEN"]
    assert [words[name][-1] for name in words][:3] == ["SLOW", "LOSES", "DROPS"]


def test_what_was_left_out_is_counted_by_reason_and_amber_while_it_goes_on() -> None:
    counts = {"it is not JSON": 12, "from another sender": 300, "a": 2, "b": 1}
    shown = text(board(devices=(replace(HEAD, rejected=counts, rejected_s=0.4),)))
    assert "AMBER  head            LEFT OUT 315: from another sender (300), it is not JSON" in shown and "(12), a (2), ..." in shown
    later = text(board(devices=(replace(HEAD, rejected={"it is not JSON": 1}, rejected_s=60.0),)))
    assert "GREEN  head            LEFT OUT 1: it is not JSON (1)" in later and "LEFT OUT" not in text(board())


def test_what_is_wrong_stands_first_and_what_does_not_fit_is_counted() -> None:
    many = tuple(replace(STREAM, name=f"camera-{i}") for i in range(30))
    rows = [line for line in text(board(devices=(HEAD, GONE), streams=many)).splitlines() if line.startswith(("RED", "AMBER", "GREEN"))]
    assert rows[0].startswith("RED    glove-right") and "more, none worse" in text(board(streams=many))


def test_missing_devices_are_named_while_it_waits() -> None:
    assert "WAITING for glove-right" in text(board({"phase": "waiting", "blocked": "glove-right is not there"}, devices=(HEAD, GONE)))


def test_a_disk_that_runs_full_says_so() -> None:
    assert "DISK LOW 4 min" in text(board(disk=DiskStatus(1_000_000_000, 4.0, 6.0, 0.0)))


def test_what_people_and_devices_say_cannot_steer_the_terminal() -> None:
    made = board({"task": "pour\x1b[2J\ntea, or 倒一杯很热的茶" + "茶" * 80}, devices=(replace(GONE, reason="\x07broken\r\n"),))
    drawn = lines(made, "10:15:03", "", 80, 24)
    assert all(line.isprintable() and cell_len(line) == 80 for line, _ in drawn)


def test_a_pedal_that_is_not_there_stays_on_the_screen() -> None:
    assert "NOTE   no pedal: plug it in" in text(replace(board(), absent=("no pedal: plug it in",)))


def test_battery_and_heat_are_told_and_shouted_when_they_matter() -> None:
    fine, low = Finding("battery", "76%, discharging"), Finding("battery", "9%, discharging", verdict="bad")
    assert one_line([fine, Finding("temperature", "the system does not tell")]) == "battery 76%, discharging"
    assert "BATTERY 9%" in text(replace(board(), power=one_line([low, Finding("temperature", "61 °C (cpu)")])))


def test_a_terminal_without_block_letters_gets_plain_ones() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=out, width=80, height=24, legacy_windows=False).print(Screen(board(), "10:15:03"))
    out.flush()
    drawn = out.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "#  #" in drawn and "put the cup on the shelf" in drawn


def test_a_board_survives_its_file() -> None:
    made = board({"lost": ("glove-right",)}, devices=(HEAD, GONE))
    again = Board.from_json(json.loads(json.dumps({**made.status.to_json(), CONSOLE: made.about()})))
    assert again == made
    assert DeskView.from_json({**asdict(made.desk), "something": "of a later version"}) == made.desk


def publish(library: Path, made: Board) -> None:
    folder = library / ".recorder"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps({**made.status.to_json(), CONSOLE: made.about()}))


def test_a_monitor_says_when_nothing_runs(tmp_path: Path) -> None:
    assert monitor.report(tmp_path) == {"running": False, "problem": "no recorder runs here"}
    with pytest.raises(FirsthandError, match="firsthand record"):
        monitor.show(tmp_path, Console(file=io.StringIO()))
    with pytest.raises(FirsthandError, match="no library at"):
        monitor.look(tmp_path / "nowhere")
    with pytest.raises(FirsthandError, match="no newest picture"):
        monitor.picture(tmp_path, tmp_path / "out.jpg")


def test_a_monitor_says_when_the_recorder_is_silent(tmp_path: Path) -> None:
    with only_recorder(tmp_path):
        assert monitor.report(tmp_path)["problem"] == f"a recorder, process {os.getpid()}, is starting"
        publish(tmp_path, replace(board(), status=replace(board().status, t_ns=time.monotonic_ns())))
        assert monitor.report(tmp_path)["problem"] == "" and monitor.report(tmp_path)["running"]
        publish(tmp_path, replace(board(), status=replace(board().status, t_ns=time.monotonic_ns() - 9 * 10**9)))
        assert "has said nothing for 9 s" in monitor.report(tmp_path)["problem"]


def test_a_monitor_says_when_the_recorder_died_in_a_take(tmp_path: Path) -> None:
    publish(tmp_path, board())
    assert "was killed, and its takes are whole" in monitor.report(tmp_path)["problem"]
    take = tmp_path / "2026-11-22T101500Z-kitchen-w07" / "003"
    take.mkdir(parents=True)
    (take / "recording.h5.part").touch()
    problem = monitor.report(tmp_path)["problem"]
    assert "2026-11-22T101500Z-kitchen-w07/003 is unfinished" in problem and "firsthand recover" in problem


def test_a_status_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".recorder").mkdir()
    (tmp_path / ".recorder" / "status.json").write_text("[]")
    with pytest.raises(FirsthandError, match="is not the status of a recorder"):
        monitor.look(tmp_path)


def test_a_day_leaves_a_log_and_scripts_get_json(tmp_path: Path) -> None:
    stream = io.StringIO()
    book = Notebook(tmp_path, stream)
    book.write(Event("started", "000 is recording: pour", fields={"take": "s/000"}))
    book.write(Event("countdown", fields={"left_s": 3}))
    book.write(Event("message", "glove\nvanished", "error"))
    log, = tmp_path.glob("20*.log")
    assert [line.split(" ", 1)[1] for line in log.read_text().splitlines()] == ["started     000 is recording: pour",
                                                                                "message     ERROR: glove vanished"]
    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [t["event"] for t in told] == ["started", "countdown", "message"] and told[1]["left_s"] == 3
    assert [note.text for note in book.notes()] == ["000 is recording: pour", "glove\nvanished"]


def test_nobody_listening_is_no_fault(tmp_path: Path) -> None:
    stream = io.StringIO()
    stream.close()
    Notebook(tmp_path / "not there", stream).write(Event("started", "000 is recording"))


def test_tasks_come_from_the_command_line_and_from_a_file_each_once(tmp_path: Path) -> None:
    file = tmp_path / "tasks.txt"
    file.write_text("# the kitchen\nfold the  towel\n\npour water\n")
    assert read_tasks(["pour water", " "], file) == ("pour water", "fold the towel")
    with pytest.raises(FirsthandError, match="one task a line"):
        read_tasks([], tmp_path / "none.txt")
