"""Messages that a gRPC server streams in answer to one request. They stay bytes here: what is in them is the format's business."""

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from ipaddress import IPv4Address
from types import TracebackType
from typing import Any, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.transport import LONGEST_BYTES, MOST, Packet

CONNECT_S = 3.0
WAITING = 1024
_OPTIONS = [("grpc.max_receive_message_length", 4 * LONGEST_BYTES), ("grpc.enable_http_proxy", 0)]


class GrpcStream:
    """One streaming call. `connect` is ``"HOST:PORT"``, `method` the call's path, `request` makes the request from our own address."""

    def __init__(self, connect: str, method: str, request: Callable[[IPv4Address], bytes]) -> None:
        host, _, port = connect.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise FirsthandError(f"connect is {connect!r}; write the device's address and its port, such as '192.168.1.31:12345'")
        self._host, self._port, self._method, self._request = host, int(port), method, request
        self.where, self.sender, self.stranger = f"gRPC {connect}", "", ""
        self.refused: Counter[str] = Counter()
        self._come = threading.Condition()
        self._packets: deque[Packet] = deque()
        self._over = ""
        self._channel: Any = None

    def receive(self, timeout_s: float) -> list[Packet]:
        """What has come."""
        with self._come:
            self._come.wait_for(lambda: self._packets or self._over, max(timeout_s, 0))
            packets = [self._packets.popleft() for _ in range(min(len(self._packets), MOST))]
            if not packets and self._over:
                raise FirsthandError(f"{self.where} {self._over}; start its app again")
        return packets

    def _listen(self, call: Any) -> None:
        import grpc

        over = "was closed by the other end"
        try:
            for message in call:
                packet = Packet(time.monotonic_ns(), message)
                with self._come:
                    if len(self._packets) < WAITING:
                        self._packets.append(packet)
                    else:
                        self.refused["nobody took it in time"] += 1
                    self._come.notify()
        except grpc.RpcError as error:
            over = f"broke ({error.code().name})"  # type: ignore[attr-defined]
        with self._come:
            self._over = over
            self._come.notify()

    def __enter__(self) -> Self:
        try:
            import grpc
        except ImportError:
            raise FirsthandError("gRPC needs grpcio: pip install 'firsthand[gloves]'") from None
        self._packets.clear()
        self._over = ""
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((self._host, self._port))
                own = IPv4Address(probe.getsockname()[0])
        except OSError as error:
            raise FirsthandError(f"there is no way to {self.where} ({error.strerror}); check its address and the network") from error
        self._channel = grpc.insecure_channel(f"{self._host}:{self._port}", options=_OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=CONNECT_S)
        except grpc.FutureTimeoutError:
            self.__exit__(None, None, None)
            raise FirsthandError(f"cannot connect to {self.where} within {CONNECT_S:g} s; check that its app is open, its address and "
                                 "port, that both are in one network, and the firewall") from None
        call = self._channel.unary_stream(self._method)(self._request(own))
        self._thread = threading.Thread(target=self._listen, args=(call,), name=self.where, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
