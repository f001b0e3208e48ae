"""What the tests of trackers and gloves share: an emulator on a thread, the recorder, and which message a row came from."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from firsthand.capture.driver import DRIVERS, Driver
from firsthand.capture.emulator import EMULATORS, Emulation, emulate
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.plugins import find
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.stream import Sample


class Bench:
    """Drivers and emulators by name, on this machine's own address."""

    @staticmethod
    def port() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind(("127.0.0.1", 0))
            tcp.bind(("127.0.0.1", 0))
            return int(tcp.getsockname()[1])

    @staticmethod
    def open(name: str, **options: Any) -> MessageDriver:
        (driver,) = find("drivers", DRIVERS, name)(**options)
        assert isinstance(driver, MessageDriver)
        return driver

    @staticmethod
    @contextmanager
    def emulator(name: str, to: str, emulation: Emulation | None = None, *, after_s: float = 0.0) -> Iterator[None]:
        stop = threading.Event()

        def run() -> None:
            stop.wait(after_s)
            with suppress(FirsthandError):  # the other end of a connection is gone
                emulate(name, to, emulation or Emulation(), stop=stop)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5)

    @staticmethod
    def record(drivers: Sequence[Driver], path: Path, seconds: float) -> Recording:
        end = threading.Event()
        timer = threading.Timer(seconds, end.set)
        timer.start()
        record(drivers, path, stop=end)
        timer.cancel()
        return Recording(path)

    @staticmethod
    def sent(name: str, emulation: Emulation | None = None, seconds: float = 12.0) -> list[tuple[float, bytes]]:
        """What an emulator sends within some seconds: when, in seconds, and the message."""
        messages = find("emulators", EMULATORS, name)(emulation or Emulation())
        return [(due_ns * 1e-9, message) for due_ns, message in takewhile(lambda m: m[0] < seconds * 1e9, messages)]

    @staticmethod
    def read(driver: MessageDriver, seconds: float) -> list[Sample]:
        samples, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            samples += driver.read(0.02) or []
        return samples

    @staticmethod
    def points(row: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Joints (21, 3) of a row of a hand stream."""
        return np.asarray(row[:63]).reshape(21, 3)

    @staticmethod
    def R(quat_wxyz: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The rotation of a unit quaternion."""
        w, x, y, z = quat_wxyz
        return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                         [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                         [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    return Bench


class Flood:
    """Sends one message again and again from a thread, far faster than any device."""

    def __init__(self, port: int, message: bytes, *, hz: float, host: str = "127.0.0.1") -> None:
        self._stop, self.count = threading.Event(), 0
        self._thread = threading.Thread(target=self._run, args=(port, message, hz, host), daemon=True)

    def _run(self, port: int, message: bytes, hz: float, host: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            began = time.monotonic()
            while not self._stop.wait(0.002):
                while self.count < (time.monotonic() - began) * hz:
                    sock.sendto(message, ("127.0.0.1", port))
                    self.count += 1

    def __enter__(self) -> "Flood":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="session")
def flood() -> type[Flood]:
    return Flood
