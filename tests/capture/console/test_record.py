"""``firsthand record`` as processes: JSON lines, the lock, signals in a take, the remote control, resuming."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from firsthand.capture.console.lock import only_recorder, recorder_of
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import find_episodes
from firsthand.capture.recording import Recording

Start = Callable[..., "subprocess.Popen[str]"]


def events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def until(process: "subprocess.Popen[str]", kind: str) -> dict[str, Any]:
    """The next event of a kind."""
    seen = []
    for event in events(process):
        seen.append(event)
        if event["event"] == kind:
            return event
    raise AssertionError(f"it ended without {kind}: {seen}\n{process.stderr.read() if process.stderr else ''}")


def by_itself(library: Path, rig: Path, *more: object) -> list[object]:
    return [library, "--rig", rig, "--task", "pour", "--auto", "--duration", 1, "--no-coach", *more]


def test_takes_are_recorded_by_themselves_and_told_as_json_lines(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    process = record(*by_itself(tmp_path / "library", pattern_rig, "--task", "fold", "--episodes", 1, "--wearer", "w07"))
    told = list(events(process))
    assert process.wait() == 0 and (process.stderr is None or process.stderr.read() == "")
    kinds = [event["event"] for event in told]
    assert kinds.count("started") == kinds.count("stopped") == kinds.count("finished") == 2 and kinds[-1] == "over"
    assert [Path(take).name for take in told[-1]["takes"]] == ["000", "001"] and told[-1]["faults"] == []
    assert all(event["utc"].endswith("+00:00") and event["host_ns"] > 0 for event in told)
    for episode, task in zip(find_episodes(tmp_path / "library"), ("pour", "fold"), strict=True):
        with episode.recording() as take:
            assert take.task == task and len(take["head"]) > 25 and len(take["glove-right"]) > 100
            assert 1.0 <= take.duration_s < 2.5  # with up to half a second before the start
        assert episode.session()["wearer"] == "w07"
    assert recorder_of(tmp_path / "library") is None
    assert not list((tmp_path / "library" / ".recorder").glob("*.jpg"))  # nobody's picture stays


def test_a_second_recorder_in_the_same_library_is_refused(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    with only_recorder(library):
        assert recorder_of(library) == str(os.getpid())
        process = record(*by_itself(library, pattern_rig))
        assert process.wait() == 1 and f"process {os.getpid()}, is recording" in process.stderr.read()  # type: ignore[union-attr]
    with only_recorder(library), pytest.raises(FirsthandError, match="end that one first"), only_recorder(library):
        pass
    assert recorder_of(library) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_a_take_ends_it_and_keeps_it(record: Start, pattern_rig: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = record(tmp_path / "library", "--rig", pattern_rig, "--task", "pour", "--auto", "--duration", 60, "--no-coach")
    take = Path(until(process, "started")["take"])
    time.sleep(0.7)
    process.send_signal(number)
    told = list(events(process))
    assert process.wait() == 0 and told[-1]["event"] == "over" and told[-1]["takes"] == [str(take)]
    with Recording(take / "recording.h5") as whole:
        assert len(whole["glove-right"]) > 60 and not list(take.glob("*.part*"))


def test_a_closed_terminal_ends_the_take_and_keeps_it(terminal: Any, pattern_rig: Path, tmp_path: Path) -> None:
    terminal.type(f"exec {sys.executable} -m firsthand.cli record library --rig {pattern_rig} --task pour --countdown 0 --no-coach")
    terminal.wait_for("ready for pour")
    terminal.press("Space")
    terminal.wait_for("000 is recording")
    time.sleep(0.5)
    terminal.close()
    library = tmp_path / "library"
    wait_for(lambda: recorder_of(library) is None)
    episode, = find_episodes(library)
    with episode.recording() as take:
        assert len(take["glove-right"]) > 40
    assert "the terminal was closed" in next((library / ".recorder").glob("20*.log")).read_text()


def test_a_recorder_that_is_killed_leaves_its_take_to_the_writer(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    process = record(library, "--rig", pattern_rig, "--task", "pour", "--auto", "--duration", 60, "--no-coach", "--wearer", "w07")
    take = Path(until(process, "started")["take"])
    time.sleep(0.7)
    process.kill()
    process.wait()
    assert recorder_of(library) is None  # the lock goes with the process
    wait_for(lambda: (take / "recording.h5").exists() and not list(take.glob("*.part*")))
    with Recording(take / "recording.h5") as whole:
        assert len(whole["glove-right"]) > 60
    again = record(*by_itself(library, pattern_rig, "--episodes", 2, "--wearer", "w07", "--resume"))
    told = list(events(again))
    assert again.wait() == 0 and told[-1]["takes"] == [str(take.with_name("001"))], told


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the writer's process in /proc")
def test_resume_recovers_what_an_earlier_run_left(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    process = record(library, "--rig", pattern_rig, "--task", "pour", "--auto", "--duration", 60, "--no-coach")
    take = Path(until(process, "started")["take"])
    time.sleep(1.0)
    writer, = (pid for pid, line in processes() if "writer_process" in line and parent(pid) == process.pid)
    os.kill(process.pid, signal.SIGSTOP)  # else it would start another writer
    os.kill(writer, signal.SIGKILL)
    process.kill()
    process.wait()
    assert list(take.glob("*.part"))
    again = record(*by_itself(library, pattern_rig, "--episodes", 1, "--resume"))
    told = list(events(again))
    kinds = {event["event"]: event for event in told}
    assert again.wait() == 0 and kinds["recovered"]["take"] == str(take) and kinds["recovered"]["saved"]["glove-right"] > 60
    assert kinds["resumed"]["kept"] == 1 and kinds["resumed"]["next"] == "001"


def test_a_remote_starts_marks_stops_and_ends(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    options = ["--rig", pattern_rig, "--task", "pour", "--countdown", 0, "--no-coach", "--remote", "127.0.0.1:0"]
    process = record(tmp_path / "library", *options)
    port = until(process, "listening")["port"]
    until(process, "ready")

    def post(verb: str, body: str = "") -> int:
        with urlopen(Request(f"http://127.0.0.1:{port}/{verb}", data=body.encode(), method="POST")) as answer:
            return int(answer.status)

    assert post("start") == 202
    take = Path(until(process, "started")["take"])
    with urlopen(f"http://127.0.0.1:{port}/status") as answer:
        assert json.load(answer)["status"]["console"]["desk"]["phase"] == "recording"
    post("mark", "spilled")
    until(process, "marked")
    post("stop")
    until(process, "finished")
    post("quit")
    assert until(process, "over")["takes"] == [str(take)] and process.wait() == 0
    with Recording(take / "recording.h5") as whole:
        assert ("mark", "spilled") in [(marker["kind"], marker["text"]) for _, marker in whole.markers]


def test_a_device_that_fails_for_good_ends_what_goes_by_itself_with_exit_code_1(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    pattern_rig.write_text(pattern_rig.read_text().replace("columns = 22", "colums = 22"))
    process = record(*by_itself(tmp_path / "library", pattern_rig))
    told = list(events(process))
    assert process.wait() == 1 and "colums" in told[-1]["faults"][0] and "colums" in process.stderr.read()  # type: ignore[union-attr]
    assert not list((tmp_path / "library").glob("20*"))  # no empty session


def test_a_mistyped_command_makes_no_folder(record: Start, pattern_rig: Path, tmp_path: Path) -> None:
    for options in (["--auto", "--task", "pour"], [], ["--task", "pour"]):
        assert record(tmp_path / "library", "--rig", pattern_rig, *options).wait() == 1
    assert not (tmp_path / "library").exists()


def processes() -> list[tuple[int, str]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")))
            except OSError:
                continue
    return found


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def wait_for(happened: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
