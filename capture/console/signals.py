"""Ctrl-C, a polite kill and a closed terminal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

WORDS = {"SIGINT": "Ctrl-C was pressed", "SIGTERM": "it was asked to end", "SIGHUP": "the terminal was closed"}


@contextmanager
def signals_to(heard: Callable[[str], None]) -> Iterator[None]:
    """Call `heard` with the name of each such signal, from its handler. One that is ignored (nohup) stays so."""

    def hear(number: int, _frame: FrameType | None) -> None:
        heard(signal.Signals(number).name)

    before: dict[int, Any] = {}
    for name in WORDS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
