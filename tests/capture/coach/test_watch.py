"""The coach at work: looking on while a device's process fills its memory."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.coach.coach import Coach
from firsthand.capture.coach.seen_hand import SeenHand
from firsthand.capture.coach.watch import Outcome, decode_small, jpeg_width, watch
from firsthand.capture.live.ring import SAMPLE, Ring
from firsthand.capture.live.wire import spec_to_json
from firsthand.capture.stream import StreamSpec
from firsthand.capture.synthetic.wearer import Wearer

CAMERA = StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=30, width_px=640, height_px=480)
GLOVE = StreamSpec("glove-right", "numeric", "glove", names=tuple("abcdefgh"), units=("rad",) * 8, rate_hz=120)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Pictures of a take, and then the same ones in darkness."""
    wearer = Wearer(seed=4, duration_s=4)
    return [wearer.frame(i)[0] for i in range(0, 120, 8)]


def jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


@pytest.mark.parametrize(("width", "wanted"), [(300, 300), (640, 320), (1280, 320), (1920, 480)])
def test_a_picture_is_decoded_no_larger_than_needed(width: int, wanted: int) -> None:
    image = jpeg(np.full((width * 3 // 4, width, 3), 100, np.uint8))
    small = decode_small(image)
    assert jpeg_width(image) == width and small is not None and small.shape[1] == wanted


@pytest.mark.parametrize("payload", [b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00", b"no picture", jpeg(np.zeros((9, 9, 3), np.uint8))[:60]])
def test_what_is_no_picture_is_passed_over(payload: bytes) -> None:
    assert decode_small(payload) is None


def test_it_looks_at_its_rate_and_takes_its_share_of_the_processor(pictures: list[np.ndarray]) -> None:
    encoded, began_s, shown = [jpeg(p) for p in pictures], time.monotonic(), []

    def newest() -> tuple[int, bytes]:
        number = int((time.monotonic() - began_s) * 30)
        return round((began_s + number / 30) * 1e9), encoded[number // 8 % len(encoded)]

    def slow_hands(picture: np.ndarray) -> list[SeenHand]:
        shown.append(picture.shape)
        end_s = time.process_time() + 0.1
        while time.process_time() < end_s:
            pass
        return []

    outcomes: list[Outcome] = []
    end = threading.Event()
    threading.Timer(3, end.set).start()
    watch(Coach(), newest, lambda: (), outcomes.append, end.wait, looks_hz=5)
    assert 8 <= len(outcomes) <= 16 and all(o.advice == () for o in outcomes)
    print(f"a look takes {np.median([o.look_ms for o in outcomes]):.1f} ms")
    end.clear()
    threading.Timer(3, end.set).start()
    cpu_s, outcomes = time.process_time(), []
    watch(Coach(), newest, lambda: (), outcomes.append, end.wait, find_hands=slow_hands, looks_hz=5, cpu_share=0.2)
    assert 2 <= len(outcomes) <= 8 and set(shown) == {(240, 320, 3)}
    assert time.process_time() - cpu_s < 0.35 * 3


def test_a_picture_that_no_longer_changes_is_not_judged_again() -> None:
    end, outcomes = threading.Event(), list[Outcome]()
    threading.Timer(2, end.set).start()
    old = (time.monotonic_ns() - 5_000_000_000, jpeg(np.zeros((240, 320, 3), np.uint8)))
    watch(Coach(), lambda: old, lambda: (), outcomes.append, end.wait, looks_hz=5)
    assert outcomes and not any(o.advice for o in outcomes)


class Process:
    """The coach's process beside a ring, as the recorder runs it."""

    def __init__(self, ring: Ring, **config: Any) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "firsthand.capture.coach.process"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, pass_fds=[ring.fd], text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()
        self.send(**config)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, **document: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(document) + "\n")
        self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            for line in self.process.stdout:
                self.said.put(json.loads(line))

    def end(self) -> int:
        """End its stdin, after which it ends by itself."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self._listener.join()

    def until(self, gates: set[str], timeout_s: float = 30) -> dict[str, Any]:
        """The first line of advice with exactly these gates."""
        end_s, line = time.monotonic() + timeout_s, dict[str, Any]()
        while time.monotonic() < end_s:
            line = self.said.get(timeout=timeout_s)
            if line["event"] == "advice" and {advice["gate"] for advice in line["advice"]} == gates:
                return line
        raise AssertionError(f"no {gates}; at last {line}")


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create()
    made.set_out(64 << 20)
    yield made
    made.close()


def test_the_process_tells_what_goes_wrong_and_what_was_put_right(ring: Ring, pictures: list[np.ndarray]) -> None:
    good, dark = [jpeg(p) for p in pictures], [jpeg((p * 0.15).astype(np.uint8)) for p in pictures]
    showing, stop = [good], threading.Event()

    def fill() -> None:
        for i in count():
            if stop.wait(1 / 30):
                return
            now_ns = time.monotonic_ns()
            if showing[0]:
                ring.put(SAMPLE, 0, now_ns, now_ns, i, 1, showing[0][i // 4 % len(good)])
            values = np.sin(i / 10 + np.arange(8))
            ring.put(SAMPLE, 1, now_ns, now_ns, i, 1, values.astype("<f8").tobytes())
            while ring.next():
                pass
            ring.release()

    filling = threading.Thread(target=fill)
    filling.start()
    process = Process(ring, streams=[{"spec": spec_to_json(CAMERA), "ring_fd": ring.fd, "number": 0}])
    try:
        first = process.until(set())
        assert first["look_ms"] > 0
        showing[0] = dark
        told = process.until({"exposure"})
        (advice,) = told["advice"]
        assert advice["sentence"] == "the picture is too dark: more light" and advice["since_ns"] < told["host_ns"] - 1e9
        showing[0] = good
        process.until(set())
        process.send(streams=[{"spec": spec_to_json(GLOVE), "ring_fd": ring.fd, "number": 2}])  # one that never says anything
        process.until({"glove"})
        assert os.getpriority(os.PRIO_PROCESS, process.process.pid) == 19
    finally:
        assert process.end() == 0
        stop.set()
        filling.join()


def test_what_cannot_be_watched_is_said(ring: Ring) -> None:
    video = StreamSpec("head", "encoded", "camera", encoding="h264", rate_hz=30)
    process = Process(ring, streams=[{"spec": spec_to_json(video), "ring_fd": ring.fd, "number": 0}], detector="medeapipe")
    try:
        reasons = [process.said.get(timeout=20)["reason"] for _ in range(2)]
        assert reasons[0] == "the coach does not see 'head': it comes as h264; encode it as jpeg to have it watched"
        assert reasons[1].startswith("the coach does not watch for hands: no hand_detector called 'medeapipe'; did you mean 'mediapipe'")
    finally:
        assert process.end() == 0
