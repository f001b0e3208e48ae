"""Drivers in, ``recording.h5`` out: one thread a device, one writer."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import reduce
from pathlib import Path

from firsthand.capture.calibration import Calibration
from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance
from firsthand.capture.latency import Latency
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.stream import Sample

QUEUE_BATCHES = 64
READ_TIMEOUT_S = 0.1

Batches = queue.Queue[tuple[str, list[Sample] | Exception | None]]
"""Device name with samples, the fault that ended it, or None at its end."""


def record(drivers: Sequence[Driver], path: Path, *, task: str = "", source: str = "wearable", provenance: Provenance | None = None,
           latencies: Mapping[str, Latency] | None = None, stop: threading.Event | None = None,
           progress: Callable[[Mapping[str, int]], None] | None = None) -> dict[str, int]:
    """Record until every driver has ended or `stop` is set; returns the number of samples by stream.

    `latencies`: what the rig's calibration found. `progress` is called with these numbers as they grow. Ctrl-C ends the take, finishes
    its recording, and goes on up as `KeyboardInterrupt`. Raises `FirsthandError` when there is no device, or when one fails; what was
    recorded until then stays in the ``.part`` file, for ``firsthand recover``.
    """
    if not drivers:
        raise FirsthandError("no device to record from; name at least one in the rig")
    stop = stop or threading.Event()
    batches: Batches = queue.Queue(QUEUE_BATCHES)
    with ExitStack() as devices:
        opened = [devices.enter_context(driver) for driver in drivers]
        calibration = reduce(Calibration.merged, (driver.calibration for driver in opened))
        with RecordingWriter(path, task=task, source=source, provenance=provenance, calibration=calibration, latencies=latencies) as writer:
            for driver in opened:
                for spec in driver.streams:
                    writer.add_stream(spec)
            writer.start()
            threads = [threading.Thread(target=_read, args=(driver, batches, stop), name=driver.name, daemon=True) for driver in opened]
            running: set[str] = set()
            interrupted: KeyboardInterrupt | None = None
            try:
                for thread in threads:
                    running.add(thread.name)
                    thread.start()
                _write(writer, batches, running, progress)
            except KeyboardInterrupt as error:  # the person ends the take: the devices stop, what they delivered is written
                interrupted = error
                stop.set()
                running &= {thread.name for thread in threads if thread.ident}  # it may have come while they were started
                _write(writer, batches, running, None)
            finally:
                stop.set()
                for thread in threads:
                    while thread.is_alive():
                        _drain(batches)
                        thread.join(READ_TIMEOUT_S)
            counts = writer.counts()
    if interrupted:
        raise interrupted
    return counts


def _read(driver: Driver, batches: Batches, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            samples = driver.read(READ_TIMEOUT_S)
            if samples is None:
                break
            if samples:
                batches.put((driver.name, samples))
    except Exception as error:  # a fault in one device's thread must reach the person recording
        batches.put((driver.name, error))
    finally:
        batches.put((driver.name, None))


def _write(writer: RecordingWriter, batches: Batches, running: set[str], progress: Callable[[Mapping[str, int]], None] | None) -> None:
    while running:
        name, batch = batches.get()
        if batch is None:
            running.discard(name)
        elif isinstance(batch, Exception):
            raise batch
        else:
            for sample in batch:
                writer.append(sample)
            if progress:
                progress(writer.counts())


def _drain(batches: Batches) -> None:
    while not batches.empty():
        batches.get_nowait()
