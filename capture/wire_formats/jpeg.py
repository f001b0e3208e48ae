"""JPEG pictures as cameras send them: whether one is whole, how large it is, and where each ends in a stream of bytes.

ITU-T T.81, annex B. Nothing is decoded: a camera sends 30 a second, and looking at their segments costs microseconds.
"""

from collections import Counter

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
NO_JPEG, CUT_OFF, DAMAGED, TWO = "it is no JPEG", "it is cut off", "its segments are damaged", "it is two pictures in one"
LARGEST_BYTES = 32 << 20
_SOS = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start of frame of any kind: it tells the size."""


def jpeg_size(data: bytes) -> tuple[int, int] | str:
    """Width and height of a whole JPEG that ends with its end marker, or in a few words why it is none. Never raises."""
    if not data.startswith(SOI) or len(data) < 4:
        return NO_JPEG
    at, size = 2, None
    while True:
        if at + 4 > len(data):
            return CUT_OFF
        if data[at] != 0xFF:
            return DAMAGED
        kind = data[at + 1]
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if kind < 0xC0 or 0xD0 <= kind <= 0xD9 or length < 2:  # none of these stands before the picture
            return DAMAGED
        if kind in _FRAMES:
            if length < 8 or at + 9 > len(data):
                return DAMAGED
            size = int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
        if kind == _SOS:
            break
    if size is None or 0 in size:
        return DAMAGED
    if not data.endswith(EOI) or at + 2 >= len(data):
        return CUT_OFF
    # Within the picture 0xFF is followed by 0 or a restart marker: a start is another picture's, and the rest of this one is missing.
    return TWO if data.find(SOI, at) >= 0 else size


class JpegStream:
    """Cuts bytes that are one JPEG after another, with nothing between, into pictures. What comes before the first start is none."""

    def __init__(self, refused: Counter[str]) -> None:
        self._refused, self._rest, self._searched = refused, bytearray(), 0

    def add(self, data: bytes) -> list[bytes]:
        """The pictures that are complete now; whether they are whole `jpeg_size` says."""
        self._rest += data
        pictures: list[bytes] = []
        while True:
            start = self._rest.find(SOI)
            if start < 0:
                del self._rest[:-1]  # half a marker, perhaps
                self._searched = 0
                return pictures
            if start:
                del self._rest[:start]
                self._searched = 0
            end = self._end()
            if end is None:
                if len(self._rest) > LARGEST_BYTES:
                    self._refused["a picture without an end"] += 1
                    del self._rest[:2]
                    self._searched = 0
                    continue
                return pictures
            pictures.append(bytes(self._rest[:end]))
            del self._rest[:end]
            self._searched = 0

    def _end(self) -> int | None:
        """Where the picture at the beginning ends. A thumbnail has an end marker too, inside a segment: those are stepped over."""
        rest, at = self._rest, self._searched
        if not at:
            at = 2
            while True:
                if at + 4 > len(rest):
                    return None
                if rest[at] != 0xFF or rest[at + 1] < 0xC0:
                    break  # damaged: up to the next end marker
                kind, length = rest[at + 1], int.from_bytes(rest[at + 2 : at + 4], "big")
                if 0xD0 <= kind <= 0xD9 or kind == 0xFF:
                    break
                at += 2 + length
                if kind == _SOS:
                    break
        found = rest.find(EOI, at)
        if found < 0:
            self._searched = max(len(rest) - 1, at) if at <= len(rest) else 0
            return None
        return found + 2
