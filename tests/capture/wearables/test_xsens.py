"""The driver `xsens`: literal datagrams of MVN, the emulator, and both over UDP."""

import struct
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import SIDES, TIPS
from firsthand.capture.wire_formats.xsens import BODY, BODY_COLUMNS, MvnReader

HEADER = bytes.fromhex("4d58545030320000004d8017000c4e3e0017000000000" + "2e0")  # sample 77, time code 806462 ms, 23 of 23, 736 bytes


def item(n: int) -> bytes:
    """Segment n at (n, -n, 2 n) dm, turned by 90 degrees about z."""
    return n.to_bytes(4, "big") + struct.pack(">7f", n / 10, -n / 10, n / 5, 0.70710678, 0, 0, 0.70710678)


BODY_ONLY = HEADER + b"".join(item(n) for n in range(1, 24))


def part(number: int, first: int, count: int, *, sample: int = 5, last: bool = False, props: int = 1) -> bytes:
    head = b"MXTP02" + sample.to_bytes(4, "big") + bytes([number | last << 7, count]) + (1000).to_bytes(4, "big")
    return head + bytes([0, 23, props, 40, 0, 0]) + (32 * count).to_bytes(2, "big") + b"".join(item(n) for n in range(first, first + count))


def reader(every: int = 1) -> MvnReader:
    return MvnReader(0, every)


def test_a_body_in_one_datagram() -> None:
    assert len(BODY_ONLY) == 760
    said = reader()(BODY_ONLY)
    assert not isinstance(said, str) and list(said) == ["body"]
    body = said["body"]
    assert (body.device_ns, body.sequence) == (806_462_000_000, 77)
    values = dict(zip(BODY_COLUMNS, body.values.tolist(), strict=True))
    assert BODY[0] == "pelvis" and BODY[6] == "head" and BODY[10] == "right_hand" and BODY[22] == "left_toe"
    assert values["left_hand.x"] == pytest.approx(1.5) and values["left_hand.z"] == pytest.approx(3.0)
    assert values["head.qw"] == values["head.qz"] == pytest.approx(np.sqrt(0.5)) and values["head.qx"] == 0
    assert reader(every=4)(BODY_ONLY)["body"].sequence == 19  # type: ignore[index]


def test_a_sample_in_two_datagrams_with_a_prop_and_fingers() -> None:
    r = reader()
    assert r(part(0, 1, 40)) == {}
    said = r(part(1, 41, 24, last=True))
    assert not isinstance(said, str) and list(said) == ["body", "hand-left", "hand-right"]
    for side, first, wrist in (("left", 25, 15), ("right", 45, 11)):  # after 23 segments and a prop, numbered from 1
        x = said[f"hand-{side}"].values[:63].reshape(21, 3)[:, 0] * 10
        chains = [first + k for k in (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19)]
        joints = [k for k in range(21) if k not in TIPS]
        np.testing.assert_allclose(x[joints], [wrist, *chains], rtol=1e-6)
        np.testing.assert_allclose(x[list(TIPS)], [first + k + 0.85 for k in (3, 7, 11, 15, 19)], rtol=1e-6)


def test_a_datagram_that_is_lost_costs_its_sample_and_no_other() -> None:
    r = reader()
    lost = "a sample whose datagrams did not all come"
    assert r(part(0, 1, 40, sample=1)) == {}
    assert r(part(0, 1, 40, sample=2)) == lost and list(r(part(1, 41, 24, sample=2, last=True))) == ["body", "hand-left", "hand-right"]
    assert r(part(1, 41, 24, sample=3, last=True)) == lost
    assert r(part(0, 1, 40, sample=4)) == {} and len(r(part(1, 41, 24, sample=4, last=True))) == 3
    assert r(part(0, 1, 63, sample=5, last=True)) == lost  # one segment is missing


def with_(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(("message", "why"), [
    (b"MXTP02", "it is cut off"), (b"X" * 24, "it is no datagram of MVN"), (BODY_ONLY[:-1], "it has not the size it says"),
    (with_(BODY_ONLY, 22, b"\0\1"), "it has not the size it says"),
    (with_(BODY_ONLY, 17, b"\x16"), "a sample whose datagrams did not all come"),
    (with_(BODY_ONLY, 17, b"\x16\1"), "a body of other segments than 23, or fingers of other than 40"),
    (with_(BODY_ONLY, 27, b"\2"), "segments of the body in another order"),
    (with_(BODY_ONLY, 28, b"\x7f\xc0\0\0"), "a place or quaternion that is none"),
    (with_(BODY_ONLY, 40, b"\x7f\x7f\xff\xff"), "a place or quaternion that is none"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(message: bytes, why: str) -> None:
    assert reader()(message) == why


def test_other_datagrams_and_other_characters_are_passed_over() -> None:
    assert reader()(with_(BODY_ONLY, 4, b"12")) == {} and reader()(with_(BODY_ONLY, 16, b"\1")) == {}
    assert reader()(with_(BODY_ONLY, 22, b"\0\0"))["body"].sequence == 77  # type: ignore[index]  # older versions leave the size out


def test_the_emulator_sends_these_bytes(bench: Any) -> None:
    (_, first), (_, second) = bench.sent("xsens", seconds=0.005)
    assert first[:28].hex() == "4d585450303200000000" + "002d" + "00000231" + "00170028" + "0000" + "05a0" + "00000001"
    assert second[:28].hex() == "4d585450303200000000" + "8112" + "00000231" + "00170028" + "0000" + "0240" + "0000002e"
    assert (len(first), len(second)) == (1464, 600)


def test_what_is_recorded_is_where_the_hands_were(bench: Any, tmp_path: Path) -> None:
    port, emulation = bench.port(), Emulation(seed=9, drop_rate=0.05)
    driver = bench.open("xsens", bind=f"127.0.0.1:{port}", sender="127.0.0.1")
    with bench.emulator("xsens", f"udp://127.0.0.1:{port}", emulation):
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    wearer = Wearer(emulation)
    truth = {int.from_bytes(m[6:10], "big"): (t, int.from_bytes(m[12:16], "big")) for t, m in bench.sent("xsens", emulation, 6)}
    with recording:
        assert set(driver.rejected) <= {"a sample whose datagrams did not all come"}
        for side in SIDES:
            stream = recording[f"hand-{side}"]
            assert len(stream) > 120 and stream.device_ns.tolist() == [truth[n][1] * 1_000_000 for n in stream.sequence.tolist()]
            missing = sum(g["missing"] for _, g in recording.gaps if g["stream"] == f"hand-{side}")
            assert missing == stream.sequence[-1] - stream.sequence[0] + 1 - len(stream) > 0
            for n, row in zip(stream.sequence.tolist(), stream.values, strict=True):
                points, expected = bench.points(row), wearer.points_m(side, truth[n][0])
                joints = [k for k in range(21) if k not in TIPS]
                np.testing.assert_allclose(points[joints], expected[joints], atol=1e-6)
                for tip in TIPS:  # the right way, by an estimated length
                    bone, true = points[tip] - points[tip - 1], expected[tip] - expected[tip - 1]
                    assert bone @ true > 0.999 * np.linalg.norm(bone) * np.linalg.norm(true)
                    assert abs(np.linalg.norm(bone) - np.linalg.norm(true)) < 0.005
                np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand(side, truth[n][0]), atol=1e-6)
        assert len(recording["body"]) == len(recording["hand-left"])


def test_two_senders_a_flood_and_silence(bench: Any, flood: Any) -> None:
    port = bench.port()
    driver = bench.open("xsens", bind=f"127.0.0.1:{port}", sender="127.0.0.1", timeout_s=0.5)
    with pytest.raises(FirsthandError, match=rf"for 0\.5 s; check that MVN's network streamer is on, .* port {port}"), driver:
        pass
    with flood(port, BODY_ONLY, hz=100, host="127.0.0.2"), flood(port, BODY_ONLY, hz=12_000), driver:
        samples = bench.read(driver, 1.0)
    assert driver.rejected["came faster than 2000 a second"] > 500 and driver.rejected["from another sender"] > 20
    assert len([s for s in samples if s.stream == "body"]) < 5000
    with pytest.raises(FirsthandError, match="whole numbers from 1"):
        bench.open("xsens", bind=f"127.0.0.1:{port}", sender="127.0.0.1", every=0)


def test_no_damaged_datagram_breaks_it(bench: Any) -> None:
    rng, r = Random(6), reader()
    messages = [BODY_ONLY, part(0, 1, 40), part(1, 41, 24, last=True), *(m for _, m in bench.sent("xsens", seconds=0.1))]
    for n in range(10_000):
        message = damaged(rng, messages)
        if n % 2:  # well framed, with anything in it
            message = BODY_ONLY[:24] + rng.randbytes(736) if n % 4 == 1 else part(n % 3, 1, 5, sample=n % 2, last=n % 5 == 0)
        said = r(message)
        if not isinstance(said, str):
            assert all(not np.isinf(reading.values).any() for reading in said.values())
