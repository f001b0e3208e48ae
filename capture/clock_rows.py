"""Fitting the clock of a stream that may be too long to hold: a day of an IMU is 17 million rows."""

import os
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from firsthand.capture.clock import Clock, Nanoseconds
from firsthand.capture.clock_cuts import CUT_NS, NEAR
from firsthand.capture.clock_fit import Stamps, clock_of, fit_arrivals
from firsthand.capture.layout import rows_of
from firsthand.capture.segment import Place

WHOLE_ROWS = 1 << 18
"""Streams up to this long are fitted to every row: 36 minutes at 120 Hz. Of longer ones as many rows are used."""
BLOCK_ROWS = 1 << 14


def clock_of_rows(fd: int, place: Place, kind: str, wrap_ns: int | None = None, whole_rows: int = WHOLE_ROWS) -> Clock:
    """The clock of a stream as it lies in a file, at least one row; see `clock_of`."""
    row_type = rows_of(place.kind)

    def read(first: int, past: int) -> npt.NDArray[np.void]:
        return np.frombuffer(os.pread(fd, (past - first) * row_type.itemsize, place.index_at + first * row_type.itemsize), row_type)

    def stamps(first: int, past: int) -> tuple[Nanoseconds, Nanoseconds]:
        rows = read(first, past)
        return rows["device_ns"].astype(np.int64), rows["host_ns"].astype(np.int64)

    if kind == "media":
        return clock_of(kind, read(0, 1))
    if kind == "host":  # nothing to fit, only delays to tell
        every = -(-place.rows // whole_rows)
        return clock_of(kind, np.concatenate([read(first, min(first + BLOCK_ROWS, place.rows))
                                              for first in range(0, place.rows, BLOCK_ROWS * every)]))
    parts = [np.column_stack([rows, *(s[rows - first] for s in found)]) for first, rows, found in _telling(stamps, place.rows, whole_rows)]
    rows, device_ns, host_ns = np.concatenate(parts).T.copy()
    return fit_arrivals(rows, device_ns, host_ns, stamps, BLOCK_ROWS, wrap_ns)


def _telling(stamps: Stamps, n: int, whole_rows: int) -> Iterator[tuple[int, Nanoseconds, tuple[Nanoseconds, Nanoseconds]]]:
    """The rows that tell the clock, block by block: of so many one after another the one that came soonest, and all near a break.

    Gives (first row of what was read, the rows, the stamps that were read).
    """
    group = -(-n // whole_rows)
    block = BLOCK_ROWS // group * group
    for first in range(0, n, block):
        past, before = min(first + block, n), max(first - NEAR - 2, 0)
        device, host = found = stamps(before, min(past + NEAR + 2, n))
        step, host_step = np.diff(device), np.diff(host)
        breaks = np.flatnonzero((step < 0) | (np.abs(step - host_step) > CUT_NS)) + before + 1
        delay = (host - device)[first - before : past - before]
        groups = np.pad(delay, (0, -len(delay) % group), constant_values=np.iinfo(np.int64).max).reshape(-1, group)
        soonest = first + np.arange(len(groups)) * group + groups.argmin(axis=1)
        near = (breaks[:, None] + np.arange(-NEAR - 1, NEAR + 2)).ravel()
        rows = np.unique(np.concatenate([soonest, near[(near >= first) & (near < past)], [first, past - 1]]))
        yield before, rows, found
