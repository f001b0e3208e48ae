"""The remote control: lines and HTTP on one port, and what comes from the wrong side."""

import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from firsthand.capture.controls.press import ACTIONS, Presses, new_presses
from firsthand.capture.controls.remote import BODY_BYTES, CLIENTS, LINE_BYTES, Remote
from firsthand.capture.errors import FirsthandError

TOKEN = "correct-horse-battery"


class Line:
    """A client of lines."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def ask(self, line: str | bytes) -> dict[str, Any]:
        self.socket.sendall(line if isinstance(line, bytes) else line.encode() + b"\n")
        try:
            answer: dict[str, Any] = json.loads(self.file.readline() or b"{}")
        except ConnectionResetError:  # what was sent after the end
            return {}
        return answer

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def ask_http(port: int, method: str, path: str, body: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body or None, {key.replace("_", "-"): value for key, value in headers.items()})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def drained(presses: Presses) -> list[str]:
    found = []
    with suppress(queue.Empty):
        while True:
            found.append(presses.get_nowait().action)
    return found


@pytest.fixture
def presses() -> Presses:
    return new_presses()


@pytest.fixture
def remote(presses: Presses) -> Iterator[Remote]:
    with Remote(presses, status=lambda: {"recording": True, "take": 3}, port=0) as made:
        assert made.absent == ""
        yield made


def test_a_line_is_a_press_and_gets_one_line_back(remote: Remote, presses: Presses) -> None:
    with Line(remote.port) as line:
        assert line.ask("start") == {"ok": True, "accepted": "start"}
        assert line.ask("next-task")["accepted"] == "next_task"
        assert line.ask("mark the cup\tslipped\x07")["ok"]
        assert line.ask("status") == {"ok": True, "status": {"recording": True, "take": 3}}
        assert line.ask("statsu") == {"ok": False, "error": "no command called 'statsu'; say help"}
        assert set(line.ask("help")["commands"]) == {"status", *ACTIONS}
    pressed = [presses.get_nowait() for _ in range(3)]
    assert [press.action for press in pressed] == ["start", "next_task", "mark"]
    assert pressed[2].text == "the cup slipped " and {press.source for press in pressed} == {"remote"}


def test_http_on_the_same_port(remote: Remote, presses: Presses) -> None:
    assert ask_http(remote.port, "GET", "/status") == (200, {"ok": True, "status": {"recording": True, "take": 3}})
    assert ask_http(remote.port, "POST", "/toggle") == (202, {"ok": True, "accepted": "toggle"})
    assert ask_http(remote.port, "POST", "/mark", "spilled")[0] == 202
    assert ask_http(remote.port, "GET", "/start")[0] == 405 and ask_http(remote.port, "POST", "/strat")[0] == 404
    pressed = [presses.get_nowait() for _ in range(2)]
    assert [(press.action, press.text) for press in pressed] == [("toggle", ""), ("mark", "spilled")] and presses.empty()


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example:22345"}, {"Host": ""}, {"Origin": "https://evil.example"}, {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8080"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
], ids=str)  # fmt: skip
def test_a_web_page_of_another_site_cannot_press(remote: Remote, presses: Presses, headers: dict[str, str]) -> None:
    code, answer = ask_http(remote.port, "POST", "/start", **headers)
    assert code in (403, 421) and not answer["ok"] and presses.empty()


def test_a_page_served_from_here_may(remote: Remote) -> None:
    own = f"127.0.0.1:{remote.port}"
    assert ask_http(remote.port, "POST", "/start", Host=own, Origin=f"http://{own}", Sec_Fetch_Site="same-origin")[0] == 202
    assert ask_http(remote.port, "POST", "/start", Host=f"localhost:{remote.port}")[0] == 202


def test_the_body_of_a_request_is_never_read_as_commands(remote: Remote, presses: Presses) -> None:
    assert ask_http(remote.port, "POST", "/upload", "start\nstop\nquit\n", Origin="https://evil.example")[0] == 403
    with Line(remote.port) as line:
        line.socket.sendall(b"POST / HTTP/1.1\r\nHost: evil\r\n\r\nstart\nstart\n")
        assert b"421" in line.file.readline()
    time.sleep(0.1)
    assert presses.empty()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "recorder.example"])
def test_another_address_needs_a_token(host: str) -> None:
    with pytest.raises(FirsthandError, match="would let anyone on that network start and stop; give it a token"):
        Remote(new_presses(), host=host)


def test_a_short_token_is_refused_and_not_repeated() -> None:
    with pytest.raises(FirsthandError, match="has 6 characters; it must be at least 16") as error:
        Remote(new_presses(), token="secret")
    assert "secret" not in str(error.value)


def test_a_token_opens_and_nothing_else_does(presses: Presses) -> None:
    with Remote(presses, port=0, token=TOKEN) as remote:
        for opening in ("start", "token wrong", "token", f"token {TOKEN}x"):
            with Line(remote.port) as line:
                assert not line.ask(opening)["ok"] and line.ask("start") == {}, "it hangs up"
        with Line(remote.port) as line:
            assert line.ask(f"token {TOKEN}")["ok"] and line.ask("start")["ok"]
        assert ask_http(remote.port, "POST", "/stop")[0] == 401
        assert ask_http(remote.port, "POST", "/stop", Authorization=f"Bearer {TOKEN[:-1]}")[0] == 401
        assert ask_http(remote.port, "POST", "/stop", Authorization=f"bearer {TOKEN}")[0] == 202
    assert drained(presses) == ["start", "stop"]


def test_a_taken_port_is_named(remote: Remote) -> None:
    with pytest.raises(FirsthandError, match=f"cannot listen on 127.0.0.1 port {remote.port}: .*give it another port"), \
            Remote(new_presses(), port=remote.port):
        pass


def test_half_a_line_and_a_line_without_end_press_nothing(remote: Remote, presses: Presses) -> None:
    with Line(remote.port) as line:
        line.socket.sendall(b"start")
        line.socket.shutdown(socket.SHUT_WR)
        assert line.file.read() == b""
    with Line(remote.port) as line, suppress(OSError):
        line.socket.sendall(b"x" * (4 * LINE_BYTES) + b"\nstart\n")
        line.file.read()
    for head in (b"POST /start HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES + 1),
                 b"POST /start HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
                 b"POST /start HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                 b"POST /start HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\n", b"\xff\xfe\x00\n", b" HTTP/\n\n"):
        with Line(remote.port) as line, suppress(OSError):
            line.socket.sendall(head)
            line.socket.shutdown(socket.SHUT_WR)
            line.file.read()
    assert presses.empty()
    with Line(remote.port) as line:
        assert line.ask("start")["ok"]


def test_idle_connections_do_not_lock_the_collector_out(remote: Remote, presses: Presses) -> None:
    idle = [Line(remote.port) for _ in range(3 * CLIENTS)]
    try:
        assert ask_http(remote.port, "POST", "/start")[0] == 202
        with Line(remote.port) as line:
            assert line.ask("stop")["ok"]
        assert drained(presses) == ["start", "stop"]
    finally:
        for line in idle:
            line.close()


def test_a_flood_is_slowed_and_the_queue_stays_bounded(presses: Presses) -> None:
    asked = 0

    def status() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {}

    def flood() -> None:
        with suppress(OSError), Line(remote.port) as line:
            line.socket.settimeout(1.5)
            for _ in range(100_000):  # until nothing more fits into the socket
                line.socket.sendall(b"status\nmark x\n" * 50)

    with Remote(presses, status=status, port=0) as remote:
        threads = [threading.Thread(target=flood) for _ in range(6)]
        began_s, cpu_s = time.monotonic(), time.process_time()
        for thread in threads:
            thread.start()
        while presses.qsize() < 64:
            time.sleep(0.02)
        with Line(remote.port) as line:
            sent_s = time.monotonic()
            assert line.ask("status")["ok"] and time.monotonic() - sent_s < 1
            assert line.ask("start") == {"ok": False, "error": "the recorder is behind with earlier commands; try again in a moment"}
        for thread in threads:
            thread.join()
        took_s = time.monotonic() - began_s
        assert presses.qsize() == 64 and asked <= took_s / 0.1 + 2
        assert time.process_time() - cpu_s < 0.6 * took_s, "it may not eat the processor the recorder needs"
    assert not [thread for thread in threading.enumerate() if thread.name == "remote"]


def test_a_status_that_fails_does_not_end_the_remote(presses: Presses) -> None:
    def status() -> dict[str, Any]:
        raise KeyError("oops")

    with Remote(presses, status=status, port=0) as remote:
        code, answer = ask_http(remote.port, "GET", "/status")
        assert code == 503 and answer["error"] == "the recorder cannot say how it is (KeyError)"
        assert ask_http(remote.port, "POST", "/start")[0] == 202
