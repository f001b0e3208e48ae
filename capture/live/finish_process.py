"""Finish one take in a process of its own: ``python -m firsthand.capture.live.finish_process RECORDING``; prints one JSON line."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from firsthand.capture.errors import FirsthandError
from firsthand.capture.recover import recover_take

NICE = 10
"""Recording the next take comes first."""


def main() -> None:
    """Do it, and say what came of it."""
    with suppress(OSError):
        os.nice(NICE)
    try:
        done = recover_take(Path(sys.argv[1]))
    except (FirsthandError, OSError) as error:
        print(json.dumps({"reason": str(error)}))
        return
    print(json.dumps({"samples": dict(done[0].saved), "gaps": done[0].saved.get("gaps", 0), "lost": dict(done[0].lost)} if done else
                     {"samples": {}, "gaps": 0, "lost": {}}))


if __name__ == "__main__":
    main()
