"""The driver `json` over real transports: loopback UDP, a pseudo-terminal as serial port, TCP."""

import logging
import os
import socket
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.driver import DRIVERS
from firsthand.capture.drivers.json_lines import open_json
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.plugins import find
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.stream import Sample


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def open_udp(port: int, **options: Any) -> MessageDriver:
    settings = {"stream": "glove", "columns": ["x"], "bind": f"127.0.0.1:{port}", "sender": "127.0.0.1", "stamp": "t", "sequence": "n",
                "timeout_s": 3.0, **options}
    (driver,) = find("drivers", DRIVERS, "json")(**settings)
    assert isinstance(driver, MessageDriver)
    return driver


class Sending:
    """Sends numbered messages from a thread until left, so that a driver that waits for the first one finds it."""

    def __init__(self, send: Any, *, every_s: float = 0.005, first: int = 0) -> None:
        self._send, self._every_s, self.number, self._stop = send, every_s, first, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._send(message(self.number))
            self.number += 1

    def __enter__(self) -> "Sending":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def message(n: int) -> bytes:
    return b'{"n":%d,"t":%d,"x":%d}' % (n, 1000 * n, n)


def read_for(driver: MessageDriver, seconds: float) -> list[Sample]:
    samples, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        samples += driver.read(0.02) or []
    return samples


def of(samples: list[Sample], stream: str) -> list[Sample]:
    return [s for s in samples if s.stream == stream]


def test_messages_become_samples_and_stay_as_they_were(sender: socket.socket) -> None:
    port = free_port()
    driver = open_udp(port, units="deg")
    assert [(s.name, s.kind, s.clock) for s in driver.streams] == [("glove", "numeric", "device"), ("glove-raw", "encoded", "media")]
    with Sending(lambda data: sender.sendto(data, ("127.0.0.1", port))), driver:
        before_ns = time.monotonic_ns()
        samples = read_for(driver, 0.3)
    rows, raw = of(samples, "glove"), of(samples, "glove-raw")
    assert len(rows) == len(raw) > 20
    assert [s.sequence for s in rows] == list(range(rows[0].sequence, rows[0].sequence + len(rows)))
    assert all(s.device_ns == 1_000_000 * s.sequence and s.data[0] == pytest.approx(np.radians(s.sequence)) for s in rows)
    assert [s.data for s in raw] == [message(s.sequence) for s in rows]
    assert all(before_ns - 3_000_000_000 < s.host_ns <= time.monotonic_ns() for s in rows)
    assert driver.rejected == {}


def test_a_device_without_stamp_or_counter_is_stamped_and_counted_on_arrival(sender: socket.socket, tmp_path: Path) -> None:
    port, stop = free_port(), threading.Event()
    driver = open_udp(port, stamp="", sequence="", rate_hz=200)
    assert driver.streams[0].extra == {"stamps": "arrival"}
    with Sending(lambda data: sender.sendto(data, ("127.0.0.1", port))):
        threading.Timer(0.6, stop.set).start()
        record([driver], tmp_path / "recording.h5", stop=stop)
    with Recording(tmp_path / "recording.h5") as recording:
        stream = recording["glove"]
        np.testing.assert_array_equal(stream.device_ns, stream.host_ns)
        np.testing.assert_array_equal(stream.sequence, np.arange(len(stream)))
        assert recording["glove-raw"].payload(0).startswith(b'{"n":')
        reasons = {s.stream: s.reasons for s in certify(recording).streams}
    assert any("no clock of its own" in reason for reason in reasons["glove"])
    assert not any("clock" in reason for reason in reasons["glove-raw"])


def test_only_the_configured_sender_is_heard(sender: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    driver = open_udp(port, sender=f"127.0.0.1:{sender.getsockname()[1]}")
    sending = Sending(lambda data: sender.sendto(data, ("127.0.0.1", port)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, sending, driver:
        for _ in range(50):
            stranger.sendto(b'{"n":999999,"t":0,"x":-1}', ("127.0.0.1", port))
        samples = read_for(driver, 1.0)
    assert all(s.data[0] >= 0 for s in of(samples, "glove")) and len(samples) > 10
    assert driver.rejected == {"from another sender": 50}
    assert [r.message for r in caplog.records if "another sender" in r.message] == [
        f"glove: a message is left out: from another sender ({driver._source.stranger})"]  # type: ignore[attr-defined]


def test_garbage_is_counted_and_told_once_for_each_reason(sender: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    driver = open_udp(port)
    caplog.set_level(logging.WARNING)

    def send(data: bytes) -> None:
        for one in (data, b"\xff\x00", b'{"n":1}', data[:7]):
            sender.sendto(one, ("127.0.0.1", port))

    with Sending(send), driver:
        samples = read_for(driver, 1.0)
    assert len(of(samples, "glove")) > 10
    assert set(driver.rejected) == {"it is not text", "'x' is missing", "it is not JSON"}
    assert min(driver.rejected.values()) > 10 and len(caplog.records) == 3
    assert len(of(samples, "glove-raw")) > 3 * len(of(samples, "glove"))  # kept: a better parser may read them one day


def test_silence_is_told_within_the_timeout_and_coming_back_works(sender: socket.socket) -> None:
    port = free_port()
    driver = open_udp(port, timeout_s=0.7)
    send = lambda data: sender.sendto(data, ("127.0.0.1", port))  # noqa: E731
    with pytest.raises(FirsthandError, match=r"nothing readable came over UDP 127\.0\.0\.1:\d+ for 0\.7 s; check that the device is on"):
        driver.__enter__()
    with Sending(send, first=50), driver:
        assert of(read_for(driver, 0.2), "glove")
    with Sending(send, first=100) as sending:
        driver.__enter__()
        driver.read(0.1)
        sending._stop.set()
        began = time.monotonic()
        with pytest.raises(FirsthandError, match="nothing readable came"):
            while True:
                driver.read(0.1)
        assert 0.5 < time.monotonic() - began < 1.5
        driver.__exit__(None, None, None)
    with Sending(send), driver:  # switched on again: it counts from 0
        assert of(read_for(driver, 0.2), "glove")[0].sequence < 50


def test_the_wrong_sender_and_the_wrong_format_are_named(sender: socket.socket) -> None:
    port = free_port()
    with Sending(lambda data: sender.sendto(data, ("127.0.0.1", port))):
        for options, why in (({"sender": "127.0.0.2"}, r"127\.0\.0\.1:\d+ sends, not 127\.0\.0\.2; correct 'sender'"),
                             ({"columns": ["y"]}, r"what comes is left out \('y' is missing\); check the options about the message")):
            with pytest.raises(FirsthandError, match=why), open_udp(port, timeout_s=0.3, **options):
                pass


def test_a_flood_of_the_device_itself_leaves_gaps_and_nothing_else(sender: socket.socket) -> None:
    port = free_port()
    driver = open_udp(port, sequence="", most_hz=200.0)
    done = threading.Event()

    def flood() -> None:
        for n in range(12_000):
            sender.sendto(message(n), ("127.0.0.1", port))
            if n % 20 == 0:
                time.sleep(0.002)
        done.set()

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    samples = []
    with driver:
        while not done.is_set():
            samples += driver.read(0.02) or []
    thread.join()
    rows = of(samples, "glove")
    lost = driver.rejected["came faster than 200 a second"]
    assert len(rows) < 800 and lost > 3000
    assert rows[-1].sequence - rows[0].sequence + 1 - len(rows) == pytest.approx(lost, abs=300)  # those after the last are not between
    assert len(of(samples, "glove-raw")) == len(rows)


def test_a_flood_of_a_stranger_does_not_keep_the_device_out(sender: socket.socket) -> None:
    port, stop = free_port(), threading.Event()
    driver = open_udp(port, sender=f"127.0.0.1:{sender.getsockname()[1]}")

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            while not stop.wait(0.001):
                for _ in range(12):
                    stranger.sendto(b"x" * 200, ("127.0.0.1", port))

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    with Sending(lambda data: sender.sendto(data, ("127.0.0.1", port))), driver:
        rows = of(read_for(driver, 1.0), "glove")
    stop.set()
    thread.join()
    assert driver.rejected["from another sender"] > 1000
    assert len(rows) > 60
    assert np.mean(np.diff([s.sequence for s in rows]) == 1) > 0.9


def test_a_port_that_is_taken_is_named(sender: socket.socket) -> None:
    port = sender.getsockname()[1]
    with pytest.raises(FirsthandError, match=r"cannot listen at UDP .*Address already in use"), open_udp(port):
        pass


def test_it_listens_where_the_rig_says_and_nowhere_else(sender: socket.socket) -> None:
    port = free_port()
    with Sending(lambda data: sender.sendto(data, ("127.0.0.1", port))), open_udp(port) as driver:
        assert driver._source._socket.getsockname() == ("127.0.0.1", port)  # type: ignore[attr-defined]


def open_serial(path: str, **options: Any) -> MessageDriver:
    settings = {"stream": "glove", "columns": ["a", "b"], "transport": "serial", "port": path, "format": "csv",
                "header": ["n", "t", "a", "b"], "stamp": "t", "stamp_unit": "ms", "sequence": "n", "timeout_s": 3.0, **options}
    (driver,) = open_json(**settings)
    assert isinstance(driver, MessageDriver)
    return driver


def test_lines_of_a_serial_port_are_read_however_they_are_cut() -> None:
    far, near = os.openpty()
    tty.setraw(near)

    def send(data: bytes) -> None:
        line = b"%d,%d,0.5,-1\r\n" % (sending.number, 8 * sending.number)
        os.write(far, line[:4])
        time.sleep(0.001)
        os.write(far, line[4:])

    driver = open_serial(os.ttyname(near))
    with Sending(send) as sending, driver:
        rows = of(read_for(driver, 0.3), "glove")
    assert len(rows) > 20 and driver.rejected == {}
    assert all(s.device_ns == 8_000_000 * s.sequence and np.asarray(s.data).tolist() == [0.5, -1] for s in rows)
    os.close(far)
    os.close(near)


def test_the_rest_of_a_line_that_began_before_the_port_was_opened_is_no_message() -> None:
    far, near = os.openpty()
    tty.setraw(near)

    def send(data: bytes) -> None:
        os.write(far, b"5,-1\n" if sending.number == 0 else b"1,8,0.5,-1\n")

    driver = open_serial(os.ttyname(near))
    sending = Sending(send, every_s=0.05)
    threading.Timer(0.15, sending.__enter__).start()  # the port is open by then
    with driver:
        samples = read_for(driver, 0.3)
    sending.__exit__()
    assert len(of(samples, "glove")) > 3 and driver.rejected == {}
    assert {bytes(s.data) for s in of(samples, "glove-raw")} == {b"1,8,0.5,-1"}  # type: ignore[arg-type]
    os.close(far)
    os.close(near)


def test_a_serial_cable_that_is_pulled_is_told_and_plugging_in_works() -> None:
    far, near = os.openpty()
    tty.setraw(near)
    name = os.ttyname(near)
    driver = open_serial(name)
    sending = Sending(lambda data: os.write(far, b"1,8,0.5,-1\n"))
    with sending:
        driver.__enter__()
        os.close(near)
        driver.read(0.1)
    os.close(far)
    with pytest.raises(FirsthandError, match=r"serial port .* went away .*; plug it in again"):
        for _ in range(20):
            driver.read(0.1)
    driver.__exit__(None, None, None)
    with pytest.raises(FirsthandError, match=r"cannot open serial port .*check its name and your rights to it \(there are: "), driver:
        pass


def test_a_wrong_baud_rate_is_thought_of() -> None:
    far, near = os.openpty()
    tty.setraw(near)
    noise = Sending(lambda data: os.write(far, bytes(range(128, 228)) + b"\n"))
    why = r"left out \(it is not text\); check the options about the message and the baud rate"
    with noise, pytest.raises(FirsthandError, match=why), open_serial(os.ttyname(near), timeout_s=0.3):
        pass
    os.close(far)
    os.close(near)


def test_a_line_that_never_ends_is_cut_off() -> None:
    far, near = os.openpty()
    tty.setraw(near)

    def send(data: bytes) -> None:
        if sending.number % 40 == 20:
            for _ in range(70):
                os.write(far, b"9" * 1000)
            os.write(far, b"\n")
        else:
            os.write(far, b"1,8,0.5,-1\n")

    driver = open_serial(os.ttyname(near))
    with Sending(send) as sending, driver:
        rows = of(read_for(driver, 0.8), "glove")
    assert driver.rejected["a line without an end"] >= 1 and len(rows) > 40
    os.close(far)
    os.close(near)


def test_lines_of_a_tcp_server_are_read_and_its_end_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                for n in range(60):
                    connection.sendall(message(n) + b"\n")
                    time.sleep(0.005)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        driver = open_json(stream="glove", columns=["x"], transport="tcp", connect=f"127.0.0.1:{port}", stamp="t", sequence="n")[0]
        rows: list[Sample] = []
        with driver, pytest.raises(FirsthandError, match="was closed by the other end"):
            while True:
                rows += of(driver.read(0.1) or [], "glove")
        thread.join()
    assert [s.sequence for s in rows] == list(range(60))
    with pytest.raises(FirsthandError, match=r"cannot connect to TCP .*: Connection refused"), driver:
        pass


@pytest.mark.parametrize(("options", "message"), [
    ({"transport": "usb"}, "transport is 'usb'; it is 'udp', 'serial' or 'tcp'"),
    ({}, "comes over udp, which needs the option 'bind'"),
    ({"bind": "127.0.0.1:9100"}, "needs the option 'sender'"),
    ({"bind": "9100", "sender": "127.0.0.1"}, "bind is '9100'; write an address and a port"),
    ({"bind": "localhost:9100", "sender": "127.0.0.1"}, "bind is 'localhost'; write an IPv4 address in numbers"),
    ({"bind": "127.0.0.1:99999", "sender": "127.0.0.1"}, "has no port"),
    ({"bind": "127.0.0.1:9100", "sender": "glove"}, "sender is 'glove'; write an IPv4 address"),
    ({"transport": "serial"}, "needs the option 'port'"),
    ({"transport": "tcp", "connect": "host"}, "connect is 'host'; write the server's name or address and its port"),
    ({"bind": "127.0.0.1:9100", "sender": "127.0.0.1", "rate_hz": 0}, "a timeout_s and a rate_hz above 0"),
])  # fmt: skip
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        open_json(stream="glove", columns=["x"], **options)
