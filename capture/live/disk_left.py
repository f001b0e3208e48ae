"""What a disk still takes."""

import shutil
from pathlib import Path

from firsthand.capture.live.status import DiskStatus

KEPT_BYTES = 500_000_000
"""Left free: finishing a take needs as much again as the take for a moment, and a full system disk breaks more than a recording."""


def disk_status(folder: Path, bytes_per_s: float, sync_p99_s: float, memory_fill: float) -> DiskStatus | None:
    """How much room is left where `folder` is, and for how long; None where the system does not say."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return None
    minutes = max(free - KEPT_BYTES, 0) / bytes_per_s / 60 if bytes_per_s > 0 else None
    return DiskStatus(free, minutes, sync_p99_s * 1e3, memory_fill)
