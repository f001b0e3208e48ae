"""The driver `lucidgloves`: literal alpha lines, the emulator, and both over a pseudo-terminal."""

import os
import threading
import time
import tty
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.emulators.lucidgloves import shares
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.wire_formats.alpha import COLUMNS, read_alpha


def row(line: bytes, **options: Any) -> dict[str, float]:
    said = read_alpha(line, **options)
    assert not isinstance(said, str)
    return dict(zip(COLUMNS, said["glove"].values.tolist(), strict=True))


def test_curls_splay_and_buttons() -> None:
    said = row(b"A0B4095C2048D1024E512(AB)0(BB)4095F4095G0HJP2048")
    assert said["thumb_curl_0"] == 0 and said["index_curl_3"] == 1 and said["middle_curl_1"] == 2048 / 4095
    assert (said["thumb_splay"], said["index_splay"], said["joystick_x"], said["joystick_y"]) == (-1, 1, 1, -1)
    assert np.isnan(said["middle_splay"]) and said["trigger"] == 2048 / 4095
    assert {key for key in ("joystick_click", "trigger_click", "a", "b", "grab", "pinch", "menu", "calibrate") if said[key]} == {
        "joystick_click", "a"}


def test_a_joint_that_is_not_sent_takes_the_curl_of_its_finger() -> None:
    said = row(b"B819(BAA)0(BAD)4095")
    assert [said[f"index_curl_{n}"] for n in range(4)] == [0, 0.2, 0.2, 1]
    assert np.isnan(said["thumb_curl_0"])


def test_a_key_in_brackets_swallows_keys_up_to_its_number_as_in_opengloves() -> None:
    said = row(b"A100(AB)BB4095C7")
    assert "B" not in said and np.isnan(said["thumb_splay"]) and np.isnan(said["index_curl_0"]) and said["middle_curl_0"] == 7 / 4095
    assert row(b"A1 x,;\tB2\r")["index_curl_0"] == 2 / 4095  # what is no key is passed over
    assert row(b"A512", largest=1023)["thumb_curl_0"] == 512 / 1023


@pytest.mark.parametrize(("line", "why"), [
    (b"\xff\xfe", "it is not text"), (b"", "it has none of a glove's keys"), (b"HJ", "it has none of a glove's keys"),
    (b"AB12", "a key without its number"), (b"A4096", "a number above 4095"), (b"A" + b"9" * 5000, "a number above 4095"),
    (b"Q12(XX)7", "it has none of a glove's keys"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(line: bytes, why: str) -> None:
    assert read_alpha(line) == why


def test_a_line_about_the_glove_itself_is_no_sample() -> None:
    assert read_alpha(b"Z(ZV)5(ZG)1(ZH)1") == {}


def test_the_emulator_sends_these_bytes(bench: Any) -> None:
    assert bench.sent("lucidgloves", seconds=0.005) == [
        (0.0, b"A258B305C320D338E333F2048G2048P0(AB)3567(BB)1317(CB)1966(DB)2534(EB)3184")]  # A: (3.61 + 7.69 + 5.71) / 3 of 90 deg


def test_what_is_recorded_is_how_the_fingers_were_bent(bench: Any, tmp_path: Path) -> None:
    port, emulation = tmp_path / "glove", Emulation(seed=3, side="left")
    driver = bench.open("lucidgloves", port=str(port), side="left", rate_hz=100)
    with bench.emulator("lucidgloves", f"pty:{port}", emulation):
        while not port.exists():
            time.sleep(0.01)
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    truth = {message: t_s for t_s, message in bench.sent("lucidgloves", emulation, 6)}
    wearer = Wearer(emulation)
    with recording:
        stream, raw = recording["glove-left"], recording["glove-left-raw"]
        assert len(stream) > 250 and len(raw) == len(stream) and not driver.rejected
        assert stream.spec.extra["stamps"] == "arrival" and (stream.device_ns == stream.host_ns).all()
        np.testing.assert_array_equal(stream.sequence, np.arange(len(stream)))
        for i, values in enumerate(stream.values):
            curls, splay = shares(wearer.angles_rad("left", truth[bytes(raw.payload(i))]))
            np.testing.assert_allclose(values[:20].reshape(5, 4), np.repeat(curls[:, None], 4, 1), atol=0.51 / 4095)
            np.testing.assert_allclose(values[20:25], splay, atol=1.01 / 4095)


def test_a_wrong_baud_rate_and_a_glove_that_is_off_say_what_to_check() -> None:
    far, near = os.openpty()
    tty.setraw(near)
    with pytest.raises(FirsthandError, match=r"nothing readable came .* check that the glove is on and its cable .* is /dev/"), \
            open_at(near, timeout_s=0.3):
        pass
    stop = threading.Event()

    def noise() -> None:
        while not stop.wait(0.005):
            os.write(far, bytes(range(128, 228)) + b"\n")

    thread = threading.Thread(target=noise, daemon=True)
    thread.start()
    with pytest.raises(FirsthandError, match=r"left out \(it is not text\); check the options about the message and the baud rate"), \
            open_at(near, timeout_s=0.3):
        pass
    stop.set()
    thread.join()
    os.close(far)
    os.close(near)


def open_at(fd: int, **options: Any) -> Any:
    from firsthand.capture.drivers.lucidgloves import open_lucidgloves

    return open_lucidgloves(port=os.ttyname(fd), side="right", **options)[0]


def test_a_flood_leaves_gaps(bench: Any) -> None:
    far, near = os.openpty()
    tty.setraw(near)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            os.write(far, b"A1B2C3D4E5\n" * 50)
            time.sleep(0.004)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    driver = open_at(near)
    with driver:
        samples = bench.read(driver, 1.2)
    stop.set()
    thread.join()
    rows = [s for s in samples if s.stream == "glove-right"]
    assert driver.rejected["came faster than 2000 a second"] > 500 and len(rows) < 2000 * 2
    assert rows[-1].sequence > len(rows)
    os.close(far)
    os.close(near)


@pytest.mark.parametrize(("options", "message"), [({"side": "both"}, "a glove is 'left' or 'right'"), ({"largest": 0}, "such as 4095")])
def test_impossible_options_are_refused(bench: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        bench.open("lucidgloves", **{"port": "/dev/x", "side": "left", **options})


def test_no_damaged_line_breaks_it(bench: Any) -> None:
    rng, messages = Random(2), [b"Z(ZV)5(ZG)1", *(m for _, m in bench.sent("lucidgloves", seconds=0.2))]
    for n in range(10_000):
        said = read_alpha((renumbered if n % 2 else damaged)(rng, messages))
        if not isinstance(said, str) and said:
            assert np.nanmax(np.abs(said["glove"].values)) <= 1
