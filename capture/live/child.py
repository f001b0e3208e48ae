"""A process of the recorder's: started, written to, listened to, and noticed when it is gone."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from firsthand.capture.live.wire import lines

Events = queue.Queue[tuple[str, dict[str, Any]]]
"""Name of a child, and what it said."""


class Child:
    """``python -m module``, with one JSON document a line on its stdin and stdout; stderr goes to a log file.

    It is in a session of its own, so that Ctrl-C in the terminal reaches the supervisor only, and ends when its stdin does, which is also
    when the supervisor dies, however that comes about.
    """

    def __init__(self, name: str, module: str, log: Path, config: dict[str, Any], fds: Sequence[int], events: Events) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as stderr:
            self.process = subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                            text=True, encoding="utf-8", pass_fds=tuple(fds), start_new_session=True,
                                            env={"OMP_NUM_THREADS": "1", **os.environ})
        self._events = events
        self._lock = threading.Lock()
        self.send(config)
        self._listener = threading.Thread(target=self._listen, name=f"hear {name}", daemon=True)
        self._listener.start()

    def send(self, document: dict[str, Any]) -> None:
        """Send one line; a process that is gone does not hear it, which `_listen` tells."""
        assert self.process.stdin is not None
        with self._lock, suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(json.dumps(document) + "\n")
            self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout, suppress(ValueError):  # a line that was cut off by its end
            for document in lines(self.process.stdout):
                self._events.put((self.name, document))
        code = self.process.wait()
        self.end()
        self._events.put((self.name, {"event": "gone", "reason": _how(code), "code": code, "pid": self.process.pid}))

    def end(self) -> None:
        """Ask it to end; `wait` sees that it does."""
        assert self.process.stdin is not None
        with self._lock, suppress(BrokenPipeError, OSError):
            self.process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Until it has ended; a process that does not is killed."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._listener.join()


def _how(code: int) -> str:
    """What an exit code says."""
    if code < 0:
        with suppress(ValueError):
            return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended with {code}"
