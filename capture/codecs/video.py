"""Pictures to H.264 and HEVC packets, in software or by a graphics chip: each out at once, so that recording them is the same as JPEGs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from firsthand.capture.codecs.annex_b import parameter_sets
from firsthand.capture.codecs.yuv import yuv_frame
from firsthand.capture.encode import HARDWARE, Encoder, Packets, Picture, check_picture, size_of
from firsthand.capture.errors import FirsthandError
from firsthand.capture.stream import KEYFRAME, StreamSpec

KEYFRAME_EVERY_S = 1.0
BITS_PER_PIXEL = 0.2
"""What an encoder that only takes a bit rate is given: 12 Mbit/s for 1080p at 30 Hz."""
THREADS = 2
"""As much work as one in total, and a picture is done sooner."""

X264, X265 = "libx264", "libx265"
SOFTWARE = {"h264": X264, "hevc": X265}
DEFAULTS: dict[str, dict[str, str]] = {
    X264: {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "forced-idr": "1", "x264-params": "scenecut=0:open-gop=0"},
    X265: {"preset": "ultrafast", "tune": "zerolatency", "crf": "22", "forced-idr": "1",
           "x265-params": f"scenecut=0:open-gop=0:repeat-headers=1:log-level=none:frame-threads=1:pools={THREADS}"},
    "nvenc": {"preset": "p4", "tune": "ull", "rc": "vbr", "cq": "21", "zerolatency": "1", "delay": "0", "forced-idr": "1"},
    "qsv": {"preset": "veryfast", "async_depth": "1", "forced_idr": "1", "low_delay_brc": "1"},
    "amf": {"usage": "ultralowlatency", "forced_idr": "1", "header_insertion_mode": "idr"},
    "videotoolbox": {"realtime": "1", "prio_speed": "1"},
    "mf": {"scenario": "live_streaming", "hw_encoding": "1"},
    "v4l2m2m": {},
}
"""By FFmpeg's name of the encoder, or the end of it. None reorders pictures."""
RATED = ("qsv", "amf", "videotoolbox", "mf", "v4l2m2m")
"""Those that need a bit rate."""


class VideoEncoder:
    """One stream's encoder. Packets are Annex B; every key frame carries its parameter sets, so each can be the first of a take."""

    def __init__(self, spec: StreamSpec, codec: str, encoder: str, settings: Mapping[str, str]) -> None:
        width, height = size_of(spec)
        self._announced = spec
        self._codec_name, self._encoder, self._settings = codec, encoder, settings
        self._rate = Fraction(spec.rate_hz or 30).limit_denominator(1001)
        self._size = (width + width % 2, height + height % 2)
        self._sets = self._try_out()
        self._codec = self._open()
        self._count, self._force = 0, False
        self.spec = replace(spec, encoding=codec, width_px=self._size[0], height_px=self._size[1], extradata=self._sets)

    def encode(self, image: Picture) -> Packets:
        """The packet of this picture. A picture of odd size has its last column or row repeated: colours are halved."""
        check_picture(self._announced, image)
        return self._packets(self._frame(image))

    def force_keyframe(self) -> None:
        """Decoding can start at the next picture."""
        self._force = True

    def close(self) -> Packets:
        """Let go of the encoder."""
        return self._packets(None)

    def _packets(self, frame: Any) -> Packets:
        with self._answering():
            return [self._packed(packet) for packet in self._codec.encode(frame)]

    def _packed(self, packet: Any) -> tuple[bytes, int]:
        data = bytes(packet)
        if not packet.is_keyframe:
            return data, 0
        if not parameter_sets(data, self._codec_name):  # a chip may tell them once only
            data = self._sets + data
        return data, KEYFRAME

    def _frame(self, image: Any) -> Any:
        from av.video.frame import PictureType

        frame = yuv_frame(image, *self._size, self._codec.pix_fmt)
        frame.pts, frame.time_base = self._count, 1 / self._rate
        frame.pict_type = PictureType.I if self._force else PictureType.NONE
        self._count, self._force = self._count + 1, False
        return frame

    def _open(self) -> Any:
        """FFmpeg's encoder with our settings. Raises `FirsthandError` for a setting it does not know."""
        import av

        settings = dict(self._settings)
        every = max(1, round(self._rate * _number(settings, "keyframe_s", KEYFRAME_EVERY_S)))
        kind = self._encoder if self._encoder in DEFAULTS else self._encoder.rpartition("_")[2]
        rate = _number(settings, "bitrate", float(self._rate) * self._size[0] * self._size[1] * BITS_PER_PIXEL if kind in RATED else 0)
        options = DEFAULTS[kind] | {"crf" if key == "" else key: value for key, value in settings.items()}
        if "bitrate" in self._settings:
            options = {key: value for key, value in options.items() if key in self._settings or key not in ("crf", "cq")}
        codec: Any = av.CodecContext.create(self._encoder, "w")
        codec.width, codec.height = self._size
        formats = [f.name for f in codec.codec.video_formats or ()]
        codec.pix_fmt = "nv12" if "nv12" in formats and "yuv420p" not in formats else "yuv420p"
        codec.framerate, codec.time_base = self._rate, 1 / self._rate
        codec.gop_size, codec.max_b_frames, codec.thread_count = every, 0, THREADS
        codec.color_range, codec.colorspace = 1, 6  # limited range, BT.601: what yuv_frame makes
        if rate:
            codec.bit_rate = round(rate)
        codec.options = options
        codec.open()
        if unknown := set(codec.options) & set(self._settings):
            raise FirsthandError(f"the encoder {self._encoder} has no setting {' or '.join(sorted(unknown))}")
        return codec

    def _try_out(self) -> bytes:
        """Encode a picture; returns the parameter sets. Only this tells whether an encoder works here: FFmpeg lists others too."""
        with self._answering():
            self._codec, self._sets, self._count, self._force = self._open(), b"", 0, False
            packets = self._codec.encode(self._frame(np.full((self._size[1], self._size[0], 3), 128, np.uint8)))
            if len(packets) != 1 or not packets[0].is_keyframe:
                raise FirsthandError(f"the encoder {self._encoder} holds pictures back on this machine, so it cannot record; use another")
            sets = parameter_sets(bytes(packets[0]), self._codec_name)
            self._codec.encode(None)
        return sets

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from av.codec.codec import UnknownCodecError
        from av.error import FFmpegError

        try:
            yield
        except UnknownCodecError:
            raise FirsthandError(f"there is no encoder {self._encoder} in the FFmpeg that PyAV brought; use {self._codec_name}") from None
        except (FFmpegError, OSError) as error:
            given = ",".join(f"{key}={value}" for key, value in self._settings.items())
            with_what = f" with {given}" if given else ""
            raise FirsthandError(f"the encoder {self._encoder}{with_what} does not work on this machine ({error.strerror})") from error


def open_video(spec: StreamSpec, name: str, settings: Mapping[str, str]) -> Encoder:
    """``h264`` and ``hevc`` in software; with ``_hardware`` the first chip that answers; with a chip's name, that one."""
    codec, _, chip = name.partition("_")
    if not chip:
        return VideoEncoder(spec, codec, SOFTWARE[codec], settings)
    if chip != "hardware":
        return VideoEncoder(spec, codec, name, settings)
    tried = []
    for candidate in HARDWARE:
        try:
            return VideoEncoder(spec, codec, f"{codec}_{candidate}", settings)
        except FirsthandError as error:
            tried.append(f"{candidate}: {error}")
    raise FirsthandError(f"no chip here encodes {codec}; use {codec} or jpeg (tried {'; '.join(tried)})")


def _number(settings: dict[str, str], key: str, default: float) -> float:
    """Take a setting of ours out of those for FFmpeg."""
    text = settings.pop(key, str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise FirsthandError(f"{key} is a number of {'seconds' if key == 'keyframe_s' else 'bits a second'}, not {text!r}")
    return value
