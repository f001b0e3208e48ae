"""Emulated devices over TCP: one that connects to whoever shall listen, and one that others connect to."""

import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

from firsthand.capture.emulators.outlet import Greeting, Line
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.transport import CONNECT_S, address

_BEHIND = 1 << 20
"""Bytes that may wait for somebody who does not read."""


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


class TcpServer:
    """``tcp-serve://ADDRESS:PORT``: sends messages as they are to all who connect; who comes gets the greetings first."""

    def __init__(self, place: str) -> None:
        self._address = address(place, "--to")
        self.where = f"whoever connects to tcp://{place}"
        self._greetings: list[bytes] = []
        self._clients: dict[socket.socket, bytes] = {}

    def send(self, message: bytes) -> bool:
        """Send to all; False when nobody had room for it."""
        if isinstance(message, Greeting):
            self._greetings.append(message)
            return False
        with suppress(BlockingIOError):
            client, _ = self._server.accept()
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[client] = b"".join(self._greetings)
        sent = False
        for client, rest in list(self._clients.items()):
            if len(rest) < _BEHIND:
                rest, sent = rest + message, True
            try:
                self._clients[client] = rest[client.send(rest) :]
            except BlockingIOError:
                self._clients[client] = rest
            except OSError:
                client.close()
                del self._clients[client]
        return sent

    def __enter__(self) -> Self:
        try:
            self._server = socket.create_server(self._address)
        except OSError as error:
            raise FirsthandError(f"cannot serve at {self._address[0]}:{self._address[1]}: {reason(error)}; name an address of this machine "
                                 "and a free port") from error
        self._server.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients:
            client.close()
        self._server.close()
