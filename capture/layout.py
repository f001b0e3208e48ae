"""The published layout of ``recording.h5``, version 1: row types, names and the checksum. Told in docs/recording-format.md."""

import struct
from typing import Any

import numpy as np

try:
    from isal.isal_zlib import crc32 as crc32  # the same polynomial, ten times as fast
except ImportError:  # no wheel for this machine
    from zlib import crc32 as crc32

FORMAT = "firsthand.recording"
VERSION = 1

ENCODED_ROW = np.dtype({
    "names": ["device_ns", "host_ns", "sequence", "offset", "size", "flags", "crc32"],
    "formats": ["<i8", "<i8", "<i8", "<i8", "<u4", "<u4", "<u4"],
    "offsets": [0, 8, 16, 24, 32, 36, 40],
    "itemsize": 64,  # divides a page, so that a row is never torn; the rest is zero
})
NUMERIC_ROW = np.dtype([("device_ns", "<i8"), ("host_ns", "<i8"), ("sequence", "<i8"), ("flags", "<u4"), ("crc32", "<u4")])

ENCODED_FIELDS = struct.Struct("<qqqqII")
NUMERIC_FIELDS = struct.Struct("<qqqI")
CRC_FIELD = struct.Struct("<I")
"""The same rows for packing one at a time: the fields before the checksum, then the checksum."""

GAPS = "gaps"
MARKERS = "markers"

CRC_AT = {ENCODED_ROW.itemsize: 40, NUMERIC_ROW.itemsize: 28}
"""Where the ``crc32`` field, the last one, starts in a row of each size."""


def checksum(row: np.void, payload: bytes | memoryview) -> int:
    """CRC-32 of the payload, continued over the row's own bytes up to its ``crc32`` field, which is the last one."""
    return crc32(row.tobytes()[:CRC_AT[row.dtype.itemsize]], crc32(payload))


def rows_of(kind: str) -> "np.dtype[Any]":
    """The index row type of a stream kind."""
    return ENCODED_ROW if kind == "encoded" else NUMERIC_ROW
