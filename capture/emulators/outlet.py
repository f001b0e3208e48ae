"""Where an emulator sends: a UDP address, a serial port, or the far end of a serial line made for the purpose."""

import os
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.plugins import find
from firsthand.capture.transport import address

BAUD = 115_200
OUTLETS: dict[str, str] = {
    "grpc": "firsthand.capture.emulators.outlet_grpc:Served",
    "http-serve": "firsthand.capture.emulators.outlet_http:HttpParts",
    "lsl": "firsthand.capture.emulators.outlet_lsl:GloveOutlet",
    "tcp": "firsthand.capture.emulators.outlet_tcp:TcpLines",
    "tcp-serve": "firsthand.capture.emulators.outlet_tcp:TcpServer",
    "zmq-pub": "firsthand.capture.emulators.outlet_zmq:Pub",
    "zmq-push": "firsthand.capture.emulators.outlet_zmq:Push",
}
"""More kinds of places: kind -> ``"module:class"``, made with what stands behind ``kind://``."""


class Greeting(bytes):
    """A message that everybody who connects later gets as well, before others."""


class Outlet(Protocol):
    """Sends messages; opened with ``with``."""

    where: str
    """For people."""

    def send(self, message: bytes) -> bool:
        """Send one message; False when there was no room for it, as on a line that nobody reads."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_outlet(to: str) -> Outlet:
    """``udp://ADDRESS:PORT``, ``serial:PORT`` (with ``@BAUD`` if not 115200), ``pty:PATH``, a new serial line whose other end is PATH, or
    one of `OUTLETS`.

    Raises `FirsthandError` when it is none of these.
    """
    kind, _, place = to.partition(":")
    if kind == "udp" and place.startswith("//"):
        return _Udp(address(place[2:], "--to"))
    if kind == "serial" and place:
        port, _, baud = place.partition("@")
        if baud and not baud.isdecimal():
            raise FirsthandError(f"{to!r}: {baud!r} is no baud rate; write a number, such as 115200")
        return _Serial(port, int(baud or BAUD))
    if kind == "pty" and place:
        return _Pty(Path(place))
    if kind in OUTLETS and place:
        outlet: Outlet = find("outlets", OUTLETS, kind)(place.removeprefix("//"))
        return outlet
    raise FirsthandError(f"cannot send to {to!r}; write udp://127.0.0.1:9100, serial:/dev/ttyUSB0, pty:/tmp/glove or, for devices that "
                         f"speak so, {', '.join(f'{kind}://...' for kind in OUTLETS)}")


class _Udp:
    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self.where = f"udp://{to[0]}:{to[1]}"

    def send(self, message: bytes) -> bool:
        try:
            return self._socket.sendto(message, self._to) == len(message)
        except BlockingIOError:
            return False
        except OSError as error:
            raise FirsthandError(f"cannot send to {self.where}: {reason(error)}; check the address and the network") from error

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()


class Line:
    """Messages as lines into a descriptor that does not block. One that has no room for a whole line gets none of the next either until
    the rest is out, so that lines stay whole."""

    where: str
    _fd: int
    _rest = b""

    def send(self, message: bytes) -> bool:
        try:
            if self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
            if self._rest:
                return False
            line = message + b"\n"
            self._rest = line[os.write(self._fd, line) :]
        except BlockingIOError:
            return False
        except OSError as error:
            raise FirsthandError(f"{self.where} went away: {reason(error)}") from error
        return True


class _Serial(Line):
    def __init__(self, port: str, baud: int) -> None:
        self._port, self._baud = port, baud
        self.where = f"serial:{port} at {baud} baud"

    def __enter__(self) -> Self:
        try:
            import serial
        except ImportError:
            raise FirsthandError("serial ports need pyserial: pip install 'firsthand[gloves]'") from None
        try:
            self._serial: Any = serial.Serial(self._port, self._baud, timeout=0)
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise FirsthandError(f"cannot open {self.where} ({why}); check its name and your rights to it") from error
        self._fd = self._serial.fileno()
        os.set_blocking(self._fd, False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._serial.close()


class _Pty(Line):
    def __init__(self, link: Path) -> None:
        self._link = link
        self.where = f"the serial port {link}"

    def __enter__(self) -> Self:
        import tty

        if self._link.exists() and not self._link.is_symlink():
            raise FirsthandError(f"{self._link} exists already; name a path that is free, for the other end of the line")
        self._fd, self._far = os.openpty()  # the far end stays open, so that its reader may come and go
        tty.setraw(self._far)
        os.set_blocking(self._fd, False)
        try:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(os.ttyname(self._far))
        except OSError as error:
            self._close()
            raise FirsthandError(f"cannot make {self._link}: {reason(error)}; name a path that can be written") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._link.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        os.close(self._far)
        os.close(self._fd)
