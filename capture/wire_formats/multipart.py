"""Pictures over HTTP as ``multipart/x-mixed-replace``: each part has headers, and a JPEG. What phones, ESP32 and most IP cameras send."""

import re
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from firsthand.capture.wire_formats.jpeg import EOI, LARGEST_BYTES, jpeg_size

LARGEST_HEADERS = 16_384
SURE = 6
"""A boundary of so many bytes does not happen to stand in a picture."""
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_LARGEST = 2**63 - 1
WRONG_LENGTH, NO_HEADERS, NO_END = "its Content-Length is wrong", "a part without headers", "a part without an end"


class Part(NamedTuple):
    """One part of a stream."""

    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class PartStream:
    """Cuts a stream of bytes into parts at `boundary`, as the response's Content-Type names it; with or without its dashes."""

    def __init__(self, boundary: str, refused: Counter[str]) -> None:
        # Some servers name the boundary with the dashes that only stand before it.
        self._mark = b"--" + boundary.encode("latin-1", "replace").lstrip(b"-")
        self._refused, self._rest = refused, bytearray()
        self._inside = False

    def add(self, data: bytes) -> list[Part]:
        """The parts that are complete now."""
        self._rest += data
        parts: list[Part] = []
        while True:
            if not self._inside:
                at = self._rest.find(self._mark)
                if at < 0:
                    del self._rest[: max(len(self._rest) - len(self._mark), 0)]
                    return parts
                del self._rest[: at + len(self._mark)]
                self._inside = True
            ended = _HEADERS_END.search(self._rest, 0, LARGEST_HEADERS)
            if ended is None:
                if len(self._rest) > LARGEST_HEADERS:
                    self._again(NO_HEADERS)
                    continue
                return parts
            headers = _headers(bytes(self._rest[: ended.start()]))
            found = self._body(ended.end(), headers.get("content-length", ""))
            if found is None:
                return parts
            body, past = found
            if body is not None:
                parts.append(Part(headers, body))
            del self._rest[:past]
            self._inside = False

    def _body(self, begin: int, told: str) -> tuple[bytes | None, int] | None:
        """The bytes from `begin` and where they end; no bytes where they cannot be told; None as long as they are not all here."""
        rest = self._rest
        if told.isdecimal() and len(told) < 10 and 0 < int(told) <= LARGEST_BYTES:
            end = begin + int(told)
            if len(rest) < end and (len(self._mark) < SURE or rest.find(self._mark, begin) < 0):
                return None
            if end <= len(rest) < end + len(self._mark) + 4 and self._mark.startswith(rest[end:].lstrip(b"\r\n")):
                return bytes(rest[begin:end]), end  # without waiting for all of the boundary, which may come with the next picture
            if rest[end : end + len(self._mark) + 4].lstrip(b"\r\n").startswith(self._mark):
                return bytes(rest[begin:end]), end
            self._refused[WRONG_LENGTH] += 1
            return None, begin
        end = rest.find(self._mark, begin)
        if end >= 0:
            cut = 2 if rest[end - 2 : end] == b"\r\n" else 1 if rest[end - 1 : end] == b"\n" else 0
            return bytes(rest[begin : max(end - cut, begin)]), end
        if len(rest) - begin > LARGEST_BYTES:
            self._refused[NO_END] += 1
            return None, len(rest)
        # Many a server sends the boundary only with the next picture, which would make this one late by a whole period.
        whole = rest.endswith(EOI) and not isinstance(jpeg_size(bytes(rest[begin:])), str)
        return (bytes(rest[begin:]), len(rest)) if whole else None

    def _again(self, why: str) -> None:
        self._refused[why] += 1
        self._inside = False


def _headers(block: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in block.splitlines())
    return {name.strip().lower().decode("latin-1"): value.strip().decode("latin-1") for name, colon, value in pairs if colon}


def stamp_ns(headers: Mapping[str, str]) -> int | None:
    """What ``X-Timestamp`` says, seconds with a fraction on the camera's own clock; None where there is none or it is no time."""
    try:
        seconds = Decimal(headers["x-timestamp"])
        number = int(seconds * 1_000_000_000) if seconds.is_finite() and abs(seconds) < 10**10 else None
    except (KeyError, InvalidOperation, OverflowError):
        return None
    return number if number is not None and 0 < number <= _LARGEST else None
