"""Emulated devices behind ZeroMQ: they bind, whoever listens connects."""

from types import TracebackType
from typing import Any, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.transport import address


class _Bound:
    """A socket that does not wait: what there is no room for is not sent."""

    kind: str

    def __init__(self, place: str) -> None:
        host, port = address(place, "--to")
        self._place = f"tcp://{host}:{port}"
        self.where = f"ZeroMQ {self.kind} at {place}"

    def send(self, message: bytes) -> bool:
        import zmq

        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def __enter__(self) -> Self:
        try:
            import zmq
        except ImportError:
            raise FirsthandError("ZeroMQ needs pyzmq: pip install 'firsthand[gloves]'") from None
        self._context = zmq.Context()
        self._socket: Any = self._context.socket(zmq.PUSH if self.kind == "PUSH" else zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        try:
            self._socket.bind(self._place)
        except zmq.ZMQError as error:
            self.__exit__(None, None, None)
            raise FirsthandError(f"cannot bind {self._place}: {error}; name an address of this machine and a free port") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._context.term()


class Push(_Bound):
    """``zmq-push://ADDRESS:PORT``"""

    kind = "PUSH"


class Pub(_Bound):
    """``zmq-pub://ADDRESS:PORT``"""

    kind = "PUB"
