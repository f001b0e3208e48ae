"""The synthetic wearer in a rig: a device a process, one start for all, pictures rendered ahead, a take repeated for ever."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from firsthand.capture.drivers.synthetic import open_wearer, render_ahead, truth_of
from firsthand.capture.errors import FirsthandError
from firsthand.capture.stream import Sample

SMALL: dict[str, Any] = {"duration_s": 3.0, "fps": 10, "size_px": [160, 120], "seed": 7}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def deliver(only: str, options: dict[str, Any], seconds: float) -> list[Sample]:
    """What one device delivers until `seconds` have passed or it ends."""
    (driver,) = open_wearer(**options, only=[only])
    samples, until = [], time.monotonic() + seconds
    with driver:
        while time.monotonic() < until and (more := driver.read(0.05)) is not None:
            samples += more
    return samples


def test_one_device_of_the_wearer_can_be_had_alone() -> None:
    assert [driver.name for driver in open_wearer(only=["imu", "glove-right"])] == ["glove-right", "imu"]
    with pytest.raises(FirsthandError, match=r"no device of the synthetic wearer called 'gloveright'; did you mean 'glove-right'"):
        open_wearer(only=["gloveright"])


def test_devices_in_processes_of_their_own_share_one_start_and_one_truth() -> None:
    options = {**SMALL, "realtime": True, "start_ns": time.monotonic_ns() + 3_000_000_000}
    code = ("import sys, json; from firsthand.capture.drivers.synthetic import open_wearer; d, = open_wearer(**json.loads(sys.argv[1]));\n"
            "with d:\n while (m := d.read(1.0)) is not None: [print(s.sequence, s.device_ns, s.host_ns, s.data[0].hex()) for s in m]")
    running = [subprocess.Popen([sys.executable, "-c", code, json.dumps({**options, "only": [name]})], stdout=subprocess.PIPE, text=True)
               for name in ("imu", "glove-left")]
    rows = [[line.split() for line in process.communicate()[0].splitlines()] for process in running]
    truth = truth_of(options)
    for name, got in zip(("imu", "glove-left"), rows, strict=True):
        true = truth.streams[name]
        sequence = np.array([int(row[0]) for row in got])
        np.testing.assert_array_equal(sequence, np.setdiff1d(true.sequence, true.dropped))
        late = np.array([int(row[2]) for row in got]) - true.t_ns[sequence] - true.min_latency_ns
        assert late.min() >= 0 and late.max() < 500_000_000
    here = deliver_all("imu", SMALL)
    assert [float.fromhex(row[3]) for row in rows[0]] == [float(s.data[0]) for s in here]


def deliver_all(only: str, options: dict[str, Any]) -> list[Sample]:
    return deliver(only, options, 60.0)


def test_pictures_rendered_ahead_are_those_of_the_take_and_keep_pace() -> None:
    (driver,) = open_wearer(**SMALL | {"fps": 30}, only=["head"])
    with driver:
        plain = [sample for _ in range(15) for sample in driver.read(1.0) or ()]
    calls: list[tuple[int, int]] = []
    render_ahead({**SMALL, "fps": 30}, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (90, 90)
    ahead = deliver("head", {**SMALL, "fps": 30, "realtime": True}, 1.0)
    assert len([s for s in ahead if s.stream == "head"]) >= 26
    assert [(s.stream, s.sequence, s.data) for s in ahead[: len(plain)]] == [(s.stream, s.sequence, s.data) for s in plain]


def test_rendered_pictures_are_kept_and_a_torn_file_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {**SMALL, "fps": 2}
    render_ahead(options)
    (kept,) = (tmp_path / "firsthand" / "wearer").iterdir()
    calls: list[tuple[int, int]] = []
    render_ahead({**options, "drop_rate": 0.2}, lambda *step: calls.append(step))
    assert calls == []
    content = kept.read_bytes()
    kept.write_bytes(content[: len(content) // 2])
    render_ahead(options, lambda *step: calls.append(step))
    assert len(calls) == 6
    with h5py.File(kept) as file:
        assert file["heap"].shape[0] == file["index"][()][..., 1].sum()
    render_ahead({**options, "seed": 8})
    assert len(list((tmp_path / "firsthand" / "wearer").iterdir())) == 2


def test_a_repeated_take_goes_on_for_ever_on_one_clock_and_its_truth_can_be_told() -> None:
    start_ns = time.monotonic_ns() - 3 * 3_600_000_000_000  # three hours ago: deep in the repetitions
    options = {**SMALL, "realtime": True, "loop": True, "start_ns": start_ns}
    began_ns = time.monotonic_ns()
    samples = deliver("imu", options, 4.0)  # more than one take of 3 s
    assert len(samples) > 600
    truth = truth_of(options, began_ns, time.monotonic_ns())
    true = truth.streams["imu"]
    sequence = np.array([s.sequence for s in samples])
    assert sequence[0] > 3 * 3600 * 200 - 1000
    row = np.searchsorted(true.sequence, sequence)
    np.testing.assert_array_equal(true.sequence[row], sequence)
    inside = true.dropped[(true.dropped > sequence[0]) & (true.dropped < sequence[-1])]
    np.testing.assert_array_equal(np.setdiff1d(np.arange(sequence[0], sequence[-1]), sequence), inside)
    late = np.array([s.host_ns for s in samples]) - true.t_ns[row] - true.min_latency_ns
    assert late.min() >= 0 and late.max() < 500_000_000
    device = np.array([s.device_ns for s in samples])
    session = device + true.offset_ns + np.rint(true.drift_ppm * 1e-6 * (device - true.reference_device_ns)).astype(np.int64)
    assert np.abs(session - true.t_ns[row]).max() < 60_000
    assert np.all(np.diff(device) > 0) and np.all(np.diff([s.host_ns for s in samples]) >= 0)
    assert truth.first_sequence == truth.sequence[0] > 3 * 3600 * 10 - 60
    assert all(s.b > s.a >= truth.first_sequence for s in truth.segments)


def test_truth_of_a_part_is_read_as_it_was_written(tmp_path: Path) -> None:
    from firsthand.capture.synthetic.truth import read_truth

    options = {**SMALL, "realtime": True, "loop": True, "start_ns": 0}
    truth = truth_of(options, 30_000_000_000, 31_000_000_000)
    assert (truth.first_sequence, len(truth.t_ns)) == (300, 30)
    truth.write(tmp_path / "truth.h5")
    read = read_truth(tmp_path / "truth.h5")
    np.testing.assert_array_equal(read.sequence, np.arange(300, 330))
    assert read.segments == truth.segments


def test_what_came_before_a_device_was_opened_is_not_delivered() -> None:
    options = {**SMALL, "realtime": True, "start_ns": time.monotonic_ns() - 1_000_000_000}
    (driver,) = open_wearer(**options, only=["imu"])
    with driver:
        first = driver.read(1.0)
        assert first and first[0].sequence >= 199
        time.sleep(0.3)
    with driver:
        again = driver.read(1.0)
        assert again and again[0].sequence > first[-1].sequence + 50


@pytest.mark.parametrize(("options", "message"), [
    ({"realtime": True}, "depends on when it starts"),
    ({"realtime": True, "start_ns": 1, "loop": True}, "from when to when"),
    ({"sed": 1}, "no option of the synthetic wearer called 'sed'; did you mean 'seed'"),
    ({"loop": True}, "only repeated in real time"),
])  # fmt: skip
def test_truth_that_is_not_fixed_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        truth_of(options)
