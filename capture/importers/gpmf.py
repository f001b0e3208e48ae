"""GPMF, the telemetry in a GoPro's files: its nested key-length-value bytes as numbers. Pure; public specification gopro/gpmf-parser."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError

Floats = npt.NDArray[np.float64]

TYPES = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "j": ">i8", "J": ">u8", "f": ">f4", "d": ">f8",
         "q": ">i4", "Q": ">i8"}
"""Type character -> NumPy type; ``q`` and ``Q`` are fixed point, see `FIXED`."""
FIXED = {"q": 2.0**16, "Q": 2.0**32}
NEST = "\0"
LARGEST_US, LARGEST_COUNT = 2**50, 2**40
"""No camera runs for longer than 35 years, nor has more samples."""
PLACE = ("GPS5", "GPS9", "GPSU", "GPSF", "GPSP", "GPSA", "GPRI", "GLPI", "BPOS", "LNED")
"""Keys that tell where the camera, or the drone below it, was."""


@dataclass(frozen=True)
class Item:
    """One key with its value."""

    key: str
    type: str
    size: int
    """Bytes of one element."""
    count: int
    data: bytes


@dataclass(frozen=True, eq=False)
class Series:
    """One sensor's samples in one payload, in the units the camera names; axes as the camera stores them."""

    device: str
    """Such as ``"GoPro Max"``."""
    key: str
    """Such as ``"ACCL"``."""
    name: str
    values: Floats
    """Shape (N, C)."""
    units: tuple[str, ...]
    """One a column; ``"1"`` where the camera names none."""
    first_us: int | None = None
    """The camera's clock at the first sample."""
    total: int | None = None
    """Samples of this sensor so far, these included."""
    axes: str = ""
    """Such as ``"XzY"``: which axis each column is, small where its sign is turned."""
    extra: dict[str, float | str] = field(default_factory=dict)


def items(data: bytes) -> Iterator[Item]:
    """The keys of one level. Raises `DamagedError` where lengths lead out of it."""
    at = 0
    while at + 8 <= len(data):
        key = data[at : at + 4]
        if key == b"\0\0\0\0":  # padding up to the end
            return
        size, count = data[at + 5], int.from_bytes(data[at + 6 : at + 8], "big")
        end = at + 8 + size * count
        if end > len(data) or not all(32 <= c < 127 for c in key):
            raise DamagedError(f"its GPMF is damaged at byte {at} of a block of {len(data)}")
        yield Item(key.decode("ascii"), chr(data[at + 4]), size, count, data[at + 8 : end])
        at = end + -end % 4


def read_payload(payload: bytes) -> list[Series]:
    """Every series of numbers in one payload. Raises `DamagedError` when it is not sound."""
    found: list[Series] = []
    for device in items(payload):
        if device.key != "DEVC" or device.type != NEST:
            raise DamagedError(f"its GPMF begins with {device.key}, not with a device")
        name = ""
        for item in items(device.data):
            if item.key == "DVNM":
                name = _text(item)
            elif item.key == "STRM" and item.type == NEST:
                series = _series(name, list(items(item.data)))
                if series is not None:
                    found.append(series)
    return found


def without_places(payload: bytes) -> bytes:
    """The payload less every stream that tells a place; the rest byte for byte."""
    out = bytearray()
    for device in items(payload):
        kept = bytearray()
        for item in items(device.data) if device.type == NEST else ():
            if item.key == "STRM" and item.type == NEST and _tells_place(list(items(item.data))):
                continue
            if item.key in PLACE:
                continue
            kept += _packed(item)
        out += _packed(Item(device.key, device.type, 1, len(kept), bytes(kept)) if device.type == NEST else device)
    return bytes(out)


def _tells_place(parts: list[Item]) -> bool:
    """By its keys, its name, or two columns in degrees beside one in metres."""
    if any(part.key in PLACE or part.key.startswith("GPS") for part in parts):
        return True
    names = " ".join(_text(part).lower() for part in parts if part.key == "STNM")
    units = next((_texts(part) for part in parts if part.key in ("UNIT", "SIUN")), [])
    return "gps" in names or "position" in names or (units.count("deg") >= 2 and "m" in units)


def _packed(item: Item) -> bytes:
    """An item as bytes again; a nest of more than 65 535 bytes takes a larger element."""
    size, count, data = item.size, item.count, item.data
    if item.type == NEST:
        data += bytes(-len(data) % 4)
        size, count = (1, len(data)) if len(data) < 2**16 else (4, len(data) // 4)
    return item.key.encode() + struct.pack(">BBH", ord(item.type), size, count) + data + bytes(-len(data) % 4)


def _series(device: str, parts: list[Item]) -> Series | None:
    """What a stream says: the modifiers first, the last key is the data (several of it, for a list a sample). None for no numbers."""
    if not parts:
        return None
    last = parts[-1]
    told = {part.key: part for part in parts[:-1] if part.key != last.key}
    if last.key in ("STNM", "EMPT", "TSMP", "SCAL") or sum(part.key == last.key for part in parts) > 1:
        return None  # nothing in it; or lists of changing length, such as faces and hues
    layout = _text(told["TYPE"]) if last.type == "?" and "TYPE" in told else last.type
    values = _numbers(last, layout)
    if values is None or not len(values):
        return None
    scale = _numbers(told["SCAL"], told["SCAL"].type) if "SCAL" in told else None
    if scale is not None and scale.size in (1, values.shape[1]):
        with np.errstate(divide="ignore", invalid="ignore"):
            values = values / scale.reshape(1, -1)
    units = _texts(told[key]) if (key := next((k for k in ("SIUN", "UNIT") if k in told), "")) else []
    units = units * values.shape[1] if len(units) == 1 else units
    units = [unit or "1" for unit in units] if len(units) == values.shape[1] else ["1"] * values.shape[1]
    extra: dict[str, float | str] = {}
    if "TMPC" in told and (temperature := _numbers(told["TMPC"], told["TMPC"].type)) is not None and temperature.size:
        extra["temperature_deg_c"] = float(temperature.flat[0])
    if "ORIO" in told:
        extra["orio"] = _text(told["ORIO"])
    first_us, total = _whole(told.get("STMP"), LARGEST_US), _whole(told.get("TSMP"), LARGEST_COUNT)
    return Series(device, last.key, _text(told["STNM"]) if "STNM" in told else "", values, tuple(units), first_us, total,
                  _text(told["ORIN"]) if "ORIN" in told else "", extra)


def _numbers(item: Item, layout: str) -> Floats | None:
    """Values of shape (N, C); None for text and for what is no number."""
    if item.type == "?" or len(layout) > 1:
        if not layout or any(c not in TYPES for c in layout):
            return None
        record = np.dtype([(str(i), TYPES[c]) for i, c in enumerate(layout)])
        if record.itemsize != item.size:
            return None
        rows = np.frombuffer(item.data, record)
        with np.errstate(invalid="ignore"):
            return np.stack([rows[str(i)].astype(np.float64) / FIXED.get(c, 1.0) for i, c in enumerate(layout)], 1)
    kind = TYPES.get(layout)
    if kind is None:
        return None
    width = np.dtype(kind).itemsize
    if item.size == 0 or item.size % width:
        return None
    with np.errstate(invalid="ignore"):  # a damaged float may be a NaN that signals
        return np.frombuffer(item.data, kind).reshape(-1, item.size // width).astype(np.float64) / FIXED.get(layout, 1.0)


def _whole(item: Item | None, largest: int) -> int | None:
    if item is None or item.type not in ("J", "L", "S", "B") or len(item.data) != item.size * item.count or not item.data:
        return None
    value = int.from_bytes(item.data[: item.size], "big")
    if value > largest:
        raise DamagedError(f"its GPMF is damaged: {item.key} is {value}")
    return value


def _text(item: Item) -> str:
    return item.data.replace(b"\xb5", "µ".encode()).replace(b"\xb2", "²".encode()).replace(b"\xb0", "°".encode()) \
        .rstrip(b"\0 ").decode("utf-8", errors="replace") if item.type in ("c", "F") else ""


def _texts(item: Item) -> list[str]:
    """A list of texts of one size each, as units are; one text where each element is a character."""
    if item.size <= 1:
        return [_text(item)]
    parts = (item.data[i : i + item.size] for i in range(0, len(item.data), item.size))
    return [_text(Item(item.key, item.type, 1, len(part), part)) for part in parts]
