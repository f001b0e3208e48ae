"""The memory that devices and the writer share."""

import random
import subprocess
import sys
from collections import deque

import pytest

from firsthand.capture.live.ring import SAMPLE, Figure, Ring


@pytest.fixture
def ring() -> Ring:
    ring = Ring.create()
    ring.set_out(1 << 20)
    return ring


def put(ring: Ring, number: int, payload: bytes, stream: int = 0) -> bool:
    return ring.put(SAMPLE, stream, number * 10, number * 10 + 1, number, 1, payload)


def test_what_goes_in_comes_out_in_order_over_many_turns_of_the_memory(ring: Ring) -> None:
    rng, waiting, taken = random.Random(1), deque[tuple[int, bytes]](), 0
    for number in range(5000):
        payload = rng.randbytes(rng.choice([0, 1, 63, 64, 65, 5_000, 200_000]))
        while not put(ring, number, payload):
            _take(ring, waiting)
            taken += 1
        waiting.append((number, payload))
        if rng.random() < 0.4:
            _take(ring, waiting)
            taken += 1
    while waiting:
        _take(ring, waiting)
        taken += 1
    assert taken == 5000 and ring.next() is None and ring.fill() == 0


def _take(ring: Ring, waiting: deque[tuple[int, bytes]]) -> None:
    number, payload = waiting.popleft()
    record = ring.next()
    assert record is not None
    assert (record.sequence, record.device_ns, record.host_ns, bytes(record.payload)) == (number, number * 10, number * 10 + 1, payload)
    ring.release()


def test_a_full_memory_refuses_the_newest_and_keeps_every_older_one(ring: Ring) -> None:
    count = 0
    while put(ring, count, bytes(10_000)):
        count += 1
    assert 90 < count < 105 and not put(ring, count, bytes(10_000))
    assert [record.sequence for record in iter(ring.next, None)] == list(range(count))
    assert not put(ring, count, bytes(10_000)), "what was read but not released is not written over"
    ring.release()
    assert put(ring, count, bytes(10_000))


def test_rewinding_reads_again_what_was_not_released(ring: Ring) -> None:
    for number in range(6):
        put(ring, number, b"x")
    first = [ring.next() for _ in range(2)]
    ring.release()
    ahead = [ring.next() for _ in range(3)]
    ring.rewind()
    again = [ring.next() for _ in range(4)]
    assert [r.sequence for r in first if r] == [0, 1]
    assert [r.sequence for r in ahead if r] == [2, 3, 4]
    assert [r.sequence for r in again if r] == [2, 3, 4, 5]


def test_an_observer_sees_the_newest_of_a_stream_or_nothing_but_never_something_else(ring: Ring) -> None:
    onlooker = Ring(ring.fd)
    assert onlooker.latest(0) is None
    put(ring, 1, b"picture", stream=0)
    put(ring, 2, b"other", stream=1)
    newest = onlooker.latest(0)
    assert newest is not None and bytes(newest.payload) == b"picture" and newest.sequence == 1
    for number in range(200):  # the other stream comes round and writes over it
        put(ring, number, bytes(9_000), stream=1)
        ring.next()
        ring.release()
        old = onlooker.latest(0)
        assert old is None or bytes(old.payload) == b"picture"
    assert onlooker.latest(0) is None


def test_figures_are_seen_by_all_who_have_the_memory(ring: Ring) -> None:
    onlooker = Ring(ring.fd)
    ring.add(3, Figure.MISSING, 4)
    ring.set(3, Figure.DRIFT_PPB, -1500)
    put(ring, 0, bytes(100), stream=3)
    assert [onlooker.figure(3, f) for f in (Figure.MISSING, Figure.DRIFT_PPB, Figure.COUNT, Figure.BYTES)] == [4, -1500, 1, 100]


def test_another_process_reads_while_this_one_writes(ring: Ring) -> None:
    """Each payload says its number and length in every byte: a record that was torn would show."""
    reader = subprocess.Popen([sys.executable, "-c", READER, str(ring.fd)], pass_fds=[ring.fd], stdout=subprocess.PIPE, text=True)
    rng, number = random.Random(2), 0
    while number < 20_000:
        number += put(ring, number, bytes([number % 256]) * rng.randrange(1, 6000))
    assert reader.communicate(timeout=60)[0] == "20000 whole and in order\n"


READER = """
import sys
from firsthand.capture.live.ring import Ring
ring, count = Ring(int(sys.argv[1])), 0
while count < 20_000:
    record = ring.next()
    if record is None:
        continue
    payload = bytes(record.payload)
    assert record.sequence == count and payload == bytes([count % 256]) * len(payload), count
    ring.release()
    count += 1
print(count, "whole and in order")
"""
