"""Emulated devices: their bytes on the wire, their pace, and what a rig records of them."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firsthand.capture.driver import Driver
from firsthand.capture.drivers.json_lines import open_json
from firsthand.capture.emulator import Emulation, emulate
from firsthand.capture.emulators import glove, imu
from firsthand.capture.emulators.glove import angles_deg, plan_of
from firsthand.capture.emulators.imu import head_of, readings
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.synthetic.hand import GLOVE_NAMES

GLOVE = (b'{"seq":0,"t_us":561204,"hand":"right","deg":[3.61,7.69,5.71,21.26,6.97,8.48,4.64,-10.22,6.49,10.4,4.23,-1.14,7.41,10.21,4.7,'
         b"6.81,8.54,8.68,4.77,15.9]}")
IMU = b'{"seq":0,"t_us":561204,"acc":[-0.0963,-5.5417,-8.0797],"gyr":[1.1749,-0.7704,0.4985]}'


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def glove_driver(**where: Any) -> Driver:
    return open_json(stream="glove-right", columns=GLOVE_NAMES, array="deg", units="deg", stamp="t_us", sequence="seq", role="glove",
                     side="right", rate_hz=120, **where)[0]


def test_the_first_messages_are_these() -> None:
    assert next(glove.messages(Emulation())) == (0, GLOVE)
    assert next(imu.messages(Emulation())) == (0, IMU)


def test_the_counter_counts_what_is_dropped_and_the_clock_drifts() -> None:
    sent = [(due, json.loads(message)) for due, message in glove.messages(Emulation(seconds=20, drop_rate=0.1, seed=3))]
    sequence = np.array([message["seq"] for _, message in sent])
    assert sequence[0] == 0 and np.all(np.diff(sequence) > 0)
    assert 0.86 < len(sent) / (sequence[-1] + 1) < 0.94
    due_us, device_us = np.array([due for due, _ in sent]) / 1e3, np.array([message["t_us"] for _, message in sent])
    ppm = ((device_us[-1] - device_us[0]) / (due_us[-1] - due_us[0]) - 1) * 1e6
    assert 0.5 < abs(ppm) < 51
    assert np.abs(np.diff(due_us) / np.diff(sequence) - 1e6 / 120).max() < 1
    assert device_us[0] < 1_000_000  # just switched on


def test_the_hand_moves_to_and_fro_without_a_jump() -> None:
    angles = np.array([json.loads(message)["deg"] for _, message in glove.messages(Emulation(seconds=13))])
    assert np.ptp(angles, axis=0).max() > 20
    assert np.abs(np.diff(angles, axis=0)).max() < 8
    left = json.loads(next(glove.messages(Emulation(side="left")))[1])
    assert left["hand"] == "left" and left["deg"] != json.loads(GLOVE)["deg"]


def test_what_a_rig_records_over_udp_is_what_the_glove_measured(tmp_path: Path) -> None:
    port, stop, emulation = free_port(), threading.Event(), Emulation(seed=5, drop_rate=0.05)
    thread = threading.Thread(target=emulate, args=("glove", f"udp://127.0.0.1:{port}", emulation), kwargs={"stop": stop})
    thread.start()
    end = threading.Event()
    threading.Timer(1.5, end.set).start()
    record([glove_driver(bind=f"127.0.0.1:{port}", sender="127.0.0.1")], tmp_path / "recording.h5", stop=end)
    stop.set()
    thread.join()
    true = {m["seq"]: m for m in (json.loads(message) for _, message in itertools.islice(glove.messages(emulation), 400))}
    with Recording(tmp_path / "recording.h5") as recording:
        stream, raw = recording["glove-right"], recording["glove-right-raw"]
        assert len(stream) > 120 and len(raw) == len(stream)
        expected = range(int(stream.sequence[0]), int(stream.sequence[-1]) + 1)
        assert set(stream.sequence) <= set(true) and len(stream) > 0.8 * sum(n in true for n in expected)  # a busy machine sends less
        missing = sum(g["missing"] for _, g in recording.gaps if g["stream"] == "glove-right")
        assert missing == len(expected) - len(stream) >= sum(n not in true for n in expected) > 0
        np.testing.assert_allclose(np.degrees(stream.values), [true[n]["deg"] for n in stream.sequence], atol=1e-9)
        assert stream.device_ns.tolist() == [1000 * true[n]["t_us"] for n in stream.sequence]
        assert [json.loads(raw.payload(i))["seq"] for i in range(len(raw))] == stream.sequence.tolist()
        assert stream.spec.units == ("rad",) * 20
    plan = plan_of(emulation)
    assert true[0]["deg"] == angles_deg(plan, 0.0)


def test_the_imu_is_recorded_in_si() -> None:
    port, stop = free_port(), threading.Event()
    thread = threading.Thread(target=emulate, args=("imu", f"udp://127.0.0.1:{port}", Emulation()), kwargs={"stop": stop})
    thread.start()
    fields = ["acc.0", "acc.1", "acc.2", "gyr.0", "gyr.1", "gyr.2"]
    (driver,) = open_json(stream="imu", columns=["ax", "ay", "az", "gx", "gy", "gz"], fields=fields, units=["m/s^2"] * 3 + ["deg/s"] * 3,
                          stamp="t_us", sequence="seq", bind=f"127.0.0.1:{port}", sender="127.0.0.1", raw=False)
    with driver:
        samples = [s for _ in range(20) for s in driver.read(0.1) or ()]
    stop.set()
    thread.join()
    assert {s.stream for s in samples} == {"imu"}
    ticks = [json.loads(message) for _, message in itertools.islice(imu.messages(Emulation()), 2000)]
    for s in samples:
        np.testing.assert_allclose(s.data, [*ticks[s.sequence]["acc"], *np.radians(ticks[s.sequence]["gyr"])], atol=1e-12)
    assert readings(head_of(Emulation()), 0.0) == (json.loads(IMU)["acc"], json.loads(IMU)["gyr"])


def test_a_serial_line_is_made_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    port = tmp_path / "glove"
    driver = glove_driver(transport="serial", port=str(port), timeout_s=2.0)
    for _ in range(2):
        stop = threading.Event()
        thread = threading.Thread(target=emulate, args=("glove", f"pty:{port}", Emulation()), kwargs={"stop": stop})
        thread.start()
        while not port.exists():
            time.sleep(0.01)
        samples = []
        with driver:
            while len(samples) < 40:
                samples += [s for s in driver.read(0.1) or () if s.stream == "glove-right"]
            assert samples[0].sequence < 300 and np.all(np.diff([s.sequence for s in samples]) == 1)
            stop.set()
            thread.join()
            with pytest.raises(FirsthandError, match=r"went away|nothing readable"):
                while True:
                    driver.read(0.1)
        assert not port.is_symlink()
        with pytest.raises(FirsthandError, match="cannot open serial port"), driver:
            pass


def test_it_sends_into_a_serial_port_that_is_there() -> None:
    far, near = os.openpty()
    count = emulate("imu", f"serial:{os.ttyname(near)}@230400", Emulation(seconds=0.1))
    got = b""
    while got.count(b"\n") < count:
        got += os.read(far, 4096)
    assert 0 < count <= 20 and got.splitlines()[0] == IMU and len(got.splitlines()) == count
    os.close(far)
    os.close(near)


def test_a_line_nobody_reads_loses_whole_messages_and_blocks_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    count = emulate("glove", f"pty:{tmp_path / 'glove'}", Emulation(seconds=1.0, rate_hz=1000))
    assert time.monotonic() - began < 3 and 0 < count < 500


def test_lines_stay_whole_when_their_reader_was_away(tmp_path: Path) -> None:
    lines = [b"%d " % n + b"x" * 100 for n in range(300)]
    with open_outlet(f"pty:{tmp_path / 'line'}") as outlet:
        sent = [outlet.send(line) for line in lines]
        assert not all(sent)
        reader = os.open(tmp_path / "line", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        got = b""
        while len(got.split(b"\n")) <= sum(sent) + 5:
            with suppress(BlockingIOError):
                got += os.read(reader, 4096)
            outlet.send(b"after")
        os.close(reader)
    *whole, _ = got.split(b"\n")
    assert whole[: sum(sent)] == [line for line, went in zip(lines, sent, strict=True) if went]
    assert set(whole[sum(sent) :]) == {b"after"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_until_it_is_unplugged(how: signal.Signals) -> None:
    port = free_port()
    options = ["--to", f"udp://127.0.0.1:{port}", "--side", "left", "--rate", "50"]
    command = [sys.executable, "-m", "firsthand.cli", "emulate", "glove", *options]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        sock.settimeout(20)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        messages = [json.loads(sock.recv(4096)) for _ in range(20)]
        process.send_signal(how)
        printed, told = process.communicate(timeout=10)
    assert [m["seq"] for m in messages] == list(range(20)) and messages[0]["hand"] == "left"
    assert process.returncode == 0 and "messages sent" in printed and f"glove sends to udp://127.0.0.1:{port}" in told


@pytest.mark.parametrize(("name", "to", "options", "message"), [
    ("gloove", "udp://127.0.0.1:9100", {}, "no emulator called 'gloove'; did you mean 'glove'"),
    ("glove", "http://127.0.0.1", {}, "cannot send to 'http://127.0.0.1'; write udp://"),
    ("glove", "udp://localhost:1", {}, "--to is 'localhost'; write an IPv4 address"),
    ("glove", "serial:/dev/not-there", {}, "cannot open serial:/dev/not-there at 115200 baud"),
    ("glove", "serial:/dev/x@fast", {}, "'fast' is no baud rate"),
    ("glove", "udp://127.0.0.1:9100", {"rate_hz": 0}, "a rate of 0 Hz cannot be kept"),
    ("glove", "udp://127.0.0.1:9100", {"drop_rate": 1}, "a share of 1 cannot be dropped"),
])  # fmt: skip
def test_impossible_wishes_are_refused(name: str, to: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        emulate(name, to, Emulation(**options))


def test_a_file_in_the_way_of_a_serial_line_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(FirsthandError, match="exists already"):
        emulate("glove", f"pty:{tmp_path / 'notes'}", Emulation(seconds=0.1))
    assert (tmp_path / "notes").read_text() == "mine"
