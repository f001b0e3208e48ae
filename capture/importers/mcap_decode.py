"""Messages of an MCAP file as objects with fields: Foxglove's in JSON or Protobuf, ROS 2's in CDR, each by the schema in the file."""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from firsthand.capture.errors import DamagedError, FirsthandError

Decoder = Callable[[bytes], Any]


def schema_name(name: str) -> str:
    """One name for a type however it is written: ``foxglove.RawImage``, ``sensor_msgs/Image``."""
    plain = re.sub(r"/msg/", "/", name)
    return f"foxglove.{plain.removeprefix('foxglove_msgs/')}" if plain.startswith("foxglove_msgs/") else plain


def decoder(channel: Any, schema: Any) -> Decoder | None:
    """What reads the messages of a channel; None for an encoding or a schema that is not read. Raises `DamagedError` for a broken one."""
    try:
        if channel.message_encoding == "json":
            return _json
        if channel.message_encoding == "protobuf":
            from mcap_protobuf.decoder import DecoderFactory as Protobuf

            found: Decoder | None = Protobuf().decoder_for("protobuf", schema)
            return found
        if channel.message_encoding == "cdr":
            from mcap_ros2.decoder import DecoderFactory as Ros2

            read: Decoder | None = Ros2().decoder_for("cdr", schema)
            return read
    except ImportError as error:
        raise FirsthandError("reading MCAP needs its packages; install them with: pip install 'firsthand[import]'") from error
    except Exception as error:  # what a broken schema raises depends on the parser
        what = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedError(f"the schema of {channel.topic} is damaged ({what})") from error
    return None


def _json(data: bytes) -> Any:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("JSON, but no object")
    return found


def field(message: Any, *names: str) -> Any:
    """A field by the first of its names that is there; None where it is not, or was never set."""
    for name in names:
        if isinstance(message, dict):
            if name in message:
                return message[name]
            continue
        descriptor = getattr(message, "DESCRIPTOR", None)
        if descriptor is None:
            if hasattr(message, name):
                return getattr(message, name)
        elif name in descriptor.fields_by_name:
            found = descriptor.fields_by_name[name]
            return None if found.has_presence and not message.HasField(name) else getattr(message, name)
    return None


def fields(message: Any) -> Iterator[tuple[str, Any]]:
    """All fields of a message, in the order of its definition."""
    if isinstance(message, dict):
        yield from message.items()
    elif hasattr(message, "DESCRIPTOR"):
        for name in message.DESCRIPTOR.fields_by_name:
            yield name, field(message, name)
    else:
        for name in getattr(type(message), "__slots__", ()):
            yield name, getattr(message, name, None)


def as_document(message: Any) -> Any:
    """A message as plain objects, lists and values."""
    if isinstance(message, dict) or hasattr(message, "DESCRIPTOR") or hasattr(type(message), "_full_text"):
        return {name: as_document(value) for name, value in fields(message)}
    if isinstance(message, str | bytes | bytearray) or not isinstance(message, Iterable):
        return message
    return [as_document(item) for item in message]


def number(value: Any) -> float:
    """A field as a number; NaN for nothing."""
    if value is None:
        return math.nan
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):  # Protobuf's way to say these in JSON
        return float(value.replace("Infinity", "inf"))
    raise ValueError(f"{value!r:.40} where a number is wanted")


def stamp_ns(message: Any) -> int | None:
    """The message's own time: of its header, or its ``timestamp``; None where it has none, or it is 0."""
    header = field(message, "header")
    return _ns(field(header, "stamp")) if header is not None else _ns(field(message, "timestamp", "stamp"))


def _ns(time: Any) -> int | None:
    seconds, part = field(time, "sec", "seconds"), field(time, "nsec", "nanosec", "nanos")
    if not isinstance(seconds, int):
        return None
    ns = seconds * 1_000_000_000 + (part if isinstance(part, int) else 0)
    return ns if ns and abs(ns) < 2**63 else None


def frame_of(message: Any) -> str:
    """The frame a message refers to."""
    header = field(message, "header")
    return str(field(header if header is not None else message, "frame_id") or "")
