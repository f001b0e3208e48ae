"""The driver `quest`: literal packets of Hand Tracking Streamer, the emulator, and both over UDP and TCP."""

import socket
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
from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.importers.poses import columns
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import JOINTS, SIDES
from firsthand.capture.wire_formats.quest import HtsReader

PUBLISHED = (
    b"Right wrist:, 0.2502, 1.0635, 0.2540, 0.194, -0.116, 0.094, -0.970\n"
    b"Right landmarks:, 0.0000, 0.0000, 0.0000, -0.0275, -0.0197, 0.0362, -0.0438, -0.0335, 0.0608, -0.0418, -0.0480, 0.0913, -0.0329, "
    b"-0.0595, 0.1111, -0.0236, -0.0073, 0.0960, -0.0179, -0.0226, 0.1302, -0.0150, -0.0428, 0.1435, -0.0116, -0.0633, 0.1518, -0.0017, "
    b"-0.0025, 0.0956, 0.0054, -0.0226, 0.1329, 0.0081, -0.0456, 0.1478, 0.0100, -0.0680, 0.1589, 0.0175, -0.0065, 0.0887, 0.0252, "
    b"-0.0222, 0.1236, 0.0279, -0.0407, 0.1424, 0.0282, -0.0595, 0.1580, 0.0230, -0.0094, 0.0341, 0.0351, -0.0137, 0.0779, 0.0433, "
    b"-0.0227, 0.1061, 0.0477, -0.0342, 0.1223")
"""The example of the app's own CONNECTIONS.md."""
STAMPED = b"Left wrist | f = 126 | t = 2573627960400:, -0.1847, 0.7384, 3.2628, 0.335, 0.574, -0.076, -0.743"
ZEROS = ", 0.0000" * 63


def read(message: bytes) -> Any:
    return HtsReader(by_line=False)(message)


def test_the_published_example_is_a_right_hand_in_the_world() -> None:
    said = read(PUBLISHED)
    assert list(said) == ["hand-right"]
    hand = said["hand-right"]
    assert (hand.device_ns, hand.sequence) == (None, None) and hand.values.shape == (67,)
    points = hand.values[:63].reshape(21, 3)
    np.testing.assert_allclose(points[0], [0.2502, 0.2540, 1.0635])  # Unity's y is up, its z forward
    sent = np.array([float(v) for v in PUBLISHED.split(b"landmarks:,")[1].split(b",")]).reshape(21, 3)
    np.testing.assert_allclose(np.linalg.norm(points - points[0], axis=1), np.linalg.norm(sent, axis=1), atol=1e-9)
    # Worked by hand for the index tip: v + 2 w (u x v) + 2 u x (u x v) with the quaternion as Unity has it, then y and z exchanged.
    u, w, v = np.array([0.194, -0.116, 0.094]), -0.970, np.array([-0.0116, -0.0633, 0.1518])
    n = np.sqrt(u @ u + w * w)
    u, w = u / n, w / n
    turned = v + 2 * w * np.cross(u, v) + 2 * np.cross(u, np.cross(u, v))
    np.testing.assert_allclose(points[8] - points[0], turned[[0, 2, 1]], atol=1e-12)
    np.testing.assert_allclose(hand.values[63:], np.array([-0.970, -0.194, -0.094, 0.116]) / n, atol=1e-12)


def test_the_debug_option_gives_counter_and_stamp() -> None:
    said = read(STAMPED + b"\nLeft landmarks | f = 126 | t = 2573627960400:" + ZEROS.encode())
    assert (said["hand-left"].device_ns, said["hand-left"].sequence) == (2573627960400, 126)
    head = read(b"Head pose | f = 3 | t = 99 | vendor = 7:, 1.0, 2.0, 3.0, 0, 0, 0, 1")["head-pose"]
    assert (head.device_ns, head.sequence, head.values.tolist()) == (99, 3, [1, 3, 2, 1, 0, 0, 0])


def test_a_joint_that_is_not_tracked_is_missing_and_not_at_the_wrist() -> None:
    said = read(b"Right wrist:, 0, 1, 0, 0, 0, 0, 1\nRight landmarks:" + b", 0, 0, 0" * 20 + b", 0.0000, 0.0000, 0.0000")
    points = said["hand-right"].values[:63].reshape(21, 3)
    assert np.isnan(points[1:20]).all() and points[20].tolist() == [0, 0, 1] == points[0].tolist()


def test_a_wrist_alone_is_kept_and_landmarks_alone_are_not() -> None:
    values = read(STAMPED)["hand-left"].values
    assert np.isnan(values[3:63]).all() and np.isfinite(values[[0, 1, 2, 63, 64, 65, 66]]).all()
    assert read(b"\nRight landmarks:" + ZEROS.encode()) == "landmarks without a wrist"


@pytest.mark.parametrize(("message", "why"), [
    (b"", "it is empty"), (b"\n\n", "it is empty"), (b"\xffRight", "it is not text"), (b"hello", "it does not begin as lines of HTS do"),
    (b"Middle wrist:, 1, 2, 3, 0, 0, 0, 1", "it does not begin as lines of HTS do"),
    (b"Head wrist:, 1, 2, 3, 0, 0, 0, 1", "it does not begin as lines of HTS do"),
    *((b"Right wrist:" + numbers, "wrist without its 7 numbers") for numbers in (
        b", 1, 2, 3, 0, 0, 0", b", 1, 2, 3, 0, 0, 0, 1, 9", b", 1,5, 2,0, 3,0, 0, 0, 0, 1", b", nan, 2, 3, 0, 0, 0, 1",
        b", 1_0, 2, 3, 0, 0, 0, 1")),
    (b"Left landmarks:, 1, 2, 3", "landmarks without its 63 numbers"),
    (b"Right wrist:, 1, 2, 3, 0, 0, 0, 0.5", "its quaternion is none"),
    (b"Right wrist | f = nope:, 1, 2, 3, 0, 0, 0, 1", "it does not begin as lines of HTS do"),
    (b"Right wrist | t = 9999999999999999999:, 1, 2, 3, 0, 0, 0, 1", "a number in its header is too large"),
    (STAMPED + b"\nLeft landmarks | f = 125 | t = 2573627960400:" + ZEROS.encode(), "landmarks of another frame than the wrist's"),
])  # fmt: skip
def test_what_cannot_be_read_is_told(message: bytes, why: str) -> None:
    assert read(message) == why


def test_over_tcp_lines_are_put_together_again() -> None:
    reader = HtsReader(by_line=True)
    wrist, landmarks = PUBLISHED.split(b"\n")
    assert reader(wrist) == {} and list(reader(landmarks)) == ["hand-right"]  # type: ignore[arg-type]
    assert reader(landmarks) == "landmarks without a wrist"
    assert reader(wrist) == {} and reader(wrist) == "a wrist without landmarks" and reader(STAMPED) == {}
    assert list(reader(landmarks)) == ["hand-right"]  # type: ignore[arg-type]


def test_columns_are_named_as_in_imported_data() -> None:
    assert list(HAND_COLUMNS[:63]) == columns(JOINTS, "xyz")
    assert list(HAND_COLUMNS[63:]) == columns(["wrist"], ["qw", "qx", "qy", "qz"])


def test_the_emulator_sends_these_bytes(bench: Any) -> None:
    (_, left), (_, right), (_, head), *_ = bench.sent("quest", seconds=0.01)
    assert left.startswith(b"Left wrist | f = 1 | t = 561204000:, -0.2171, 0.1399, -0.0267, 0.052, 0.084, -0.045, 0.994\n"
                           b"Left landmarks | f = 1 | t = 561204000:, 0.0000, 0.0000, 0.0000, 0.0200, -0.0090, 0.0200, ")
    assert right.startswith(b"Right wrist | f = 1 | t = 561973800:, ") and not right.endswith(b"\n") and right.count(b",") == 70
    assert head == b"Head pose | f = 1 | t = 561204000:, 0.0093, 0.5099, -0.1476, 0.466, -0.007, -0.002, 0.885"
    assert bench.sent("quest-unstamped", seconds=0.01)[0][1].startswith(b"Left wrist:, -0.2171, 0.1399, -0.0267, 0.052, ")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_what_is_recorded_is_where_the_hands_were(bench: Any, tmp_path: Path, transport: str) -> None:
    port, emulation = bench.port(), Emulation(seed=4, drop_rate=0.03)
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1", transport=transport)
    with bench.emulator("quest", f"{transport}://127.0.0.1:{port}", emulation, after_s=0.2):
        recording = bench.record([driver], tmp_path / "recording.h5", 3.0)
    wearer, truth = Wearer(emulation), {}
    for t_s, message in bench.sent("quest", emulation, 6):
        if b"Left" in message:
            frame, t_ns = (int(word) for word in message.split(b":")[0].replace(b"Left wrist | f = ", b"").split(b" | t = "))
            truth[frame] = (t_s, t_ns)
    with recording:
        assert set(driver.rejected) <= {"landmarks without a wrist"}
        for side in SIDES:
            stream = recording[f"hand-{side}"]
            assert len(stream) > 120 and "stamps" not in stream.spec.extra
            frames = stream.sequence.tolist()
            assert set(frames) <= set(truth)
            missing = sum(g["missing"] for _, g in recording.gaps if g["stream"] == f"hand-{side}")
            assert missing == frames[-1] - frames[0] + 1 - len(frames) > 0
            later = 769_800 if side == "right" else 0
            assert stream.device_ns.tolist() == [truth[f][1] + later for f in frames]
            for frame, row in zip(frames, stream.values, strict=True):
                t_s = truth[frame][0]
                # Places to 0.1 mm, quaternions to 0.001: 0.4 mm at the end of a hand.
                np.testing.assert_allclose(bench.points(row), wearer.points_m(side, t_s), atol=5e-4)
                np.testing.assert_allclose(bench.R(row[63:]), wearer.R_world_hand(side, t_s), atol=3e-3)
        head = recording["head-pose"]
        assert len(head) > 50 and (np.diff(head.sequence) >= 1).all()
        T = wearer.T_world_head(truth[1][0])
        assert np.abs(head.values[:, :3] - T[:3, 3]).max() < 0.2
        assert (bench.R(head.values[0, 3:])[:, 1] @ T[:3, 2]) > 0.99  # our y is forward, as the camera's z
        raw = recording["quest-raw"]
        assert len(raw) >= (4 if transport == "tcp" else 2) * len(recording["hand-left"])
        assert {bytes(raw.payload(i))[:4] for i in range(len(raw))} == {b"Left", b"Righ", b"Head"}


def test_without_the_debug_option_samples_are_stamped_and_counted_on_arrival(bench: Any) -> None:
    port = bench.port()
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1", head=False, hands=["right"], raw=False, prefix="q-")
    with bench.emulator("quest-unstamped", f"udp://127.0.0.1:{port}"), driver:
        assert [s.name for s in driver.streams] == ["q-hand-right"] and driver.streams[0].extra["stamps"] == "arrival"
        samples = bench.read(driver, 0.5)
    assert len(samples) > 20 and {s.stream for s in samples} == {"q-hand-right"}
    assert all(s.device_ns == s.host_ns for s in samples)
    assert [s.sequence for s in samples] == list(range(len(samples)))


def test_the_app_may_open_a_connection_for_each_hand_and_others_are_sent_away(bench: Any) -> None:
    port = bench.port()
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1", transport="tcp", timeout_s=5.0)
    wrist, landmarks = PUBLISHED.split(b"\n")

    def send() -> None:
        stop.wait(0.2)
        with socket.create_connection(("127.0.0.1", port)) as right, socket.create_connection(("127.0.0.1", port)) as left, \
                socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)):
            while not stop.wait(0.01):
                right.sendall(wrist[:20])
                left.sendall(wrist.replace(b"Right", b"Left") + b"\n")
                right.sendall(wrist[20:] + b"\n" + landmarks + b"\n")
                left.sendall(landmarks.replace(b"Right", b"Left") + b"\n")

    stop = threading.Event()
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    with driver:
        samples = bench.read(driver, 0.4)
    stop.set()
    thread.join()
    assert {s.stream for s in samples} == {"hand-left", "hand-right", "quest-raw"}
    assert driver.rejected == {"from another sender": 1}


def test_a_flood_leaves_gaps_and_nothing_grows(bench: Any, flood: Any) -> None:
    port = bench.port()
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1")
    with flood(port, PUBLISHED, hz=14_000) as sending, driver:
        samples = bench.read(driver, 1.5)
        assert sending.count > 5_000
    rows = [s for s in samples if s.stream == "hand-right"]
    assert len(rows) < 800 * 2.2 and driver.rejected["came faster than 800 a second"] > 1000
    assert rows[-1].sequence > len(rows)


def test_two_headsets_and_the_rig_hears_its_own(bench: Any, flood: Any) -> None:
    port = bench.port()
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1")
    with flood(port, PUBLISHED.replace(b"0.2502", b"9.9999"), hz=140, host="127.0.0.2"), \
            bench.emulator("quest", f"udp://127.0.0.1:{port}"), driver:
        samples = bench.read(driver, 0.6)
    assert driver.rejected["from another sender"] > 30
    assert all(s.data[0] < 1 for s in samples if s.stream == "hand-right")


def test_silence_and_the_wrong_port_say_what_to_check(bench: Any) -> None:
    port = bench.port()
    driver = bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1", timeout_s=0.4)
    why = (rf"nothing readable came over UDP 127\.0\.0\.1:{port} for 0\.4 s; check that the headset is worn .* streams by UDP to this "
           rf"machine's address and port {port}; .* one network; and that the firewall")
    with bench.emulator("quest", f"udp://127.0.0.1:{bench.port()}"), pytest.raises(FirsthandError, match=why), driver:
        pass
    for options, message in (({"transport": "usb"}, "sends by 'udp' or 'tcp'"), ({"hands": ["both"]}, r"write \['left', 'right'\]")):
        with pytest.raises(FirsthandError, match=message):
            bench.open("quest", bind=f"127.0.0.1:{port}", sender="127.0.0.1", **options)


def test_no_damaged_message_breaks_it(bench: Any) -> None:
    rng, messages = Random(1), [PUBLISHED, STAMPED, *(m for _, m in bench.sent("quest", seconds=0.1))]
    readers = HtsReader(by_line=False), HtsReader(by_line=True)
    reasons = set()
    for n in range(10_000):
        message = (renumbered if n % 2 else damaged)(rng, messages)
        answer = readers[0](message)
        for line in message.split(b"\n"):
            readers[1](line)
        if isinstance(answer, str):
            reasons.add(answer)
        else:
            assert all(isinstance(r, Reading) and len(r.values) in (67, 7) and not np.isinf(r.values).any() for r in answer.values())
    assert 5 < len(reasons) < 12
