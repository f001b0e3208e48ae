"""One device of a rig goes mad, over each transport in turn: the others of the episode lose nothing and are no later, and what the mad
one lost is written down."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from firsthand.capture.emulator import EMULATORS, Emulation
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.plugins import find
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig

TIMES = 100
FLOOD_S, CALM_S = 0.8, 0.5
HELD_S = 0.03
"""More than that over what it is in peace, and arrivals were held up. Of the median: a machine that runs tests has pauses of its own;
`bench/flood.py` looks at the slowest hundredth."""


class Mad(NamedTuple):
    """A device, how it is reached, and how often it says something."""

    driver: str
    emulator: str
    to: str
    options: dict[str, Any]
    stream: str
    hz: float
    most_hz: float
    """That its driver takes."""


BIND = {"bind": "127.0.0.1:{port}", "sender": "127.0.0.1"}
CONNECT = {"connect": "127.0.0.1:{port}"}
MAD = {
    "UDP": Mad("udcap", "udcap", "udp://127.0.0.1:{port}", BIND, "glove-left", 120, 1000),
    "TCP, to us": Mad("quest", "quest-unstamped", "tcp://127.0.0.1:{port}", {**BIND, "transport": "tcp"}, "hand-left", 140, 800),
    "TCP": Mad("stretchsense", "stretchsense", "tcp-serve://127.0.0.1:{port}", CONNECT, "hand-right", 60, 500),
    "serial": Mad("lucidgloves", "lucidgloves", "pty:{folder}/glove", {"port": "{folder}/glove", "side": "right"}, "glove-right", 100,
                  2000),
    "ZeroMQ PUSH": Mad("manus", "manus", "zmq-push://127.0.0.1:{port}", CONNECT, "glove-left", 120, 1000),
    "ZeroMQ PUB": Mad("manus", "manus-bridge", "zmq-pub://127.0.0.1:{port}", {**CONNECT, "format": "bridge"}, "glove-right", 120, 1000),
    "gRPC": Mad("vision-pro", "vision-pro", "grpc://127.0.0.1:{port}", CONNECT, "hand-left", 90, 500),
    "LSL": Mad("lsl", "lsl", "lsl://firsthand-flood-{port}", {"name": "firsthand-flood-{port}", "stream": "lsl-glove"}, "lsl-glove", 100,
               500),
}


def stream_of(one: Mad) -> str:
    """In the recording."""
    return one.stream if one.driver == "lsl" else f"{one.emulator}-{one.stream}"


class MadDevice(threading.Thread):
    """An emulated device that sends as it should, and while it is mad the same message again and again besides."""

    def __init__(self, mad: Mad, to: str) -> None:
        super().__init__(daemon=True)
        self._mad, self._to, self.over, self.is_mad, self.extra = mad, to, threading.Event(), False, 0

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with open_outlet(self._to) as outlet:
                    began = time.monotonic()
                    for due_ns, message in find("emulators", EMULATORS, self._mad.emulator)(Emulation(seconds=60)):
                        self._until(outlet, began + due_ns * 1e-9, message)
                        if self.over.is_set():
                            return
                        outlet.send(message)
            except Exception:  # nobody listens yet, or no more
                self.over.wait(0.2)

    def _until(self, outlet: Any, due: float, message: bytes) -> None:
        began, sent = time.monotonic(), 0
        while (now := time.monotonic()) < due and not self.over.is_set():
            while self.is_mad and sent < (now - began) * self._mad.hz * TIMES:
                self.extra += outlet.send(bytes(message))
                sent += 1
            self.over.wait(min(0.002, due - now))


class Scene(NamedTuple):
    """The recording, and from when to when each device was mad, with how many messages of it went out besides."""

    recording: Recording
    mad: dict[str, tuple[int, int, int]]


@pytest.fixture(scope="module")
def scene(bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, numbers, mad = tmp_path_factory.mktemp("flood"), itertools.count(), {}
    camera = {"name": "head", "size_px": [320, 240], "fps": 30, "buffer": 30}
    glove = {"name": "worn", "columns": 22, "rate_hz": 120, "role": "glove", "buffer": 120}
    devices, threads = [Device("calm", "pattern", {"cameras": [camera], "sensors": [glove]})], {}
    for transport, one in MAD.items():
        port = bench.port()
        options = {key: value.format(port=port, folder=folder) if isinstance(value, str) else value for key, value in one.options.items()}
        if one.driver != "lsl":
            options |= {"prefix": f"{one.emulator}-", "rate_hz": one.hz}
        devices.append(Device(transport.replace(" ", "-").replace(",", ""), one.driver, options))
        threads[transport] = MadDevice(one, one.to.format(port=port, folder=folder))
        threads[transport].start()
    rig = Rig("worn", tuple(devices), pre_roll_s=0)
    with Supervisor(rig, folder / "logs", lambda: folder / f"{next(numbers):03d}") as recorder:
        assert recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60), recorder.status().devices
        take = recorder.start("try")
        time.sleep(1.5)
        for transport, thread in threads.items():
            begin_ns, thread.is_mad = time.monotonic_ns(), True
            time.sleep(FLOOD_S)
            thread.is_mad, end_ns = False, time.monotonic_ns()
            mad[transport] = begin_ns, end_ns, thread.extra
            time.sleep(CALM_S)
        heard = {stream_of(one) for one in MAD.values()}
        assert recorder.wait(lambda s: all(t.age_s is not None and t.age_s < 0.3 for t in s.streams if t.name in heard), 30), \
            recorder.status()  # each goes on
        recorder.stop()
        assert recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", 60), recorder.status()
    for thread in threads.values():
        thread.over.set()
        thread.join(5)
    with Recording(take / "recording.h5") as recording:
        yield Scene(recording, mad)


@pytest.mark.parametrize("transport", MAD)
def test_a_flood_at_a_hundred_times_the_rate_disturbs_no_other_stream(scene: Scene, transport: str) -> None:
    begin_ns, end_ns, extra = scene.mad[transport]
    assert extra > 3 * MAD[transport].hz * FLOOD_S  # what a busy machine sends of a hundred times, and the transport takes
    for name in ("head", "worn"):
        stream = scene.recording[name]
        np.testing.assert_array_equal(np.diff(stream.sequence), 1)
        delay_s = (stream.host_ns - stream.t_ns) * 1e-9
        mad = (stream.host_ns >= begin_ns) & (stream.host_ns < end_ns)
        calm = np.all([(stream.host_ns < a) | (stream.host_ns > b) for a, b, _ in scene.mad.values()], axis=0)
        assert mad.any() and np.median(delay_s[mad]) < np.median(delay_s[calm]) + HELD_S
    assert not [gap for _, gap in scene.recording.gaps if gap["stream"] in ("head", "worn")]


@pytest.mark.parametrize("transport", MAD)
def test_what_was_too_much_is_a_gap_and_the_device_goes_on(scene: Scene, transport: str) -> None:
    one, (begin_ns, end_ns, extra) = MAD[transport], scene.mad[transport]
    stream = scene.recording[stream_of(one)]
    mad = (stream.host_ns >= begin_ns) & (stream.host_ns < end_ns)
    assert mad.sum() <= one.most_hz * (FLOOD_S + 0.5) + 32  # at that rate, after a burst
    assert (stream.host_ns < begin_ns).sum() > 20 and stream.host_ns[-1] > end_ns
    told = sum(gap["missing"] for _, gap in scene.recording.gaps if gap["stream"] == stream.spec.name)
    assert told > 0 or len(stream) > extra / 2, (transport, extra, len(stream))  # or the machine was so busy that it took them later
