"""Room for one thing between two threads: what comes later takes the place of what still waits."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Slot(Generic[T]):
    """A queue of length one in which the newest wins; putting never waits."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> None:
        """Offer a thing; one that still waits is forgotten."""
        with self._changed:
            self._item = item
            self._changed.notify()

    def waiting(self) -> bool:
        """Whether something newer than what was last taken is there, or the end."""
        with self._changed:
            return self._item is not None or self._closed

    def take(self) -> T | None:
        """Wait for the next thing; None when the slot is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Nothing more comes. What waits may still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()
