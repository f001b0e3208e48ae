"""What a person can ask of the recorder with both hands busy, and the one queue that every source of it fills."""

import queue
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

Action = Literal["start", "stop", "toggle", "keep", "discard", "redo", "mark", "next_task", "previous_task", "quit", "help"]
ACTIONS: tuple[Action, ...] = get_args(Action)

WORDS: dict[Action, str] = {
    "start": "start recording", "stop": "stop recording", "toggle": "start or stop", "keep": "keep the take",
    "discard": "discard it (it goes to the trash folder)", "redo": "record it again", "mark": "set a marker",
    "next_task": "next task", "previous_task": "previous task", "quit": "end the session", "help": "show what there is to press",
}  # fmt: skip
"""What each action does, for people."""

QUEUE_PRESSES = 64

CONTROLS: dict[str, str] = {
    "keyboard": "firsthand.capture.controls.keyboard:Keyboard",
    "pedal": "firsthand.capture.controls.pedal:Pedal",
    "clap": "firsthand.capture.controls.microphone:ClapMicrophone",
    "remote": "firsthand.capture.controls.remote:Remote",
}
"""Name -> ``"module:class"`` of a `Control`; its first argument is the queue. One line a source."""

ONCE_S: dict[Action, float] = dict.fromkeys(("start", "stop", "toggle", "keep", "discard", "redo"), 0.7)
"""A second press of these within this time is a held key (it repeats after 0.25 to 0.66 s) or a foot that bounced."""
REPEAT_S = 0.1
"""For all other actions: a held key repeats some 30 times a second, nobody presses so fast."""


@dataclass(frozen=True)
class Press:
    """One wish of a person."""

    action: Action
    source: str
    """Where it came from: ``keyboard``, ``pedal``, ``clap``, ``remote``."""
    host_ns: int
    """The host's monotonic clock when it was made."""
    text: str = ""
    """What a marker says; only ``remote`` can send one."""


Presses = queue.Queue[Press]


def new_presses() -> Presses:
    """The queue that all sources share; one reader takes presses out in the order they came."""
    return queue.Queue(QUEUE_PRESSES)


def offer(presses: Presses, press: Press) -> bool:
    """Put a press on the queue without ever waiting; False when the reader is so far behind that it does not fit."""
    try:
        presses.put_nowait(press)
    except queue.Full:
        return False
    return True


class Control(Protocol):
    """One source of presses, opened with ``with``. It works in a thread of its own and never holds the recorder up."""

    @property
    def name(self) -> str:
        """As in `CONTROLS`."""

    @property
    def absent(self) -> str:
        """Why it does nothing at the moment, in one sentence; empty while it works."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Debounce:
    """Lets one press through where a held key or a bouncing foot makes many."""

    def __init__(self) -> None:
        self._last_ns: dict[Action, int] = {}

    def accepts(self, action: Action, host_ns: int) -> bool:
        """Whether this is a press of its own. One that is not still counts as the last: a key held for ever is pressed once."""
        last_ns = self._last_ns.get(action)
        self._last_ns[action] = host_ns
        return last_ns is None or host_ns - last_ns >= ONCE_S.get(action, REPEAT_S) * 1e9
