"""USB cameras through the recorder's own processes, from a camera that answers in the kernel's place; see emulated_camera.c."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.pattern.barcode import read_barcode
from firsthand.capture.pattern.numbered_jpeg import read_comment
from firsthand.capture.recording import Recording
from firsthand.capture.rig import Device, Rig

CONTROLS = {"exposure_ms": 8, "white_balance_k": 4600, "focus": "auto", "gain": 20}
LOSE, DAMAGE = 7, 40


@pytest.fixture(scope="module")
def take(everything: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cameras, one a format, that lose one picture in seven and damage one in forty; for a second they are unplugged."""
    folder = tmp_path_factory.mktemp("take")
    lens = folder / "lens.toml"
    lens.write_text("width_px = 320\nheight_px = 240\nK = [[200.0, 0, 160], [0, 201.0, 120], [0, 0, 1]]\ndistortion = [0.1, -0.05, 0, 0]\n")
    everything.fault("lose", LOSE)
    everything.fault("damage", DAMAGE)
    common = {"camera": str(everything.path), "size_px": [320, 240], "timeout_s": 1.0}
    devices = (Device("head", "uvc", {**common, "calibration": str(lens), "controls": CONTROLS, "rotation_deg": 180}),
               Device("raw", "uvc", {**common, "stream": "raw", "format": "raw"}, encode={"raw": "jpeg:90"}),
               Device("video", "uvc", {**common, "stream": "video", "format": "h264"}))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in everything.environment.items():
            patch.setenv(name, value)
        with Supervisor(Rig("cameras", devices, pre_roll_s=0), folder / "logs", lambda: folder / "000") as recorder:
            assert recorder.wait(lambda s: s.state == "ready" and not s.missing_devices, 60), recorder.status()
            recorder.start("try")
            time.sleep(2.5)
            everything.fault("gone")
            assert recorder.wait(lambda s: len(s.missing_devices) == 3, 20), recorder.status()
            everything.mend("gone")
            assert recorder.wait(lambda s: not s.missing_devices, 20), recorder.status()
            time.sleep(1.5)
            rejected = {d.name: dict(d.rejected) for d in recorder.status().devices}
            recorder.stop()
            assert recorder.wait(lambda s: bool(s.takes) and s.takes[-1].state == "finished", 60)
    assert rejected["head"].get("the kernel calls it damaged") or rejected["raw"].get("the kernel calls it damaged"), rejected
    everything.mend("lose")
    everything.mend("damage")
    return folder / "000" / "recording.h5"


def runs(sequence: Any) -> list[Any]:
    """A device that was opened again counts anew."""
    return np.split(sequence, np.flatnonzero(np.diff(sequence) < 0) + 1)


def test_mjpeg_is_stored_as_it_came_with_the_kernels_stamps_and_numbers(take: Path, jpegs: list[bytes]) -> None:
    with Recording(take) as recording:
        head = recording["head"]
        assert len(head) > 60 and len(runs(head.sequence)) == 2
        assert all(head.payload(i) == jpegs[n % len(jpegs)] for i, n in enumerate(head.sequence))
        assert all(read_comment(head.payload(i)) == n % len(jpegs) for i, n in enumerate(head.sequence))
        assert head.spec.clock == "host" and np.array_equal(head.t_ns, head.device_ns)
        delay_ms = (head.host_ns - head.device_ns) * 1e-6
        assert 4.9 < np.median(delay_ms) < 15 and delay_ms.min() > 4.9  # what the emulated kernel takes
        assert abs(np.median(np.diff(head.device_ns)[np.diff(head.sequence) == 1]) - 1e9 / 30) < 1e5
        timing = next(s for s in certify(recording).streams if s.stream == "head")
        assert timing.offset_interval_ms == 0 and timing.drift_ppm == 0
        assert [p.shape for p in head.images(0, 1)] == [(240, 320, 3)]


def test_what_the_kernel_lost_or_damaged_is_a_gap(take: Path) -> None:
    with Recording(take) as recording:
        head = recording["head"]
        for run in runs(head.sequence):
            missing = sorted(set(range(int(run[0]), int(run[-1]))) - set(run.tolist()))
            assert missing == [n for n in range(int(run[0]), int(run[-1])) if n % LOSE == LOSE - 1 or n % DAMAGE == DAMAGE - 1]
        told = [gap for _, gap in recording.gaps if gap["stream"] == "head"]
        by_device = sum(gap["missing"] for gap in told if gap["cause"] == "device")
        assert by_device == sum(int(run[-1] - run[0]) + 1 - len(run) for run in runs(head.sequence))
        (away,) = [gap for gap in told if gap["cause"] == "vanished"]
        assert 0.5e9 < away["to_host_ns"] - away["from_host_ns"] < 20e9


def test_raw_pictures_are_encoded_by_us(take: Path) -> None:
    with Recording(take) as recording:
        raw = recording["raw"]
        assert raw.spec.encoding == "jpeg" and raw.spec.extra["format"] == "YUYV" and len(raw) > 60
        assert [read_barcode(picture) for picture in raw.images(0, 30)] == raw.sequence[:30].tolist()


def test_h264_is_stored_as_it_came_and_decodes_after_every_loss(take: Path, h264: list[bytes]) -> None:
    with Recording(take) as recording:
        video = recording["video"]
        assert video.spec.encoding == "h264" and video.spec.extradata
        assert all(video.payload(i) == h264[n % len(h264)] for i, n in enumerate(video.sequence))
        for i in np.flatnonzero(np.diff(video.sequence) != 1) + 1:
            assert video.rows["flags"][i] & 1, "after a loss it goes on with a key frame"
        first = runs(video.sequence)[0]
        shown = [read_barcode(picture) for picture in video.images(0, len(first))]
        assert shown == first.tolist()


def test_controls_and_optics_are_recorded_as_they_are(take: Path) -> None:
    with Recording(take) as recording:
        extra = recording["head"].spec.extra
        assert extra["controls"] == {"auto_exposure": 1, "exposure_time_absolute": 80, "white_balance_automatic": 0, "gain": 20,
                                     "white_balance_temperature": 4600, "focus_automatic_continuous": 1, "focus_absolute": 0}
        assert (extra["device"], extra["stamps"], extra["rotation_deg"]) == ("Emulated HD Camera: Front", "kernel", 180)
        lens = recording.calibration.cameras["head"]
        assert lens.K[1, 1] == 201.0 and lens.distortion.tolist() == [0.1, -0.05, 0, 0] and lens.source == "measured"


FAULTS = """
import json, sys, time
from pathlib import Path
from firsthand.capture.drivers.uvc import open_uvc
from firsthand.capture.errors import FirsthandError
path = Path(sys.argv[1])
def flag(name): return path.with_name(path.name + "." + name)
said = {}
def attempt(what, fault=None, number="", **options):
    if fault: flag(fault).write_text(number)
    try:
        (driver,) = open_uvc(**{"camera": str(path), "timeout_s": 0.4, "size_px": [320, 240], **options})
        with driver:
            end = time.monotonic() + 0.3
            samples = []
            while time.monotonic() < end: samples += driver.read(0.05)
            spec = driver.streams[0]
            said[what] = [spec.clock, spec.extra.get("stamps"), len(samples), dict(driver.rejected)]
    except FirsthandError as error:
        said[what] = str(error)
    finally:
        if fault: flag(fault).unlink()
attempt("absent", "gone")
attempt("denied", "denied")
attempt("busy", "busy")
attempt("no room", "full")
attempt("mode", size_px=[1920, 1080])
attempt("rate", fps=60)
attempt("format", format="NV12")
attempt("control", controls={"exposure": 8})
attempt("range", controls={"exposure_ms": 500})
attempt("other clock", "clockless")
attempt("old", "late", "30")
attempt("metadata", camera=str(path.with_name("none")))
(driver,) = open_uvc(camera=str(path), timeout_s=0.4, size_px=[320, 240])
with driver:
    driver.read(0.1)
    flag("still").write_text("")
    try:
        while True: driver.read(0.1)
    except FirsthandError as error:
        said["stall"] = str(error)
    flag("still").unlink()
with driver:
    driver.read(0.1)
    flag("late").write_text("30")  # while it runs: a clock that jumps
    try:
        while True: driver.read(0.1)
    except FirsthandError as error:
        said["jump"] = [str(error), dict(driver.rejected)]
    flag("late").unlink()
with driver:
    driver.read(0.1)
    time.sleep(0.6)  # the kernel's eight buffers are full, what came then is lost and counted
    numbers = [s.sequence for _ in range(6) for s in driver.read(0.1)]
    said["late reader"] = max(b - a for a, b in zip(numbers, numbers[1:]))
print(json.dumps(said))
"""


def test_each_fault_is_one_clear_sentence(emulated: Any) -> None:
    said = emulated.run(FAULTS)
    path = str(emulated.path)
    assert said["absent"] == f"{path}: it is not there; plug it in, and see 'firsthand devices'"
    assert "usermod -aG video" in said["denied"] and "another program has it" in said["busy"] and "USB bus has no room" in said["no room"]
    assert said["mode"] == (f"{path} has no picture of 1920x1080 at 30 a second; it has MJPG 640x480 at 30; MJPG 320x240 at 30, 15; "
                            "H264 320x240 at 30; YUYV 320x240 at 30")
    assert "of 320x240 at 60 a second" in said["rate"] and "has no NV12 of" in said["format"]
    assert "no control of this camera called 'exposure'; did you mean 'exposure_ms'" in said["control"]
    assert said["range"].endswith("exposure_time_absolute cannot be 5000; it takes 3 to 2047")
    assert "is not there" in said["metadata"]
    clock, stamps, count, rejected = said["other clock"]
    assert (clock, stamps, rejected) == ("device", None, {}) and count > 3
    assert said["old"][0] == "device" and said["old"][2] > 3, "stamps that cannot be of this moment are the device's own"
    assert "no picture came from" in said["stall"] and "for 0.4 s; check its cable" in said["stall"]
    sentence, rejected = said["jump"]
    assert "its stamp is not of this moment" in sentence and rejected["its stamp is not of this moment"] > 5
    assert said["late reader"] > 5


FIND = """
import json, sys
from pathlib import Path
from firsthand.capture.cameras.find_camera import cameras, find
from firsthand.capture.doctor.devices import hardware
from firsthand.capture.errors import FirsthandError
dev, sys_class = Path(sys.argv[1]).parent, Path(sys.argv[2])
said = {"cameras": [vars(one) for one in cameras(sys_class / "video4linux", dev)]}
for name in ("ABC123", "usb-0000:00:14.0-2", "hd camera", "", "0", "Nobody"):
    try:
        said[name] = find(name, sys_class / "video4linux", dev)
    except FirsthandError as error:
        said[name] = str(error)
said["hardware"] = [one.to_json() for one in hardware(sys_class, dev) if one.kind == "camera"]
print(json.dumps(said))
"""


def test_a_camera_is_found_by_names_that_stay(emulated: Any, tmp_path: Path) -> None:
    usb, sys_class = tmp_path / "sys" / "usb1" / "1-2", tmp_path / "sys" / "class"
    (usb / "1-2:1.0").mkdir(parents=True)
    (usb / "serial").write_text("ABC123\n")
    for number in (0, 1):
        node = sys_class / "video4linux" / f"video{number}"
        node.mkdir(parents=True)
        (node / "index").write_text(f"{number}\n")
        (node / "name").write_text("Emulated HD Camera: Fr\n")
        (node / "device").symlink_to(usb / "1-2:1.0")
    said = emulated.run(FIND, str(sys_class))
    path = str(emulated.path)
    assert said["cameras"] == [{"path": path, "name": "Emulated HD Camera: Front", "serial": "ABC123", "bus": "usb-0000:00:14.0-2"}]
    assert said["ABC123"] == said["usb-0000:00:14.0-2"] == said["hd camera"] == said[""] == path
    assert "changes with the order of plugging in" in said["0"]
    assert said["Nobody"].startswith("no camera called 'Nobody'; plug it in (there are: Emulated HD Camera: Front (serial ABC123, bus usb-")
    (shown,) = said["hardware"]
    assert (shown["at"], shown["name"]) == ("ABC123", "Emulated HD Camera: Front") and path in shown["note"]
    assert shown["modes"] == ["MJPG 640x480 at 30", "MJPG 320x240 at 30, 15", "H264 320x240 at 30", "YUYV 320x240 at 30"]


def test_a_jpeg_without_huffman_tables_as_webcams_send_it_decodes(jpegs: list[bytes]) -> None:
    whole, at, left = jpegs[0], 2, bytearray(b"\xff\xd8")
    while whole[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big")
        left += whole[at:end] if whole[at + 1] != 0xC4 else b""
        at = end
    without = cv2.imdecode(np.frombuffer(bytes(left) + whole[at:], np.uint8), 1)
    assert without is not None and np.array_equal(without, cv2.imdecode(np.frombuffer(whole, np.uint8), 1))
