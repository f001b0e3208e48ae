"""The recorder's real processes on devices that are paced by the wall clock and keep a list of what they lost."""

import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.console.rows import device_rows
from firsthand.capture.decode import decode_images
from firsthand.capture.errors import FirsthandError
from firsthand.capture.latency import Latency, write_latencies
from firsthand.capture.live.status import Status
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.pattern.barcode import read_barcode
from firsthand.capture.pattern.losses import read_losses
from firsthand.capture.pattern.rows import pattern_rows
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig
from firsthand.validation import check

CAMERA = {"name": "head", "size_px": [320, 240], "fps": 30, "buffer": 30}
GLOVE = {"name": "glove", "columns": 22, "rate_hz": 120, "role": "glove", "buffer": 120}
"""They keep a second for a reader that is late, so that a busy machine loses nothing."""
WAIT_S = 30


def ready(status: Any) -> bool:
    return status.state == "ready" and not status.missing_devices


def all_finished(status: Any) -> bool:
    return status.state == "ready" and all(take.state == "finished" for take in status.takes)


class Worn:
    """A rig of pattern devices, recording into a folder."""

    def __init__(self, folder: Path, *devices: Device, pre_roll_s: float = 0.0, sync: Path | None = None) -> None:
        self.folder, self._numbers = folder, itertools.count()
        self.recorder = Supervisor(Rig("worn", devices, pre_roll_s=pre_roll_s, sync=sync), folder / "logs", self._next)

    def _next(self) -> Path:
        return self.folder / f"{next(self._numbers):03d}"

    def take(self, seconds: float) -> Path:
        assert self.recorder.wait(ready, WAIT_S), self.recorder.status()
        folder = self.recorder.start("try")
        assert self.recorder.wait(lambda s: all(stream.samples for stream in s.streams), WAIT_S), self.recorder.status()
        time.sleep(seconds)
        return folder

    def end(self) -> None:
        self.recorder.stop("enough")
        assert self.recorder.wait(all_finished, WAIT_S), self.recorder.status()

    def texts(self) -> str:
        return "\n".join(message.text for message in self.recorder.status().messages)


def pattern(name: str = "pattern", **options: Any) -> Device:
    on_lost = options.pop("on_lost", "continue")
    return Device(name, "pattern", {"cameras": [CAMERA], "sensors": [GLOVE], **options}, on_lost=on_lost)


def sound(folder: Path) -> None:
    _, faults = check(folder / "recording.h5", lambda what, done, total: None)
    assert not faults


def test_a_take_holds_every_sample_between_start_and_stop_and_the_pre_roll(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern(), pre_roll_s=1.0)
    with worn.recorder:
        assert worn.recorder.wait(ready, WAIT_S)
        time.sleep(1.2)
        folder = worn.take(1.0)
        worn.end()
    sound(folder)
    with Recording(folder / "recording.h5") as recording:
        (start, first), (stop, last) = recording.markers
        assert (first["kind"], first["text"], last["kind"], last["text"]) == ("start", "try", "stop", "enough")
        for name in ("head", "glove"):
            stream = recording[name]
            assert (np.diff(stream.sequence) == 1).all() and not recording.gaps
            assert 5e8 < start - stream.host_ns[0] <= 1e9
            assert 0 <= stop - stream.host_ns[-1] < 1e9
        assert np.array_equal(recording["glove"].values, pattern_rows(recording["glove"].sequence, 22))
        pictures = (cv2.imdecode(np.frombuffer(recording["head"].payload(i), np.uint8), 1) for i in range(len(recording["head"])))
        assert [read_barcode(picture) for picture in pictures] == recording["head"].sequence.tolist()


def test_takes_follow_each_other_without_a_sample_lost_or_doubled(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern(), pre_roll_s=30.0)
    with worn.recorder:
        folders = []
        for _ in range(3):
            folders.append(worn.take(0.5))
            worn.recorder.stop()
            assert worn.recorder.wait(ready, 5), "a take may begin while the one before is being finished"
        assert worn.recorder.wait(all_finished, WAIT_S)
    sequences = []
    for folder in folders:
        with Recording(folder / "recording.h5") as recording:
            sequences += recording["glove"].sequence.tolist()
    assert (np.diff(sequences) == 1).all()


def test_raw_pictures_are_encoded_as_the_rig_says(tmp_path: Path) -> None:
    cameras = [{**CAMERA, "picture": "raw"}, {**CAMERA, "name": "side", "picture": "raw"}, {**CAMERA, "name": "depth", "picture": "depth"}]
    worn = Worn(tmp_path, Device("cams", "pattern", {"cameras": cameras}, encode={"side": "h264"}))
    with worn.recorder:
        folder = worn.take(1.0)
        worn.end()
    sound(folder)
    with Recording(folder / "recording.h5") as recording:
        for name, encoding in (("head", "jpeg"), ("side", "h264"), ("depth", "png")):
            stream = recording[name]
            assert stream.spec.encoding == encoding
            pictures = [_depth(stream.payload(i)) for i in range(len(stream))] if name == "depth" else decode_images(stream, 0, len(stream))
            assert [read_barcode(picture) for picture in pictures] == stream.sequence.tolist()


def _depth(payload: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_device_that_vanishes_is_told_within_a_second_and_the_take_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "lost"
    leaver = Device("leaver", "pattern", {"sensors": [GLOVE], "vanish_at_s": 4.0, "back_after_s": 1.5, "log": str(log)})
    stayer = Device("stayer", "pattern", {"cameras": [CAMERA]})
    worn = Worn(tmp_path, stayer, leaver)
    with worn.recorder:
        folder = worn.take(0.1)
        assert worn.recorder.wait(lambda s: s.devices[1].state == "vanished", WAIT_S)
        seen = worn.recorder.status()
        assert seen.state == "recording" and seen.streams[1].age_s < 2
        assert worn.recorder.wait(lambda s: s.devices[1].state == "running", WAIT_S), worn.texts()
        time.sleep(0.5)
        worn.end()
        assert "leaver vanished: glove is gone" in worn.texts() and "leaver is back" in worn.texts()
    sound(folder)
    with Recording(folder / "recording.h5") as recording:
        gaps = [gap for _, gap in recording.gaps]
        assert [(gap["stream"], gap["cause"]) for gap in gaps] == [("glove", "vanished")]
        away_s = (gaps[0]["to_host_ns"] - gaps[0]["from_host_ns"]) * 1e-9
        assert 1.4 < away_s < 10 and gaps[0]["missing"] == pytest.approx(away_s * 120, abs=2)
        assert len(recording["glove"].clock.spans) == 2
        assert any(marker["kind"] == "vanished" for _, marker in recording.markers)


def test_a_lost_device_ends_the_take_where_the_rig_says_so(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern(vanish_at_s=4.0, on_lost="stop"))
    with worn.recorder:
        folder = worn.take(0.1)
        assert worn.recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", WAIT_S)
        with pytest.raises(FirsthandError, match=r"pattern is not there .*required = false"):
            worn.recorder.start("again")
    sound(folder)


@pytest.mark.parametrize("who", ["pattern", "writer"])
def test_a_process_that_stands_still_for_three_seconds_leaves_exactly_the_gaps_the_device_counted(tmp_path: Path, who: str) -> None:
    log = tmp_path / "lost"
    worn = Worn(tmp_path, pattern(log=str(log)), pre_roll_s=4.0)  # which makes the memory larger
    with worn.recorder:
        folder = worn.take(0.7)
        pid = worn.recorder.pids()[who]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3)
        os.kill(pid, signal.SIGCONT)
        assert worn.recorder.wait(lambda s: all(d.state == "running" for d in s.devices), WAIT_S)
        time.sleep(0.7)
        worn.end()
    sound(folder)
    with Recording(folder / "recording.h5") as recording:
        first, last = ({name: int(recording[name].sequence[i]) for name in ("head", "glove")} for i in (0, -1))
        told = sorted((gap["stream"], gap["first_sequence"], gap["missing"]) for _, gap in recording.gaps)
    lost = sorted((loss.stream, loss.first_sequence, loss.missing) for loss in read_losses(log)
                  if first[loss.stream] < loss.first_sequence < last[loss.stream])
    assert told == lost and bool(lost) == (who == "pattern"), "the memory carries what comes while the writer stands still"


def test_a_recorder_that_stands_still_loses_nothing(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        with Worn(tmp_path, pattern()).recorder as recorder:
            recorder.wait(ready, WAIT_S)
            recorder.start("try")
            (tmp_path / "recording").touch()
            time.sleep(1.0)
        os._exit(0)
    while not (tmp_path / "recording").exists():
        time.sleep(0.05)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(pid, signal.SIGCONT)
    assert os.waitpid(pid, 0)[1] == 0
    sound(tmp_path / "000")
    with Recording(tmp_path / "000" / "recording.h5") as recording:
        assert not recording.gaps and len(recording["glove"]) > 2.8 * 120


def test_a_killed_device_process_is_started_again(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern())
    with worn.recorder:
        folder = worn.take(0.5)
        os.kill(worn.recorder.pids()["pattern"], signal.SIGKILL)
        assert worn.recorder.wait(lambda s: s.devices[0].state == "vanished", WAIT_S)
        assert worn.recorder.wait(lambda s: s.devices[0].state == "running", WAIT_S)
        time.sleep(0.3)
        worn.end()
        assert "ended by SIGKILL" in worn.texts()
    sound(folder)
    with Recording(folder / "recording.h5") as recording:
        assert {gap["cause"] for _, gap in recording.gaps} == {"vanished"}


def test_a_killed_writer_loses_half_a_second_at_most_and_recording_goes_on(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern())
    with worn.recorder:
        first = worn.take(1.0)
        os.kill(worn.recorder.pids()["writer"], signal.SIGKILL)
        assert worn.recorder.wait(lambda s: s.take not in ("", str(first)), WAIT_S)
        second = Path(worn.recorder.status().take)
        assert worn.recorder.wait(lambda s: bool(s.takes) and s.takes[0].state == "finished", WAIT_S), worn.recorder.status()
        time.sleep(1.0)
        worn.end()
    sound(first)
    sound(second)
    with Recording(first / "recording.h5") as before, Recording(second / "recording.h5") as after:
        for name, most in (("head", 15), ("glove", 60)):
            assert 0 <= after[name].sequence[0] - before[name].sequence[-1] - 1 <= most


def test_when_the_recorder_is_killed_the_writer_finishes_the_take(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:  # the one who will be killed
        worn = Worn(tmp_path, pattern())
        worn.recorder.__enter__()
        worn.take(1.0)
        (tmp_path / "recording").touch()
        time.sleep(60)
        os._exit(0)
    while not (tmp_path / "recording").exists():
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + WAIT_S
    while not (tmp_path / "000" / "recording.h5").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    sound(tmp_path / "000")
    with Recording(tmp_path / "000" / "recording.h5") as recording:
        assert len(recording["head"]) > 20


def test_a_wrong_option_is_one_sentence_and_no_retry(tmp_path: Path) -> None:
    worn = Worn(tmp_path, Device("cam", "pattern", {"camera": []}))
    with worn.recorder:
        assert worn.recorder.wait(lambda s: s.devices[0].state == "failed", WAIT_S)
        assert "the driver 'pattern' does not take these options" in worn.recorder.status().devices[0].reason


def test_what_the_rigs_calibration_found_is_in_each_take(tmp_path: Path) -> None:
    sync = tmp_path / "worn.sync.json"
    worn = Worn(tmp_path, pattern(), sync=sync)
    with worn.recorder:
        before = worn.take(0.5)
        worn.end()
        assert "worn.sync.json is not there" in worn.texts()
        write_latencies(sync, {"head": Latency(0, 0, "head", "reference"), "glove": Latency(12_000_000, 900_000, "head", "hand")})
        after = worn.take(0.5)
        worn.end()
    with Recording(before / "recording.h5") as recording:
        assert recording["glove"].latency is None
    with Recording(after / "recording.h5") as recording:
        glove = recording["glove"]
        assert (glove.t_ns == glove.clock.to_session(glove.device_ns, glove.order) - 12_000_000).all()
        (certificate,) = (c for c in certify(recording).streams if c.stream == "glove")
        assert certificate.calibration_residual_ms == pytest.approx(0.9)


def test_what_a_device_sends_that_cannot_be_read_is_counted_where_people_see_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = free.getsockname()
    bind = f"127.0.0.1:{address[1]}"
    options = {"stream": "glove", "columns": ["a"], "bind": bind, "sender": "127.0.0.1", "fields": ["a"], "rate_hz": 50}
    worn = Worn(tmp_path, Device("glove", "json", options))
    with worn.recorder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for i in range(500):
            sender.sendto(b'{"a": 1.5}' if i % 5 else b"garbage", address)
            time.sleep(0.02)
            device = worn.recorder.status().devices[0]
            if device.state == "running" and sum(device.rejected.values()) >= 5:
                break
        assert device.state == "running" and sum(device.rejected.values()) >= 5, device
        worn.recorder.publish(tmp_path / "status.json")  # what `firsthand monitor` reads
        shown = device_rows(Status.from_json(json.loads((tmp_path / "status.json").read_text())))
        assert any(row.light == "AMBER" and "LEFT OUT" in row.text and "it is not JSON" in row.text for row in shown), shown
        time.sleep(1.5)  # silent, so it is opened again: what came before does not count any more
        for _ in range(200):
            sender.sendto(b'{"a": 1.5}', address)
            time.sleep(0.02)
            device = worn.recorder.status().devices[0]
            if device.state == "running" and not device.rejected:
                break
        assert device.state == "running" and not device.rejected and device.rejected_s is None, device


def test_the_status_survives_the_way_through_json(tmp_path: Path) -> None:
    worn = Worn(tmp_path, pattern())
    with worn.recorder:
        assert worn.recorder.wait(ready, WAIT_S)
        time.sleep(0.5)
        worn.recorder.publish(tmp_path / "status.json")
        document = json.loads((tmp_path / "status.json").read_text())
        status = Status.from_json(document)
        assert json.loads(json.dumps(status.to_json(), allow_nan=False)) == document
        assert status.streams[1].rate_hz == pytest.approx(120, rel=0.1)
        newest = worn.recorder.look("head")
        assert newest is not None and bytes(newest.data[:2]) == b"\xff\xd8"


@pytest.fixture(autouse=True)
def _no_process_left(tmp_path: Path) -> Iterator[None]:
    yield
    deadline = time.monotonic() + WAIT_S
    while (left := [p for p in Path("/proc").glob("[0-9]*/environ") if _is_ours(p, tmp_path)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def _is_ours(environ: Path, tmp_path: Path) -> bool:
    try:
        return any(str(tmp_path) in os.readlink(fd) for fd in (environ.parent / "fd").iterdir()) and environ.parent.name != str(os.getpid())
    except OSError:
        return False
