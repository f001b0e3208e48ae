"""The pedal, over FIFOs that carry the kernel's own events."""

import os
import queue
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firsthand.capture.controls.pedal import CODES, EVENT, PEDAL_KEYS, Pedal
from firsthand.capture.controls.press import Presses, new_presses
from firsthand.capture.errors import FirsthandError

SPACE, C = CODES["space"], CODES["c"]


def event(code: int, value: int, kind: int = 1) -> bytes:
    """A key that went up (0), down (1) or repeats (2); then the kernel's end of report."""
    return EVENT.pack(1_800_000_000, 250_000, kind, code, value) + EVENT.pack(1_800_000_000, 250_000, 0, 0, 0)


def next_action(presses: Presses) -> str:
    press = presses.get(timeout=5)
    assert press.source == "pedal" and 0 <= time.monotonic_ns() - press.host_ns < 2e9
    return press.action


def nothing(presses: Presses) -> bool:
    try:
        presses.get(timeout=0.3)
    except queue.Empty:
        return True
    return False


def until(condition: Callable[[], bool], timeout_s: float = 5) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "event7")
    return tmp_path / "event7"


def test_an_event_has_the_kernels_size() -> None:
    assert EVENT.size == 24


def test_a_foot_that_goes_down_is_one_press_however_long_it_stays(fifo: Path) -> None:
    with Pedal(presses := new_presses(), device=str(fifo)) as pedal, fifo.open("wb", buffering=0) as foot:
        assert pedal.absent == ""
        foot.write(event(4, 458_796, kind=4) + event(SPACE, 1) + event(SPACE, 2) * 5 + event(SPACE, 0))
        assert next_action(presses) == "toggle"
        foot.write(event(SPACE, 1))  # it bounced
        assert nothing(presses)
        foot.write(event(99, 1) + event(C, 1))
        assert next_action(presses) == "keep"


def test_an_event_that_comes_in_two_parts_is_whole_in_the_end(fifo: Path) -> None:
    with Pedal(presses := new_presses(), device=str(fifo), keys={"KEY_F13": "mark", "353": "redo"}), fifo.open("wb", buffering=0) as foot:
        bytes_ = event(183, 1) + event(353, 1)
        foot.write(bytes_[:31])
        assert next_action(presses) == "mark"
        time.sleep(0.05)
        foot.write(bytes_[31:50])
        time.sleep(0.05)
        foot.write(bytes_[50:])
        assert next_action(presses) == "redo"


def test_a_pedal_that_was_pulled_out_comes_back_by_itself(fifo: Path) -> None:
    with Pedal(presses := new_presses(), device=str(fifo)) as pedal:
        fifo.open("wb", buffering=0).close()
        until(lambda: "the pedal is gone" in pedal.absent)
        until(lambda: pedal.absent == "")
        with fifo.open("wb", buffering=0) as foot:
            foot.write(event(SPACE, 1))
            assert next_action(presses) == "toggle"


def test_it_is_found_by_a_part_of_its_name_also_when_it_comes_late(tmp_path: Path) -> None:
    names, nodes = tmp_path / "names", tmp_path / "nodes"
    nodes.mkdir()
    with Pedal(presses := new_presses(), device="footswitch", names=names, nodes=nodes) as pedal:
        assert pedal.absent == "no pedal: there is no input device called 'footswitch'; plug it in"
        for node, called in (("event3", "AT Translated Set 2 keyboard"), ("event9", "PCsensor FootSwitch Keyboard")):
            os.mkfifo(nodes / node)
            (names / node / "device").mkdir(parents=True)
            (names / node / "device" / "name").write_text(called + "\n")
        until(lambda: pedal.absent == "")
        with (nodes / "event9").open("wb", buffering=0) as foot:
            foot.write(event(CODES["b"], 1))
            assert next_action(presses) == "toggle"
        with pytest.raises(OSError, match="No such device"):  # nobody reads the keyboard
            os.open(nodes / "event3", os.O_WRONLY | os.O_NONBLOCK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_pedal_that_may_not_be_read_says_what_to_do(fifo: Path) -> None:
    fifo.chmod(0)
    with Pedal(new_presses(), device=str(fifo)) as pedal:
        assert "add yourself to the group 'input'" in pedal.absent


def test_wrong_keys_are_named() -> None:
    with pytest.raises(FirsthandError, match="no pedal key called 'spacebar'; write its code as a number, or one of: esc, "):
        Pedal(new_presses(), device="x", keys={"spacebar": "toggle"})
    with pytest.raises(FirsthandError, match="no action called 'kep'; did you mean 'keep'"):
        Pedal(new_presses(), device="x", keys={"space": "kep"})


def test_every_default_key_has_a_code() -> None:
    assert set(PEDAL_KEYS) <= set(CODES) and len(set(CODES.values())) == len(CODES)
