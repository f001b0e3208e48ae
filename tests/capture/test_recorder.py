"""The recorder: every device's samples in one file, and a device's fault told to the person."""

import threading
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.stream import Sample, StreamSpec


class Counter:
    """A device that counts: `n` samples in batches of seven, then ends, fails, or goes on for ever."""

    def __init__(self, name: str, n: int, then: Exception | None = None, endless: bool = False) -> None:
        self.name, self.n, self.then, self.endless, self.sent, self.open = name, n, then, endless, 0, False
        self.streams = (StreamSpec(name, "numeric", "other", names=("count",), units=("1",)),)
        self.calibration = Calibration({name: CameraCalibration(np.eye(3), 4, 3)})

    def read(self, timeout_s: float) -> list[Sample] | None:
        assert self.open
        if self.sent >= self.n and not self.endless:
            if self.then:
                raise self.then
            return None
        batch = [Sample(self.name, i * 1000, 10**9 + i * 1000, i, np.array([i], float)) for i in range(self.sent, self.sent + 7)]
        self.sent += 7
        return batch

    def __enter__(self) -> Self:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


def test_every_sample_of_every_device_arrives(tmp_path: Path) -> None:
    devices = [Counter("a", 700), Counter("b", 3500)]
    counts = record(devices, tmp_path / "recording.h5", task="count")
    assert counts["a"] == 700 and counts["b"] == 3500 and not any(d.open for d in devices)
    with Recording(tmp_path / "recording.h5") as recording:
        np.testing.assert_array_equal(recording["b"].values[:, 0], np.arange(3500))
        assert recording.gaps == [] and set(recording.calibration.cameras) == {"a", "b"}


def test_stop_ends_a_take_and_keeps_it(tmp_path: Path) -> None:
    stop = threading.Event()

    def watch(counts: dict[str, int]) -> None:
        if counts["a"] > 500:
            stop.set()

    record([Counter("a", 0, endless=True)], tmp_path / "recording.h5", stop=stop, progress=watch)
    with Recording(tmp_path / "recording.h5") as recording:
        n = len(recording["a"])
        assert n > 500
        np.testing.assert_array_equal(recording["a"].values[:, 0], np.arange(n))


def test_ctrl_c_ends_a_take_and_keeps_it(tmp_path: Path) -> None:
    pressed = []

    def press(counts: dict[str, int]) -> None:
        if counts["a"] > 200 and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record([Counter("a", 0, endless=True), Counter("b", 14)], tmp_path / "recording.h5", progress=press)
    with Recording(tmp_path / "recording.h5") as recording:
        assert len(recording["a"]) > 200 and recording.gaps == []


def test_a_device_that_fails_is_reported_and_the_rest_is_kept_apart(tmp_path: Path) -> None:
    devices = [Counter("a", 70, then=FirsthandError("glove 'a' went away; check its battery")), Counter("b", 0, endless=True)]
    with pytest.raises(FirsthandError, match="went away"):
        record(devices, tmp_path / "recording.h5")
    assert not (tmp_path / "recording.h5").exists() and (tmp_path / "recording.h5.part").exists()
    assert not any(d.open for d in devices)


def test_two_streams_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="two streams are called 'a'"):
        record([Counter("a", 7), Counter("a", 7)], tmp_path / "recording.h5")


def test_no_device_is_said(tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="no device"):
        record([], tmp_path / "recording.h5")
