"""Emulated devices that serve gRPC: whoever calls gets what is sent from then on."""

import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.transport import address

_CALLERS, _BEHIND = 4, 256
_LOOK_S = 0.1
"""So often a call looks whether it is over."""


class Served:
    """``grpc://ADDRESS:PORT``: the streaming call of Tracking Streamer."""

    SERVICE, CALL = "handtracking.HandTrackingService", "StreamHandUpdates"

    def __init__(self, place: str) -> None:
        self._host, self._port = address(place, "--to")
        self.where = f"whoever calls grpc://{place}"
        self.requests: list[bytes] = []
        """What was asked, the last few."""
        self._callers: list[queue.Queue[bytes]] = []

    def send(self, message: bytes) -> bool:
        """Send to all who call; False when nobody had room for it."""
        sent = False
        for waiting in list(self._callers):
            try:
                waiting.put_nowait(message)
                sent = True
            except queue.Full:
                pass
        return sent

    def _answer(self, request: bytes, context: Any) -> Any:
        self.requests = [*self.requests[-_CALLERS:], request]
        waiting: queue.Queue[bytes] = queue.Queue(_BEHIND)
        self._callers.append(waiting)
        try:
            while context.is_active() and self._open:
                with suppress(queue.Empty):
                    yield waiting.get(timeout=_LOOK_S)
        finally:
            self._callers.remove(waiting)

    def __enter__(self) -> Self:
        try:
            import grpc
        except ImportError:
            raise FirsthandError("gRPC needs grpcio: pip install 'firsthand[gloves]'") from None
        self._threads = ThreadPoolExecutor(_CALLERS)
        self._server = grpc.server(self._threads, options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_stream_rpc_method_handler(self._answer)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.SERVICE, {self.CALL: handler}),))
        try:
            self._server.add_insecure_port(f"{self._host}:{self._port}")
        except RuntimeError as error:
            raise FirsthandError(f"cannot serve at {self._host}:{self._port}; name an address of this machine and a free port") from error
        self._open = True
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False
        self._server.stop(None).wait()
        self._threads.shutdown()
