"""Messages of pictures as payloads of a recording: compressed ones as they are, raw ones packed as PNG, which loses nothing."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.codecs.annex_b import parameter_sets
from firsthand.capture.errors import FirsthandError
from firsthand.capture.importers.mcap_decode import field, frame_of, stamp_ns
from firsthand.capture.stream import KEYFRAME, Role

CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc", "vp9": "vp9", "av1": "av1"}
RAW = {
    "mono8": (1, ""), "8UC1": (1, ""), "bgr8": (3, ""), "8UC3": (3, ""), "rgb8": (3, "RGB2BGR"), "rgba8": (4, "RGBA2BGR"),
    "bgra8": (4, "BGRA2BGR"), "8UC4": (4, "BGRA2BGR"), "yuv422": (2, "YUV2BGR_UYVY"), "uyvy": (2, "YUV2BGR_UYVY"),
    "yuyv": (2, "YUV2BGR_YUY2"), "yuv422_yuy2": (2, "YUV2BGR_YUY2"),
}  # fmt: skip
"""8-bit encodings of raw images: bytes a pixel, and OpenCV's name for the way to BGR."""
DEPTH = {"16UC1": "<u2", "mono16": "<u2", "32FC1": "<f4"}
LARGEST_PX = 2**28
MILLIMETRES = 1e-3
"""One unit of ``16UC1``, and what ``32FC1`` is rounded to (ROS REP 118)."""


class LeftOut(Exception):  # noqa: N818 - not a fault
    """Why a topic's pictures are not imported."""


@dataclass(frozen=True)
class Picture:
    """One payload and what it is."""

    payload: bytes
    encoding: str
    width_px: int
    height_px: int
    """0 where only decoding tells them."""
    stamp_ns: int | None
    frame: str
    role: Role = "camera"
    flags: int = KEYFRAME
    extra: dict[str, Any] = made(default_factory=dict)


def still(message: Any) -> Picture:
    """``CompressedImage`` of Foxglove or ROS: JPEG and PNG, by their first bytes; ROS's compressed depth in millimetres."""
    data, kind = _bytes(message), str(field(message, "format") or "")
    extra: dict[str, Any] = {}
    role: Role = "camera"
    if "compresseddepth" in kind.lower():
        if not kind.lower().startswith("16uc1"):
            raise LeftOut(f"compressed depth as {kind!r}: only 16UC1 can be read without loss")
        data, role, extra = data[12:], "depth", {"depth_unit_m": MILLIMETRES}  # after the settings of its compressor
    if data[:3] == b"\xff\xd8\xff":
        encoding = "jpeg"
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        encoding = "png"
        if len(data) > 24 and data[24] == 16 and role == "camera":
            role, extra = _sixteen_bits(kind)
    elif kind.lower() in CODECS:
        return video(message)
    else:
        raise LeftOut(f"pictures as {kind!r}, which are neither JPEG nor PNG")
    return Picture(data, encoding, 0, 0, stamp_ns(message), frame_of(message), role, extra={"format": kind, **extra})


def _sixteen_bits(kind: str) -> tuple[Role, dict[str, Any]]:
    return ("depth", {"depth_unit_m": MILLIMETRES}) if kind.lower().startswith("16uc1") else ("other", {})


def raw(message: Any) -> Picture:
    """``RawImage`` of Foxglove, ``Image`` of ROS. Raises ``ValueError`` when the bytes do not make the picture."""
    import cv2

    width, height, step = (int(field(message, name) or 0) for name in ("width", "height", "step"))
    encoding, data = str(field(message, "encoding") or ""), _bytes(message)
    if encoding not in RAW and encoding not in DEPTH and not encoding.startswith("bayer_"):
        raise LeftOut(f"raw pictures as {encoding!r}")
    wide = encoding.endswith("16") or DEPTH.get(encoding) == "<u2"
    size = RAW[encoding][0] if encoding in RAW else 4 if encoding == "32FC1" else 2 if wide else 1
    step = step or width * size
    if width < 1 or height < 1 or width * height > LARGEST_PX or step < width * size or len(data) < step * (height - 1) + width * size:
        raise ValueError(f"{len(data)} bytes for a picture of {width}x{height} {encoding}")
    rows = np.frombuffer(data[: step * height].ljust(step * height, b"\0"), np.uint8).reshape(height, step)[:, : width * size]
    order = ">" if field(message, "is_bigendian") else "<"
    role, extra = _role(encoding)
    pixels: npt.NDArray[Any]
    if encoding == "32FC1":
        metres = np.ascontiguousarray(rows).view(f"{order}f4").astype(np.float64)
        seen = np.isfinite(metres) & (metres > 0)
        pixels = np.where(seen, np.clip(np.rint(np.where(seen, metres, 0) / MILLIMETRES), 1, 65535), 0).astype(np.uint16)
    elif wide:
        pixels = np.ascontiguousarray(rows).view(f"{order}u2").astype(np.uint16)
    else:
        channels, way = RAW.get(encoding, (1, ""))
        pixels = np.ascontiguousarray(rows).reshape(height, width, channels) if channels > 1 else np.ascontiguousarray(rows)
        if way:
            pixels = np.asarray(cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{way}")))
    packed = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    extra = {"packed": f"PNG of raw {encoding}", **extra}
    return Picture(packed, "png", width, height, stamp_ns(message), frame_of(message), role, extra=extra)


def _role(encoding: str) -> tuple[Role, dict[str, Any]]:
    if encoding == "16UC1":
        return "depth", {"depth_unit_m": MILLIMETRES}
    if encoding == "32FC1":
        return "depth", {"depth_unit_m": MILLIMETRES, "rounded": "metres to the nearest millimetre"}
    return ("other", {}) if encoding == "mono16" or encoding.startswith("bayer_") else ("camera", {})


def video(message: Any) -> Picture:
    """``foxglove.CompressedVideo``: one packet a picture, kept as it is."""
    kind = str(field(message, "format") or "").lower()
    if kind not in CODECS:
        raise LeftOut(f"video as {kind!r}")
    data, codec = _bytes(message), CODECS[kind]
    return Picture(data, codec, 0, 0, stamp_ns(message), frame_of(message), flags=KEYFRAME * starts(data, codec))


def starts(packet: bytes, codec: str) -> bool:
    """Whether decoding can start at a packet."""
    if codec in ("h264", "hevc"):
        return bool(parameter_sets(packet, codec))
    if codec == "vp9":  # marker 10, profile, (reserved), not a repeated frame, key
        bits = f"{packet[0]:08b}" if packet else ""
        at = 4 + (bits[2:4] == "11")
        return bits[:2] == "10" and bits[at : at + 2] == "00"
    return 1 in _units(packet)  # AV1: a sequence header


def _units(packet: bytes) -> Iterator[int]:
    """The types of the units (OBU) of an AV1 packet."""
    at = 0
    while at < len(packet):
        head = packet[at]
        yield head >> 3 & 15
        at += 1 + (head >> 2 & 1)
        if not head & 2:  # no size: the last one
            return
        size = shift = 0
        while at < len(packet) and shift < 56:
            byte = packet[at]
            size |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                break
        at += size


def size_of(picture: Picture) -> tuple[int, int]:
    """Width and height of a picture that decoding starts with. Raises ``ValueError`` when it does not decode."""
    if picture.width_px:
        return picture.width_px, picture.height_px
    if picture.encoding in ("jpeg", "png"):
        import cv2

        shown = cv2.imdecode(np.frombuffer(picture.payload, np.uint8), cv2.IMREAD_UNCHANGED)
        if shown is None:
            raise ValueError("its first picture does not decode")
        return shown.shape[1], shown.shape[0]
    return _decoded_size(picture)


def _decoded_size(picture: Picture) -> tuple[int, int]:
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise FirsthandError("reading video needs PyAV; install it with: pip install 'firsthand[camera]'") from error
    from firsthand.capture.decode import DECODERS

    codec: Any = av.CodecContext.create(DECODERS.get(picture.encoding, picture.encoding), "r")
    try:
        for packet in (av.Packet(picture.payload), None):
            for frame in codec.decode(packet):
                return frame.width, frame.height
    except FFmpegError as error:
        raise ValueError(f"its first picture does not decode ({error.strerror})") from error
    raise ValueError("its first picture does not decode")


def _bytes(message: Any) -> bytes:
    data = field(message, "data")
    if isinstance(data, str):  # Foxglove's JSON
        return base64.b64decode(data, validate=True)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError("no bytes where a picture is wanted")
    return bytes(data)


READERS = {
    **dict.fromkeys(("foxglove.CompressedImage", "sensor_msgs/CompressedImage"), still),
    **dict.fromkeys(("foxglove.RawImage", "sensor_msgs/Image"), raw),
    "foxglove.CompressedVideo": video,
}  # fmt: skip
"""Type -> what makes a picture of a message."""
