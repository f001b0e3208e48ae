"""A terminal that a test can type into and look at, and devices that are not there."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RIGS = Path(__file__).parents[3] / "examples" / "rigs"
RECORD = [sys.executable, "-m", "firsthand.cli", "record"]

PATTERN = """
name = "bench"
pre_roll_s = 0.5
source = "simulation"

[[device]]
name = "head"
driver = "pattern"
[device.options]
cameras = [{name = "head", size_px = [320, 240], fps = 30}]

[[device]]
name = "glove-right"
driver = "pattern"
[device.options]
sensors = [{name = "glove-right", columns = 22, rate_hz = 120, role = "glove", side = "right", unit = "rad"}]
"""


@pytest.fixture
def pattern_rig(tmp_path: Path) -> Path:
    """A rig of a small camera and a glove that need nothing."""
    path = tmp_path / "rig.toml"
    path.write_text(PATTERN)
    return path


APART_S = 1.2


class Terminal:
    """A terminal of 80 columns and 24 rows in tmux, with a shell in it."""

    def __init__(self, socket_path: Path, transcript: Path | None) -> None:
        self._tmux = ["tmux", "-S", str(socket_path), "-f", "/dev/null"]
        self._transcript, self._shots = transcript, 0
        self._pressed_s: dict[tuple[str, ...], float] = {}
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PYTHONPATH": ""}
        begin = ["new-session", "-d", "-x", "80", "-y", "24", "sh"]
        subprocess.run([*self._tmux, *begin], check=True, env=environment, cwd=socket_path.parent)
        self.type("PS1='$ '; clear")
        self.wait_for_prompt()

    def type(self, text: str) -> None:
        """Type a line and press Enter."""
        subprocess.run([*self._tmux, "send-keys", "-l", text], check=True)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """Press keys, as tmux calls them; the same again no sooner than a person would, or it counts as a bouncing key."""
        time.sleep(max(self._pressed_s.get(keys, 0.0) + APART_S - time.monotonic(), 0.0))
        self._pressed_s[keys] = time.monotonic()
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def screen(self, *options: str) -> str:
        """What is to be seen; with ``-J`` as one line what the terminal broke in two."""
        return subprocess.run([*self._tmux, "capture-pane", "-p", *options], check=True, capture_output=True, text=True).stdout

    def wait_for(self, text: str, timeout_s: float = 20.0) -> float:
        """Wait until a text is to be seen; returns how long that took."""
        began_s = time.monotonic()
        while text not in (seen := self.screen("-J")):
            if time.monotonic() - began_s > timeout_s:
                raise AssertionError(f"{text!r} was not to be seen within {timeout_s} s:\n{seen}")
            time.sleep(0.05)
        return time.monotonic() - began_s

    def wait_for_prompt(self, timeout_s: float = 20.0) -> None:
        """Wait until the shell asks for the next command."""
        deadline_s = time.monotonic() + timeout_s
        ask = [*self._tmux, "display-message", "-p", "#{pane_current_command}"]
        while (subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip() != "sh"
               or (self.screen().strip().splitlines() or [""])[-1].strip() != "$"):
            assert time.monotonic() < deadline_s, f"no prompt within {timeout_s} s:\n{self.screen()}"
            time.sleep(0.05)

    def keep(self, name: str) -> None:
        """Add the screen to the transcript, where one is wanted."""
        if self._transcript:
            self._transcript.mkdir(parents=True, exist_ok=True)
            (self._transcript / f"{self._shots:02d}-{name}.txt").write_text(self.screen())
            self._shots += 1

    def close(self) -> None:
        """End it, as when its window is closed."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def kitchen_rig(tmp_path: Path, free_port: int) -> Path:
    """The example rig with the emulated glove, on a free port and with a small picture."""
    path = tmp_path / "kitchen.toml"
    text = (RIGS / "emulated-glove.toml").read_text()
    path.write_text(text.replace("9100", str(free_port)).replace('"emulated-glove"', '"kitchen"').replace("1280, 720", "640, 360"))
    return path


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal; screens go to the folder FIRSTHAND_TRANSCRIPT names."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    wanted = os.environ.get("FIRSTHAND_TRANSCRIPT")
    opened = Terminal(tmp_path / "tmux", Path(wanted) if wanted else None)
    yield opened
    opened.close()


@pytest.fixture
def free_port() -> int:
    """A UDP port on this machine that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def glove(free_port: int) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Switch the emulated glove on: a process; kill it, and the glove is gone."""
    running: list[subprocess.Popen[bytes]] = []

    def switch_on() -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "firsthand.cli", "emulate", "glove", "--to", f"udp://127.0.0.1:{free_port}"]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return running[-1]

    yield switch_on
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start ``firsthand record`` without a terminal; it is ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: object, **more: object) -> "subprocess.Popen[str]":
        running.append(subprocess.Popen([*RECORD, *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **more))  # type: ignore[call-overload]
        return running[-1]

    yield start
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate()
