"""The driver `stretchsense`: literal messages of Hand Engine, the emulator, and both over TCP."""

import json
import socket
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import TIPS
from firsthand.capture.wire_formats.hand_engine import SizedFrames, read_hand_engine

STILL, BENT = [0, 0, 0, 1], [0, 0, 0.70710678, 0.70710678]
"""BENT: a quarter turn about z."""


def bones(side: str = "r") -> list[dict[str, Any]]:
    """Straight fingers along x, 1 cm a bone, but for the index, bent by a quarter at its middle joint in three ways."""
    found = [{"name": f"hand_{side}", "translation": [7, 7, 7], "pre_rotation": STILL, "rotation": BENT, "post_rotation": STILL}]
    for finger, numbers in (("thumb", (1, 2, 3)), *((f, (0, 1, 2, 3)) for f in ("index", "middle", "ring", "pinky"))):
        found += [{"name": f"{finger}_0{n}_{side}", "translation": [1, 0, 0], "pre_rotation": STILL, "rotation": STILL,
                   "post_rotation": STILL} for n in numbers]
    return found


def message(which: str = "rotation", **more: Any) -> bytes:
    hand = bones()
    next(bone for bone in hand if bone["name"] == "index_02_r")[which] = BENT
    return json.dumps({"timecode": "01:02:03:30", "frameRate": 60, "poseName": "a", "bones": hand, **more}).encode()


@pytest.mark.parametrize("which", ["pre_rotation", "rotation", "post_rotation"])
def test_bones_are_put_together_from_the_wrist(which: str) -> None:
    said = read_hand_engine(message(which))
    assert not isinstance(said, str) and list(said) == ["hand-right"]
    hand = said["hand-right"]
    assert hand.device_ns == (3723 * 1_000_000_000) + 500_000_000
    cm = hand.values[:63].reshape(21, 3) * 100
    np.testing.assert_allclose(cm[:5], [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [3.85, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(cm[5:9], [[2, 0, 0], [3, 0, 0], [3, 1, 0], [3, 1.85, 0]], atol=1e-6)
    np.testing.assert_allclose(cm[9:13], [[2, 0, 0], [3, 0, 0], [4, 0, 0], [4.85, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(hand.values[63:], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=1e-8)


@pytest.mark.parametrize(("sent", "why"), [
    (b"{", "it is not a JSON object"), (message(timecode="1:2:3"), "it has no timecode"), (message(frameRate=0), "it has no timecode"),
    (message(bones=[]), "it has no bones of a hand"), (message(bones=bones()[:9]), "a hand whose bones are not all there"),
    (message().replace(b"[1, 0, 0]", b"[1, 0]", 1), "a hand whose bones are not all there"),
    (message().replace(b"[0, 0, 0, 1]", b"[0, 0, 0, 5]"), "a hand whose bones are not all there"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(sent: bytes, why: str) -> None:
    assert read_hand_engine(sent) == why


def test_messages_are_found_however_the_stream_is_cut() -> None:
    one = b"\0\0\0\x05hello" + b"\0\0\1\0" + b"x" * 256
    cutter, found = SizedFrames(Counter()), []
    for at in range(0, len(one), 3):
        found += cutter.add(at, one[at : at + 3])
    assert [packet.data for packet in found] == [b"hello", b"x" * 256]
    with pytest.raises(FirsthandError, match="what comes is not Hand Engine's stream"):
        SizedFrames(Counter()).add(0, b"HTTP/1.1")


def test_the_emulator_sends_these_bytes(bench: Any) -> None:
    ((_, sent),) = bench.sent("stretchsense", seconds=0.005)
    assert int.from_bytes(sent[:4], "big") == len(sent) - 4
    begin = b'{"timecode":"10:00:00:00","frameRate":60,"poseName":"none","bones":[{"name":"hand_r","translation":[0.0,0.0,0.0],'
    assert sent[4:].startswith(begin)
    assert len(json.loads(sent[4:])["bones"]) == 20


def test_what_is_recorded_is_how_the_hand_was(bench: Any, tmp_path: Path) -> None:
    port, emulation = bench.port(), Emulation(seed=11, side="left")
    driver = bench.open("stretchsense", connect=f"127.0.0.1:{port}", hands=["left"])
    with bench.emulator("stretchsense", f"tcp-serve://127.0.0.1:{port}", emulation):
        threading.Event().wait(0.3)
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    truth, wearer = {sent[4:]: t_s for t_s, sent in bench.sent("stretchsense", emulation, 8)}, Wearer(emulation)
    with recording:
        assert not driver.rejected
        stream, raw = recording["hand-left"], recording["stretchsense-raw"]
        assert len(stream) == len(raw) > 150 and "stamps" not in stream.spec.extra
        codes = [json.loads(raw.payload(i))["timecode"].split(":") for i in range(len(raw))]
        seconds = [int(h) * 3600 + int(m) * 60 + int(s) + int(f) / 60 for h, m, s, f in codes]
        np.testing.assert_allclose(stream.device_ns, np.array(seconds) * 1e9, atol=10_000)
        for i, row in enumerate(stream.values):
            t_s = truth[bytes(raw.payload(i))]
            true = wearer.points_m("left", t_s)
            expected, points = (true - true[0]) @ wearer.R_world_hand("left", t_s), bench.points(row)
            joints = [k for k in range(21) if k not in TIPS]
            np.testing.assert_allclose(points[joints], expected[joints], atol=2e-6)
            for tip in TIPS:
                bone, wanted = points[tip] - points[tip - 1], expected[tip] - expected[tip - 1]
                assert bone @ wanted > 0.999 * np.linalg.norm(bone) * np.linalg.norm(wanted)
            np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand("left", t_s), atol=1e-6)


def test_it_is_not_there_silent_or_floods(bench: Any) -> None:
    with pytest.raises(FirsthandError, match="Connection refused"), bench.open("stretchsense", connect=f"127.0.0.1:{bench.port()}"):
        pass
    stop, framed = threading.Event(), len(message()).to_bytes(4, "big") + message()
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            silent, _ = server.accept()
            flooding, _ = server.accept()
            with silent, flooding, suppress(OSError):  # the driver closes it
                while not stop.wait(0.002):
                    flooding.sendall(framed * 12)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        driver = bench.open("stretchsense", connect=f"127.0.0.1:{server.getsockname()[1]}", timeout_s=0.5)
        with pytest.raises(FirsthandError, match=r"for 0\.5 s; check that a glove is connected and calibrated in Hand Engine"), driver:
            pass
        with driver:
            samples = bench.read(driver, 1.2)
        stop.set()
        thread.join()
    rows = [s for s in samples if s.stream == "hand-right"]
    assert len(rows) < 1500  # what the machine cannot read in time waits in the sender


def test_no_damaged_message_breaks_it(bench: Any) -> None:
    rng, messages = Random(9), [message(), *(m[4:] for _, m in bench.sent("stretchsense", seconds=0.05))]
    for n in range(10_000):
        said = read_hand_engine((renumbered if n % 20 == 0 else damaged)(rng, messages))
        if not isinstance(said, str):
            assert all(not np.isinf(reading.values).any() for reading in said.values())
