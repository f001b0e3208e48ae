"""The driver `lsl`: real outlets of the Lab Streaming Layer on this machine, the emulator, and what is recorded of both."""

import threading
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.certificate import certify
from firsthand.capture.drivers.lsl import LslDriver, open_lsl
from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged
from firsthand.capture.emulators.lsl import LABELS
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.wire_formats.lsl import LslReader, packed

pylsl = pytest.importorskip("pylsl")


@pytest.fixture
def name() -> str:
    """One that no other test's outlet has."""
    return f"glove-{uuid.uuid4().hex[:8]}"


def outlet(name: str, *, channels: int = 2, source_id: str = "", labels: Any = (), units: Any = (), kind: str = "Glove",
           form: Any = None, hz: float = 50.0) -> Any:
    info = pylsl.StreamInfo(name, kind, channels, hz, pylsl.cf_float32 if form is None else form, source_id)
    if labels:
        info.set_channel_labels(list(labels))
    if units:
        info.set_channel_units(list(units))
    return pylsl.StreamOutlet(info)


class Pushing:
    """Pushes numbered samples from a thread, stamped on a clock of its own."""

    def __init__(self, out: Any, *, hz: float = 50.0, at_once: int = 1) -> None:
        self._out, self._every_s, self._at_once, self._stop = out, 1 / hz, at_once, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        n = 0
        while not self._stop.wait(self._every_s):
            for _ in range(self._at_once):
                self._out.push_sample([float(n), float(-n)], 1000.0 + n / 50)
                n += 1

    def __enter__(self) -> "Pushing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def opened(name: str, **options: Any) -> LslDriver:
    (driver,) = open_lsl(name=name, **options)
    assert isinstance(driver, LslDriver)
    return driver


def test_messages_are_samples_and_comparisons() -> None:
    read = LslReader("glove", np.array([2.0, 1.0]), 1)
    said = read(packed(b"S", 12.5, [3.0, 7.0]))
    assert not isinstance(said, str)
    assert (said["glove"].device_ns, said["glove"].sequence, said["glove"].values.tolist()) == (12_500_000_000, 7, [6, 7])
    clock = read(packed(b"C", 12.0, [-0.25]))["glove-clock"]  # type: ignore[index]
    assert (clock.device_ns, clock.values.tolist()) == (12_000_000_000, [-0.25])
    signalling = packed(b"S", 1, [1, 2])[:9] + b"\1\0\0\0\0\0\xf0\x7f" + packed(b"S", 1, [1, 2])[17:]
    assert np.isnan(read(signalling)["glove"].values[0])  # type: ignore[index]  # a NaN of the kind that NumPy warns of
    for message, why in ((b"S123", "it is cut off"), (packed(b"X", 1, [1, 2]), "it is of another kind"),
                         (packed(b"S", 1, [1]), "it has another number of channels"),
                         (packed(b"S", 1e300, [1, 2]), "its stamp is no time"),
                         (packed(b"S", 1, [1, 2.5]), "its counter is no whole number"),
                         (packed(b"S", 1, [np.inf, 2]), "a number that is too large"), (packed(b"C", 1, [np.nan]), "no offset")):
        assert read(message) == why


def test_an_outlet_is_recorded_with_its_own_stamps_labels_and_units(name: str, bench: Any) -> None:
    with Pushing(outlet(name, labels=["a", "b"], units=["degrees", "m"], source_id=f"id-{name}")):
        driver = opened(name, source_id=f"id-{name}", side="left", counter="a")
        with driver:
            spec, clock = driver.streams
            assert (spec.role, spec.names, spec.units, spec.rate_hz, spec.side) == ("glove", ("a", "b"), ("rad", "m"), 50, "left")
            assert (clock.name, clock.names, clock.units, clock.about) == (f"{name}-clock", ("offset",), ("s",), name)
            samples = bench.read(driver, 1.5)
    rows = [s for s in samples if s.stream == name]
    assert len(rows) > 40 and "stamps" not in spec.extra
    assert [s.sequence for s in rows] == list(range(rows[0].sequence, rows[0].sequence + len(rows)))
    assert all(s.device_ns == 1_000_000_000_000 + s.sequence * 20_000_000 for s in rows)
    np.testing.assert_allclose([s.data for s in rows], [(np.radians(s.sequence), -s.sequence) for s in rows])
    compared = [s for s in samples if s.stream == f"{name}-clock"]
    assert compared and abs(compared[0].data[0]) < 0.01  # type: ignore[operator]  # one machine, one clock


def test_what_is_recorded_is_how_the_fingers_were_bent(name: str, bench: Any, tmp_path: Path) -> None:
    emulation = Emulation(seed=12, side="left", drop_rate=0.04)
    driver = opened(name, stream="glove-left", counter="counter", side="left")
    with bench.emulator("lsl", f"lsl://{name}", emulation):
        time.sleep(0.3)
        recording = bench.record([driver], tmp_path / "recording.h5", 4.0)
    wearer = Wearer(emulation)
    truth = [t_s for t_s, _ in bench.sent("lsl", Emulation(seed=12, side="left"), 10)]
    with recording:
        stream = recording["glove-left"]
        assert len(stream) > 250 and stream.spec.names == LABELS and stream.spec.units[0] == "rad" and stream.spec.units[20] == "1"
        missing = sum(g["missing"] for _, g in recording.gaps if g["stream"] == "glove-left")
        assert missing == stream.sequence[-1] - stream.sequence[0] + 1 - len(stream) > 0
        t_s = np.array([truth[n] for n in stream.sequence])
        np.testing.assert_allclose(stream.device_ns - stream.device_ns[0], (t_s - t_s[0]) * 1e9, atol=1000)
        np.testing.assert_allclose(stream.values[:, :20], [wearer.angles_rad("left", t) for t in t_s], atol=1e-6)
        assert len(recording["glove-left-clock"]) >= 1
        timing = {s.stream: s for s in certify(recording).streams}["glove-left"]
        assert not any("arrival" in reason for reason in timing.reasons)


def test_what_is_not_there_twice_there_or_silent_is_told(name: str) -> None:
    why = rf"no LSL outlet with name '{name}' in the network; check that its sender streams"
    with pytest.raises(FirsthandError, match=why), opened(name):
        pass
    first, second = outlet(name, source_id="one"), outlet(name, source_id="two")
    why = r"2 LSL outlets have name .*one on .*two on .*; name the one with source_id or host"
    with pytest.raises(FirsthandError, match=why), opened(name):
        pass
    with pytest.raises(FirsthandError, match=r"nothing readable came over LSL .* for 0\.5 s; check that its sender is on"), \
            opened(name, source_id="two", timeout_s=0.5):
        pass
    del first, second


def test_an_outlet_that_ends_is_told_and_may_come_back(name: str, bench: Any) -> None:
    driver = opened(name)
    for _ in range(2):
        out = outlet(name)
        pushing = Pushing(out)
        with pushing:
            driver.__enter__()
            assert bench.read(driver, 0.3)
        del out, pushing._out
        with pytest.raises(FirsthandError, match=r"LSL .* ended; start its sender again|nothing readable came"):
            bench.read(driver, 5)
        driver.__exit__(None, None, None)


def test_texts_are_refused_and_unknown_channels_named(name: str) -> None:
    texts = outlet(name, channels=1, form=pylsl.cf_string, kind="Markers")
    with pytest.raises(FirsthandError, match="sends texts; this driver records numbers"), opened(name):
        pass
    del texts
    numbers = outlet(f"{name}-n", labels=["a", "b"])
    with pytest.raises(FirsthandError, match="no channel called 'c' "), opened(f"{name}-n", counter="c"):
        pass
    with pytest.raises(FirsthandError, match="1 units are given for the 2 channels"), opened(f"{name}-n", units=["deg"]):
        pass
    del numbers
    with pytest.raises(FirsthandError, match="names with a quote"):
        open_lsl(name="it's")


def test_a_flood_leaves_gaps(name: str, bench: Any) -> None:
    driver = opened(name)
    with Pushing(outlet(name), hz=250, at_once=20), driver:
        samples = bench.read(driver, 1.5)
    rows = [s for s in samples if s.stream == name]
    assert driver.rejected["came faster than 500 a second"] > 1000 and len(rows) < 500 * 2.5 and rows[-1].sequence > len(rows)


def test_the_emulator_says_what_it_sends(name: str) -> None:
    with open_outlet(f"lsl://{name}"):
        (found,) = pylsl.resolve_byprop("name", name, timeout=3)
        info = pylsl.StreamInlet(found).info(timeout=3)
        assert (info.type(), info.channel_count(), info.nominal_srate()) == ("Glove", 21, 100)
        assert info.get_channel_labels()[:4] == ["thumb_1", "thumb_2", "thumb_3", "thumb_spread"]
        assert info.get_channel_units()[0] == "degrees"


def test_no_damaged_message_breaks_it(bench: Any) -> None:
    rng, read = Random(8), LslReader("glove", np.ones(21), 20)
    messages = [packed(b"S", 1.5, range(21)), packed(b"C", 1.5, [0.1])]
    for _ in range(10_000):
        said = read(damaged(rng, messages))
        assert isinstance(said, str) or all(not np.isinf(r.values).any() for r in said.values())
