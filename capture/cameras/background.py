"""A camera whose library only reads by waiting, in a thread of its own, so that the recorder need not."""

import threading
import time
from collections.abc import Callable, Iterator

from firsthand.capture.cameras.feed import Incoming
from firsthand.capture.errors import FirsthandError

WAITING = 120
"""Pictures that may wait to be taken: four seconds. Then the newest go, and are a gap."""
LATE = "nobody took it in time"
Pictures = Callable[[], Iterator[Incoming]]


class Background:
    """Takes `pictures` until they end or fail, or `stop` is called; they wait here."""

    def __init__(self, where: str, pictures: Pictures) -> None:
        self._come = threading.Condition()
        self._waiting: list[Incoming] = []
        self._late = 0
        self._over: FirsthandError | None = None
        self._end = False
        self._where = where
        self._thread = threading.Thread(target=self._run, args=(pictures,), name=where, daemon=True)
        self._thread.start()

    def _run(self, pictures: Pictures) -> None:
        over = FirsthandError(f"{self._where} was closed by the other end; see that the camera still runs")
        try:
            for picture in pictures():
                with self._come:
                    if self._end:
                        return
                    if len(self._waiting) < WAITING:
                        self._waiting.append(picture)
                    else:
                        self._late += 1
                    self._come.notify()
        except FirsthandError as error:
            over = error
        except Exception as error:  # a library's own fault is the camera's
            over = FirsthandError(f"{self._where} broke ({error or type(error).__name__}); see that the camera still runs")
        with self._come:
            self._over = over
            self._come.notify()

    def receive(self, timeout_s: float) -> list[Incoming]:
        """What has come. Raises `FirsthandError` when nothing is left and no more will come."""
        with self._come:
            self._come.wait_for(lambda: self._waiting or self._over, max(timeout_s, 0))
            pictures = self._waiting + [Incoming(time.monotonic_ns(), b"", problem=LATE)] * self._late
            self._waiting, self._late = [], 0
            if not pictures and self._over:
                raise self._over
        return pictures

    def stop(self, wait_s: float) -> bool:
        """Have it end, which may take as long as its library waits; whether it did."""
        with self._come:
            self._end = True
        self._thread.join(wait_s)
        return not self._thread.is_alive()
