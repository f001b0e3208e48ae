"""A collector's day, driven in a terminal. The screens in docs/collecting.md come from here:

    FIRSTHAND_TRANSCRIPT=build/day python -m pytest tests/capture/console/test_collecting.py
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from firsthand.capture.console.board import read_board
from firsthand.capture.console.screen import Screen, headline
from firsthand.capture.library import find_episodes
from firsthand.capture.recording import Recording

SVG = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.S)
"""Without fonts from elsewhere."""
LONG = bool(os.environ.get("FIRSTHAND_TRANSCRIPT"))
"""For the documents everything takes a little longer, and the coach looks on."""


def test_a_day_with_a_glove_that_is_unplugged(terminal: Any, glove: Callable[[], "subprocess.Popen[bytes]"], kitchen_rig: Path,
                                              tmp_path: Path) -> None:
    """Three takes, one discarded, the glove pulled out in one and plugged in again; quit; go on the next morning."""
    library = firsthand_in(terminal, tmp_path)
    command = f"firsthand record library --rig {kitchen_rig.name} --wearer w07 --episodes 3 --countdown 1" + ("" if LONG else " --no-coach")

    if LONG:
        plugged_in = glove()
        terminal.type(f"firsthand doctor library --rig {kitchen_rig.name} --seconds 4 2>/dev/null")
        terminal.wait_for_prompt(60)
        terminal.keep("doctor")
        plugged_in.kill()
        terminal.type("clear")
    terminal.type(command + ' --task "put the cup on the shelf" --task "wipe the table"')
    terminal.wait_for("glove-right is not there")
    terminal.keep("waiting")
    plugged_in = glove()
    terminal.wait_for("ready for put the cup")
    pause(3)
    terminal.keep("ready")

    terminal.press("Space")
    terminal.wait_for("000 is recording")
    pause(1, 6)
    terminal.press("m")
    terminal.wait_for("marker")
    terminal.keep("recording")
    photograph(library, "recording", "RECORDING")
    terminal.press("Space")
    terminal.wait_for("000 is whole")

    terminal.press("Space")
    terminal.wait_for("001 is recording")
    pause(1, 3)
    terminal.press("Space")
    terminal.wait_for("001 stopped")
    terminal.press("d")
    terminal.wait_for("001 is in")
    terminal.keep("discarded")

    terminal.press("Space")
    terminal.wait_for("002 is recording")
    pause(1, 4)
    plugged_in.kill()
    plugged_in.wait()
    assert terminal.wait_for("glove-right vanished") < 1.5
    pause(2, 4)
    if LONG:
        terminal.wait_for("█  █ ███  █   █ █ █    ███     █    █  █  ██    █")
    terminal.keep("device-lost")
    photograph(library, "device-lost", "DEVICE LOST")
    glove()
    terminal.wait_for("glove-right is back")
    pause(2, 3)
    terminal.press("Space")
    terminal.wait_for("002 is whole")
    terminal.keep("two-of-three")

    terminal.press("q")
    terminal.wait_for_prompt()
    terminal.keep("evening")
    terminal.type("echo code=$? $(stty -a | grep -o -e ' icanon' -e ' echo ')")
    terminal.wait_for("code=1 icanon echo")  # a device failed in a take that was kept; the terminal is as it was

    terminal.type("clear; " + command + " --resume")
    terminal.wait_for("the next is 003")
    terminal.wait_for("ready for put the cup")
    terminal.keep("next-morning")
    terminal.press("Space")
    terminal.wait_for("003 is recording")
    pause(1, 3)
    terminal.press("Space")
    terminal.wait_for("next: wipe the table")
    terminal.wait_for("003 is whole")
    terminal.keep("next-task")
    terminal.press("q")
    terminal.wait_for_prompt()
    terminal.type("clear; firsthand info library")
    terminal.wait_for_prompt()
    terminal.keep("info")

    session, = (path for path in library.iterdir() if not path.name.startswith("."))
    assert sorted(path.name for path in session.iterdir() if path.is_dir()) == ["000", "002", "003"]
    assert [path.name for path in (library / ".trash" / session.name).iterdir()] == ["001"]
    assert json.loads((session / "session.json").read_text())["tasks"] == ["put the cup on the shelf", "wipe the table"]
    with Recording(session / "000" / "recording.h5") as take:
        assert "mark" in [marker["kind"] for _, marker in take.markers]
        assert not [gap for _, gap in take.gaps if gap["stream"] == "glove-right"]
    with Recording(session / "002" / "recording.h5") as take:
        away = [gap for _, gap in take.gaps if gap["stream"] == "glove-right"]
        assert [gap["cause"] for gap in away] == ["vanished"] and (away[0]["to_host_ns"] - away[0]["from_host_ns"]) > 2e9
        assert len(take["head"].rows) > 100 and not [gap for _, gap in take.gaps if gap["stream"] == "head"]
    log = next((library / ".recorder").glob("20*.log")).read_text()
    assert list(re.findall(r"started +(\d\d\d)", log)) == ["000", "001", "002", "003"] and "glove-right is back" in log


def test_power_fails_in_a_take(terminal: Any, glove: Callable[[], "subprocess.Popen[bytes]"], kitchen_rig: Path, tmp_path: Path) -> None:
    """All of the recorder's processes are killed at once; the next run makes the take whole and goes on."""
    library = firsthand_in(terminal, tmp_path)
    command = f"firsthand record library --rig {kitchen_rig.name} --wearer w07 --task 'fold the towel' --countdown 0 --no-coach"
    glove()
    terminal.type(command)
    terminal.wait_for("ready for fold")
    terminal.press("Space")
    terminal.wait_for("000 is recording")
    pause(2, 5)
    pids = [json.loads((library / ".recorder" / "lock").read_text())["pid"], *writers(library)]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first: none may see another die
        for pid in pids:
            os.kill(pid, number)
    terminal.wait_for_prompt()
    terminal.type("reset -I; clear; firsthand monitor library")
    terminal.wait_for("is unfinished")
    terminal.wait_for_prompt()
    terminal.keep("killed")
    terminal.type("clear; " + command + " --resume")
    terminal.wait_for("000 was interrupted and is whole now", 40)
    terminal.wait_for("ready for fold")
    terminal.keep("recovered")
    terminal.press("q")
    terminal.wait_for_prompt()
    episode, = find_episodes(library)
    with episode.recording() as take:
        assert len(take["glove-right"]) > 200 and len(take["head"]) > 50


def firsthand_in(terminal: Any, folder: Path) -> Path:
    """Have the command of this checkout in the terminal's path; returns the library to record into."""
    script = folder / "firsthand"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -m firsthand.cli \"$@\"\n")
    script.chmod(0o755)
    terminal.type(f"PATH={folder}:$PATH; clear")
    return folder / "library"


def writers(library: Path) -> list[int]:
    """The writer's processes that have a take of this library open."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and any(str(library) in os.readlink(fd) for fd in (entry / "fd").iterdir()
                                            if ".part" in os.readlink(fd)):
                found.append(int(entry.name))
    return found


def photograph(library: Path, name: str, letters: str) -> None:
    """For the documents: the very screen as a picture, when its letters say what they should."""
    if wanted := os.environ.get("FIRSTHAND_TRANSCRIPT"):
        while (board := read_board(library / ".recorder" / "status.json")) is None or not headline(board).startswith(letters):
            time.sleep(0.1)
        console = Console(record=True, width=80, height=24, file=io.StringIO(), force_terminal=True, color_system="truecolor")
        console.print(Screen(board, board.notes[-1].at), end="")
        console.save_svg(str(Path(wanted) / f"{name}.svg"), title="firsthand record", code_format=SVG)


def pause(short_s: float, long_s: float | None = None) -> None:
    time.sleep(long_s or short_s if LONG else short_s)
