"""Raw pictures to stored bytes: how a rig file names it, and which encoder does it. decode.py is the way back."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.stream import StreamSpec

Picture = npt.NDArray[np.generic]
"""BGR uint8 (H, W, 3), grey uint8 (H, W), or depth uint16 (H, W)."""
Packets = list[tuple[bytes, int]]
"""Stored bytes, each with its flags: `KEYFRAME` where decoding can start."""

HARDWARE = ("nvenc", "qsv", "amf", "videotoolbox", "mf", "v4l2m2m")
"""What FFmpeg calls the encoders of graphics cards and chips, in the order they are tried."""

ENCODERS: dict[str, str] = {
    "jpeg": "firsthand.capture.codecs.still:open_jpeg",
    "png": "firsthand.capture.codecs.still:open_png",
    "ffv1": "firsthand.capture.codecs.ffv1:open_ffv1",
    "depth-zstd": "firsthand.capture.codecs.depth_zstd:open_depth_zstd",
    **{name: "firsthand.capture.codecs.video:open_video"
       for codec in ("h264", "hevc") for name in (codec, f"{codec}_hardware", *(f"{codec}_{chip}" for chip in HARDWARE))},
}
"""Name in a rig file -> ``"module:function"`` of ``(StreamSpec, name, settings) -> Encoder``."""
DEPTH = ("png", "ffv1", "depth-zstd")
"""Those that keep 16-bit depth, exactly."""
DEPTH_ONLY = ("ffv1", "depth-zstd")


class Encoder(Protocol):
    """Encodes one stream's pictures, in one thread. None of them holds the interpreter while it works."""

    @property
    def spec(self) -> StreamSpec:
        """The stream as stored: encoding, size (H.264 needs it even), codec configuration."""

    def encode(self, image: Picture) -> Packets:
        """The packet of this picture: one, at once. Raises `FirsthandError` for a picture that is not what the stream announced."""

    def force_keyframe(self) -> None:
        """Decoding can start at the next picture: called when a packet was lost."""

    def close(self) -> Packets:
        """Let go of the encoder. What it still held; nothing, where each picture gave its packet."""


def open_encoder(spec: StreamSpec, how: str = "") -> Encoder:
    """The encoder a rig file asks for: a name, perhaps with settings, as in ``jpeg:90`` or ``h264:crf=23,preset=ultrafast``.

    Empty is the default: ``png`` for depth (role ``depth``), ``jpeg`` for all else. Raises `FirsthandError` for a name or setting that
    there is not, one that does not suit the stream, and for an encoder that does not work on this machine.
    """
    name, _, text = (how or ("png" if spec.role == "depth" else "jpeg")).partition(":")
    if name not in ENCODERS:
        raise unknown("encoder", name, ENCODERS)
    if spec.role == "depth" and name not in DEPTH:
        raise FirsthandError(f"stream {spec.name!r} is depth, which {name} would spoil; encode it as {_either(DEPTH)}")
    if spec.role != "depth" and name in DEPTH_ONLY:
        raise FirsthandError(f"stream {spec.name!r} is no depth, and {name} is for depth; encode it as jpeg, h264 or hevc")
    module, _, function = ENCODERS[name].partition(":")
    encoder: Encoder = getattr(import_module(module), function)(spec, name, _settings(how, text))
    return encoder


def _settings(how: str, text: str) -> Mapping[str, str]:
    """``crf=23,preset=fast`` as a mapping; a number without a name stands under the empty name."""
    settings: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            key, value = "", key
        if key in settings or not value:
            raise FirsthandError(f"cannot read {how!r}; write a name and settings, as in 'jpeg:90' or 'h264:crf=23,preset=ultrafast'")
        settings[key] = value
    return settings


def whole_number(name: str, settings: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    """A setting as a number; the one without a name counts as `key`. Raises `FirsthandError` for another setting, or one out of range."""
    for given in settings:
        if given not in ("", key):
            raise FirsthandError(f"{name} has no setting {given!r}; it takes {key} alone, as in '{name}:{default}'")
    text = settings.get(key, settings.get("", str(default)))
    if not text.isdigit() or not low <= int(text) <= high:
        raise FirsthandError(f"{name} takes a {key} of {low} to {high}, not {text!r}")
    return int(text)


def refuse_settings(name: str, settings: Mapping[str, str]) -> None:
    """Raise `FirsthandError` when there are any."""
    if settings:
        raise FirsthandError(f"{name} takes no settings; write {name!r} alone")


def check_picture(spec: StreamSpec, image: Any) -> None:
    """Raise `FirsthandError` unless a picture is of the size and type its stream announced."""
    wanted = np.uint16 if spec.role == "depth" else np.uint8
    shapes = ((spec.height_px or len(image), spec.width_px or image.shape[1]),)
    if spec.role != "depth":
        shapes += ((*shapes[0], 3),)  # type: ignore[assignment]
    if image.dtype != wanted or image.shape not in shapes:
        raise FirsthandError(f"stream {spec.name!r} delivered a picture of {image.dtype} {image.shape}; "
                             f"it announced {np.dtype(wanted)} {shapes[-1]}")


def size_of(spec: StreamSpec) -> tuple[int, int]:
    """Width and height of a stream whose codec must know it beforehand."""
    if not spec.width_px or not spec.height_px:
        raise ValueError(f"stream {spec.name!r} must say its width_px and height_px to be encoded")
    return spec.width_px, spec.height_px


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
