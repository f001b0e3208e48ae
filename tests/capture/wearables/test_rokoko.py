"""The drivers `rokoko` and `rokoko-sdk`: literal documents and frames, the emulators, and both over UDP and TCP."""

import json
import socket
import struct
import threading
from collections import Counter
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
from firsthand.capture.wire_formats.rgmp import RgmpFrames, RgmpReader
from firsthand.capture.wire_formats.rokoko_studio import read_studio

lz4 = pytest.importorskip("lz4.frame")

FINGERS = ("Thumb", "Index", "Middle", "Ring", "Little")
BONES = [f"right{f}{b}" for f in FINGERS for b in ("Proximal", "Medial", "Distal", "Tip")]


def studio(**more: Any) -> bytes:
    """Bone n of the right hand at (n, 2 n, 3 n) mm, the hand turned by 90 degrees about y."""
    turn = {"x": 0, "y": 0.70710678, "z": 0, "w": 0.70710678}
    body = {name: {"position": {"x": n / 1000, "y": n / 500, "z": n * 3 / 1000}, "rotation": turn}
            for n, name in enumerate(["rightHand", *BONES])}
    actor = {"name": "Ada", "meta": {"hasGloves": True, "hasLeftGlove": False, "hasRightGlove": True}, "body": body}
    scene = {"timestamp": 12.3456789, "actors": [actor], "props": []}
    return json.dumps({"version": "3,0", "fps": 60, "scene": scene, **more}).encode()


@pytest.mark.parametrize("pack", [bytes, lz4.compress])
@pytest.mark.parametrize("version", [3, "3,0", "3.0"])
def test_studio_json_v3(pack: Any, version: Any) -> None:
    said = read_studio(pack(studio(version=version)))
    assert not isinstance(said, str) and list(said) == ["hand-right"]
    hand = said["hand-right"]
    assert (hand.device_ns, hand.sequence) == (12_345_678_900, None)
    np.testing.assert_allclose(hand.values[:63].reshape(21, 3), [(n / 1000, 3 * n / 1000, n / 500) for n in range(21)])
    np.testing.assert_allclose(hand.values[63:], [np.sqrt(0.5), 0, 0, -np.sqrt(0.5)], atol=1e-8)


def test_an_actor_can_be_named() -> None:
    assert list(read_studio(studio(), actor="Ada")) == ["hand-right"]  # type: ignore[arg-type]
    assert read_studio(studio(), actor="Bob") == "the actor is not in the scene"


@pytest.mark.parametrize(("message", "why"), [
    (b"{", "it is not a JSON object"), (studio(version=2), "it is not JSON v3: choose that in Studio"),
    (studio(trackers=[]), "it is not JSON v3: choose that in Studio"), (studio(version=None), "it is not JSON v3: choose that in Studio"),
    (studio(scene=[]), "it has no scene"), (studio(scene={"timestamp": "now"}), "it has no timestamp"),
    (studio(scene={"timestamp": 1, "actors": []}), "nobody is in the scene"),
    (studio(scene={"timestamp": 1, "actors": [{"meta": {}, "body": {}}]}), "the actor wears no gloves"),
    (studio().replace(b'"w": 0.7', b'"w": 0.1'), "the actor wears no gloves"),
    (lz4.compress(studio())[:99], "its LZ4 frame is cut off, or too large"),
    (b"\x04\x22\x4d\x18" + b"\xff" * 40, "its LZ4 frame is damaged"),
    (lz4.compress(b" " * (4 << 20)), "its LZ4 frame is cut off, or too large"),
])  # fmt: skip
def test_what_cannot_be_read_of_studio_is_told(message: bytes, why: str) -> None:
    assert read_studio(message) == why


JOINTS = ["palm", "wrist", "thumb_metacarpal", "thumb_proximal", "thumb_distal", "thumb_tip",
          *(f"{f}_{j}" for f in ("index", "middle", "ring", "little") for j in ("metacarpal", "proximal", "intermediate", "distal", "tip"))]


def frame(kind: int, payload: bytes) -> bytes:
    return kind.to_bytes(4, "little") + len(payload).to_bytes(4, "little") + payload


def definition(**more: Any) -> bytes:
    group = {"name": "joints_openxr", "streams": [{"target_frame": f"xr_{joint}"} for joint in JOINTS]}
    found = {"device_id": 7, "device_type": "solved_hand", "timestamp_epoch": "unix_epoch", "device_info": {"hand": "left"},
             "static_data": [], "groups": [{"name": "other", "streams": []}, group], **more}
    return frame(1, json.dumps(found).encode())


def joints(device: int = 7, group: int = 1, t_us: int = 1_700_000_000_000_000) -> bytes:
    """Joint n at (n, 2 n, 3 n) mm, all upright."""
    poses = b"".join(struct.pack("<7f", n / 1000, n / 500, n * 3 / 1000, 0, 0, 0, 1) for n in range(26))
    return frame(2, device.to_bytes(4, "little") + group.to_bytes(4, "little") + t_us.to_bytes(8, "little") + poses)


def test_rgmp_defines_a_hand_and_then_sends_it() -> None:
    reader = RgmpReader()
    assert len(joints()) == 752 and joints()[:24].hex() == "02000000e8020000070000000100000000401e18240a0600"
    assert reader(joints()) == "joints of a device that was not defined"
    assert reader(definition()) == {} and reader(joints(group=0)) == {}
    said = reader(joints())
    assert not isinstance(said, str) and list(said) == ["hand-left"]
    hand = said["hand-left"]
    assert hand.device_ns == 1_700_000_000_000_000_000
    order = [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 14, 15, 17, 18, 19, 20, 22, 23, 24, 25]
    np.testing.assert_allclose(hand.values[:63].reshape(21, 3), [(n / 1000, -3 * n / 1000, n / 500) for n in order], atol=1e-8)
    assert hand.values[63:].tolist() == [1, 0, 0, 0]
    assert reader(joints(t_us=5)) == "its stamp goes back"
    assert reader(frame(3, b"\x07\0\0\0")) == {} and reader(joints()) == "joints of a device that was not defined"
    assert reader(definition()) == {} and not isinstance(reader(joints(t_us=5)), str)  # one that comes back has begun its clock again


def test_devices_that_come_and_go_for_ever_keep_no_new_one_out() -> None:
    """Sixteen that had not said goodbye were all that were ever known."""
    reader = RgmpReader()
    for number in range(100):
        assert reader(definition(device_id=number)) == {} and not isinstance(reader(joints(device=number)), str)
    assert len(reader._devices) == len(reader._last_us) == 16


@pytest.mark.parametrize(("sent", "why"), [
    (b"\1\0", "it is cut off"), (frame(2, b"12"), "it is cut off"), (frame(1, b"[]"), "a definition that is not a JSON object"),
    (definition(device_info={}), "a definition without device, hand or groups"),
    (definition(groups=[{"name": "curls"}]), "a hand without joints_openxr: run the solver with --emit-openxr"),
    (definition(groups=[{"name": "joints_openxr", "streams": []}]), "joints_openxr of other than 26 joints"),
    (frame(2, joints()[8:-4]), "other than 26 joints"), (joints()[:-4] + b"\0\0\0\0", None),
    (joints()[:52] + b"\0\0\xc0\x7f" + joints()[56:], "something that is no number"),
    (joints()[:76] + b"\0\0\0\0" + joints()[80:], "its wrist's quaternion is none"),
])  # fmt: skip
def test_what_cannot_be_read_of_rgmp_is_told(sent: bytes, why: str | None) -> None:
    reader = RgmpReader()
    reader(definition())
    answer = reader(sent)
    assert answer == why if why else not isinstance(answer, str)


def test_frames_are_found_however_the_stream_is_cut_and_nonsense_ends_it() -> None:
    stream = definition() + joints() + frame(3, b"\7\0\0\0")
    cutter, found = RgmpFrames(Counter()), []
    for at in range(0, len(stream), 7):
        found += cutter.add(at, stream[at : at + 7])
    assert [packet.data for packet in found] == [definition(), joints(), frame(3, b"\7\0\0\0")]
    for nonsense in (b"HTTP/1.1 400 Bad", b"\2\0\0\0\xff\xff\xff\x7f", b"\0" * 8):
        with pytest.raises(FirsthandError, match="what comes is not RGMP; connect to the solver's port"):
            RgmpFrames(Counter()).add(0, nonsense)


def test_the_emulators_send_these_bytes(bench: Any) -> None:
    ((_, plain),), ((_, packed),) = bench.sent("rokoko-plain", seconds=0.005), bench.sent("rokoko", seconds=0.005)
    assert lz4.decompress(packed) == plain and packed[:4].hex() == "04224d18"
    assert plain.startswith(b'{"version":"3,0","fps":60.0,"scene":{"timestamp":0.561204,"actors":[{"name":"wearer","color":[0,102,255],')
    assert b'"leftHand":{"position":{"x":-0.21714,"y":0.13993,"z":-0.026713},"rotation":{"x":0.052136,"y":0.084068,"z":-0.045339,' in plain
    (_, left), (_, right), (_, data), _ = bench.sent("rokoko-sdk", seconds=0.005)
    assert left.startswith(b'\1\0\0\0\0\5\0\0{"device_id": 101, "device_type": "solved_hand", ') and b'"hand": "right"' in right
    assert data[:24].hex() == "02000000e80200006500000001000000" + "3490080000000000" and len(data) == 752


@pytest.mark.parametrize("name", ["rokoko", "rokoko-plain", "rokoko-sdk"])
def test_what_is_recorded_is_where_the_hands_were(bench: Any, tmp_path: Path, name: str) -> None:
    port, emulation = bench.port(), Emulation(seed=7)
    if name == "rokoko-sdk":
        to, driver = f"tcp-serve://127.0.0.1:{port}", bench.open("rokoko-sdk", connect=f"127.0.0.1:{port}")
    else:
        to, driver = f"udp://127.0.0.1:{port}", bench.open("rokoko", bind=f"127.0.0.1:{port}", sender="127.0.0.1")
    wearer, at = Wearer(emulation), {}
    for t_s, message in bench.sent(name, emulation, 8):
        if name == "rokoko-sdk":
            at[int.from_bytes(message[16:24], "little") * 1000] = t_s
        else:
            plain = lz4.decompress(message) if name == "rokoko" else message
            at[round(json.loads(plain)["scene"]["timestamp"] * 1e9)] = t_s
    with bench.emulator(name, to, emulation):
        threading.Event().wait(0.3)
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    with recording:
        assert not driver.rejected
        for side in SIDES:
            stream = recording[f"hand-{side}"]
            assert len(stream) > (250 if name == "rokoko-sdk" else 150) and "stamps" not in stream.spec.extra
            np.testing.assert_array_equal(stream.sequence, np.arange(len(stream)))
            for device_ns, row in zip(stream.device_ns.tolist(), stream.values, strict=True):
                points = wearer.points_m(side, at[device_ns])
                expected = points - points[0] if name == "rokoko-sdk" else points
                np.testing.assert_allclose(bench.points(row), expected, atol=1e-6)
                np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand(side, at[device_ns]), atol=3e-6)
        assert len(recording["rokoko-raw"]) >= len(recording["hand-left"])


def test_two_senders_a_flood_and_silence(bench: Any, flood: Any) -> None:
    port = bench.port()
    driver = bench.open("rokoko", bind=f"127.0.0.1:{port}", sender="127.0.0.1", timeout_s=0.6)
    why = rf"for 0\.6 s; check that Studio's live stream is on .* port {port}"
    with pytest.raises(FirsthandError, match=why), driver:
        pass
    with flood(port, studio(), hz=100, host="127.0.0.2"), flood(port, studio(), hz=6000), driver:
        samples = bench.read(driver, 1.0)
    assert driver.rejected["came faster than 500 a second"] > 500 and driver.rejected["from another sender"] > 20
    assert len([s for s in samples if s.stream == "hand-right"]) < 1500
    wrong = bench.open("rokoko", bind=f"127.0.0.1:{port}", sender="127.0.0.1", timeout_s=0.3)
    with flood(port, studio(version=2), hz=60), pytest.raises(FirsthandError, match="choose that in Studio"), wrong:
        pass


def test_a_solver_that_is_not_there_another_port_and_one_that_ends(bench: Any) -> None:
    with pytest.raises(FirsthandError, match=r"cannot connect to TCP .*: Connection refused; check that its sender runs"), \
            bench.open("rokoko-sdk", connect=f"127.0.0.1:{bench.port()}"):
        pass
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            for answer in (b"SSH-2.0-OpenSSH_9.6\r\n", definition() + joints()):
                connection, _ = server.accept()
                connection.sendall(answer)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        driver = bench.open("rokoko-sdk", connect=f"127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(FirsthandError, match="what comes is not RGMP"), driver:
            pass
        with pytest.raises(FirsthandError, match="was closed by the other end"), driver:
            bench.read(driver, 2)
        thread.join()


def test_no_damaged_message_breaks_them(bench: Any) -> None:
    rng, reader = Random(4), RgmpReader()
    documents = [studio(), lz4.compress(studio()), *(m for _, m in bench.sent("rokoko-plain", seconds=0.03))]
    frames = [definition(), joints(), frame(3, b"\7\0\0\0"), *(m for _, m in bench.sent("rokoko-sdk", seconds=0.03))]
    reasons = set()
    for n in range(10_000):
        answers = [reader(damaged(rng, frames))]
        if n % 5 == 0:
            answers.append(read_studio((renumbered if n % 2 else damaged)(rng, documents)))
        for answer in answers:
            if isinstance(answer, str):
                reasons.add(answer)
            else:
                assert all(not np.isinf(reading.values).any() for reading in answer.values())
        if n % 50 == 0:
            reader(definition())
            cutter = RgmpFrames(Counter())
            try:
                cutter.add(0, damaged(rng, frames) + damaged(rng, frames))
            except FirsthandError as error:
                reasons.add(str(error))
    assert 8 < len(reasons) < 30
