"""MJPEG over the network: parts of an HTTP response, or JPEGs one after another over TCP."""

import http.client
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from email.message import Message
from types import TracebackType
from typing import Any, Self

from firsthand.capture.cameras.address import Address
from firsthand.capture.cameras.background import Background
from firsthand.capture.cameras.feed import Facts, Incoming
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.wire_formats.jpeg import JpegStream
from firsthand.capture.wire_formats.multipart import PartStream, stamp_ns

READ_BYTES = 1 << 16
BUFFER_BYTES = 4 << 20
_LOGIN = "it wants a user and a password: url = \"http://USER:$CAMERA_PASSWORD@...\", and set that variable"
_PATHS = "the stream of IP Webcam is at /video, of mjpg-streamer at /?action=stream, of an ESP32-CAM at port 81 /stream"


class MjpegFeed:
    """What an address sends: ``http://`` and ``https://`` parts, ``tcp://`` bare JPEGs."""

    check = "check that the camera runs and streams, and the network"

    def __init__(self, address: Address, *, rate_hz: float | None, timeout_s: float) -> None:
        self.where = address.url
        self.refused: Counter[str] = Counter()
        self._address, self._timeout_s = address, timeout_s
        self.facts = Facts("jpeg", rate_hz=rate_hz, extra={"url": address.url})
        self._open: Any = None
        self._background: Background | None = None

    def receive(self, timeout_s: float) -> list[Incoming]:
        """Pictures that are complete."""
        assert self._background is not None
        return self._background.receive(timeout_s)

    def __enter__(self) -> Self:
        self._open, cutter = self._connect() if self._address.scheme == "tcp" else self._ask()
        self._background = Background(self.where, lambda: self._pictures(cutter))
        return self

    def _pictures(self, cutter: JpegStream | PartStream) -> Iterator[Incoming]:
        while True:
            try:
                data = self._open.recv(READ_BYTES) if isinstance(self._open, socket.socket) else self._open.read1(READ_BYTES)
            except TimeoutError:
                raise FirsthandError(f"{self.where} has sent nothing for {self._timeout_s:g} s; {self.check}") from None
            except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: it was closed here
                raise FirsthandError(f"{self.where} broke ({error}); {self.check}") from error
            if not data:
                return
            host_ns = time.monotonic_ns()
            for found in cutter.add(data):
                if isinstance(found, bytes):
                    yield Incoming(host_ns, found)
                    continue
                kind = found.headers.get("content-type", "image/jpeg").partition(";")[0].strip().lower()
                problem = "" if kind in ("image/jpeg", "image/jpg") else f"it is {kind[:40]!r}, not image/jpeg"
                yield Incoming(host_ns, found.body, stamp_ns(found.headers), problem=problem)

    def _connect(self) -> tuple[socket.socket, JpegStream]:
        try:
            sock = socket.create_connection((self._address.host, self._address.port), self._timeout_s)
        except OSError as error:
            raise FirsthandError(f"cannot connect to {self.where}: {reason(error)}; {self.check}, the address and the port") from error
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        return sock, JpegStream(self.refused)

    def _ask(self) -> tuple[http.client.HTTPResponse, PartStream]:
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        if self._address.user:
            logins = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            logins.add_password(None, self.where, self._address.user, self._address.password)
            handlers += [urllib.request.HTTPBasicAuthHandler(logins), urllib.request.HTTPDigestAuthHandler(logins)]
        try:
            response = urllib.request.build_opener(*handlers).open(self.where, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            hint = {401: _LOGIN, 403: _LOGIN, 404: _PATHS, 503: "a phone or an ESP32 often serves one viewer only: close the others"}
            raise FirsthandError(f"{self.where} answers {error.code} ({error.reason}); {hint.get(error.code, self.check)}") from None
        except urllib.error.URLError as error:
            why = reason(error.reason) if isinstance(error.reason, OSError) else error.reason
            raise FirsthandError(f"cannot connect to {self.where}: {why}; {self.check}, the address and the port") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FirsthandError(f"{self.where} does not answer as a camera would ({error or type(error).__name__}); {_PATHS}") from None
        told: Message = response.headers
        boundary = told.get_param("boundary")
        if told.get_content_maintype() != "multipart" or not isinstance(boundary, str) or not boundary.strip("-"):
            response.close()
            kind = told.get("content-type", "nothing it names")
            raise FirsthandError(f"{self.where} sends {kind}, not a stream of pictures (multipart/x-mixed-replace); {_PATHS}")
        return response, PartStream(boundary, self.refused)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(self._open, socket.socket):
            self._open.close()
        if self._background:
            self._background.stop(self._timeout_s + 0.5)
            self._background = None
        if self._open is not None:
            self._open.close()
            self._open = None
