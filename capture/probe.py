"""Work on what may be damaged, in a process of its own: it may hang or crash there, and we say so and go on.

``python -m firsthand.capture.probe module:function`` is the other end.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from firsthand.capture.errors import FirsthandError

Progress = Callable[[int, int], None]
SAY_S = 0.1
"""Progress is told no oftener."""


class ProbeError(FirsthandError):
    """The other process hung or crashed."""


def apart(function: str, argument: Any, *, stall_s: float, progress: Progress | None = None) -> Any:
    """Call ``"module:function"`` with (argument, progress) in another process and return what it returned; both are plain JSON.

    The process is ended when it neither ends nor makes progress for `stall_s`. Raises `ProbeError` when it hung or crashed, and what the
    function raises when that is a `FirsthandError`.
    """
    child = subprocess.Popen([sys.executable, "-m", "firsthand.capture.probe", function], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True)
    assert child.stdin and child.stdout and child.stderr
    said: queue.Queue[str | None] = queue.Queue()
    errors: list[str] = []
    for pipe, hear in ((child.stdout, said.put), (child.stderr, errors.append)):
        threading.Thread(target=_listen, args=(pipe, hear, said if pipe is child.stdout else None), daemon=True).start()
    try:
        with suppress(BrokenPipeError), child.stdin:
            json.dump(argument, child.stdin)
        while (line := said.get(timeout=stall_s)) is not None:
            told = json.loads(line)
            if "result" in told:
                return told["result"]
            if "fault" in told:
                raise FirsthandError(told["fault"])
            if progress:
                progress(*told["progress"])
        raise ProbeError(_how(child.wait(stall_s), errors))
    except (queue.Empty, subprocess.TimeoutExpired):
        raise ProbeError(f"did not answer within {stall_s:g} s") from None
    finally:
        with suppress(OSError):
            child.kill()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk cannot even be killed
            child.wait(1)


def _listen(pipe: Any, hear: Callable[[str], None], end: "queue.Queue[str | None] | None") -> None:
    with pipe:
        for line in pipe:
            hear(line)
    if end:
        end.put(None)


def _how(code: int, errors: list[str]) -> str:
    """What an exit without an answer says."""
    if code < 0:
        with suppress(ValueError):
            return f"crashed ({signal.Signals(-code).name})"
    last = next((line.strip() for line in reversed(errors) if line.strip()), "")
    return f"ended without an answer ({last or f'code {code}'})"


def main() -> None:
    """Serve one call. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    last = [0.0]

    def say(**told: Any) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if now - last[0] >= SAY_S:
            last[0] = now
            say(progress=[done, total])

    module, _, name = sys.argv[1].partition(":")
    argument = json.load(sys.stdin)
    try:
        say(result=getattr(import_module(module), name)(argument, progress))
    except FirsthandError as error:
        say(fault=str(error))


if __name__ == "__main__":
    main()
