"""How a device's messages reach the host: UDP packets, lines of a serial port, messages of a TCP connection, each stamped on arrival.

Every source opens with ``with``; then ``receive(timeout_s)`` returns what has come, at most `MOST` at a time, and raises `FirsthandError`
when the line breaks. Nothing here grows: what comes faster than it is taken waits in the system's buffer, and is lost there.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason

MOST = 256
LONGEST_BYTES = 65_536
BUFFER_BYTES = 4 << 20
CONNECT_S = 1.0


class Packet(NamedTuple):
    """One message, and the host's monotonic clock when it was taken."""

    host_ns: int
    data: bytes


class Source(Protocol):
    """Where messages come from."""

    where: str
    """For sentences: what is listened to."""
    refused: Counter[str]
    """Messages that were not let through, by reason."""

    def receive(self, timeout_s: float) -> list[Packet]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class UdpPackets:
    """Datagrams that arrive at one address of this machine from one sender. `bind` is ``"ADDRESS:PORT"``, `sender` an address, or one with
    a port."""

    def __init__(self, bind: str, sender: str) -> None:
        self._address = address(bind, "bind")
        host, colon, port = sender.partition(":")
        self._host, self._port = ipv4(host, "sender"), _port(port, f"sender {sender!r}") if colon else None
        self.where, self.sender = f"UDP {bind}", sender
        self.refused: Counter[str] = Counter()
        self.stranger = ""
        """Who sent last though not asked to."""
        self._socket: socket.socket | None = None

    def receive(self, timeout_s: float) -> list[Packet]:
        """Datagrams of the sender; those of others are counted and put aside."""
        assert self._socket is not None
        if not select.select([self._socket], [], [], max(timeout_s, 0))[0]:
            return []
        packets = []
        for _ in range(MOST):
            try:
                data, (host, port, *_) = self._socket.recvfrom(LONGEST_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                raise FirsthandError(f"{self.where} broke: {reason(error)}") from error
            host_ns = time.monotonic_ns()
            if host == self._host and self._port in (None, port):
                packets.append(Packet(host_ns, data))
            else:
                self.stranger = f"{host}:{port}"
                self.refused["from another sender"] += 1
        return packets

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        try:
            self._socket.bind(self._address)
        except OSError as error:
            self._socket.close()
            raise FirsthandError(f"cannot listen at {self.where}: {reason(error)}; name an address of this machine and a free "
                                 "port") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


class SerialLines:
    """Lines that arrive at a serial port."""

    def __init__(self, port: str, baud: int) -> None:
        self._port, self._baud = port, baud
        self.where = f"serial port {port} at {baud} baud"
        self.refused: Counter[str] = Counter()
        self._line: Any = None

    def receive(self, timeout_s: float) -> list[Packet]:
        """Lines that are complete, without their ends."""
        try:
            self._line.timeout = max(timeout_s, 0)
            data = self._line.read(1)
            host_ns = time.monotonic_ns()
            data += self._line.read(min(self._line.in_waiting, LONGEST_BYTES)) if data else b""
        except OSError as error:
            raise FirsthandError(f"{self.where} went away ({reason(error)}); plug it in again") from error
        return self._lines.add(host_ns, data)

    def __enter__(self) -> Self:
        try:
            import serial
        except ImportError:
            raise FirsthandError("serial ports need pyserial: pip install 'firsthand[gloves]'") from None
        try:
            self._line = serial.Serial(self._port, self._baud, timeout=0, exclusive=True)
            self._line.reset_input_buffer()  # what came before it was opened has no time
        except (OSError, ValueError) as error:
            from serial.tools.list_ports import comports

            there = ", ".join(sorted(port.device for port in comports())) or "none"
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise FirsthandError(f"cannot open {self.where} ({why}); check its name and your rights to it (there are: {there})") from error
        self._lines = Lines(self.refused, starts_midway=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


class Cutter(Protocol):
    """Cuts a stream of bytes into messages."""

    def add(self, host_ns: int, data: bytes) -> list[Packet]: ...


class TcpStream:
    """Messages that a server sends to whoever connects. `connect` is ``"HOST:PORT"``; `cut` makes what cuts its bytes, at line ends if not
    given."""

    def __init__(self, connect: str, cut: Callable[[Counter[str]], Cutter] | None = None) -> None:
        host, _, port = connect.rpartition(":")
        if not host:
            raise FirsthandError(f"connect is {connect!r}; write the server's name or address and its port, such as '192.168.1.20:7000'")
        self._address = host, _port(port, f"connect {connect!r}")
        self.where = f"TCP {connect}"
        self.refused: Counter[str] = Counter()
        self._cut = cut or Lines
        self._socket: socket.socket | None = None

    def receive(self, timeout_s: float) -> list[Packet]:
        """Messages that are complete."""
        assert self._socket is not None
        if not select.select([self._socket], [], [], max(timeout_s, 0))[0]:
            return []
        try:
            data = self._socket.recv(LONGEST_BYTES)
        except OSError as error:
            raise FirsthandError(f"{self.where} broke ({reason(error)}); check the device and the network") from error
        if not data:
            raise FirsthandError(f"{self.where} was closed by the other end; start its sender again")
        return self._cutter.add(time.monotonic_ns(), data)

    def __enter__(self) -> Self:
        try:
            self._socket = socket.create_connection(self._address, CONNECT_S)
        except OSError as error:
            raise FirsthandError(f"cannot connect to {self.where}: {reason(error)}; check that its sender runs, its address and "
                                 "port") from error
        self._cutter = self._cut(self.refused)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


class Lines:
    """Cuts a stream of bytes at its line ends. What comes before the first is no line, where the sender was not waited for."""

    def __init__(self, refused: Counter[str], *, starts_midway: bool = False) -> None:
        self._refused, self._skips, self._rest = refused, starts_midway, b""

    def add(self, host_ns: int, data: bytes) -> list[Packet]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines and self._skips:
            self._skips = False
            del lines[0]
        if len(self._rest) > LONGEST_BYTES:
            self._refused["a line without an end"] += 1
            self._rest, self._skips = b"", True
        return [Packet(host_ns, line.rstrip(b"\r")) for line in lines if line.rstrip(b"\r")]


def address(text: str, what: str) -> tuple[str, int]:
    """An IPv4 address and a port. Raises `FirsthandError` when `text` is not ``"ADDRESS:PORT"``."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise FirsthandError(f"{what} is {text!r}; write an address and a port, such as '127.0.0.1:9100'")
    return ipv4(host, what), _port(port, f"{what} {text!r}")


def ipv4(host: str, what: str) -> str:
    """An IPv4 address, checked."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        raise FirsthandError(f"{what} is {host!r}; write an IPv4 address in numbers, such as 192.168.1.20") from None
    return host


def _port(text: str, what: str) -> int:
    if not (text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536):
        raise FirsthandError(f"{what} has no port; write a number from 1 to 65535 after the colon")
    return int(text)
