"""The doctor on this machine, whatever it has, and on machines made of small files."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from firsthand.capture.doctor import disk, encoders, leftovers, machine, power
from firsthand.capture.doctor.dry_run import dry_run
from firsthand.capture.doctor.examine import examine
from firsthand.capture.doctor.finding import Finding, conclusion, judged, worst
from firsthand.capture.doctor.table import show
from firsthand.capture.doctor.usb import usb
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.rig import Device, Rig
from firsthand.capture.stream import Sample, StreamSpec


def files(folder: Path, **content: Any) -> Path:
    """A folder of small files, as in sysfs; ``__`` in a name is a folder."""
    for name, text in content.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def the(findings: list[Finding], what: str) -> Finding:
    (found,) = [f for f in findings if f.what == what]
    return found


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "firsthand.cli", *map(str, arguments)], capture_output=True, text=True,
                          env={**os.environ, "COLUMNS": "100"})


def test_this_machine_is_looked_at_whatever_it_lacks(tmp_path: Path) -> None:
    done = command("doctor", tmp_path / "not" / "there" / "yet", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == (report["verdict"] == "bad"), done.stderr
    seen = {finding["what"] for finding in report["findings"]}
    assert seen >= {"interrupted takes", "processor", "memory", "battery", "temperature", "clock", "encode jpeg", "encode h264",
                    "sparse files", "disk speed", "disk sync", "free space", "versions"}
    assert any(what.startswith("USB") for what in seen)
    assert list(tmp_path.iterdir()) == [], "what the tests wrote is gone, and no library was made"
    for finding in report["findings"]:
        assert finding["value"] and finding["verdict"] in ("ok", "warn", "bad")
        assert bool(finding["advice"]) == (finding["verdict"] != "ok"), finding


def test_the_rig_is_tried_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    camera = {"size_px": [320, 240], "fps": 30, "buffer": 60}
    worn = Device("head", "pattern", {"cameras": [{"name": "eye", **camera}, {"name": "wrist", **camera, "picture": "raw"}],
                                      "sensors": [{"name": "glove", "columns": 22, "rate_hz": 120, "buffer": 240}]}, {"wrist": "h264"})
    leaving = Device("side", "pattern", {"cameras": [{"name": "far", **camera}], "vanish_at_s": 4.0}, required=False)
    lossy = Device("waist", "pattern", {"sensors": [{"name": "imu", "rate_hz": 200, "buffer": 400}], "drop_rate": 0.12})
    found = dry_run(Rig("worn", (worn, leaving, lossy), pre_roll_s=0), 4.0, tmp_path)
    assert the(found, "device head").verdict == "ok"
    gone = the(found, "device side")
    assert gone.verdict == "warn" and "vanished" in gone.value and "cable" in gone.advice
    for name in ("eye", "wrist", "glove"):
        assert the(found, name).verdict == "ok" and " 0 missing" in the(found, name).value, the(found, name)
    assert the(found, "eye").wanted == "30 Hz" and "320x240 h264" in the(found, "wrist pictures").value
    assert the(found, "imu").verdict == "warn" and "samples are missing" in the(found, "imu").advice
    assert float(the(found, "data rate").value.split()[0]) > 0
    assert list(tmp_path.iterdir()) == [], "nothing of it is kept"


def test_a_required_device_that_is_not_there_is_bad_and_nothing_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["firsthand.capture.doctor.dry_run"], "OPEN_S", 3.0)
    away = Device("head", "pattern", {"vanish_at_s": 0.001, "start_ns": 1})
    found = dry_run(Rig("worn", (away,)), 3.0, tmp_path)
    assert [f.verdict for f in found] == ["bad"] and "not there" in found[0].value and "connect it" in found[0].advice


def battery(folder: Path, **content: Any) -> Finding:
    (found,) = power.battery(files(folder, BAT0__type="Battery", MOUSE__type="Battery", MOUSE__scope="Device", AC__type="Mains",
                                   **{f"BAT0__{name}": value for name, value in content.items()}))
    return found


def test_a_battery_is_judged_by_the_time_it_lasts(tmp_path: Path) -> None:
    full = battery(tmp_path / "a", capacity=80, status="Discharging", energy_now=50_000_000, power_now=10_000_000)
    assert full.value == "80%, discharging, 300 min left" and full.verdict == "ok"
    low = battery(tmp_path / "b", capacity=80, status="Discharging", charge_now=1_000_000, current_now=-1_000_000)
    assert "60 min left" in low.value and (low.verdict, low.advice) == ("warn", "plug it in")
    assert battery(tmp_path / "c", capacity=9, status="Discharging").verdict == "bad"
    assert battery(tmp_path / "d", capacity=9, status="Charging").verdict == "ok"
    assert power.battery(tmp_path / "none") == power.battery(files(tmp_path / "e", x__type="Mains")) != []


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    zones = files(tmp_path, thermal_zone0__temp=45_000, thermal_zone0__type="acpitz", thermal_zone1__temp=85_500,
                  thermal_zone1__type="x86_pkg_temp", thermal_zone2__temp="n/a", cooling_device0__temp=200_000)
    (found,) = power.heat(zones)
    assert found.value == "86 °C (x86_pkg_temp)" and found.verdict == "warn"


def usb_device(name: str, speed: int, version: str, interface: str, product: str, bus_class: str = "ef") -> dict[str, Any]:
    return {f"{name}__idVendor": "8086", f"{name}__speed": speed, f"{name}__version": version, f"{name}__product": product,
            f"{name}__bDeviceClass": bus_class, f"{name}__{name}:1.0__bInterfaceClass": interface}


def test_a_camera_on_the_wrong_port_is_found(tmp_path: Path) -> None:
    ports = files(tmp_path, **usb_device("1-1", 480, "2.10", "0e", "Depth Camera 435"),
                  **usb_device("2-1", 5000, "3.20", "0e", "Depth Camera 455"),
                  **usb_device("3-1", 480, "2.00", "0e", "Webcam"), **usb_device("4-1", 480, "2.00", "0e", "Left"),
                  **usb_device("4-2.1", 480, "2.00", "0e", "Right"), **usb_device("4-2", 480, "2.10", "09", "Hub", "09"),
                  **usb_device("1-4", 12, "2.00", "02", "Glove"), **usb_device("usb1", 480, "2.00", "09", "Root", "09"))
    found = usb(ports)
    assert the(found, "USB 1-1").verdict == "warn" and "USB 3 camera on USB 2" in the(found, "USB 1-1").advice
    assert the(found, "USB 2-1").verdict == "ok" and "5000 Mbit/s" in the(found, "USB 2-1").value
    assert the(found, "USB 3-1").verdict == "ok", "a camera made for USB 2 is well where it is"
    assert "2 cameras share USB 2 bus 4" in the(found, "USB 4-2.1").advice
    assert the(found, "USB, others").value == "Glove (USB 1, 12 Mbit/s)"


def test_slow_clocks_and_little_memory_are_told(tmp_path: Path) -> None:
    (clock, _) = machine.clock(files(tmp_path, current_clocksource="hpet"))
    assert clock.verdict == "warn" and "tsc" in clock.advice
    (found,) = machine.memory(files(tmp_path, meminfo="MemTotal: 4000000 kB\nMemAvailable: 500000 kB") / "meminfo")
    assert found.verdict == "bad" and found.value.startswith("0.5 GB")
    assert machine.memory(tmp_path / "nowhere")[0].verdict == "ok"


def test_a_slow_or_full_disk_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SECONDS", 0.3)
    assert [f.verdict for f in disk.disk_speed(tmp_path, 1e5)] == ["ok", "ok"]
    speed, _ = disk.disk_speed(tmp_path, 1e12)
    assert speed.verdict == "bad" and "SSD" in speed.advice
    monkeypatch.setattr(disk, "sync", lambda fd: time.sleep(0.3))
    assert disk.disk_speed(tmp_path, 1e5)[1].verdict == "warn"
    assert disk.room(tmp_path, 1e12, False)[0].verdict == "bad" and disk.room(tmp_path, 1e3, True)[0].verdict == "ok"


def test_a_folder_that_cannot_be_written_is_named() -> None:
    for found in (disk.disk_speed(Path("/proc"), 1e6), disk.holes(Path("/proc"))):
        assert [f.verdict for f in found] == ["bad"] and "/proc" in found[0].advice


def test_interrupted_takes_are_found_and_the_damaged_ones_named(tmp_path: Path) -> None:
    assert leftovers.leftovers(tmp_path)[0].verdict == "ok"
    for storage in ("segments", "journal"):
        alive = tmp_path / "alive"
        writer = RecordingWriter(alive / "recording.h5", storage=storage)  # type: ignore[arg-type]
        writer.add_stream(StreamSpec("imu", "numeric", "imu", names=("ax",), units=("m/s^2",)))
        writer.append(Sample("imu", 0, 0, 0, np.zeros(1)))
        writer.sync()
        shutil.copytree(alive, tmp_path / "library" / "session" / storage)
        writer.discard()
        shutil.rmtree(alive)
    (found,) = leftovers.leftovers(tmp_path / "library")
    assert found.verdict == "warn" and found.value == "2: session/journal, session/segments" and "firsthand recover" in found.advice
    (tmp_path / "library" / "session" / "segments" / "recording.h5.part").write_bytes(b"x" * 5000)
    (found,) = leftovers.leftovers(tmp_path / "library")
    assert found.value == "2, 1 of them damaged: session/segments"
    files(tmp_path / "library", **{".recorder__status.json": "{}"})
    assert leftovers.leftovers(tmp_path / "library")[0].what == "recorder"


def test_an_encoder_that_crashes_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, os\nclass Crash:\n    def find_spec(self, name, *rest):\n        if name == 'av': os.abort()\n"
        "sys.meta_path.insert(0, Crash())\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(encoders, "TRIED", ("jpeg", "h264"))
    found = encoders.encoders()
    assert the(found, "encode jpeg").verdict == "ok" and the(found, "encode h264").value == "crashed (SIGABRT)"
    assert the(found, "encode h264").verdict == "warn" and the(found, "encoder chip").value == "none works here"


def test_the_last_line_says_whether_the_day_may_begin() -> None:
    fine, odd, broken = Finding("a", "1"), Finding("b", "2", "3", "warn", "do that"), Finding("c", "4", "5", "bad", "do this")
    for findings, line in (([fine], "Ready to record."), ([fine, odd], "Fit to record, with one thing to know of."),
                           ([odd, fine, broken], "Do not record yet: one thing to put right, and one thing to know of.")):
        console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        show(findings, console, tried=True)
        console.file.close()
        printed = console.export_text().splitlines()
        assert printed[-1] == line == conclusion(findings, tried=True)
        advice = [f"{f.what}: {f.advice}" for f in (broken, odd) if f in findings]
        assert [text for text in printed if text.startswith(("b: ", "c: "))] == advice, "the worst is told first"
    assert worst([]) == worst([fine]) == "ok" and worst([odd, broken, fine]) == "bad"
    assert [judged(x, 10, 5) for x in (11, 7, 3)] == [judged(x, 5, 10) for x in (3, 7, 11)] == ["ok", "warn", "bad"]


def test_findings_come_one_by_one(tmp_path: Path) -> None:
    assert next(iter(examine(tmp_path))).what == "interrupted takes"
