"""Finish one take in a process of its own: ``python -m firsthand.capture.live.finish_process RECORDING COUNTS``.

COUNTS is what `RecordingWriter.close` returned, as JSON, or ``null``. Prints one JSON line."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.recover import finish_take

NICE = 10
"""Recording the next take comes first."""


def main() -> None:
    """Do it, and say what came of it."""
    with suppress(OSError):
        os.nice(NICE)
    try:
        done = finish_take(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except (FirsthandError, OSError) as error:
        print(json.dumps({"reason": str(error)}))
        return
    saved = dict(done.saved) if done else {}
    print(json.dumps({"samples": saved, "gaps": saved.get("gaps", 0)}))


if __name__ == "__main__":
    main()
