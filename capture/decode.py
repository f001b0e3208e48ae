"""Encoded payloads to pictures: still images by OpenCV, video packets by FFmpeg (PyAV)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import DamagedError
from firsthand.capture.stream import KEYFRAME, StreamSpec

if TYPE_CHECKING:
    from firsthand.capture.recording import Stream

STILL = ("jpeg", "png")
COUNTERCLOCKWISE = {90: "ROTATE_90_COUNTERCLOCKWISE", 180: "ROTATE_180", 270: "ROTATE_90_CLOCKWISE"}
"""Turn in degrees -> the name OpenCV has for it."""

DECODERS = {"av1": "libdav1d"}
"""Encoding -> FFmpeg's decoder, where the one of the same name only drives graphics cards."""


def decode_images(stream: "Stream", start: int, stop: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield samples `start` up to `stop` as BGR uint8 (H, W, 3), turned upright by the stream's ``rotation_deg``."""
    import cv2

    turn = COUNTERCLOCKWISE.get(int(stream.spec.extra.get("rotation_deg", 0)) % 360)
    pictures = _stills(stream, start, stop) if stream.spec.encoding in STILL else _video(stream, start, stop)
    for picture in pictures:
        yield picture if turn is None else np.asarray(cv2.rotate(picture, getattr(cv2, turn)), np.uint8)


def decode_depth(payload: bytes, unit_m: float, spec: StreamSpec | None = None) -> npt.NDArray[np.float32]:
    """A picture of depth in units of `unit_m`, as metres (H, W) float32; 0 means unseen and becomes NaN.

    A 16-bit PNG, or what the encoding of `spec` says. Raises `DamagedError`.
    """
    raw = _depth_units(payload, spec)
    depth = raw.astype(np.float32) * np.float32(unit_m)
    depth[raw == 0] = np.nan
    return depth


def _depth_units(payload: bytes, spec: StreamSpec | None) -> npt.NDArray[np.uint16]:
    if spec is not None and spec.encoding == "ffv1":
        from firsthand.capture.codecs.ffv1 import decode_ffv1

        return decode_ffv1(payload, spec)
    if spec is not None and spec.encoding == "depth-zstd":
        from firsthand.capture.codecs.depth_zstd import unpack

        return unpack(payload)
    import cv2

    raw = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16:
        raise DamagedError("a depth image is not a 16-bit PNG")
    return raw  # type: ignore[return-value]


def _stills(stream: "Stream", start: int, stop: int) -> Iterator[npt.NDArray[np.uint8]]:
    import cv2

    for i in range(start, stop):
        picture = cv2.imdecode(np.frombuffer(stream.payload(i), np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise DamagedError(f"{stream.path}, stream {stream.spec.name}: image {i} does not decode")
        yield picture  # type: ignore[misc]


def _video(stream: "Stream", start: int, stop: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Decode from the last keyframe shown at or before `start`; FFmpeg hands frames back in presentation order."""
    if start >= stop:
        return
    shown_at = {int(row): i for i, row in enumerate(stream.order)}
    keys = [row for row in np.flatnonzero(stream.rows["flags"] & KEYFRAME) if shown_at.get(int(row), len(stream)) <= start]
    # With an edit list the keyframe itself may be cut off; then decoding starts at the first row.
    first = int(keys[-1]) if keys else 0
    wanted = start
    for row, frame in _frames(stream, first):
        at = shown_at.get(row)
        if at is None or at < wanted:
            continue
        if at > wanted:
            break
        yield frame.to_ndarray(format="bgr24")
        wanted += 1
        if wanted >= stop:
            return
    raise DamagedError(f"{stream.path}, stream {stream.spec.name}: frame {wanted} of {len(stream)} does not decode")


def _frames(stream: "Stream", first: int) -> Iterator[tuple[int, Any]]:
    import av
    from av.error import FFmpegError

    codec: Any = av.CodecContext.create(DECODERS.get(stream.spec.encoding, stream.spec.encoding), "r")
    codec.extradata = stream.spec.extradata or None
    codec.thread_type = "AUTO"
    if stream.spec.width_px and stream.spec.height_px:  # a container may crop what the codec pads
        codec.width, codec.height = stream.spec.width_px, stream.spec.height_px
    try:
        for row in range(first, len(stream.rows)):
            packet = av.Packet(stream.row_payload(row))
            packet.pts = row  # comes back on the frame: which row it was
            for frame in codec.decode(packet):
                yield int(frame.pts), frame
        for frame in codec.decode(None):
            yield int(frame.pts), frame
    except FFmpegError as error:
        raise DamagedError(f"{stream.path}, stream {stream.spec.name}: the video does not decode ({error.strerror})") from error
    finally:
        # FFmpeg's threads give the packets back to Python. Let them finish here, where they can: the decoder's own end
        # waits for them while it keeps the interpreter from them, for ever.
        codec.flush_buffers()
