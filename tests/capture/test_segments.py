"""Segments: whatever their size, what is written is what is read, in the same bytes."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from firsthand.capture import recording_writer
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter, Storage
from firsthand.capture.segment import Capacity
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.capture.summary import check_recording


def some_take(rng: random.Random) -> tuple[list[StreamSpec], list[Sample]]:
    """Streams and samples of any number, size and order, empty payloads and drops included."""
    specs, samples = [], []
    for k in range(rng.randint(1, 4)):
        width = rng.randint(1, 40)
        if rng.random() < 0.5:
            spec = StreamSpec(f"n{k}", "numeric", "glove", names=tuple(f"c{i}" for i in range(width)), units=("1",) * width)
        else:
            spec = StreamSpec(f"e{k}", "encoded", "other", encoding="bytes", clock=rng.choice(("media", "device")), extradata=b"abc")
        specs.append(spec)
        sequence = rng.randint(-5, 2**40)
        for i in range(rng.randint(0, 200)):
            sequence += 1 if rng.random() < 0.95 else rng.randint(2, 9)
            t_ns = 10**18 + i * rng.choice((0, 1)) + i * 5_000_000
            size = 8 * width if spec.kind == "numeric" else rng.choice((0, 1, 100, 4096, 9000))
            data = np.frombuffer(rng.randbytes(size), "<f8") if spec.kind == "numeric" else rng.randbytes(size)
            samples.append(Sample(spec.name, t_ns, t_ns - 10**18 + i, sequence, data, flags=rng.randint(0, 3)))
    rng.shuffle(specs)
    return specs, sorted(samples, key=lambda s: s.host_ns)


def write(path: Path, specs: list[StreamSpec], samples: list[Sample], capacity: Capacity, storage: Storage) -> int:
    """Returns how many files the take had on the way."""
    with RecordingWriter(path, capacity=capacity, storage=storage, sync_s=0.001) as writer:
        for spec in specs:
            writer.add_stream(spec)
        for i, sample in enumerate(samples):
            writer.append(sample)
            if i % 100 == 0:
                writer.mark(sample.host_ns, "hundred", str(i))
        return len(list(path.parent.glob("recording.h5.*")))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_written_is_what_is_read_whatever_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    class OneMoment(recording_writer.datetime):
        @classmethod
        def now(cls, tz: object = None) -> "OneMoment":
            return cls(2026, 1, 1)

    monkeypatch.setattr(recording_writer, "datetime", OneMoment)
    rng = random.Random(seed)
    specs, samples = some_take(rng)
    tiny = Capacity(heap_bytes=rng.choice((4000, 20_000)), rows=rng.choice((5, 16, 64)), event_bytes=512)
    files = [tmp_path / name / "recording.h5" for name in ("tiny", "large", "journal")]
    write(files[0], specs, samples, tiny, "segments")
    write(files[1], specs, samples, Capacity(), "segments")
    write(files[2], specs, samples, Capacity(), "journal")
    with Recording(files[0]) as recording:
        for spec in specs:
            stream, true = recording[spec.name], [s for s in samples if s.stream == spec.name]
            assert stream.spec == spec
            for name in ("device_ns", "host_ns", "sequence", "flags"):
                np.testing.assert_array_equal(stream.rows[name], [getattr(s, name) for s in true])
            if spec.kind == "encoded":
                assert [stream.row_payload(i) for i in range(len(true))] == [s.data for s in true]
            elif len(stream):
                np.testing.assert_array_equal(stream.values, [s.data for s in true if not s.flags & 2])
    assert check_recording(files[0]) == []
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def test_the_next_segment_is_ready_before_it_is_needed(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "recording.h5", capacity=Capacity(rows=100, heap_bytes=10_000), sync_s=0.01) as writer:
        writer.add_stream(StreamSpec("a", "numeric", "glove", names=("c",), units=("1",)))
        for i in range(80):
            writer.append(Sample("a", i, i, i, np.array([float(i)])))
        until = time.monotonic() + 5
        while not (tmp_path / "recording.h5.part.1").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        before = os.stat(tmp_path / "recording.h5.part.1").st_ino
        for i in range(80, 150):
            writer.append(Sample("a", i, i, i, np.array([float(i)])))
        assert os.stat(tmp_path / "recording.h5.part.1").st_ino == before
        assert 0 < writer.sync_p99_s() < 5
    with Recording(tmp_path / "recording.h5") as recording:
        np.testing.assert_array_equal(recording["a"].values[:, 0], np.arange(150))


def test_numbers_do_not_wait_for_more_numbers(tmp_path: Path) -> None:
    """A device that stops leaves its last rows in memory; they must not stay there."""
    writer = RecordingWriter(tmp_path / "recording.h5", sync_s=0.02)
    writer.add_stream(StreamSpec("a", "numeric", "glove", names=("c",), units=("1",)))
    writer.append(Sample("a", 0, 0, 0, np.array([1.0])))
    until = time.monotonic() + 5
    while True:
        with Recording(writer.part) as live:
            if len(live["a"]):
                break
        assert time.monotonic() < until
        time.sleep(0.01)
    writer.finish()


@pytest.mark.parametrize("storage", ["segments", "journal"])
def test_memory_that_samples_view_may_be_used_again_at_once(tmp_path: Path, storage: Storage) -> None:
    """Samples come straight out of a ring that goes on turning; numbers too, as floats or as the bytes of them."""
    ring = bytearray(3 * 4096)
    with RecordingWriter(tmp_path / "recording.h5", storage=storage, capacity=Capacity(rows=64, heap_bytes=40_000)) as writer:
        writer.add_stream(StreamSpec("e", "encoded", "other", encoding="bytes"))
        writer.add_stream(StreamSpec("n", "numeric", "glove", names=("c", "d"), units=("1", "1")))
        writer.add_stream(StreamSpec("m", "numeric", "glove", names=("c", "d"), units=("1", "1")))
        for i in range(0, 200, 2):
            batch = []
            for k in (i, i + 1):
                at = k % 2 * 4096
                ring[at : at + 1000] = bytes([k]) * 1000
                ring[8192 + 16 * (k % 2) : 8208 + 16 * (k % 2)] = np.array([k, -k], "<f8").tobytes()
                numbers = memoryview(ring)[8192 + 16 * (k % 2) : 8208 + 16 * (k % 2)]
                batch += [Sample("e", k, k, k, memoryview(ring)[at : at + 1000]), Sample("n", k, k, k, numbers),
                          Sample("m", k, k, k, np.frombuffer(numbers))]
            writer.append_many(batch)
            ring[:] = bytes(len(ring))
    assert check_recording(tmp_path / "recording.h5") == []
    with Recording(tmp_path / "recording.h5") as recording:
        assert [recording["e"].payload(k) for k in range(200)] == [bytes([k]) * 1000 for k in range(200)]
        for name in ("n", "m"):
            np.testing.assert_array_equal(recording[name].values, [[k, -k] for k in range(200)])


def test_a_stream_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "recording.h5")
    writer.mark(0, "start")
    with pytest.raises(ValueError, match="comes too late"):
        writer.add_stream(StreamSpec("a", "numeric", "glove", names=("c",), units=("1",)))
    writer.discard()
    assert os.listdir(tmp_path) == [] and not any(t.name.startswith("sync") for t in threading.enumerate())


def test_too_few_values_are_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "recording.h5")
    writer.add_stream(StreamSpec("a", "numeric", "glove", names=("c", "d"), units=("1", "1")))
    with pytest.raises(ValueError, match="takes 2 values a row, got shape"):
        writer.append(Sample("a", 0, 0, 0, np.array([1.0])))
    writer.discard()


def test_ctrl_c_at_any_moment_leaves_a_take_that_finishes(tmp_path: Path) -> None:
    """The recorder goes on after Ctrl-C to write what the devices had delivered; a sample it came upon may be lost, no more."""
    rng = random.Random(3)
    path = tmp_path / "recording.h5"
    hits, appended = 0, {"n": set[int](), "e": set[int]()}

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    try:
        with RecordingWriter(path, capacity=Capacity(rows=40, heap_bytes=20_000)) as writer:
            writer.add_stream(StreamSpec("n", "numeric", "glove", names=("c",), units=("1",)))
            writer.add_stream(StreamSpec("e", "encoded", "other", encoding="bytes"))
            writer.start()
            for i in range(400):
                for sample in (Sample("n", i, i * 10_000_000, i, np.array([float(i)])), Sample("e", i, i * 10_000_000, i, bytes(i % 200))):
                    try:
                        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 150e-6))
                        writer.append(sample)
                        appended[sample.stream].add(i)
                        time.sleep(1)  # it comes in any case
                    except KeyboardInterrupt:
                        hits += 1
    finally:
        signal.signal(signal.SIGALRM, before)
    assert check_recording(path) == []
    with Recording(path) as recording:
        assert hits == 800 and all(len(taken) > 30 for taken in appended.values())
        assert all(taken <= set(recording[name].sequence.tolist()) for name, taken in appended.items())
