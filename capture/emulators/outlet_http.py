"""Emulated cameras as HTTP servers: who asks gets parts for ever."""

import socket
from contextlib import suppress
from types import TracebackType
from typing import Self

from firsthand.capture.emulators.mjpeg_camera import BOUNDARY
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.transport import address

_BEHIND = 2 << 20
"""Bytes that may wait for somebody who does not read; then pictures are left out."""
_LONGEST_REQUEST = 16_384
_ANSWER = ("HTTP/1.0 200 OK\r\nServer: firsthand\r\nConnection: close\r\nCache-Control: no-store\r\n"
           f"Content-Type: multipart/x-mixed-replace;boundary={BOUNDARY}\r\n\r\n").encode()


class HttpParts:
    """``http-serve://ADDRESS:PORT``: whatever path is asked for, the answer is the stream."""

    def __init__(self, place: str) -> None:
        self._address = address(place, "--to")
        self.where = f"whoever asks http://{place}/"
        self._asking: dict[socket.socket, bytes] = {}
        self._behind: dict[socket.socket, bytes] = {}

    def send(self, message: bytes) -> bool:
        """Send a part to all who asked; False when nobody had room for it."""
        self._greet()
        sent = False
        for client, rest in list(self._behind.items()):
            if len(rest) < _BEHIND:
                rest, sent = rest + message, True
            try:
                self._behind[client] = rest[client.send(rest) :]
            except BlockingIOError:
                self._behind[client] = rest
            except OSError:
                client.close()
                del self._behind[client]
        return sent

    def _greet(self) -> None:
        with suppress(BlockingIOError):
            while True:
                client, _ = self._server.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._asking[client] = b""
        for client, request in list(self._asking.items()):
            try:
                said = client.recv(_LONGEST_REQUEST)
            except BlockingIOError:
                continue
            except OSError:
                said = b""
            self._asking[client] = request = request + said
            if b"\r\n\r\n" in request:
                self._behind[client] = _ANSWER
            elif said and len(request) < _LONGEST_REQUEST:
                continue
            else:
                client.close()
            del self._asking[client]

    def __enter__(self) -> Self:
        try:
            self._server = socket.create_server(self._address)
        except OSError as error:
            raise FirsthandError(f"cannot serve at {self._address[0]}:{self._address[1]}: {reason(error)}; name an address of this machine "
                                 "and a free port") from error
        self._server.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in (*self._asking, *self._behind):
            client.close()
        self._server.close()
