"""The exact list of what a pattern device took but never delivered, one JSON line a run of samples."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Why = Literal["transport", "buffer", "away"]
"""``transport``: dropped on the way. ``buffer``: not read in time. ``away``: the device was gone, or nobody had it open."""


@dataclass(frozen=True)
class Loss:
    """Samples in a row that are missing for one reason."""

    stream: str
    boot: int
    """Which run of the device's counter, from 0."""
    first_sequence: int
    missing: int
    why: Why


class LossLog:
    """Appends to a file, each line whole, so that threads and processes may share it. None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, stream: str, why: Why, samples: Sequence[tuple[int, int]]) -> None:
        """Note (boot, sequence) of samples that were lost, in order."""
        if self._path is None or not samples:
            return
        runs: list[list[int]] = []
        for boot, sequence in samples:
            if runs and runs[-1][0] == boot and runs[-1][1] + runs[-1][2] == sequence:
                runs[-1][2] += 1
            else:
                runs.append([boot, sequence, 1])
        text = "".join(json.dumps(asdict(Loss(stream, boot, first, missing, why))) + "\n" for boot, first, missing in runs)
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def read_losses(path: Path) -> list[Loss]:
    """What a log holds, in the order it happened; nothing where there is no file."""
    return [Loss(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
