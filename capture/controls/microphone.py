"""Two claps toggle. The microphone is heard in a process of its own: audio libraries print, block and crash as they like."""

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from firsthand.capture.controls.clap import ClapDetector
from firsthand.capture.controls.press import Debounce, Press, Presses, offer

RATE_HZ = 16_000
BLOCK_S = 0.04
START_S = 10.0
"""A sound system that has not answered by then will not."""
END_S = 2.0


class ClapMicrophone:
    """Presses by clapping twice, 0.35 to 1 s apart, with 0.6 s of no clap before and after."""

    name = "clap"

    def __init__(self, presses: Presses, *, device: str | None = None, action: str = "toggle") -> None:
        """`device` is part of the name of a microphone; the system's own choice where it is None."""
        self._presses, self._device, self._action = presses, device, action
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._answered = threading.Event()
        self.absent = "the microphone is not open"

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, "-m", __name__, self._device or ""], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.absent = ""  # until it says why not
        self._thread = threading.Thread(target=self._listen, args=(self._process,), name="clap", daemon=True)
        self._thread.start()
        return self

    def wait_until_ready(self, timeout_s: float = START_S) -> str:
        """Wait until it works, or says why not; returns `absent`."""
        self._answered.wait(timeout_s)
        return self.absent

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process and self._thread:
            with contextlib.suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr]
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._thread.join()
            self._process.stdout.close()  # type: ignore[union-attr]
        self.absent = "the microphone is not open"

    def _listen(self, process: subprocess.Popen[str]) -> None:
        debounce = Debounce()
        for line in process.stdout or ():
            said: dict[str, Any] = json.loads(line)
            if "absent" in said:
                self.absent = said["absent"]
                self._answered.set()
            elif debounce.accepts(self._action, said["host_ns"]):  # type: ignore[arg-type]
                offer(self._presses, Press(self._action, self.name, said["host_ns"]))  # type: ignore[arg-type]
        self.absent = self.absent or "no clap control: the microphone was lost"
        self._answered.set()


def listen(device: str | None) -> None:
    """Say ``{"absent": why or ""}``, then ``{"host_ns": t}`` for each double clap, a line of JSON each, until stdin ends."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        import sounddevice
    except ImportError:
        return _say(absent="no clap control: pip install 'firsthand[sound]'")
    except OSError as error:
        return _say(absent=f"no clap control: {error} (on Debian and Ubuntu: apt install libportaudio2)")
    blocks: queue.Queue[tuple[int, Any]] = queue.Queue(50)

    def take(sound: Any, frames: int, times: Any, status: Any) -> None:
        with contextlib.suppress(queue.Full):
            blocks.put_nowait((time.monotonic_ns(), sound[:, 0].copy()))

    try:
        with sounddevice.InputStream(samplerate=RATE_HZ, channels=1, blocksize=round(BLOCK_S * RATE_HZ), device=device, callback=take):
            _say(absent="")
            detector = ClapDetector(RATE_HZ)
            while True:
                for t_ns in detector.feed(*blocks.get(timeout=5)):
                    _say(host_ns=t_ns)
    except (sounddevice.PortAudioError, ValueError) as error:
        return _say(absent=f"no clap control: the microphone cannot be opened ({error})")
    except queue.Empty:
        return _say(absent="no clap control: the microphone was lost")


def _say(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _end_with_stdin() -> None:
    import os

    sys.stdin.read()
    os._exit(0)  # a sound system that hangs must not keep the process


if __name__ == "__main__":
    listen(sys.argv[1] or None)
