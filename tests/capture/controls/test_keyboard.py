"""The keyboard: what keys mean, and a terminal that is given back whatever happens. Real processes in a real terminal."""

import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firsthand.capture.controls.keyboard import Keyboard
from firsthand.capture.controls.keys import KEYS, PASTE_BYTES, KeyReader
from firsthand.capture.controls.press import ACTIONS, CONTROLS, WORDS, Debounce, Press, new_presses, offer
from firsthand.capture.plugins import find

CHILD = """
import sys, time
from firsthand.capture.controls.keyboard import Keyboard
from firsthand.capture.controls.press import new_presses
presses = new_presses()
with Keyboard(presses) as keyboard:
    print("absent:", keyboard.absent or "no", flush=True)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            press = presses.get(timeout=0.05)
        except Exception:
            continue
        print("press:", press.action, flush=True)
        if press.action == "quit":
            break
        if press.action == "mark":
            raise RuntimeError("boom")
"""


class Terminal:
    """A process that is the leader of a session of its own with a terminal of its own."""

    def __init__(self, code: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", code])
        self.seen = ""

    def wait_for(self, text: str, timeout_s: float = 20) -> None:
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode()
                except OSError:
                    break
        assert text in self.seen, self.seen

    def cooked(self) -> bool:
        return termios.tcgetattr(self.fd)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON

    def until_cooked(self, wanted: bool) -> None:
        end = time.monotonic() + 20
        while self.cooked() is not wanted:
            assert time.monotonic() < end, f"the terminal stayed {'raw' if wanted else 'cooked'}"
            time.sleep(0.01)

    def press(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def end(self) -> int:
        return os.waitpid(self.pid, 0)[1]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(CHILD)
    try:
        made.wait_for("absent: no")
        made.until_cooked(False)
        yield made
    finally:
        try:
            os.kill(made.pid, signal.SIGKILL)
            os.waitpid(made.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(made.fd)


def test_keys_become_presses_and_the_terminal_is_given_back(terminal: Terminal) -> None:
    for key, action in ((b" ", "toggle"), (b"K", "keep"), (b"\x1b[C", "next_task"), (b"q", "quit")):
        terminal.press(key)
        terminal.wait_for(f"press: {action}")
    terminal.until_cooked(True)
    assert terminal.end() == 0


def test_an_exception_gives_the_terminal_back(terminal: Terminal) -> None:
    terminal.press(b"m")
    terminal.wait_for("boom")
    terminal.until_cooked(True)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_that_kills_gives_the_terminal_back_first_and_still_kills(terminal: Terminal, how: signal.Signals) -> None:
    os.kill(terminal.pid, how)
    terminal.until_cooked(True)
    status = terminal.end()
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == how


SHELL = """
import os, signal, subprocess, sys, time
# What an interactive shell does: a job in a group of its own that is given the terminal, stopped, and brought back.
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = subprocess.Popen([sys.executable, "-c", os.environ["JOB"]], process_group=0)
os.tcsetpgrp(0, job.pid)
def until_stopped():
    pid, status = os.waitpid(job.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status
    print("stopped by", signal.Signals(os.WSTOPSIG(status)).name, flush=True)
until_stopped()
os.tcsetpgrp(0, os.getpgrp())
time.sleep(0.3)
print("shell has it", flush=True)
sys.stdin.readline()
if os.environ["BACKGROUND"]:
    os.killpg(job.pid, signal.SIGCONT)
    time.sleep(0.7)
    pid, status = os.waitpid(job.pid, os.WNOHANG | os.WUNTRACED)
    print("in the background it", "runs" if pid == 0 else "was stopped", flush=True)
    sys.stdin.readline()
os.tcsetpgrp(0, job.pid)
os.killpg(job.pid, signal.SIGCONT)
print("brought back", flush=True)
status = os.waitpid(job.pid, 0)[1]
os.tcsetpgrp(0, os.getpgrp())
print("ended with", status, flush=True)
time.sleep(5)
"""


@pytest.mark.parametrize("background", ["", "yes"], ids=["fg", "bg then fg"])
def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(monkeypatch: pytest.MonkeyPatch, background: str) -> None:
    monkeypatch.setenv("JOB", CHILD)
    monkeypatch.setenv("BACKGROUND", background)
    shell = Terminal(SHELL)
    try:
        shell.wait_for("absent: no")
        shell.until_cooked(False)
        shell.press(b"\x1a")
        shell.wait_for("stopped by SIGTSTP")
        shell.wait_for("shell has it")
        assert shell.cooked()
        shell.press(b"one\n")
        if background:
            shell.wait_for("in the background it runs")
            assert shell.cooked()
            shell.press(b"two\n")
        shell.wait_for("brought back")
        shell.until_cooked(False)
        shell.press(b"k")
        shell.wait_for("press: keep")
        shell.press(b"q")
        shell.wait_for("ended with 0")
        assert shell.cooked()
    finally:
        os.kill(shell.pid, signal.SIGKILL)
        os.waitpid(shell.pid, 0)
        os.close(shell.fd)


def test_after_a_plain_stop_the_terminal_is_taken_again(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGSTOP)
    os.waitpid(terminal.pid, os.WUNTRACED)
    mode = termios.tcgetattr(terminal.fd)
    mode[3] |= termios.ECHO | termios.ICANON  # what a shell does when a job stops
    termios.tcsetattr(terminal.fd, termios.TCSANOW, mode)
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.until_cooked(False)
    terminal.press(b"d")
    terminal.wait_for("press: discard")


def test_a_terminal_that_goes_away_ends_the_keyboard_only() -> None:
    leader, follower = pty.openpty()
    with Keyboard(new_presses(), fd=follower) as keyboard:
        assert keyboard.absent == ""
        os.close(leader)
        end = time.monotonic() + 5
        while not keyboard.absent and time.monotonic() < end:
            time.sleep(0.01)
        assert keyboard.absent == "the keyboard is gone: its terminal was closed"
    os.close(follower)


def test_without_a_terminal_the_keyboard_is_absent_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"kkk")
    with (tmp_path / "in").open() as file, Keyboard(presses := new_presses(), fd=file.fileno()) as keyboard:
        assert keyboard.absent == "no keyboard control: standard input is not a terminal"
    assert presses.empty()


def test_each_action_has_words_and_each_key_an_action() -> None:
    assert set(KEYS.values()) <= set(ACTIONS) == set(WORDS)


def test_each_control_is_found_by_name() -> None:
    assert [find("controls", CONTROLS, name).name for name in CONTROLS] == list(CONTROLS)


def test_escape_sequences_are_never_read_as_letters() -> None:
    keys = KeyReader()
    assert keys.feed(b"\x1b[D\x1bOC\x1b[6~\x1b[15~\x1b[1;5D\x1bk") == ["left", "right", "page-down"]
    assert keys.feed(b"\x1b") == [] and keys.waiting
    assert keys.feed(b"[") == [] and keys.feed(b"Dk") == ["left", "k"]
    keys.feed(b"\x1b")
    keys.timeout()
    assert keys.feed(b"Dk") == ["d", "k"]


def test_a_paste_presses_nothing() -> None:
    assert KeyReader().feed(b"d" * (PASTE_BYTES + 1)) == [] and KeyReader().feed(b"\x00\xff\xc3\xa9") == []


def test_a_held_key_is_one_press() -> None:
    debounce = Debounce()
    held_ms = [0, 660, *range(690, 4000, 33)]
    assert [debounce.accepts("toggle", t * 1_000_000) for t in held_ms].count(True) == 1
    assert debounce.accepts("toggle", 5_000_000_000) and debounce.accepts("keep", 5_000_000_001)
    assert [debounce.accepts("next_task", t * 1_000_000) for t in (6000, 6200, 6400)] == [True] * 3


def test_a_full_queue_never_makes_a_source_wait() -> None:
    presses = new_presses()
    taken = [offer(presses, Press("mark", "remote", i)) for i in range(100)]
    assert taken.count(True) == 64 and presses.get_nowait().host_ns == 0
