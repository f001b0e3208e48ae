"""The driver `udcap`: literal packets of HandDriver, the emulator, and both over UDP."""

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.udcap import read_udcap


def packet(side: str = "r", before: bytes = b"", **more: Any) -> bytes:
    """Parameter n is -n degrees."""
    parameters = [{"Name": f"{side}{n}", "Value": -float(n)} for n in range(21)]
    return before + json.dumps({"Player": {"Bones": [], "Parameter": parameters, **more}}).encode() + b"\r\n"


@pytest.mark.parametrize("before", [b"", b"[HandDriver 2.1] {frame} "])
def test_parameters_are_fingers_from_the_palm_outward_and_bending_is_positive(before: bytes) -> None:
    said = read_udcap(packet(before=before))
    assert not isinstance(said, str) and list(said) == ["glove-right"]
    assert np.degrees(said["glove-right"].values).round(9).tolist() == [
        2, 1, 0, -20, 6, 5, 4, -7, 10, 9, 8, -11, 14, 13, 12, -15, 18, 17, 16, -19]
    assert said["glove-right"].device_ns is None


def test_a_character_can_be_named_and_what_is_not_sent_is_missing() -> None:
    both = b'{"A":{"Parameter":[{"Name":"l6","Value":-30}]},"B":{"Parameter":[{"Name":"r6","Value":-40},{"Name":"l6","Value":-50}]},"v":2}'
    first, second = read_udcap(both), read_udcap(both, character="B")
    assert not isinstance(first, str) and not isinstance(second, str)
    assert list(first) == ["glove-left"] and np.degrees(first["glove-left"].values[4]) == pytest.approx(30)
    assert list(second) == ["glove-left", "glove-right"] and np.isnan(second["glove-right"].values).sum() == 19
    assert read_udcap(both, character="C") == "the character is not in it"


@pytest.mark.parametrize(("message", "why"), [
    (b"\xff", "it is not text"), (b"hello", "there is no JSON object in it"), (packet()[:60], "its JSON object is damaged"),
    (b'{"' + b'a":{"' * 9999, "its JSON object is damaged"), (b'{"Player":{"Parameter":7}}', "it has no parameters of a glove"),
    (b'{"Player":{"Parameter":[{"Name":"l6","Value":"x"}]}}', "it has no parameters of a glove"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(message: bytes, why: str) -> None:
    assert read_udcap(message) == why


def test_the_emulator_sends_these_bytes(bench: Any) -> None:
    ((_, sent),) = bench.sent("udcap", seconds=0.005)
    assert sent.startswith(b'{"Player1":{"Bones":[{"Name":"LeftHand","Parent":"LeftForeArm",')
    assert b'"Parameter":[{"Name":"l0","Value":-5.766},{"Name":"l1","Value":-7.761},{"Name":"l10",' in sent


def test_what_is_recorded_is_how_the_fingers_were_bent(bench: Any, tmp_path: Path) -> None:
    port, emulation = bench.port(), Emulation(seed=8)
    driver = bench.open("udcap", bind=f"127.0.0.1:{port}", sender="127.0.0.1")
    with bench.emulator("udcap", f"udp://127.0.0.1:{port}", emulation):
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    truth, wearer = {message: t_s for t_s, message in bench.sent("udcap", emulation, 6)}, Wearer(emulation)
    with recording:
        raw = recording["udcap-raw"]
        at = {int(raw.host_ns[i]): truth[bytes(raw.payload(i))] for i in range(len(raw))}
        for side in SIDES:
            stream = recording[f"glove-{side}"]
            assert len(stream) > 300 and not driver.rejected and stream.spec.extra["stamps"] == "arrival"
            np.testing.assert_array_equal(stream.sequence, np.arange(len(stream)))
            for host_ns, row in zip(stream.host_ns.tolist(), stream.values, strict=True):
                np.testing.assert_allclose(row, wearer.angles_rad(side, at[host_ns]), atol=np.radians(6e-4))


def test_two_senders_a_flood_and_silence(bench: Any, flood: Any) -> None:
    port = bench.port()
    driver = bench.open("udcap", bind=f"127.0.0.1:{port}", sender="127.0.0.1", timeout_s=0.5)
    with pytest.raises(FirsthandError, match=rf"for 0\.5 s; check that HandDriver sends JSON by UDP .* port {port}"), driver:
        pass
    with flood(port, packet(), hz=100, host="127.0.0.2"), flood(port, packet(), hz=12_000), driver:
        samples = bench.read(driver, 1.0)
    assert driver.rejected["came faster than 1000 a second"] > 500 and driver.rejected["from another sender"] > 20
    assert len([s for s in samples if s.stream == "glove-right"]) < 2500


def test_no_damaged_packet_breaks_it(bench: Any) -> None:
    rng, messages = Random(5), [packet(), packet("l", b"x {"), *(m for _, m in bench.sent("udcap", seconds=0.05))]
    for n in range(10_000):
        said = read_udcap((renumbered if n % 2 else damaged)(rng, messages))
        if not isinstance(said, str):
            assert all(not np.isinf(reading.values).any() for reading in said.values())
