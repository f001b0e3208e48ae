"""Emulated devices over TCP: one that connects to whoever shall listen."""

import socket
from types import TracebackType
from typing import Self

from firsthand.capture.emulators.outlet import Line
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.transport import CONNECT_S, address


class TcpLines(Line):
    """``tcp://ADDRESS:PORT``: connects there and sends messages, each with a line end."""

    def __init__(self, place: str) -> None:
        self._address = address(place, "--to")
        self.where = f"tcp://{place}"

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection(self._address, CONNECT_S)
        except OSError as error:
            raise FirsthandError(f"cannot connect to {self.where}: {reason(error)}; start the recorder first, it listens there") from error
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._fd = self._socket.fileno()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
