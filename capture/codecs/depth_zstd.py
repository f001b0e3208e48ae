"""Depth as differences along its rows, packed by Zstandard: denser than PNG for a quarter of its work. See docs/recording-format.md."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.codecs.still import StillEncoder
from firsthand.capture.encode import Encoder, whole_number
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.stream import StreamSpec

HEADER = struct.Struct("<4sHH")
MAGIC = b"FHD1"
Depth = npt.NDArray[np.uint16]


def open_depth_zstd(spec: StreamSpec, name: str, settings: Mapping[str, str]) -> Encoder:
    """Levels 1 to 19 of Zstandard; above 1 little is won."""
    level = whole_number(name, settings, "level", 1, 1, 19)
    compressor = _zstandard().ZstdCompressor(level=level)
    return StillEncoder(spec, "depth-zstd", lambda depth: pack(depth, compressor))


def pack(depth: Depth, compressor: Any) -> bytes:
    """Depth (H, W) as bytes: each pixel less its left neighbour modulo 2^16, small ones of either sign first, low bytes then high bytes."""
    step = depth.copy()
    step[:, 1:] -= depth[:, :-1]
    signed = step.view(np.int16)
    folded = (signed << 1) ^ (signed >> 15)  # 0, -1, 1, -2 ... become 0, 1, 2, 3 ...
    planes = np.ascontiguousarray(folded.astype("<i2", copy=False).view(np.uint8).reshape(-1, 2).T)
    return HEADER.pack(MAGIC, depth.shape[1], depth.shape[0]) + compressor.compress(planes)  # type: ignore[no-any-return]


def unpack(payload: bytes) -> Depth:
    """What `pack` was given. Raises `DamagedError` for bytes that it did not make."""
    zstd = _zstandard()
    try:
        magic, width, height = HEADER.unpack_from(payload)
        planes = np.frombuffer(zstd.ZstdDecompressor().decompress(memoryview(payload)[HEADER.size :], width * height * 2), np.uint8)
        if magic != MAGIC or planes.size != width * height * 2:
            raise ValueError
    except (struct.error, ValueError, zstd.ZstdError):
        raise DamagedError("a depth image is not one of depth-zstd") from None
    folded = np.ascontiguousarray(planes.reshape(2, -1).T).view("<u2").astype(np.uint16, copy=False).reshape(height, width)
    step = (folded >> 1) ^ (-(folded & 1).view(np.int16)).view(np.uint16)
    return np.cumsum(step, axis=1, dtype=np.uint16)


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise FirsthandError("depth-zstd needs Zstandard: pip install 'firsthand[camera]'") from None
    return zstandard
