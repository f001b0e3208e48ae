"""MANUS gloves in ROS 2's messages (``manus_ros2_msgs/ManusGlove``): the streams that the driver `manus` delivers too."""

from collections.abc import Iterator
from typing import Any

from firsthand.capture.hand_stream import glove_spec, hand_spec
from firsthand.capture.importers.mcap_decode import as_document
from firsthand.capture.importers.mcap_numbers import Reader, Row
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.manus import ManusReader, angles_said, skeleton_said

KIND = "/ManusGlove"
"""How the type's name ends, whatever package a copy of it is in."""


def manus(axes: str) -> Reader:
    """A reader of such messages, `axes` being those of `wire_formats.manus.AXES` that their sender had set.

    A message of a glove whose hand MANUS did not know yet, or of another make, has no rows.
    """
    reader = ManusReader({}, axes, "openxr")
    hand, angles = skeleton_said("ROS 2", axes, "by name"), angles_said("ROS 2")
    specs = {spec.name: spec for side in SIDES for spec in (hand_spec(side, rate_hz=None, extra=hand),
                                                           glove_spec(side, rate_hz=None, extra=angles))}

    def read(message: Any) -> Iterator[Row]:
        said = reader.glove(as_document(message))
        for stream, reading in {} if isinstance(said, str) else said.items():
            spec = specs[stream]
            columns = zip(spec.names, spec.units, strict=True)
            yield Row(dict(zip(columns, reading.values.tolist(), strict=True)), part=stream, spec=spec)

    return read
