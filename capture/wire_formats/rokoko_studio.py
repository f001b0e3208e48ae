"""What Rokoko Studio streams as "JSON v3": a document a frame, as it is or as an LZ4 frame."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from firsthand.capture.axes import FROM_UNITY, in_axes, quat_in_axes
from firsthand.capture.hand_stream import hand_row
from firsthand.capture.message import Reading
from firsthand.capture.skeleton import SIDES
from firsthand.capture.wire_formats.documents import dicts, document, named, number

_LZ4 = b"\x04\x22\x4d\x18"
_LARGEST_BYTES = 1 << 20
"""Unpacked."""
_LAST_S = 9e9
_BONES = ("Hand", *(f"{finger}{bone}" for finger in ("Thumb", "Index", "Middle", "Ring", "Little")
                    for bone in ("Proximal", "Medial", "Distal", "Tip")))  # fmt: skip
"""As Studio calls them after ``left`` or ``right``, in canonical order: a bone is where its first joint is."""


def read_studio(message: bytes, *, actor: str = "") -> Mapping[str, Reading] | str:
    """What a packet says of ``hand-left`` and ``hand-right``, or why it cannot be read; of the first actor with gloves, or that named."""
    if message[:4] == _LZ4:
        unpacked = _unpacked(message)
        if isinstance(unpacked, str):
            return unpacked
        message = unpacked
    found = document(message)
    if found is None:
        return "it is not a JSON object"
    version = str(found.get("version")).replace(".", ",").partition(",")[0]
    if version != "3" or "trackers" in found:
        return "it is not JSON v3: choose that in Studio"
    scene = found.get("scene")
    if not isinstance(scene, dict):
        return "it has no scene"
    t_s = number(scene.get("timestamp"), _LAST_S)
    if math.isnan(t_s):
        return "it has no timestamp"
    actors = [one for one in dicts(scene.get("actors")) if not actor or one.get("name") == actor]
    if not actors:
        return "the actor is not in the scene" if actor else "nobody is in the scene"
    for one in actors:
        said = _hands(one, round(t_s * 1e9))
        if said:
            return said
    return "the actor wears no gloves"


def _hands(actor: Mapping[str, Any], t_ns: int) -> dict[str, Reading]:
    meta, body = actor.get("meta"), actor.get("body")
    if not isinstance(meta, dict) or not isinstance(body, dict):
        return {}
    said = {}
    for side in SIDES:
        if not meta.get(f"has{side.capitalize()}Glove", meta.get("hasGloves")):
            continue
        bones = [bone if isinstance(bone, dict) else {} for bone in (body.get(f"{side}{name}") for name in _BONES)]
        points = np.array([named(bone.get("position"), "xyz") for bone in bones])
        quat = quat_in_axes(FROM_UNITY, named(bones[0].get("rotation"), "wxyz"))
        if quat is not None and not np.isnan(points[0]).any():
            said[f"hand-{side}"] = Reading(hand_row(in_axes(FROM_UNITY, points), quat), t_ns, None)
    return said


def _unpacked(message: bytes) -> bytes | str:
    try:
        from lz4.frame import LZ4FrameDecompressor
    except ImportError:
        return "it is packed, which needs lz4: pip install 'firsthand[gloves]'"
    unpacker = LZ4FrameDecompressor()
    try:
        plain: bytes = unpacker.decompress(message, max_length=_LARGEST_BYTES)
    except (RuntimeError, EOFError, ValueError):
        return "its LZ4 frame is damaged"
    return plain if unpacker.eof else "its LZ4 frame is cut off, or too large"
