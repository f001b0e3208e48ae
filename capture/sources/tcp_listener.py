"""Messages of a device that connects to us, as an app does that was given our address. It may do so several times at once."""

import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.transport import LONGEST_BYTES, STRANGER, Cutter, Lines, Packet, address, ipv4

MOST_CONNECTIONS = 8


class TcpListener:
    """What one machine sends over TCP to an address of ours: `bind` is ``"ADDRESS:PORT"``, `sender` an address. Others are sent away."""

    def __init__(self, bind: str, sender: str, cut: Callable[[Counter[str]], Cutter] = Lines) -> None:
        self._address, self._host = address(bind, "bind"), ipv4(sender, "sender")
        self.where, self.sender = f"TCP {bind}", sender
        self.refused: Counter[str] = Counter()
        self.stranger = ""
        self._cut = cut
        self._server: socket.socket | None = None
        self._open: dict[socket.socket, Cutter] = {}

    def receive(self, timeout_s: float) -> list[Packet]:
        """Messages that are complete, of all connections."""
        assert self._server is not None
        packets = []
        for ready in select.select([self._server, *self._open], [], [], max(timeout_s, 0))[0]:
            if ready is self._server:
                self._accept()
            else:
                packets += self._take(ready)
        return packets

    def _accept(self) -> None:
        assert self._server is not None
        try:
            connection, (host, port, *_) = self._server.accept()
        except OSError:  # it went away again
            return
        if host != self._host or len(self._open) == MOST_CONNECTIONS:
            connection.close()
            self.stranger = f"{host}:{port}"
            self.refused[STRANGER if host != self._host else f"more than {MOST_CONNECTIONS} connections"] += 1
            return
        connection.setblocking(False)
        self._open[connection] = self._cut(self.refused)

    def _take(self, connection: socket.socket) -> list[Packet]:
        try:
            data = connection.recv(LONGEST_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:  # the app reconnects by itself; when it does not, the driver's silence tells
            connection.close()
            del self._open[connection]
            return []
        return self._open[connection].add(time.monotonic_ns(), data)

    def __enter__(self) -> Self:
        self._server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._server.bind(self._address)
            self._server.listen(MOST_CONNECTIONS)
        except OSError as error:
            self._server.close()
            raise FirsthandError(f"cannot listen at {self.where}: {reason(error)}; name an address of this machine and a free "
                                 "port") from error
        self._server.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for connection in self._open:
            connection.close()
        self._open.clear()
        if self._server:
            self._server.close()
            self._server = None
