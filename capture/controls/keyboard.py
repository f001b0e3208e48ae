"""The keyboard of the terminal, also over SSH. The terminal is given back as it was, whatever ends or stops the process."""

import atexit
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from firsthand.capture.controls.keys import KEYS, KeyReader
from firsthand.capture.controls.press import Debounce, Press, Presses, offer

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

BACKGROUND_S = 0.2
"""How often a process in the background looks whether it has the terminal again."""
ESCAPE_S = 0.05
"""After this long an Esc was pressed alone: the rest of a sequence comes at once, also over a network."""
DEADLY = ("SIGTERM", "SIGHUP", "SIGQUIT")


class Keyboard:
    """Presses from a terminal in cbreak mode: no Enter needed, nothing echoed, Ctrl-C and Ctrl-Z work as ever.

    Opened in the main thread it also takes care of signals: Ctrl-Z and ``fg``, SIGSTOP and SIGCONT, and of those that kill where the
    process has no handler of its own. (After ``kill -9`` the shell puts its terminal right.) In the background it neither reads nor
    touches the terminal.
    """

    name = "keyboard"

    def __init__(self, presses: Presses, *, fd: int | None = None) -> None:
        self._presses, self._given = presses, fd
        self._fd = -1
        self._saved: list[Any] | None = None
        self._raw = False
        self._lock = threading.RLock()  # a signal handler may come while the main thread is inside
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self._handlers: dict[int, Any] = {}
        self.absent = "the keyboard is not open"

    def __enter__(self) -> Self:
        self.absent = self._open()
        if self.absent:
            return self
        atexit.register(self._restore)
        self._take_signals()
        self._enter_cbreak()
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(self._wake[0],), name="keyboard", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._wake:
            os.write(self._wake[1], b"x")
        if self._thread:
            self._thread.join()
        self._restore()
        atexit.unregister(self._restore)
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._handlers.clear()
        for end in self._wake or ():
            os.close(end)
        self._wake = self._thread = None
        self.absent = self.absent or "the keyboard is not open"

    def _open(self) -> str:
        if termios is None:
            return "no keyboard control: this system's terminals have no cbreak mode"
        try:
            self._fd = sys.stdin.fileno() if self._given is None else self._given
            self._saved = termios.tcgetattr(self._fd)
        except (termios.error, OSError, ValueError, AttributeError):  # not a terminal, closed, replaced, none at all
            return "no keyboard control: standard input is not a terminal"
        return ""

    def _foreground(self) -> bool:
        """Whether the terminal is ours to read and change; the shell has it while we run in the background."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # not our controlling terminal: nobody else's either (a test's, or a detached one)
            return True

    def _enter_cbreak(self) -> None:
        with self._lock, suppress(termios.error, OSError):
            if self._raw or not self._foreground():
                return
            mode = termios.tcgetattr(self._fd)
            mode[3] &= ~(termios.ECHO | termios.ICANON)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSANOW, mode)
            self._raw = True

    def _restore(self) -> None:
        with self._lock, suppress(termios.error, OSError):
            if self._raw and self._foreground():
                termios.tcsetattr(self._fd, termios.TCSANOW, self._saved or [])
            self._raw = False

    def _read(self, wake: int) -> None:
        keys, debounce = KeyReader(), Debounce()
        while True:
            if not self._foreground():
                self._raw = False  # the shell set its own mode when it took the terminal
                if select.select([wake], [], [], BACKGROUND_S)[0]:
                    return
                continue
            self._enter_cbreak()  # after being brought back
            ready = select.select([self._fd, wake], [], [], ESCAPE_S if keys.waiting else BACKGROUND_S)[0]
            if wake in ready:
                return
            if not ready:
                keys.timeout()
                continue
            if not self._foreground():  # reading now would stop the whole process (SIGTTIN)
                continue
            try:
                received = os.read(self._fd, 256)
            except OSError:
                received = b""
            if not received:
                self.absent = "the keyboard is gone: its terminal was closed"
                return
            host_ns = time.monotonic_ns()
            for action in [KEYS[key] for key in keys.feed(received) if key in KEYS]:
                if debounce.accepts(action, host_ns):
                    offer(self._presses, Press(action, self.name, host_ns))

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python allows handlers there only
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            self._handle(signal.SIGTSTP, self._suspend)
        self._handle(signal.SIGCONT, self._continue)
        for name in DEADLY:
            if signal.getsignal(number := getattr(signal, name)) is signal.SIG_DFL:  # others end in __exit__, or in atexit
                self._handle(number, self._die)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._handlers[number] = signal.signal(number, handler)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-Z: the terminal first, then stop as ever; what follows runs after SIGCONT."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)
        self._enter_cbreak()

    def _continue(self, number: int, frame: FrameType | None) -> None:
        """After a SIGSTOP the shell changed the mode behind our back."""
        self._raw = False
        self._enter_cbreak()
        before = self._handlers.get(number)
        if callable(before):
            before(number, frame)

    def _die(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
