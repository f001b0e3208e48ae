"""`firsthand demo` as a newcomer runs it: every stage, every goal, and a second run that goes on instead of beginning again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.hand_model import hand_model

GOALS = ("hands found", "hands on the wrong side", "joints, shape alone (PA-MPJPE)", "wrist in the world, with depth: median",
         "wrist in the world, one camera alone: median", "gripper width", "joints beyond their limits")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firsthand.cli", "demo", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "160"})


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    try:
        hand_model()
    except FirsthandError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("demo") / "out"
    return folder, run(folder)


def test_every_goal_is_met_and_everything_is_there(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = demo
    assert done.returncode == 0, done.stdout + done.stderr
    budget = json.loads((folder / "budget.json").read_text())
    held = [figure for figure in budget["figures"] if figure["goal"] is not None]
    assert [any(figure["name"].startswith(goal) for figure in held) for goal in GOALS] == [True] * len(GOALS)
    assert all(figure["ok"] for figure in held) and budget["ok"]
    for where in budget["places"].values():
        assert Path(where).exists() and where in done.stdout
    assert "missed" not in done.stdout and "windows" in done.stdout
    sheet = cv2.imread(str(folder / "contact-sheet.png"))
    assert sheet.shape[0] > 500 and sheet.std() > 20
    assert (folder / "report.html").read_text().count("<figure>") == 24
    assert len(list(folder.glob("library/*/000/truth.h5"))) == 3


def test_a_second_run_keeps_the_takes_and_what_was_made_of_them(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = demo
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("library/*/000/*")}
    done = run(folder, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("library/*/000/*")} == kept


def test_a_folder_of_something_else_is_left_alone(demo: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    folder, _ = demo
    (tmp_path / "mine.txt").write_text("mine")
    for place, arguments in ((tmp_path, ()), (folder, ("--seed", "9"))):
        refused = run(place, *arguments)
        assert refused.returncode == 1 and "error:" in refused.stderr and "Traceback" not in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_demo_stopped_while_it_records_leaves_no_half_take(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "firsthand.cli", "demo", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("library/.*.part/000/recording.h5.part")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1 and "stopped" in said and "Traceback" not in said
    assert list(folder.glob("library/*")) == []
