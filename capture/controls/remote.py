"""Remote control on one TCP port: one-line commands, as other recorders take them, and HTTP for scripts and buttons in a browser.

One thread with an event loop serves all; it never waits for the recorder, nor the recorder for it.
"""

import asyncio
import hmac
import ipaddress
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from firsthand.capture.controls.press import ACTIONS, Press, Presses, offer
from firsthand.capture.errors import FirsthandError

PORT = 22345
"""Where other recorders of this kind are controlled too."""
CLIENTS = 16
"""At once; for a further one that longest silent is let go, so nobody can lock the collector out by holding connections."""
LINE_BYTES = 1024
HEADER_LINES = 64
BODY_BYTES = 1024
REQUEST_S = 5.0
"""A whole HTTP request, and every answer, has to pass within this time."""
SILENT_S = 600.0
"""A connection of lines may be silent for so long."""
COMMANDS_A_SECOND = 20
STATUS_S = 0.1
"""The status is asked of the recorder at most this often, however often clients ask."""
TOKEN_CHARACTERS = 16
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Status = Callable[[], Mapping[str, Any]]
Reply = dict[str, Any]


class Remote:
    """Presses from the network. By default from this machine only; elsewhere a token is a must, and it travels in the clear."""

    name = "remote"

    def __init__(self, presses: Presses, *, status: Status | None = None, host: str = "127.0.0.1", port: int = PORT,
                 token: str | None = None) -> None:
        """`status` is called in this thread, must be quick, and returns plain JSON. Raises `FirsthandError` for an open door."""
        if token is not None and (len(token) < TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token):
            raise FirsthandError(f"the token of the remote control has {len(token)} characters; it must be at least {TOKEN_CHARACTERS} "
                                 "letters, digits or signs without a space")
        self._local = host == "localhost" or _is_loopback(host)
        if not self._local and token is None:
            raise FirsthandError(f"remote control on {host} would let anyone on that network start and stop; give it a token, "
                                 "or leave it on 127.0.0.1 and come in through ssh -L")
        self._presses, self._status, self._token = presses, status, token
        self._host, self._port = host, port
        self._clients: dict[asyncio.Task[None], _Client] = {}
        self._seen: tuple[float, Reply] = (-STATUS_S, {})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        """The port it listens on; the one given, or any free one where that was 0."""
        self.absent = "the remote control is not open"

    def __enter__(self) -> Self:
        """Raises `FirsthandError` when the port is taken."""
        started: threading.Event = threading.Event()
        fault: list[OSError] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop, started, fault), name="remote", daemon=True)
        self._thread.start()
        started.wait()
        if fault:
            self._thread.join()
            raise FirsthandError(f"remote control cannot listen on {self._host} port {self._port}: {fault[0].strerror or fault[0]}; "
                                 "give it another port, or end what uses this one") from fault[0]
        self.absent = ""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._loop and self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()
        self.absent = "the remote control is not open"

    def _run(self, loop: asyncio.AbstractEventLoop, started: threading.Event, fault: list[OSError]) -> None:
        try:
            loop.run_until_complete(self._serve(started))
        except OSError as error:
            fault.append(error)
        finally:
            loop.close()
            started.set()

    async def _serve(self, started: threading.Event) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._connected, self._host, self._port, limit=LINE_BYTES, backlog=CLIENTS)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._end.wait()
        server.close()
        tasks = list(self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= CLIENTS:
            oldest = min(self._clients, key=lambda t: self._clients[t].heard_s)
            oldest.cancel()
            self._clients.pop(oldest)
        client = self._clients[task] = _Client(reader, writer, trusted=self._token is None)
        try:
            await self._converse(client)
        except (TimeoutError, OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # it was silent, went away, said more than fits a line, or we are at the end
        finally:
            self._clients.pop(task, None)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _converse(self, client: "_Client") -> None:
        first = await client.line(REQUEST_S if self._token else SILENT_S)
        if b" HTTP/" in first:
            async with asyncio.timeout(REQUEST_S):
                await self._http(client, first)
            return
        line: bytes | None = first
        while line:
            await client.answer(json.dumps(self._command(client, line), default=str).encode() + b"\n")
            if client.wrong:
                return
            await asyncio.sleep(client.pause_s())
            line = await client.line(SILENT_S if client.trusted else REQUEST_S)

    def _command(self, client: "_Client", line: bytes) -> Reply:
        """What one line asks for, and the answer to it."""
        words = line.decode("utf-8", "replace").strip().split(maxsplit=1) or [""]
        verb, rest = words[0].lower().replace("-", "_"), words[1] if len(words) > 1 else ""
        if verb == "token":
            client.trusted = client.trusted or self._is_token(rest)
            client.wrong = not client.trusted
            return {"ok": True} if client.trusted else {"ok": False, "error": "wrong token"}
        if not client.trusted:
            client.wrong = True
            return {"ok": False, "error": "first say: token SECRET"}
        return self._do(verb, rest)

    def _do(self, verb: str, text: str) -> Reply:
        if verb == "status":
            return self._status_now()
        if verb == "help":
            return {"ok": True, "commands": ["status", "help", *(action for action in ACTIONS if action != "help")]}
        if verb not in ACTIONS:
            return {"ok": False, "error": f"no command called {verb[:40]!r}; say help"}
        clean = "".join(c if c.isprintable() else " " for c in text)[:200]
        if not offer(self._presses, Press(verb, self.name, time.monotonic_ns(), clean if verb == "mark" else "")):  # type: ignore[arg-type]
            return {"ok": False, "error": "the recorder is behind with earlier commands; try again in a moment"}
        return {"ok": True, "accepted": verb}

    def _status_now(self) -> Reply:
        now_s = time.monotonic()
        if now_s - self._seen[0] >= STATUS_S:
            try:
                self._seen = now_s, {"ok": True, "status": dict(self._status())} if self._status else {"ok": True, "status": {}}
            except Exception as error:  # the recorder's fault must not end its remote control
                self._seen = now_s, {"ok": False, "error": f"the recorder cannot say how it is ({type(error).__name__})"}
        return self._seen[1]

    def _is_token(self, given: str) -> bool:
        return self._token is None or hmac.compare_digest(given.strip().encode(), self._token.encode())

    async def _http(self, client: "_Client", first: bytes) -> None:
        headers: dict[str, str] = {}
        for _ in range(HEADER_LINES):
            line = (await client.line(REQUEST_S)).decode("latin-1").strip()
            if not line:
                break
            key, _, value = line.partition(":")
            headers[key.strip().lower()] = value.strip()
        else:
            return await self._respond(client, 431, {"ok": False, "error": "too many headers"})
        size = headers.get("content-length", "0")
        if not size.isdecimal() or int(size) > BODY_BYTES or "transfer-encoding" in headers:
            return await self._respond(client, 413, {"ok": False, "error": f"a body has at most {BODY_BYTES} bytes"})
        body = (await client.reader.readexactly(int(size))).decode("utf-8", "replace")
        return await self._respond(client, *self._request(first.decode("latin-1"), headers, body))

    def _request(self, first: str, headers: Mapping[str, str], body: str) -> tuple[int, Reply]:
        """Status code and answer of one HTTP request."""
        method, target, *_ = [*first.split(), "", ""]
        verb = target.partition("?")[0].strip("/").lower().replace("-", "_")
        if self._local and _name_of(headers.get("host", "")) not in LOOPBACK:
            return 421, {"ok": False, "error": "this is not the host you asked for"}  # a page elsewhere, its name pointed at us
        foreign = "origin" in headers and headers["origin"].lower().partition("://")[2] != headers.get("host", "").lower()
        if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, {"ok": False, "error": "a page of another site may not control the recorder"}
        kind, _, given = headers.get("authorization", "").partition(" ")
        if self._token is not None and not (kind.lower() == "bearer" and self._is_token(given)):
            return 401, {"ok": False, "error": "send the header Authorization: Bearer TOKEN"}
        if verb not in ("status", "help", *ACTIONS):
            return 404, {"ok": False, "error": f"there is no /{verb[:40]}; GET /help lists what there is"}
        wanted = "GET" if verb in ("status", "help") else "POST"
        if method != wanted:
            return 405, {"ok": False, "error": f"use {wanted} for /{verb}"}
        reply = self._do(verb, body)
        return (200 if verb in ("status", "help") else 202) if reply["ok"] else 503, reply

    async def _respond(self, client: "_Client", code: int, reply: Reply) -> None:
        body = json.dumps(reply, default=str).encode() + b"\n"
        lines = [f"HTTP/1.1 {code} {_REASONS[code]}", "Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close",
                 "Cache-Control: no-store", "X-Content-Type-Options: nosniff", *(["WWW-Authenticate: Bearer"] if code == 401 else [])]
        await client.answer("\r\n".join([*lines, "", ""]).encode() + body)


_REASONS = {200: "OK", 202: "Accepted", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
            413: "Content Too Large", 421: "Misdirected Request", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


@dataclass(eq=False)
class _Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    trusted: bool
    wrong: bool = False
    heard_s: float = field(default_factory=time.monotonic)
    _ahead_s: float = 0.0

    async def line(self, timeout_s: float) -> bytes:
        """The next line, whole; ``ValueError`` when it is longer than `LINE_BYTES`, ``TimeoutError`` when none came, b"" at the end."""
        async with asyncio.timeout(timeout_s):
            line = await self.reader.readline()
        self.heard_s = time.monotonic()
        return line if line.endswith(b"\n") else b""

    async def answer(self, reply: bytes) -> None:
        self.writer.write(reply)
        async with asyncio.timeout(REQUEST_S):  # one that does not read its answers is let go
            await self.writer.drain()

    def pause_s(self) -> float:
        """How long to let it wait so that it does not ask more than `COMMANDS_A_SECOND` in the long run."""
        now_s = time.monotonic()
        self._ahead_s = max(self._ahead_s, now_s - 1.0) + 1 / COMMANDS_A_SECOND
        return max(self._ahead_s - now_s, 0.0)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The name in a Host header: without port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    return host.partition(":")[0]
