"""Recording and reading the same 20 s: firsthand, MCAP and MP4 with Parquet.

    python bench/recording.py [--seconds 20] [--rounds 3]

720p pictures of 192 kB at 30 Hz, encoded before, two gloves of 22 channels at 120 Hz, an IMU of 6 at 200 Hz, in order of time.
CPU time is of the whole process, user and system, the least of all rounds: from nothing to a take that is complete and synced to the disk,
which the others are here by one call more than their libraries make. Each round of each writer is a process of its own, as a recorder's
is. `first_cpu_s` is that of its first take, with what a library loads only when it is used (of pyarrow, pandas: most of that peer's);
`cpu_s` of its second, when all is loaded. `unsynced_cpu_s` is without the sync. `finished_cpu_s` has finishing in it, which runs in a
process of its own: the copy in exact sizes, clocks, certificate, and the check of every row. `floor` is no format at all, only one
checksum and one write a picture, and the sync. What is read back is compared byte for byte. The last line is one JSON object;
exit 0 only when the goals are met.
"""

import argparse
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from firsthand.capture.disk import sync
from firsthand.capture.layout import crc32
from firsthand.capture.recording import Recording
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.recover import finish_take
from firsthand.capture.stream import Sample, StreamSpec

try:
    from mcap.reader import make_reader
    from mcap.writer import CompressionType, Writer
except ImportError:
    print("the comparison needs MCAP: pip install mcap", file=sys.stderr)
    sys.exit(2)

GOALS = {"cpu_to_mcap": 0.6, "first_cpu_to_mcap": 0.6, "first_cpu_to_mp4_parquet": 0.3, "frame_read_to_mcap": 0.25,
         "numeric_read_to_mcap": 0.1}
FRAME_BYTES = 192_000
NUMERIC = {"glove-left": (22, 120), "glove-right": (22, 120), "imu": (6, 200)}


@dataclass(frozen=True, eq=False)
class Take:
    """What is recorded: (stream, ns, sequence, payload), and the numbers by stream, shape (N, C)."""

    samples: list[tuple[str, int, int, Any]]
    frames: list[bytes]
    numbers: dict[str, np.ndarray]


def make_take(seconds: float) -> Take:
    """Distinct pictures, each a JPEG filled up to the size of a busy 720p one by a comment segment and random bytes after its end."""
    rng = np.random.default_rng(7)
    frames = []
    for i in range(int(seconds * 30)):
        image = np.full((720, 1280, 3), (i % 200, 90, 120), np.uint8)
        cv2.putText(image, str(i), (200, 400), cv2.FONT_HERSHEY_SIMPLEX, 8, (255, 255, 255), 20)
        jpeg = cv2.imencode(".jpg", image)[1].tobytes()
        filling = rng.bytes(FRAME_BYTES - len(jpeg))
        comments = [filling[k : k + 65_000] for k in range(0, len(filling), 65_000)]
        segments = b"".join(b"\xff\xfe" + (len(c) + 2).to_bytes(2, "big") + c for c in comments)
        frames.append(jpeg[:2] + segments + jpeg[2:])
    numbers = {name: rng.normal(size=(int(seconds * rate), width)) for name, (width, rate) in NUMERIC.items()}
    samples: list[tuple[str, int, int, Any]] = [("head", i * 10**9 // 30, i, frame) for i, frame in enumerate(frames)]
    for name, (_, rate) in NUMERIC.items():
        samples += [(name, i * 10**9 // rate, i, row) for i, row in enumerate(numbers[name])]
    samples.sort(key=lambda s: (s[1], s[0]))
    return Take(samples, frames, numbers)


def write_ours(folder: Path, take: Take) -> dict[str, float]:
    """`RecordingWriter`, as the recorder's process uses it: what has come in since the last tenth of a second, all at once."""
    path = folder / "recording.h5"
    batches: list[list[Sample]] = [[] for _ in range(take.samples[-1][1] // 10**8 + 1)]
    for name, t_ns, i, data in take.samples:
        batches[t_ns // 10**8].append(Sample(name, t_ns, t_ns + 1_000_000, i, data))
    begun = time.process_time()
    writer = RecordingWriter(path)
    writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=30, width_px=1280, height_px=720))
    for name, (width, rate) in NUMERIC.items():
        columns = tuple(f"c{i}" for i in range(width))
        writer.add_stream(StreamSpec(name, "numeric", "other", names=columns, units=("1",) * width, rate_hz=rate))
    writer.start()
    started = time.process_time()
    for batch in batches:
        writer.append_many(batch)
    appended = time.process_time()
    counts = writer.close()
    closed = time.process_time()
    finish_take(path, counts)
    return {"cpu_s": closed - begun, "unsynced_cpu_s": appended - begun, "finished_cpu_s": time.process_time() - begun,
            "start_cpu_s": started - begun}


def write_mcap(folder: Path, take: Take) -> dict[str, float]:
    """One channel a stream, chunked, not compressed: the writer's defaults otherwise."""
    begun = time.process_time()
    with (folder / "take.mcap").open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start()
        schema = writer.register_schema("bytes", "", b"")
        channels = {name: writer.register_channel(name, "bytes", schema) for name in ("head", *NUMERIC)}
        for name, t_ns, i, data in take.samples:
            payload = data if name == "head" else data.tobytes()
            writer.add_message(channels[name], t_ns + 1_000_000, payload, t_ns, i)
        writer.finish()
    return closed_and_synced(folder, begun)


def write_mp4(folder: Path, take: Take) -> dict[str, float]:
    """The pictures as packets of an MP4, the numbers as one Parquet file a stream, row groups of 512."""
    begun = time.process_time()
    with av.open(str(folder / "head.mp4"), "w") as container:
        video = container.add_stream("mjpeg", rate=30)
        video.width, video.height, video.pix_fmt, video.time_base = 1280, 720, "yuvj420p", Fraction(1, 90_000)
        writers, rows = {}, {name: [] for name in NUMERIC}
        for name, (width, _) in NUMERIC.items():
            fields = [("device_ns", pa.int64()), ("host_ns", pa.int64()), *((f"c{i}", pa.float64()) for i in range(width))]
            writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", pa.schema(fields))

        def flush(name: str) -> None:
            stamps = np.array([t for t, _ in rows[name]])
            values = np.array([row for _, row in rows[name]])
            columns = [stamps, stamps + 1_000_000, *values.T]
            writers[name].write_table(pa.table(columns, schema=writers[name].schema))
            rows[name].clear()

        for name, t_ns, i, data in take.samples:
            if name == "head":
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.pts, packet.dts = video, Fraction(1, 90_000), i * 3000, i * 3000
                container.mux(packet)
            else:
                rows[name].append((t_ns, data))
                if len(rows[name]) == 512:
                    flush(name)
        for name, writer in writers.items():
            flush(name)
            writer.close()
    return closed_and_synced(folder, begun)


def read_ours(folder: Path, take: Take, picks: list[int]) -> tuple[list[float], float, bool]:
    """Milliseconds of each random frame and of all numbers, and whether all was what was written."""
    times, right = [], True
    with Recording(folder / "recording.h5") as recording:
        head = recording["head"]
        head.payload(0)
        for i in picks:
            took, payload = timed(lambda i=i: head.payload(i))
            times.append(took)
            right &= payload == take.frames[i]
    with Recording(folder / "recording.h5") as recording:
        numeric_ms, found = timed(lambda: {name: (recording[name].values, recording[name].t_ns) for name in NUMERIC})
        right &= all(np.array_equal(found[name][0], take.numbers[name]) for name in NUMERIC)
    return times, numeric_ms, right


def read_mcap(folder: Path, take: Take, picks: list[int]) -> tuple[list[float], float, bool]:
    """By the summary's chunk index, as its reader does for a span of time."""
    times, right = [], True
    with (folder / "take.mcap").open("rb") as file:
        reader = make_reader(file)
        reader.get_summary()
        for i in picks:
            t_ns = i * 10**9 // 30 + 1_000_000
            took, found = timed(lambda t_ns=t_ns: next(reader.iter_messages(topics=["head"], starting_at=t_ns, ending_before=t_ns + 1)))
            times.append(took)
            right &= found[2].data == take.frames[i]
    with (folder / "take.mcap").open("rb") as file:

        def numbers() -> dict[str, np.ndarray]:
            rows: dict[str, list[bytes]] = {name: [] for name in NUMERIC}
            for _, channel, message in make_reader(file).iter_messages(topics=list(NUMERIC)):
                rows[channel.topic].append(message.data)
            return {name: np.frombuffer(b"".join(rows[name])).reshape(-1, NUMERIC[name][0]) for name in NUMERIC}

        numeric_ms, found = timed(numbers)
        right &= all(np.array_equal(found[name], take.numbers[name]) for name in NUMERIC)
    return times, numeric_ms, right


def read_mp4(folder: Path, take: Take, picks: list[int]) -> tuple[list[float], float, bool]:
    """Seek and demultiplex one packet; whole Parquet files."""
    times, right = [], True
    with av.open(str(folder / "head.mp4")) as container:
        video = container.streams.video[0]

        def packet(i: int) -> bytes:
            container.seek(round(i / 30 / video.time_base), stream=video)
            return bytes(next(p for p in container.demux(video) if round(p.pts * video.time_base * 30) == i))

        for i in picks:
            took, payload = timed(lambda i=i: packet(i))
            times.append(took)
            right &= payload == take.frames[i]
    numeric_ms, found = timed(lambda: {name: pq.read_table(io.FileIO(folder / f"{name}.parquet")) for name in NUMERIC})
    for name in NUMERIC:
        right &= np.array_equal(np.stack([column.to_numpy() for column in found[name].columns[2:]], 1), take.numbers[name])
    return times, numeric_ms, right


def write_floor(folder: Path, take: Take) -> dict[str, float]:
    """No format at all: each picture's checksum and one write, the numbers in one more; what no writer that checks and buffers is under."""
    begun = time.process_time()
    fd, at = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY), 0
    for frame in take.frames:
        crc32(frame)
        at += os.pwrite(fd, frame, at)
    os.pwrite(fd, b"".join(rows.tobytes() for rows in take.numbers.values()), at)
    os.close(fd)
    return closed_and_synced(folder, begun)


def closed_and_synced(folder: Path, begun: float) -> dict[str, float]:
    """The CPU time since `begun`, without and with the sync of all files of a folder."""
    closed = time.process_time()
    for path in folder.iterdir():
        fd = os.open(path, os.O_RDONLY)
        sync(fd)
        os.close(fd)
    return {"cpu_s": time.process_time() - begun, "unsynced_cpu_s": closed - begun}


def touch_memory(folder: Path, size: int) -> None:
    """Have the page cache use and free as much memory as a writer will: a virtual machine's first touch of memory costs CPU time."""
    block = bytes(1 << 20)
    with (folder / "warm").open("wb") as file:
        for _ in range(size >> 20):
            file.write(block)
    (folder / "warm").unlink()


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds of a call, and its result."""
    start = time.perf_counter()
    result = job()
    return (time.perf_counter() - start) * 1e3, result


FORMATS = {"ours": (write_ours, read_ours), "mcap": (write_mcap, read_mcap), "mp4_parquet": (write_mp4, read_mp4),
           "floor": (write_floor, lambda *_: ([0.0], 0.0, True))}


def measure(name: str, seconds: float, folder: Path | None) -> dict[str, float]:
    """Two takes by one writer in this process; raises ``ValueError`` when what is read back is not what was written."""
    take = make_take(seconds)
    picks = np.random.default_rng(1).integers(0, len(take.frames), 200).tolist()
    write, read = FORMATS[name]
    found: dict[str, float] = {}
    for _ in range(2):
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            touch_memory(Path(temporary), 3 * sum(map(len, take.frames)))
            wrote = write(Path(temporary), take)
            frames_ms, numeric_ms, same = read(Path(temporary), take, picks)
            size = sum(file.stat().st_size for file in Path(temporary).iterdir())
        if not same:
            raise ValueError(f"{name} did not give back what was written")
        found = {"first_cpu_s": found.get("cpu_s", 0.0), **wrote, "frame_read_p50_ms": statistics.median(frames_ms),
                 "numeric_read_ms": numeric_ms, "file_mb": size / 1e6}
    return found


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    given = options.parse_args()
    measured: dict[str, dict[str, list[float]]] = {name: {} for name in FORMATS}
    fresh = multiprocessing.get_context("spawn")
    for _ in range(given.rounds):  # in turn, so that a busy moment does not hit one of them only
        for name, values in measured.items():
            with ProcessPoolExecutor(1, fresh) as process:
                for figure, value in process.submit(measure, name, given.seconds, given.folder).result().items():
                    values.setdefault(figure, []).append(value)
    figures: dict[str, Any] = {}
    for name, values in measured.items():
        figures[name] = {figure: round((min if "cpu" in figure else statistics.median)(found), 4) for figure, found in values.items()}
        print(f"{name:12} " + "  ".join(f"{figure} {value:g}" for figure, value in figures[name].items()))
    ours = figures["ours"]
    for peer in ("mcap", "mp4_parquet"):
        for figure in ("cpu", "first_cpu", "unsynced_cpu"):
            figures[f"{figure}_to_{peer}"] = round(ours[f"{figure}_s"] / figures[peer][f"{figure}_s"], 3)
        figures[f"finished_cpu_to_{peer}"] = round(ours["finished_cpu_s"] / figures[peer]["cpu_s"], 3)
    figures["frame_read_to_mcap"] = round(ours["frame_read_p50_ms"] / figures["mcap"]["frame_read_p50_ms"], 3)
    figures["numeric_read_to_mcap"] = round(ours["numeric_read_ms"] / figures["mcap"]["numeric_read_ms"], 3)
    ok = all(figures[name] <= goal for name, goal in GOALS.items())
    print(json.dumps({"bench": "recording", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
