"""A foot pedal, or anything else that the kernel calls an input device: page turner, presenter, button box, gamepad."""

import os
import select
import stat
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from firsthand.capture.controls.press import ACTIONS, Action, Debounce, Press, Presses, offer
from firsthand.capture.errors import FirsthandError, unknown

EVENT = struct.Struct("@llHHi")
"""The kernel's ``input_event``: seconds, microseconds, type, code, value; 24 bytes on 64-bit systems."""
EV_KEY, DOWN = 1, 1
GRAB = 0x40044590
"""EVIOCGRAB: what the pedal sends comes to us alone, and does not also type a space into the terminal."""
AGAIN_S = 1.0
"""How often a pedal that is not there, or was pulled out, is looked for."""

CODES: dict[str, int] = {
    "esc": 1, "1": 2, "2": 3, "3": 4, "tab": 15, "enter": 28, "a": 30, "b": 48, "c": 46, "space": 57, "home": 102, "up": 103,
    "page-up": 104, "left": 105, "right": 106, "end": 107, "down": 108, "page-down": 109, **{f"f{n}": 170 + n for n in range(13, 25)},
    **{f"f{n}": 58 + n for n in range(1, 11)}, "f11": 87, "f12": 88, "left-button": 0x110, "right-button": 0x111, "middle-button": 0x112,
    "play": 164, "next-song": 163, "previous-song": 165,
}  # fmt: skip
"""Name -> key code of ``linux/input-event-codes.h``; any other code may be given as a number."""

PEDAL_KEYS: dict[str, Action] = {
    "space": "toggle", "b": "toggle", "page-down": "toggle", "f13": "toggle", "left-button": "toggle", "play": "toggle",
    "c": "keep", "f14": "keep", "right-button": "keep", "next-song": "keep",
    "a": "discard", "page-up": "discard", "f15": "discard", "previous-song": "discard",
    "middle-button": "mark", "f16": "mark",
}  # fmt: skip
"""What pedals send as they come from the box -> action: one pedal sends b, Space or F13; three send a, b and c."""


class Pedal:
    """Presses from Linux input devices; those that are pulled out come back by themselves."""

    name = "pedal"

    def __init__(self, presses: Presses, *, device: str, keys: Mapping[str, str] | None = None, names: Path = Path("/sys/class/input"),
                 nodes: Path = Path("/dev/input")) -> None:
        """`device` is a path such as ``/dev/input/by-id/...-event-kbd``, or part of the device's name in either case.

        `keys` maps names of `CODES` or key codes to actions, in place of `PEDAL_KEYS`. Raises `FirsthandError` for one that is unknown.
        Every device whose name fits is taken, and taken away from the desktop: do not name your only keyboard.
        """
        self._presses, self._device, self._names, self._nodes = presses, device, names, nodes
        self._actions = dict(_parse(key, action) for key, action in (PEDAL_KEYS if keys is None else keys).items())
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self._open: dict[int, Path] = {}
        self.absent = "the pedal is not open"

    def __enter__(self) -> Self:
        self._find()
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, args=(self._wake[0],), name="pedal", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._wake and self._thread:
            os.write(self._wake[1], b"x")
            self._thread.join()
        with ExitStack() as ends:
            for fd in (*self._open, *(self._wake or ())):
                ends.callback(os.close, fd)
        self._open.clear()
        self._wake = self._thread = None
        self.absent = "the pedal is not open"

    def _find(self) -> None:
        """Open every device that fits and is not open yet."""
        found, fault = 0, ""
        for path in self._paths():
            found += 1
            if path in self._open.values():
                continue
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except PermissionError:
                fault = f"no pedal: {path} may not be read; add yourself to the group 'input' and log in again"
            except OSError as error:
                fault = f"no pedal: {path} cannot be opened ({error.strerror})"
            else:
                self._open[fd] = path
                _grab(fd)
        self.absent = "" if self._open else fault or f"no pedal: there is no input device called {self._device!r}; " + (
            "plug it in" if not found else "plug it in again")

    def _paths(self) -> list[Path]:
        if "/" in self._device:
            return [Path(self._device)] if Path(self._device).exists() else []
        fitting = []
        for file in sorted(self._names.glob("event*/device/name")):
            with suppress(OSError):  # it was pulled out just now
                if self._device.lower() in file.read_text(errors="replace").lower():
                    fitting.append(self._nodes / file.parts[-3])
        return fitting

    def _read(self, wake: int) -> None:
        debounce, parts = Debounce(), dict[int, bytes]()
        looked_s = time.monotonic()
        while True:
            ready = select.select([*self._open, wake], [], [], AGAIN_S)[0]
            if wake in ready:
                return
            host_ns = time.monotonic_ns()
            for fd in ready:
                try:
                    received = os.read(fd, 64 * EVENT.size)
                except BlockingIOError:
                    continue
                except OSError:  # pulled out
                    received = b""
                if not received:
                    parts.pop(fd, None)
                    os.close(fd)
                    self.absent = "" if len(self._open) > 1 else f"the pedal is gone: {self._open[fd]} was unplugged"
                    del self._open[fd]
                    looked_s = time.monotonic()  # what has just gone is not there yet
                    continue
                parts[fd], actions = self._parse_events(parts.get(fd, b"") + received)
                for action in actions:
                    if debounce.accepts(action, host_ns):
                        offer(self._presses, Press(action, self.name, host_ns))
            if time.monotonic() - looked_s >= AGAIN_S:
                looked_s = time.monotonic()
                if not self._open:
                    self._find()

    def _parse_events(self, received: bytes) -> tuple[bytes, list[Action]]:
        """What is left of an event cut in two, and the actions of the keys that went down. Repeats and releases are nothing."""
        whole = len(received) // EVENT.size * EVENT.size
        return received[whole:], list(self._downs(EVENT.iter_unpack(received[:whole])))

    def _downs(self, events: Iterator[tuple[int, ...]]) -> Iterator[Action]:
        for _, _, kind, code, value in events:
            if kind == EV_KEY and value == DOWN and code in self._actions:
                yield self._actions[code]


def _parse(key: str, action: str) -> tuple[int, Action]:
    if action not in ACTIONS:
        raise unknown("action", action, ACTIONS)
    name = str(key).lower().removeprefix("key_").replace("_", "-").replace(" ", "-")
    code = CODES.get(name, int(name) if name.isdecimal() and len(name) > 1 else None)
    if code is None:
        raise FirsthandError(f"no pedal key called {key!r}; write its code as a number, or one of: {', '.join(CODES)}")
    return code, action  # type: ignore[return-value]


def _grab(fd: int) -> None:
    if stat.S_ISCHR(os.fstat(fd).st_mode):
        import fcntl

        with suppress(OSError):  # another program has grabbed it already: it will say nothing to us, but that is not ours to end
            fcntl.ioctl(fd, GRAB, 1)
