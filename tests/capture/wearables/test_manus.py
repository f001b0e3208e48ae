"""The driver `manus`: literal messages of both bridges, the emulator, and both over ZeroMQ."""

import json
import logging
import threading
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged, renumbered
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import GLOVE_COLUMNS
from firsthand.capture.skeleton import SIDES
from firsthand.capture.synthetic.hand import GLOVE_NAMES
from firsthand.capture.wire_formats.manus import ManusReader

zmq = pytest.importorskip("zmq")

GLOVES = {"60f3738b": "left", "8569617b": "right"}
ANGLES = b",".join(b"%d.000" % n for n in range(1, 41))


def reader(axes: str = "unity", order: Any = "openxr", gloves: Any = GLOVES) -> ManusReader:
    return ManusReader(gloves, axes, order)


def skeleton(glove: bytes = b"8569617b") -> bytes:
    """Node n at (n, 2 n, 3 n) mm; the wrist turned by 90 degrees about Unity's y."""
    return glove + b"".join(b",0.%03d,0.%03d,0.%03d,0.000,0.707,0.000,0.707" % (n, 2 * n, 3 * n) for n in range(25))


def test_ergonomics_are_both_hands_from_the_thumb_with_spread_first() -> None:
    said = reader().text(ANGLES)
    assert not isinstance(said, str) and list(said) == ["glove-left", "glove-right"]
    left, right = (np.degrees(said[f"glove-{side}"].values) for side in SIDES)
    assert dict(zip(GLOVE_COLUMNS, left.round(9), strict=True)) == dict(zip(GLOVE_COLUMNS, [
        2, 3, 4, 1, 6, 7, 8, 5, 10, 11, 12, 9, 14, 15, 16, 13, 18, 19, 20, 17], strict=True))
    np.testing.assert_allclose(right, left + 20)
    assert GLOVE_COLUMNS == GLOVE_NAMES


def test_a_glove_that_is_not_there_is_not_one_with_straight_fingers() -> None:
    alone = b",".join([b"0.000"] * 20 + ANGLES.split(b",")[20:])
    assert list(reader().text(alone)) == ["glove-right"]  # type: ignore[arg-type]
    assert reader().text(b",".join([b"0.000"] * 40)) == "ergonomics of no glove: all are zero"


def test_nodes_become_the_21_joints_and_metacarpals_are_left_out() -> None:
    said = reader().text(skeleton())
    assert not isinstance(said, str) and list(said) == ["hand-right"]
    points = said["hand-right"].values[:63].reshape(21, 3)
    nodes = [0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24]
    np.testing.assert_allclose(points, [(n * 1e-3, 3 * n * 1e-3, 2 * n * 1e-3) for n in nodes])  # Unity's y is up
    half = np.sqrt(0.5)
    np.testing.assert_allclose(said["hand-right"].values[63:], [half, 0, 0, -half], atol=1e-12)  # which turns the other way
    both = reader().text(skeleton(b"60f3738b") + b"," + skeleton())
    assert list(both) == ["hand-left", "hand-right"]  # type: ignore[arg-type]


def test_sdk_2_4_on_linux_sends_another_order() -> None:
    said = reader(order="linux24").text(skeleton())
    assert not isinstance(said, str)
    order = [round(x * 1000) for x in said["hand-right"].values[:63].reshape(21, 3)[:, 0]]
    assert order == [0, 21, 22, 23, 24, 2, 3, 4, 5, 7, 8, 9, 10, 17, 18, 19, 20, 12, 13, 14, 15]


def test_a_wrong_order_of_nodes_is_doubted_once(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    _, message = bench.sent("manus", seconds=0.001)[0]
    caplog.set_level(logging.WARNING)
    reader().text(message)
    assert not caplog.records
    wrong = reader(order="linux24")
    wrong.text(message)
    wrong.text(message)
    assert ["is node_order = 'linux24' right" in record.message for record in caplog.records] == [True]


def bridged(**more: Any) -> bytes:
    pose = {"position": {"x": 0.01, "y": 0.02, "z": 0.03}, "orientation": {"x": 0, "y": 0, "z": 0, "w": 1}}
    node = {"node_id": 3, "parent_node_id": 0, "joint_type": "Invalid", "chain_type": "Hand", "pose": pose}
    tip = {**node, "joint_type": "TIP", "chain_type": "Index"}
    found = {"glove_id": -2056691333, "side": "Right", "raw_node_count": 99, "raw_nodes": [tip, node], "ergonomics": [], **more}
    return json.dumps(found).encode()


def test_the_bridges_json_goes_by_names() -> None:
    said = reader("z-forward").bridge(bridged())
    assert not isinstance(said, str)
    values = said["hand-right"].values
    np.testing.assert_allclose(values[:3], [-0.01, 0.03, 0.02])
    assert np.isfinite(values[24:27]).all() and np.isnan(values[3:24]).all()  # the tip of the index, and nothing else
    np.testing.assert_allclose(reader("openxr").bridge(bridged())["hand-right"].values[:3], [0.01, -0.03, 0.02])  # type: ignore[index]
    assert list(reader().bridge(bridged(side=""))) == ["hand-right"]  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("ThumbMCPStretch", "ThumbPIPStretch", "ThumbDIPStretch", "ThumbMCPSpread", "IndexMCPSpread"),
                                   ("ThumbCMCStretch", "ThumbMCPStretch", "ThumbIPStretch", "ThumbSpread", "IndexSpread")])
def test_the_thumbs_names_of_old_and_new_sdks(names: tuple[str, ...]) -> None:
    angles = [{"type": name, "value": 10.0 * n} for n, name in enumerate(names, 1)]
    said = reader().bridge(bridged(raw_nodes=[], ergonomics=angles))
    assert not isinstance(said, str)
    np.testing.assert_allclose(np.degrees(said["glove-right"].values[:4]), [10, 20, 30, 40])
    assert np.degrees(said["glove-right"].values[7]) == pytest.approx(50) and np.isnan(said["glove-right"].values[8:]).all()


@pytest.mark.parametrize(("message", "why"), [
    (b"\xff", "it is not text"), (b"", "it has neither 40 nor 176 fields a glove"), (b"1,2,3", "it has neither 40 nor 176 fields a glove"),
    (ANGLES.replace(b"7.000", b"nan", 1), "ergonomics with something that is no number"),
    (skeleton(b"GLOVE"), "a skeleton with something that is no number"), (skeleton(b"abc1"), "glove abc1 is not named in 'gloves'"),
    (skeleton().replace(b"0.707", b"0.000"), "its wrist's quaternion is none"),
    (b"8569617b" + b",0,0,0,0,0,0,1" * 25, "a skeleton of zeros"),
])  # fmt: skip
def test_text_that_cannot_be_read_is_told(message: bytes, why: str) -> None:
    assert reader().text(message) == why


@pytest.mark.parametrize(("message", "why"), [
    (b"[]", "it is not a JSON object"), (b"{" * 9999, "it is not a JSON object"), (b"[" * 100_000, "it is not a JSON object"),
    (b'{"side": "Both"}', "it has no side and no glove_id"), (b'{"side": "", "glove_id": true}', "it has no side and no glove_id"),
    (b'{"side": "", "glove_id": 18}', "glove 12 is not named in 'gloves'"), (b'{"side": "Left"}', "it has neither nodes nor ergonomics"),
    (bridged(raw_nodes=[{"chain_type": "Hand", "joint_type": "Invalid", "pose": 7}]), "its wrist's quaternion is none"),
    (bridged(raw_nodes=[], ergonomics=[{"type": "Toe", "value": 1}]), "ergonomics of other names"),
])  # fmt: skip
def test_json_that_cannot_be_read_is_told(message: bytes, why: str) -> None:
    assert reader().bridge(message) == why


def test_unknown_gloves_do_not_make_a_reason_each() -> None:
    r = reader(gloves={})
    assert len({r.text(skeleton(b"%x" % n)) for n in range(1, 500)}) == 5  # type: ignore[arg-type]


def test_the_emulators_send_these_bytes(bench: Any) -> None:
    (_, bones), (_, angles) = bench.sent("manus", seconds=0.005)
    assert bones.startswith(b"60f3738b,0.000,0.000,0.000,0.052,0.084,-0.045,0.994,0.022,-0.013,0.015,0.052,") and bones.count(b",") == 351
    assert angles.startswith(b"21.027,3.378,7.761,5.766,-10.488,6.789,8.708,4.522,") and angles.count(b",") == 39
    ((_, document),) = bench.sent("manus-bridge", seconds=0.005)
    found = json.loads(document)
    assert document.startswith(b'{"glove_id": -2056691333, "side": "Right", "raw_node_count": 25, "raw_nodes": [{"node_id": 0, ')
    assert found["raw_nodes"][5] | {"pose": 0} == {"node_id": 5, "parent_node_id": 4, "joint_type": "MCP", "chain_type": "Index", "pose": 0}


@pytest.mark.parametrize(("name", "to", "options", "resolution_m"), [
    ("manus", "zmq-push", {"gloves": {"60F3738B": "left", "0x8569617b": "right"}}, 6e-4),
    ("manus-bridge", "zmq-pub", {"format": "bridge", "axes": "z-forward", "hands": ["left"]}, 1e-9),
])  # fmt: skip
def test_what_is_recorded_is_how_the_hands_were(bench: Any, tmp_path: Path, name: str, to: str, options: dict[str, Any],
                                                resolution_m: float) -> None:
    port, emulation = bench.port(), Emulation(seed=6, side="left")
    driver = bench.open("manus", connect=f"127.0.0.1:{port}", **options)
    with bench.emulator(name, f"{to}://127.0.0.1:{port}", emulation):
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    truth = {message: t_s for t_s, message in bench.sent(name, emulation, 7)}
    wearer = Wearer(emulation)
    with recording:
        assert not driver.rejected
        raw = recording["manus-raw"]
        at = {int(raw.host_ns[i]): truth[bytes(raw.payload(i))] for i in range(len(raw))}
        for side in SIDES if name == "manus" else ["left"]:
            hand, glove = recording[f"hand-{side}"], recording[f"glove-{side}"]
            assert len(hand) > 250 and len(glove) > 250 and hand.spec.extra["stamps"] == "arrival"
            np.testing.assert_array_equal(hand.sequence, np.arange(len(hand)))
            for host_ns, row in zip(hand.host_ns.tolist(), hand.values, strict=True):
                points = wearer.points_m(side, at[host_ns])
                np.testing.assert_allclose(bench.points(row), points - points[0], atol=resolution_m)
                np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand(side, at[host_ns]), atol=3e-3)
            for host_ns, row in zip(glove.host_ns.tolist(), glove.values, strict=True):
                np.testing.assert_allclose(row, wearer.angles_rad(side, at[host_ns]), atol=np.radians(6e-4))


def test_a_bridge_that_comes_later_and_goes_is_told(bench: Any) -> None:
    port = bench.port()
    driver = bench.open("manus", connect=[f"127.0.0.1:{port}"], timeout_s=0.8)
    why = rf"nothing readable came over ZeroMQ tcp://127\.0\.0\.1:{port} .* that the bridge runs .* nobody else"
    with pytest.raises(FirsthandError, match=why), driver:
        pass
    with bench.emulator("manus", f"zmq-push://127.0.0.1:{port}"):
        driver.__enter__()
        assert bench.read(driver, 0.3)
    with pytest.raises(FirsthandError, match="nothing readable came over ZeroMQ"):
        bench.read(driver, 3)
    driver.__exit__(None, None, None)


def test_a_flood_and_a_message_without_end_are_cut_off(bench: Any) -> None:
    port, stop = bench.port(), threading.Event()

    def flood() -> None:
        context = zmq.Context()
        sock = context.socket(zmq.PUSH)
        sock.setsockopt(zmq.LINGER, 0)
        sock.bind(f"tcp://127.0.0.1:{port}")
        while not stop.wait(0.002):
            for _ in range(24):
                try:
                    sock.send(ANGLES, zmq.NOBLOCK)
                except zmq.Again:
                    break
        sock.close()
        context.term()

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    driver = bench.open("manus", connect=f"127.0.0.1:{port}")
    with driver:
        samples = bench.read(driver, 1.2)
    stop.set()
    thread.join()
    rows = [s for s in samples if s.stream == "glove-left"]
    assert driver.rejected["came faster than 1000 a second"] > 500 and len(rows) < 2500 and rows[-1].sequence >= len(rows)


@pytest.mark.parametrize(("options", "message"), [
    ({"format": "ros"}, "it is 'text' .* or 'bridge'"), ({"axes": "up"}, "they are one of"), ({"node_order": "x"}, "they are one of"),
    ({"gloves": {"12": "both"}}, "write each glove's id and its hand"), ({"connect": "here"}, "write the bridge's name or address"),
])  # fmt: skip
def test_impossible_options_are_refused(bench: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        bench.open("manus", **{"connect": "127.0.0.1:8000", **options})


def test_no_damaged_message_breaks_it(bench: Any) -> None:
    rng, r = Random(3), reader()
    text = [ANGLES, skeleton(), *(m for _, m in bench.sent("manus", seconds=0.05))]
    documents = [bridged(), *(m for _, m in bench.sent("manus-bridge", seconds=0.05))]
    reasons = set()
    for n in range(10_000):
        break_it = renumbered if n % 2 else damaged
        for answer in (r.text(break_it(rng, text)), r.bridge(break_it(rng, documents))) if n % 5 == 0 else (r.text(break_it(rng, text)),):
            if isinstance(answer, str):
                reasons.add(answer)
            else:
                assert all(not np.isinf(reading.values).any() for reading in answer.values())
    assert len(reasons) < 20
