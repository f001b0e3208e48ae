"""A process that finds hands in spans of a video: ``python -m firsthand.retarget.detect_worker``, started by `detect_many`.

One JSON document a line each way; it ends when its stdin does, in the middle of a span too.
"""

import os
import queue
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.live.wire import Outbox, calibration_from_json, commands
from firsthand.capture.recording import Recording
from firsthand.retarget.detect import detect_units, write_found
from firsthand.retarget.flat_tracker import flattened
from firsthand.retarget.tracker import open_tracker


def main() -> None:
    """Serve until stdin ends."""
    outbox, orders = Outbox(), _orders()
    config = next(orders)
    try:
        import cv2

        cv2.setNumThreads(1)  # the cores are the other processes'
        with Recording(Path(config["recording"])) as recording:
            (camera,) = calibration_from_json(config["optics"]).cameras.values()
            stream, tracker = recording[config["stream"]], flattened(open_tracker(config["tracker"]), camera)
            for order in orders:
                wanted = range(order["first"], order["last"])
                found = detect_units(stream, tracker, wanted, partial(_tell, outbox, wanted.start))
                write_found(Path(order["into"]), found)
                outbox.say("done", frames=len(found))
    except FirsthandError as error:
        outbox.say("fault", reason=str(error), damaged=isinstance(error, DamagedError))
        outbox.flush()


def _tell(outbox: Outbox, first: int, done: int) -> None:
    outbox.say("status", first=first, done=done)


def _orders() -> Iterator[dict[str, Any]]:
    """The lines that come in, read while others are worked off, so that the end of them ends this process at once."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        for order in commands():
            waiting.put(order)
        os._exit(0)

    threading.Thread(target=listen, name="orders", daemon=True).start()
    while True:
        yield waiting.get()


if __name__ == "__main__":
    main()
