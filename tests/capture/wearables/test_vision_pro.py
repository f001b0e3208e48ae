"""The driver `vision-pro`: messages as Google's own library writes them, the emulator, and both over gRPC."""

import socket
import threading
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from firsthand.capture.emulator import Emulation
from firsthand.capture.emulators.damage import damaged
from firsthand.capture.emulators.outlet import open_outlet
from firsthand.capture.emulators.wearer import Wearer
from firsthand.capture.errors import FirsthandError
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.protobuf import MalformedError, embedded, fields, floating
from firsthand.capture.wire_formats.vision_pro import read_update, request

pytest.importorskip("grpc")
descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")


def hand_update() -> Any:
    """The message class, from the published names and numbers."""
    from google.protobuf import descriptor_pool, message_factory

    F = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="handtracking.proto", package="handtracking", syntax="proto3")

    def add(name: str, *parts: tuple[str, int, int, str]) -> None:
        message = file.message_type.add(name=name)
        for field, number, label, kind in parts:
            made = message.field.add(name=field, number=number, label=label, type=F.TYPE_MESSAGE if kind else F.TYPE_FLOAT)
            if kind:
                made.type_name = f".handtracking.{kind}"

    one, many = F.LABEL_OPTIONAL, F.LABEL_REPEATED
    add("Matrix4x4", *((f"m{row}{column}", 4 * row + column + 1, one, "") for row in range(4) for column in range(4)))
    add("Skeleton", ("jointMatrices", 1, many, "Matrix4x4"))
    add("Hand", ("wristMatrix", 1, one, "Matrix4x4"), ("skeleton", 2, one, "Skeleton"))
    add("HandUpdate", ("left_hand", 1, one, "Hand"), ("right_hand", 2, one, "Hand"), ("Head", 3, one, "Matrix4x4"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("handtracking.HandUpdate"))


HandUpdate = hand_update()
QUARTER = np.array([[0.0, 0, 1, 0.1], [0, 1, 0, 1.2], [-1, 0, 0, -0.3], [0, 0, 0, 1]])
"""A quarter turn about ARKit's y, which is up."""


def fill(message: Any, T: Any) -> None:
    for row in range(4):
        for column in range(4):
            setattr(message, f"m{row}{column}", float(T[row][column]))


def update(joints: int = 27, **head: float) -> Any:
    """A right hand whose joint n is at (n, 2 n, 3 n) mm from its wrist, and a head."""
    message = HandUpdate()
    fill(message.right_hand.wristMatrix, QUARTER)
    for n in range(joints):
        T = np.eye(4)
        T[:3, 3] = n / 1000, n / 500, 3 * n / 1000
        fill(message.right_hand.skeleton.jointMatrices.add(), T)
    fill(message.Head, QUARTER)
    for name, value in head.items():
        setattr(message.Head, name, value)
    return message


@pytest.mark.parametrize("joints", [25, 27, 31])
def test_a_hand_and_a_head_in_the_world(joints: int) -> None:
    said = read_update(update(joints).SerializeToString())
    assert not isinstance(said, str) and list(said) == ["hand-right", "head-pose"]
    values = said["hand-right"].values
    order = [0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24]
    arkit = np.array([(0.1 + 3 * n / 1000, 1.2 + n / 500, -0.3 - n / 1000) for n in order])  # the quarter turn, by hand
    np.testing.assert_allclose(values[:63].reshape(21, 3), np.stack([arkit[:, 0], -arkit[:, 2], arkit[:, 1]], 1), atol=1e-7)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(values[63:], [half, 0, 0, half], atol=1e-9)  # about z now, which is up
    np.testing.assert_allclose(said["head-pose"].values, [0.1, 0.3, 1.2, half, 0, 0, half], atol=1e-7)


def test_the_request_says_who_asks() -> None:
    asked = request(IPv4Address("127.0.0.1"))
    assert asked.hex() == "1a14" + "0d00005e44" + "150000fe42" + "2d0000803f" + "6d0050c346"
    message = HandUpdate.FromString(asked)
    head = message.Head
    assert (head.m00, head.m01, head.m02, head.m03, head.m10, head.m30) == (888, 127, 0, 0, 1, 25000)


def test_probes_are_no_samples_and_a_hand_that_is_not_tracked_is_none() -> None:
    assert read_update(update(m00=777.0).SerializeToString()) == {}
    assert list(read_update(update(7).SerializeToString())) == ["head-pose"]  # type: ignore[arg-type]
    assert read_update(b"") == "it has neither a hand nor a head" == read_update(HandUpdate().SerializeToString())
    crooked = update()
    crooked.right_hand.wristMatrix.m00 = 0.5
    crooked.Head.m33 = 7.0  # is forced to 1
    assert list(read_update(crooked.SerializeToString())) == ["head-pose"]  # type: ignore[arg-type]
    crooked.Head.m13 = float("nan")
    assert read_update(crooked.SerializeToString()) == "it has neither a hand nor a head"


def test_fields_in_any_order_and_unknown_ones_are_read_and_damage_is_told() -> None:
    good = update().SerializeToString()
    backwards = b"".join(floating(n, QUARTER.ravel()[n - 1]) for n in range(16, 0, -1))
    for head in (backwards, b"\x80\x01\x05" + backwards + embedded(99, b"x")):
        said = read_update(embedded(3, head))
        assert not isinstance(said, str)
        np.testing.assert_allclose(said["head-pose"].values[:3], [0.1, 0.3, 1.2], atol=1e-7)
    assert read_update(good[:-3]) == "it is no HandUpdate" == read_update(b"\xff" * 20) == read_update(b"\x1b\x00")
    for wrong in (b"\x0d\x00", b"\x09\x00", b"\x12\x05a", b"\x00\x01", b"\x80" * 11):
        with pytest.raises(MalformedError):
            list(fields(wrong))


def test_the_emulator_writes_what_googles_library_writes(bench: Any) -> None:
    for _, sent in bench.sent("vision-pro", seconds=0.05):
        message = HandUpdate.FromString(sent)
        assert message.SerializeToString(deterministic=True) == sent
        assert len(message.left_hand.skeleton.jointMatrices) == len(message.right_hand.skeleton.jointMatrices) == 27


def test_what_is_recorded_is_where_the_hands_were(bench: Any, tmp_path: Path) -> None:
    port, emulation = bench.port(), Emulation(seed=10)
    driver = bench.open("vision-pro", connect=f"127.0.0.1:{port}", rate_hz=90)
    with bench.emulator("vision-pro", f"grpc://127.0.0.1:{port}", emulation):
        threading.Event().wait(0.5)
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    truth, wearer = {message: t_s for t_s, message in bench.sent("vision-pro", emulation, 8)}, Wearer(emulation)
    with recording:
        assert not driver.rejected
        raw = recording["vision-pro-raw"]
        times = [truth[bytes(raw.payload(i))] for i in range(len(raw))]
        for side in SIDES:
            stream = recording[f"hand-{side}"]
            assert len(stream) == len(raw) > 200 and stream.spec.extra["stamps"] == "arrival" and stream.spec.extra["predicted"]
            for t_s, row in zip(times, stream.values, strict=True):
                np.testing.assert_allclose(bench.points(row), wearer.points_m(side, t_s), atol=1e-6)
                np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand(side, t_s), atol=1e-6)
        head = recording["head-pose"]
        np.testing.assert_allclose(head.values[:, :3], [wearer.T_world_head(t_s)[:3, 3] for t_s in times], atol=1e-6)
        assert np.median(np.diff(times)) < 1.1 / 90


def test_a_headset_that_is_not_there_is_silent_or_goes_is_told(bench: Any) -> None:
    port = bench.port()
    driver = bench.open("vision-pro", connect=f"127.0.0.1:{port}", timeout_s=0.6)
    with pytest.raises(FirsthandError, match=rf"cannot connect to gRPC 127\.0\.0\.1:{port} within 3 s; check that its app is open"), driver:
        pass
    outlet: Any = open_outlet(f"grpc://127.0.0.1:{port}")
    with outlet:
        with pytest.raises(FirsthandError, match=r"for 0\.6 s; check that the headset is worn, that Start was pressed"), driver:
            pass
        assert outlet.requests == [request(IPv4Address("127.0.0.1"))]
        stop = threading.Event()

        def send() -> None:
            while not stop.wait(0.01):
                outlet.send(update().SerializeToString())

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        driver.__enter__()
        assert bench.read(driver, 0.2)
        stop.set()
        thread.join()
    with pytest.raises(FirsthandError, match=r"gRPC .* (broke \(\w+\)|was closed by the other end); start its app again"):
        bench.read(driver, 3)
    driver.__exit__(None, None, None)


def test_a_flood_is_cut_off(bench: Any) -> None:
    port, stop, message = bench.port(), threading.Event(), update().SerializeToString()
    with open_outlet(f"grpc://127.0.0.1:{port}") as outlet:
        def flood() -> None:
            while not stop.wait(0.002):
                for _ in range(18):
                    outlet.send(message)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        driver = bench.open("vision-pro", connect=f"127.0.0.1:{port}")
        with driver:
            samples = bench.read(driver, 1.5)
        stop.set()
        thread.join()
    rows = [s for s in samples if s.stream == "hand-right"]
    assert driver.rejected["came faster than 500 a second"] > 300 and len(rows) < 500 * 2.5 and rows[-1].sequence > len(rows)


def test_a_port_that_speaks_something_else_and_one_that_is_none(bench: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(FirsthandError, match="cannot connect to gRPC"), \
                bench.open("vision-pro", connect=f"127.0.0.1:{server.getsockname()[1]}"):
            pass
        thread.join()
    with pytest.raises(FirsthandError, match="write the device's address and its port"):
        bench.open("vision-pro", connect="headset")


def test_no_damaged_update_breaks_it(bench: Any) -> None:
    rng, messages = Random(7), [update().SerializeToString(), *(m for _, m in bench.sent("vision-pro", seconds=0.05))]
    for n in range(10_000):
        message = damaged(rng, messages)
        if n % 4 == 1:  # well framed, with anything in it
            hand = embedded(1, rng.randbytes(80)) + embedded(2, embedded(1, rng.randbytes(16)) * 27)
            message = embedded(1, hand) + embedded(3, rng.randbytes(40))
        said = read_update(message)
        if not isinstance(said, str):
            assert all(not np.isinf(reading.values).any() for reading in said.values())
