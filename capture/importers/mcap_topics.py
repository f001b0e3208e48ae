"""The topics of an MCAP file: which become streams, what those are called and carry, and why others are left out."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from dataclasses import field as made
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.importers import mcap_gloves, mcap_numbers, mcap_pictures
from firsthand.capture.importers.mcap_decode import Decoder, decoder, field, frame_of, schema_name, stamp_ns
from firsthand.capture.importers.mcap_pictures import LeftOut, Picture
from firsthand.capture.importers.tracks import stream_name
from firsthand.capture.intake import Asked, Intake
from firsthand.capture.lens import Model
from firsthand.capture.places import tell_place
from firsthand.capture.stream import DISCARD, KEYFRAME, Role, StreamSpec

SAY = 256
WIDER = 4
"""How many times a message's widest all columns of one topic may be, where they differ."""
PLACES = ("foxglove.LocationFix", "foxglove.LocationFixes", "foxglove.GeoJSON", "sensor_msgs/NavSatFix")
OPTICS = ("foxglove.CameraCalibration", "sensor_msgs/CameraInfo")
PLACE = "a place, which was not asked for"
SOUND = ("foxglove.RawAudio", "foxglove.CompressedAudio")
LENSES: dict[str, Model] = {"": "opencv", "plumb_bob": "opencv", "rational_polynomial": "opencv", "equidistant": "kannala-brandt",
                            "fisheye": "kannala-brandt", "kannala_brandt": "kannala-brandt"}
"""Models of lenses whose coefficients are OpenCV's."""
WORLDS = ("world", "map", "odom")

Messages = Callable[[], Iterator[tuple[Any, Any, Any]]]
"""Goes through all messages, by log time: schema, channel, message."""


@dataclass
class Topic:
    """One channel, as the first look finds it."""

    topic: str
    kind: str
    decode: Decoder
    count: int = 0
    why: str = ""
    """Why it is left out; empty while it is not."""
    first: Picture | None = None
    size: tuple[int, int] = (0, 0)
    columns: dict[str, dict[tuple[str, str], None]] = made(default_factory=dict)
    """By part: the columns and units, in order of appearance."""
    extra: dict[str, dict[str, Any]] = made(default_factory=dict)
    fixed: dict[str, StreamSpec | None] = made(default_factory=dict)
    """By part: the stream, where the type fixes it."""
    role: Role = "other"
    read: mcap_numbers.Reader | None = None
    text: bool = False
    streams: dict[str, StreamSpec] = made(default_factory=dict)
    sequence: dict[str, int] = made(default_factory=dict)
    begun: bool = False


def look(source: Path, messages: Messages, intake: Intake) -> tuple[dict[int, Topic], dict[str, Any], dict[str, str]]:
    """What each channel holds: pictures by their first message, numbers by all. Then optics by topic, and what is left out and why."""
    topics: dict[int, Topic] = {}
    optics: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for n, (schema, channel, message) in enumerate(messages()):
        if n % SAY == 0:
            intake.progress(n, 0)
        topic = topics.get(channel.id)
        if topic is None:
            topic = topics[channel.id] = _begin(source, schema, channel, intake.asked)
        if topic.why:
            continue
        topic.count += 1
        if topic.kind in OPTICS:
            if channel.topic not in optics:
                optics[channel.topic] = decoded(source, topic, message)
            continue
        if topic.text or topic.first:
            continue
        found = decoded(source, topic, message)
        try:
            if topic.kind in mcap_pictures.READERS:
                picture = mcap_pictures.READERS[topic.kind](found)
                if picture.flags & KEYFRAME:  # of a video that begins in the middle, the first it can be decoded from
                    topic.first, topic.size, topic.role = picture, mcap_pictures.size_of(picture), picture.role
            elif topic.read:
                for row in topic.read(found):
                    topic.columns.setdefault(row.part, {}).update(dict.fromkeys(row.values))
                    topic.extra.setdefault(row.part, row.extra)
                    topic.fixed.setdefault(row.part, row.spec)
                if not intake.asked.keep_gps and tell_place(name for part in topic.columns.values() for name, _ in part):
                    topic.why = PLACE
                if sum(map(len, topic.columns.values())) > mcap_numbers.WIDEST * WIDER:
                    topic.why = "numbers that are never the same ones"
        except LeftOut as reason:
            topic.why = str(reason)
        except ValueError as error:
            if topic.read is not mcap_numbers.anything:
                raise DamagedError(f"cannot import {source}: message {topic.count} of {topic.topic} is damaged ({error})") from error
            topic.why = str(error)
    for topic in topics.values():
        if not topic.why and topic.kind in mcap_pictures.READERS and not topic.first:
            topic.why = "no picture that decoding could start at"
        if not topic.why and topic.read and not any(topic.columns.values()):
            topic.why = "no numbers in it"
        if topic.why:
            left_out[topic.topic] = topic.why
    return {number: topic for number, topic in topics.items() if not topic.why}, optics, left_out


def _begin(source: Path, schema: Any, channel: Any, asked: Asked) -> Topic:
    kind = schema_name(schema.name) if schema is not None else ""
    try:
        decode = decoder(channel, schema)
    except DamagedError as error:
        raise DamagedError(f"cannot import {source}: {error}") from error
    topic = Topic(channel.topic, kind, decode or (lambda data: None))
    if decode is None:
        topic.why = f"encoded as {channel.message_encoding!r} with a schema in {getattr(schema, 'encoding', '')!r}"
    elif kind in PLACES and not asked.keep_gps:
        topic.why = PLACE
    elif kind in SOUND:
        topic.why = "sound"
    elif kind == "std_msgs/String":
        topic.text = True
    elif kind.endswith(mcap_gloves.KIND):
        topic.read = mcap_gloves.manus(asked.hand_axes)
    elif kind not in mcap_pictures.READERS and kind not in OPTICS:
        topic.read, topic.role = mcap_numbers.READERS.get(kind, (mcap_numbers.anything, "other"))
    return topic


def decoded(source: Path, topic: Topic, message: Any) -> Any:
    try:
        return topic.decode(message.data)
    except Exception as error:  # each of the three libraries raises its own
        what = str(error).partition("\n")[0] or type(error).__name__
        raise DamagedError(f"cannot import {source}: a message of {topic.topic} is damaged ({what})") from error


def name_streams(topics: dict[int, Topic]) -> list[StreamSpec]:
    """Describe a stream for each topic, or for each part of one, named after it."""
    made_so_far: list[StreamSpec] = []
    cameras: dict[str, str] = {}
    for topic in sorted(topics.values(), key=lambda t: (t.first is None or t.first.role != "camera", t.topic)):
        if topic.kind in OPTICS:
            continue
        said = {"topic": topic.topic, "schema": topic.kind}
        for part in topic.columns or {"": {}}:
            taken = [spec.name for spec in made_so_far]
            name = stream_name(f"{topic.topic}-{part}" if part else topic.topic, taken)
            if fixed := topic.fixed.get(part):
                spec = replace(fixed, name=stream_name(fixed.name, taken), extra={**said, **fixed.extra})
            elif topic.first:
                first, (width, height) = topic.first, topic.size
                about = cameras.get(first.frame, "") if first.role == "depth" else ""
                spec = StreamSpec(name, "encoded", topic.role, encoding=first.encoding, width_px=width, height_px=height, about=about,
                                  extra={**said, "frame": first.frame, **first.extra})
                if first.role == "camera" and first.frame:
                    cameras.setdefault(first.frame, name)
            elif topic.text:
                spec = StreamSpec(name, "encoded", "events", encoding="json", extra=said)
            elif not topic.columns.get(part):
                continue
            else:
                columns, extra = topic.columns[part], topic.extra[part]
                seen = cameras.get(extra.get("of", ""), "") if extra.get("frame") in WORLDS else ""
                spec = StreamSpec(name, "numeric", topic.role, names=tuple(c for c, _ in columns), units=tuple(u for _, u in columns),
                                  about=seen, extra={**said, **extra})
            topic.streams[part] = spec
            made_so_far.append(spec)
    return made_so_far


def samples(topic: Topic, found: Any) -> Iterator[tuple[str, int | None, Any, int]]:
    """Part, stamp, data and flags of what one message becomes."""
    if topic.text:
        yield "", stamp_ns(found), json.dumps({"text": str(field(found, "data") or "")}).encode(), KEYFRAME
    elif topic.first:
        picture = mcap_pictures.READERS[topic.kind](found)
        if picture.encoding != topic.first.encoding or (picture.width_px and (picture.width_px, picture.height_px) != topic.size):
            raise ValueError(f"it is {picture.encoding} of {picture.width_px}x{picture.height_px} after {topic.first.encoding} of "
                             f"{topic.size[0]}x{topic.size[1]}")
        topic.begun |= bool(picture.flags & KEYFRAME)
        yield "", picture.stamp_ns, picture.payload, picture.flags | DISCARD * (not topic.begun)
    elif topic.read:
        for row in topic.read(found):
            if row.part in topic.streams:
                columns = topic.columns[row.part]
                yield row.part, row.stamp_ns, np.array([row.values.get(column, np.nan) for column in columns]), KEYFRAME


def calibration_of(optics: dict[str, Any], topics: dict[int, Topic], left_out: dict[str, str]) -> Calibration:
    """Optics by camera: those on a topic beside the camera's, else those that name its frame."""
    found: dict[str, CameraCalibration] = {}
    for topic in topics.values():
        spec = topic.streams.get("")
        if topic.first is None or spec is None or topic.role != "camera":
            continue
        folder = topic.topic.rpartition("/")[0]
        beside = next((name for name in optics if name.rpartition("/")[0] == folder), None) or next(
            (name for name, given in optics.items() if frame_of(given) and frame_of(given) == topic.first.frame), None)
        if beside is None:
            continue
        given = optics[beside]
        model = str(field(given, "distortion_model") or "")
        K, D = (np.array(list(field(given, name, name.lower()) or ()), np.float64) for name in ("K", "D"))
        if model not in LENSES or K.size != 9 or not np.isfinite(K).all() or not K[0] > 0 or D[12:].any():
            left_out[beside] = f"optics of the model {model!r}, which is not known here" if K.any() else "optics that were not measured"
            continue
        width, height = (int(field(given, name) or size) for name, size in zip(("width", "height"), topic.size, strict=True))
        found[spec.name] = CameraCalibration(K.reshape(3, 3), width, height, *_lens(model, D))
    return Calibration(found)


def _lens(model: str, D: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Literal["measured"], Model]:
    """What `CameraCalibration` wants from its distortion on."""
    if LENSES[model] == "kannala-brandt":
        return np.pad(D[:4], (0, 4 - len(D[:4]))), np.eye(4), "measured", "kannala-brandt"
    return D[:12] if D.any() else np.zeros(0), np.eye(4), "measured", "opencv"
