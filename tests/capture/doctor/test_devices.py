"""What can be recorded from here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firsthand.capture.doctor import devices
from firsthand.capture.driver import DRIVERS
from firsthand.capture.errors import FirsthandError
from firsthand.capture.plugins import find

ELSEWHERE = '''
NEEDS = {"numpy": "camera", "a_makers_sdk": "realsense", "another_sdk": "gloves"}

def open_it():
    return []
'''


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drivers of other packages."""
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    (tmp_path / "without_opencv.py").write_text("raise ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')")
    (tmp_path / "without_both.py").write_text("NEEDS = {'a_makers_sdk': 'realsense'}\nraise ModuleNotFoundError(name='cv2')")
    (tmp_path / "broken.py").write_text("raise OSError('libsomething.so.2: cannot open shared object file')")
    (tmp_path / "half.py").write_text("NEEDS = {'half_sdk': 'realsense'}\ndef open_it():\n    return []\n")
    (tmp_path / "half_sdk.py").write_text("raise ImportError('libusb-1.0.so.0: cannot open shared object file')")
    (tmp_path / "mad.py").write_text("NEEDS = {'mad_sdk': 'realsense'}\ndef open_it():\n    return []\n")
    (tmp_path / "mad_sdk.py").write_text("import os; os.abort()")
    for slow in ("lucidgloves", "manus", "realsense", "rokoko", "uvc", "vision-pro"):
        monkeypatch.delitem(DRIVERS, slow)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for module in ("elsewhere", "without_opencv", "without_both", "broken", "half", "mad"):
        monkeypatch.setitem(DRIVERS, module, f"{module}:open_it")
    return tmp_path


@pytest.mark.usefixtures("packages")
def test_a_driver_says_what_it_lacks_and_how_to_get_it() -> None:
    lacks = {driver.name: driver.reason for driver in devices.drivers()}
    assert lacks["synthetic"] == lacks["pattern"] == ""
    assert lacks["elsewhere"] == "pip install 'firsthand[gloves,realsense]'"
    assert lacks["without_opencv"] == "pip install 'firsthand[camera]'"
    assert lacks["without_both"] == "pip install 'firsthand[camera,realsense]'"
    assert "libsomething.so.2" in lacks["broken"]
    # What is installed may still not load: a library of the system's is missing, or it takes its process with it.
    assert lacks["half"] == "half_sdk cannot be loaded (libusb-1.0.so.0: cannot open shared object file; sudo apt install libusb-1.0-0)"
    assert lacks["mad"].startswith("mad_sdk cannot be loaded (crashed") and lacks["quest"] == lacks["lsl"] == ""


@pytest.mark.usefixtures("packages")
def test_what_needs_an_extra_says_so_wherever_it_is_asked_for() -> None:
    """`firsthand record` and `firsthand emulate` without OpenCV showed a traceback, or a log to read."""
    with pytest.raises(FirsthandError, match=r"the driver 'without_opencv' needs cv2: pip install 'firsthand\[camera\]'"):
        find("drivers", DRIVERS, "without_opencv")


def node(folder: Path, **content: str) -> None:
    folder.mkdir(parents=True)
    for name, text in content.items():
        (folder / name).write_text(text + "\n")


def test_cameras_and_serial_ports_are_found_with_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sys_class, dev = tmp_path / "sys" / "class", tmp_path / "dev"
    node(sys_class / "video4linux" / "video0", index="0", name="HD Webcam")
    node(sys_class / "video4linux" / "video1", index="1", name="HD Webcam")  # the same camera's metadata
    node(sys_class / "video4linux" / "video2", index="0", name="Head camera")
    node(tmp_path / "sys" / "devices" / "usb1" / "1-2", product="Glove of fingers")
    (tmp_path / "sys" / "devices" / "usb1" / "1-2" / "1-2:1.0" / "ttyACM0").mkdir(parents=True)
    (sys_class / "tty" / "ttyACM0").mkdir(parents=True)
    (sys_class / "tty" / "ttyACM0" / "device").symlink_to(tmp_path / "sys" / "devices" / "usb1" / "1-2" / "1-2:1.0" / "ttyACM0")
    (sys_class / "tty" / "tty1").mkdir()
    node(dev, video0="", ttyACM0="")
    monkeypatch.setattr(devices, "_realsense", list)
    found = {one.at: one for one in devices.hardware(sys_class, dev)}
    assert {at: (one.kind, one.name) for at, one in found.items()} == {
        str(dev / "video0"): ("camera", "HD Webcam"), str(dev / "video2"): ("camera", "Head camera"),
        str(dev / "ttyACM0"): ("serial", "Glove of fingers")}
    assert found[str(dev / "video0")].note == "" and "usermod -aG video" in found[str(dev / "video2")].note


def test_the_command_answers_on_a_machine_without_any() -> None:
    done = subprocess.run([sys.executable, "-m", "firsthand.cli", "devices", "--json"], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    assert {driver["name"] for driver in document["drivers"]} >= set(DRIVERS) and isinstance(document["hardware"], list)
    done = subprocess.run([sys.executable, "-m", "firsthand.cli", "devices"], capture_output=True, text=True, check=True)
    assert "synthetic" in done.stdout and "ready" in done.stdout
