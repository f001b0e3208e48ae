"""Messages of ZeroMQ sockets that somebody else has bound."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.transport import LONGEST_BYTES, MOST, Packet

WAITING = 1000
"""Messages that may wait in ZeroMQ's memory; past that PUB drops and PUSH holds."""


class ZmqMessages:
    """``pull`` takes from PUSH sockets, ``sub`` all that PUB sockets publish. `connect` is ``"HOST:PORT"``, or several."""

    def __init__(self, kind: Literal["pull", "sub"], connect: Sequence[str]) -> None:
        self._kind = kind
        self._places = [f"tcp://{place}" for place in connect]
        for place in connect:
            host, _, port = place.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65536:
                raise FirsthandError(f"connect is {place!r}; write the bridge's name or address and its port, such as '127.0.0.1:8000'")
        self.where, self.sender, self.stranger = f"ZeroMQ {', '.join(self._places)}", "", ""
        self.refused: Counter[str] = Counter()
        self._socket: Any = None

    def receive(self, timeout_s: float) -> list[Packet]:
        """What has come."""
        import zmq

        packets: list[Packet] = []
        if not self._socket.poll(max(timeout_s, 0) * 1000):
            return packets
        for _ in range(MOST):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            packets.append(Packet(time.monotonic_ns(), b"".join(parts)))
        return packets

    def __enter__(self) -> Self:
        try:
            import zmq
        except ImportError:
            raise FirsthandError("ZeroMQ needs pyzmq: pip install 'firsthand[gloves]'") from None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL if self._kind == "pull" else zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, WAITING)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LONGEST_BYTES)
        if self._kind == "sub":
            self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        for place in self._places:
            try:
                self._socket.connect(place)
            except zmq.ZMQError as error:
                self.__exit__(None, None, None)
                raise FirsthandError(f"cannot connect to {place}: {error}; check its address and port") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket is not None:
            self._socket.close()
            self._context.term()
            self._socket = None
