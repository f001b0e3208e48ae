"""Is a video file shorter than it says? By the sizes that its outermost boxes, chunks or elements state, whatever is in them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MP4_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta")
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def missing_bytes(source: Path) -> int:
    """How many bytes the file lacks at its end; 0 for a whole one, and for a kind of file that does not say."""
    size = source.stat().st_size
    with source.open("rb") as stream:
        start = stream.read(12)
        read: Callable[[BinaryIO], int] = _riff_end if start[:4] == b"RIFF" else _matroska_end if start[:4] == EBML else _mp4_end
        stream.seek(0)
        return max(0, read(stream) - size)


def _mp4_end(stream: BinaryIO) -> int:
    """Where the last box of an ISO media file (mp4, mov) ends; what follows the boxes we know is none of ours."""
    end = 0
    while True:
        stream.seek(end)
        head = stream.read(16)
        if len(head) < 8 or head[4:8] not in MP4_BOXES:
            return end
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: up to the end of the file
            return end
        end += length


def _riff_end(stream: BinaryIO) -> int:
    """Where the last RIFF chunk of an AVI file ends; long ones have several."""
    end = 0
    while True:
        stream.seek(end)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if len(head) < 8 or head[:4] != b"RIFF" or length == 0:
            return end
        end += 8 + length


def _matroska_end(stream: BinaryIO) -> int:
    """Where the segment of a Matroska or WebM file ends; 0 when it was left open, as in a live stream."""
    stream.seek(len(EBML))
    header = _matroska_size(stream) or 0
    stream.seek(header, os.SEEK_CUR)
    if stream.read(len(SEGMENT)) != SEGMENT:
        return 0
    length = _matroska_size(stream)
    return 0 if length is None else stream.tell() + length


def _matroska_size(stream: BinaryIO) -> int | None:
    """A size of 1 to 8 bytes, whose first byte tells how many; None for the one that means unknown."""
    first = stream.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0xFF >> (more + 1))]) + stream.read(more), "big")
    return None if value == (1 << (7 * (more + 1))) - 1 else value
