"""What can go wrong between a device and the recorder, for every driver alike: not there, gone and back, a clock that stands still or
jumps, a counter that begins again, something else at its port, two senders. Each is told in one clear sentence, or is a recorded gap."""

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.driver import DRIVERS
from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig
from firsthand.capture.transport import SerialLines


class Case(NamedTuple):
    """A device: its driver, what speaks as it does, and a stream of it."""

    driver: str
    emulator: str
    to: str
    options: dict[str, Any]
    stream: str
    counts: bool = False
    """It sends a counter."""


BIND = {"bind": "127.0.0.1:{port}", "sender": "127.0.0.1"}
UDP, CONNECT = "udp://127.0.0.1:{port}", {"connect": "127.0.0.1:{port}"}
JSON = {**BIND, "stream": "json", "columns": [f"a{n}" for n in range(20)], "array": "deg", "stamp": "t_us", "sequence": "seq"}
SERIAL = {"transport": "serial", "port": "{folder}/imu", "stream": "imu", "columns": ["a", "b", "c"], "array": "acc", "stamp": "t_us"}
IDS = {"60f3738b": "left", "8569617b": "right"}
CASES = {
    "json": Case("json", "glove", UDP, JSON, "json", True),
    "json-serial": Case("json", "imu", "pty:{folder}/imu", SERIAL, "imu"),
    "lsl": Case("lsl", "lsl", "lsl://firsthand-{port}", {"name": "firsthand-{port}", "stream": "lsl", "counter": "counter"}, "lsl", True),
    "lucidgloves": Case("lucidgloves", "lucidgloves", "pty:{folder}/glove", {"port": "{folder}/glove", "side": "right"}, "glove-right"),
    "manus": Case("manus", "manus", "zmq-push://127.0.0.1:{port}", {**CONNECT, "gloves": IDS}, "hand-left"),
    "manus-bridge": Case("manus", "manus-bridge", "zmq-pub://127.0.0.1:{port}", {**CONNECT, "format": "bridge"}, "hand-right"),
    "quest": Case("quest", "quest", UDP, BIND, "hand-left", True),
    "quest-tcp": Case("quest", "quest", "tcp://127.0.0.1:{port}", {**BIND, "transport": "tcp"}, "hand-left", True),
    "rokoko": Case("rokoko", "rokoko", UDP, BIND, "hand-left"),
    "rokoko-sdk": Case("rokoko-sdk", "rokoko-sdk", "tcp-serve://127.0.0.1:{port}", CONNECT, "hand-left"),
    "stretchsense": Case("stretchsense", "stretchsense", "tcp-serve://127.0.0.1:{port}", CONNECT, "hand-right"),
    "udcap": Case("udcap", "udcap", UDP, BIND, "glove-left"),
    "vision-pro": Case("vision-pro", "vision-pro", "grpc://127.0.0.1:{port}", CONNECT, "hand-left"),
    "xsens": Case("xsens", "xsens", UDP, BIND, "hand-left", True),
}
ELSEWHERE = {"pattern", "synthetic", "realsense", "uvc"}
"""Made up, or no messages: their faults are tested with them."""
STAMPED = ("json", "json-serial", "lsl", "quest", "quest-tcp", "rokoko", "rokoko-sdk", "stretchsense", "xsens")
HZ, PLAYS_S, AHEAD_S, LASTS_S, AWAY_S = 30, 1.2, 6.0, 20.0, 2.5
ODD = re.compile(r"Errno|Error\(|Traceback|Exception|0x[0-9a-f]{6}|\n")
ADVICE = re.compile(r"\b(check|connect|correct|name|plug|start)\b")


def clear(sentence: str) -> bool:
    """One line for people, that says what to do."""
    return bool(30 < len(sentence) < 400 and not ODD.search(sentence) and ADVICE.search(sentence))


def test_every_driver_is_here() -> None:
    assert {case.driver for case in CASES.values()} | ELSEWHERE >= set(DRIVERS)


def filled(value: Any, **names: Any) -> Any:
    return value.format(**names) if isinstance(value, str) else value


class Play(threading.Thread):
    """An emulated device whose messages stand still, jump ahead and begin again without the line being interrupted."""

    def __init__(self, emulator: str, to: str) -> None:
        super().__init__(daemon=True)
        self._to = to
        groups = itertools.groupby(find("emulators", EMULATORS, emulator)(Emulation(rate_hz=HZ, seconds=LASTS_S)), lambda m: m[0])
        self._ticks = [(due_ns * 1e-9, [message for _, message in group]) for due_ns, group in groups]
        self.over, self.does = threading.Event(), "stand"
        """``stand``: the same messages again and again; ``play``; ``ahead`` and ``anew``: play from what is sent in 6 s, from the first."""

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with open_outlet(self._to) as outlet:
                    self._send(outlet)
            except FirsthandError:  # who listens is not there yet, or no more
                self.over.wait(0.1)

    def _send(self, outlet: Any) -> None:
        at, due = 0, time.monotonic()
        while not self.over.is_set():
            for message in self._ticks[at][1]:
                outlet.send(message)
            if self.does == "anew":
                at, self.does = 0, "play"
            elif self.does == "ahead":
                at, self.does = at + round(AHEAD_S * HZ), "play"
            elif self.does == "play":
                at = min(at + 1, len(self._ticks) - 1)
            due = max(due + 1 / HZ, time.monotonic() - 0.1)
            self.over.wait(max(due - time.monotonic(), 0))


class Scene(NamedTuple):
    """What the recorder said of each device before it was there and when it was gone, and the recording."""

    absent: dict[str, str]
    gone: dict[str, str]
    times: dict[str, int]
    recording: Recording


def name_of(case: str) -> str:
    """The stream of a case in the recording."""
    one = CASES[case]
    return one.stream if one.driver in ("json", "lsl") else f"{case}-{one.stream}"


@pytest.fixture(scope="module")
def scene(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, numbers, devices = tmp_path_factory.mktemp("faults"), itertools.count(), []
    places: dict[str, str] = {}
    for name, case in CASES.items():
        port = bench.port()
        options = {key: filled(value, port=port, folder=folder) for key, value in case.options.items()}
        if case.driver not in ("json", "lsl"):
            options["prefix"] = f"{name}-"
        if case.driver != "lsl":
            options["rate_hz"] = HZ
        devices.append(Device(name, case.driver, options))
        places[name] = case.to.format(port=port, folder=folder)

    def reasons(status: Any) -> dict[str, str]:
        return {device.name: device.reason for device in status.devices if device.state == "vanished"}

    @contextmanager
    def playing() -> Iterator[list[Play]]:
        players = [made.pop() for made in ready.values()]
        for player in players:
            player.start()
        yield players
        for player in players:
            player.over.set()
        for player in players:
            player.join(5)

    ready = {name: [Play(case.emulator, places[name]) for _ in range(2)] for name, case in CASES.items()}
    with Supervisor(Rig("worn", tuple(devices), pre_roll_s=0), folder / "logs", lambda: folder / f"{next(numbers):03d}") as recorder:
        assert recorder.wait(lambda s: len(reasons(s)) == len(CASES), 60), recorder.status().devices
        absent, times = reasons(recorder.status()), {}
        with playing() as players:
            assert recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60), recorder.status().devices
            take = recorder.start("try")
            for does in ("play", "stand", "ahead", "anew"):
                times[does] = time.monotonic_ns()
                for player in players:
                    player.does = does
                time.sleep(PLAYS_S)
            # One that takes no stamps from the past is only back when it was opened again.
            assert recorder.wait(lambda s: not s.missing_devices, 30), recorder.status().devices
            time.sleep(PLAYS_S)
            times["gone"] = time.monotonic_ns()
        assert recorder.wait(lambda s: len(reasons(s)) == len(CASES), 30), recorder.status().devices
        gone = reasons(recorder.status())
        time.sleep(AWAY_S)  # the recorder tells sooner than drivers give a device up
        with playing() as players:
            for player in players:
                player.does = "play"
            assert recorder.wait(lambda s: not s.missing_devices, 60), recorder.status().devices
            times["back"] = time.monotonic_ns()
            time.sleep(PLAYS_S)
            recorder.stop()
            assert recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", 60), recorder.status()
    with Recording(take / "recording.h5") as recording:
        yield Scene(absent, gone, times, recording)


@pytest.mark.parametrize("name", CASES)
def test_a_device_that_is_not_there_is_one_clear_sentence(scene: Scene, name: str) -> None:
    assert clear(scene.absent[name]), scene.absent[name]


@pytest.mark.parametrize("name", CASES)
def test_one_that_vanishes_is_told_and_comes_back_with_a_gap_in_between(scene: Scene, name: str) -> None:
    assert clear(scene.gone[name]) or "it has delivered nothing for" in scene.gone[name], scene.gone[name]
    stream = scene.recording[name_of(name)]
    gaps = [gap for _, gap in scene.recording.gaps if gap["stream"] == stream.spec.name and gap["cause"] == "vanished"]
    away = [gap for gap in gaps if gap["to_host_ns"] > scene.times["gone"]]
    assert len(away) == 1 and away[0]["missing"] > 0, gaps
    assert (stream.host_ns > scene.times["back"]).sum() > 20
    assert not ((stream.host_ns > scene.times["gone"] + 5e8) & (stream.host_ns < away[0]["to_host_ns"])).any()
    assert (np.diff(stream.t_ns) >= 0).all()


@pytest.mark.parametrize("name", STAMPED)
def test_a_clock_that_jumps_is_cut_and_no_sample_is_misplaced(scene: Scene, name: str) -> None:
    """Ahead by 6 s, then back to where it began: on the session clock each sample is still where it arrived."""
    stream = scene.recording[name_of(name)]
    steps = np.diff(stream.device_ns)
    assert steps.max() > 0.9e9 * AHEAD_S and steps.min() < -0.9e9 * AHEAD_S, "the raw stamps are kept"
    assert len(stream.clock.first_row) >= 3
    late_s = (stream.host_ns - stream.t_ns)[stream.host_ns < scene.times["gone"]] * 1e-9
    standing = (stream.host_ns > scene.times["stand"]) & (stream.host_ns < scene.times["ahead"])
    moving = late_s[~standing[: len(late_s)]]
    assert np.median(np.abs(moving)) < 0.1 and np.quantile(np.abs(moving), 0.9) < 0.5, (name, np.quantile(late_s, [0.5, 0.9, 1]))
    (timing,) = (one for one in certify(scene.recording).streams if one.stream == stream.spec.name)
    assert timing.verdict != "sound" and any(re.search(r"restart|jump|cut|stall", reason) for reason in timing.reasons), timing.reasons


@pytest.mark.parametrize("name", STAMPED)
def test_stamps_that_stand_still_are_kept_and_told(scene: Scene, name: str) -> None:
    stream = scene.recording[name_of(name)]
    standing = (stream.host_ns > scene.times["stand"] + 2e8) & (stream.host_ns < scene.times["ahead"])
    assert standing.sum() > 20 and (np.diff(stream.device_ns[standing]) == 0).all()
    (timing,) = (one for one in certify(scene.recording).streams if one.stream == stream.spec.name)
    assert any("carry the time of the one before" in reason for reason in timing.reasons), timing.reasons


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.counts])
def test_what_a_counter_skips_is_a_gap(scene: Scene, name: str) -> None:
    gaps = [gap for _, gap in scene.recording.gaps if gap["stream"] == name_of(name) and gap["cause"] == "device"]
    assert any(abs(gap["missing"] - HZ * AHEAD_S) <= 2 for gap in gaps), gaps


SOMETHING_ELSE = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n" + bytes(range(256)) * 4 + b"\r\n"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.driver != "lsl"])
def test_something_else_at_its_port_or_the_wrong_baud_rate_is_one_clear_sentence(name: str, bench: Any, tmp_path: Path) -> None:
    case, port, over = CASES[name], bench.port(), threading.Event()
    options = {key: filled(value, port=port, folder=tmp_path) for key, value in case.options.items()} | {"timeout_s": 0.4}
    to = case.to.format(port=port, folder=tmp_path)
    if to.startswith("grpc"):
        to = f"tcp-serve://127.0.0.1:{port}"

    def speak() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(FirsthandError), open_outlet(to) as outlet:
                while not over.wait(0.02):
                    outlet.send(SOMETHING_ELSE)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    time.sleep(0.2)
    driver = bench.open(case.driver, **options)
    with pytest.raises(FirsthandError) as told, driver:
        pass
    over.set()
    speaker.join(5)
    assert clear(str(told.value)), told.value
    if to.startswith("pty"):
        assert "baud" in str(told.value)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.to == UDP])
def test_of_two_senders_only_the_one_that_was_named_is_heard(name: str, bench: Any) -> None:
    case, port, over = CASES[name], bench.port(), threading.Event()
    message = bench.sent(case.emulator, Emulation(seed=5), seconds=0.1)[0][1]
    own = [bytes(m) for _, m in bench.sent(case.emulator, Emulation(seed=6), seconds=0.5)]
    options = {key: filled(value, port=port) for key, value in case.options.items()}

    def speak(host: str, messages: Sequence[bytes]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            for one in itertools.cycle(messages):
                if over.wait(0.003):
                    return
                sock.sendto(one, ("127.0.0.1", port))

    stranger = threading.Thread(target=speak, args=("127.0.0.2", [message]), daemon=True)
    stranger.start()
    with pytest.raises(FirsthandError, match=r"127\.0\.0\.2:\d+ sends, not 127\.0\.0\.1; correct 'sender'") as told, \
            bench.open(case.driver, **options, timeout_s=0.4):
        pass
    assert clear(str(told.value))
    both = threading.Thread(target=speak, args=("127.0.0.1", own), daemon=True)
    both.start()
    with bench.open(case.driver, **options) as driver:
        samples = bench.read(driver, 0.4)
    over.set()
    raw = [sample.data for sample in samples if sample.stream.endswith("-raw")]
    assert raw and set(raw) <= set(own) and driver.rejected["from another sender"] > 5


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "bind" in case.options])
def test_a_port_that_is_taken_is_one_clear_sentence(name: str, bench: Any) -> None:
    case, port = CASES[name], bench.port()
    options = {key: filled(value, port=port) for key, value in case.options.items()}
    kind = socket.SOCK_STREAM if case.to.startswith("tcp") else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(FirsthandError, match=f"cannot listen at .*{port}") as told, bench.open(case.driver, **options):
            pass
    assert clear(str(told.value)), told.value


def test_a_serial_port_that_another_program_reads_is_one_clear_sentence(bench: Any, tmp_path: Path) -> None:
    with open_outlet(f"pty:{tmp_path}/glove") as outlet:
        for _ in range(3):
            outlet.send(b"A2048B1024")
        first, second = (SerialLines(f"{tmp_path}/glove", 115_200) for _ in range(2))
        with first, pytest.raises(FirsthandError, match="cannot open serial port") as told, second:
            pass
    assert clear(str(told.value)), told.value
