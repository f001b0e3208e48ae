"""A camera through FFmpeg: RTSP, and on macOS and Windows the system's own cameras. Packets are kept; only raw pictures are decoded."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Self

from firsthand.capture.cameras.background import Background
from firsthand.capture.cameras.feed import Facts, Incoming
from firsthand.capture.errors import FirsthandError

OPEN_S = 5.0
ENCODINGS = {"mjpeg": "jpeg", "h264": "h264", "hevc": "hevc", "rawvideo": "raw", "wrapped_avframe": "raw"}
"""FFmpeg's codec -> ours."""
BACKWARDS = "it sends pictures out of order (B frames); turn them off in the camera's settings, or take its MJPEG"


class AvFeed:
    """What FFmpeg reads from `source`; `format` and `options` are FFmpeg's."""

    def __init__(self, source: str, where: str, *, format: str | None = None, options: Mapping[str, str] | None = None,
                 rate_hz: float | None = None, timeout_s: float, extra: Mapping[str, Any] | None = None,
                 check: str = "check that the camera runs, its address and the network") -> None:
        self.where, self.check = where, check
        self.refused: Counter[str] = Counter()
        self.facts = Facts("raw")
        self._source, self._format, self._options, self._rate_hz = source, format, dict(options or {}), rate_hz
        self._timeout_s, self._extra = timeout_s, dict(extra or {})
        self._container: Any = None
        self._background: Background | None = None

    def receive(self, timeout_s: float) -> list[Incoming]:
        """Packets, or pictures, that have come."""
        assert self._background is not None
        return self._background.receive(timeout_s)

    def __enter__(self) -> Self:
        try:
            import av
            from av.error import FFmpegError
        except ImportError:
            raise FirsthandError("this camera needs PyAV: pip install 'firsthand[camera]'") from None
        try:
            self._container = av.open(self._source, format=self._format, options=self._options, timeout=(OPEN_S, self._timeout_s))
        except (FFmpegError, OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise FirsthandError(f"cannot open {self.where}: {why}; {self.check}") from None
        if not self._container.streams.video:
            self._container.close()
            raise FirsthandError(f"{self.where} sends no video; {self.check}")
        stream = self._container.streams.video[0]
        codec = stream.codec_context
        if codec.name not in ENCODINGS:
            self._container.close()
            raise FirsthandError(f"{self.where} sends {codec.name}; set the camera to H.264, H.265 or MJPEG")
        encoding = ENCODINGS[codec.name]
        rate_hz = self._rate_hz or (float(stream.average_rate) if stream.average_rate else None)
        told = bytes(codec.extradata or b"")
        self.facts = Facts(encoding, (codec.width, codec.height) if codec.width else None, rate_hz, extra=dict(self._extra),
                           parameter_sets=told if told.startswith((b"\0\0\1", b"\0\0\0\1")) else b"")
        self._background = Background(self.where, lambda: self._pictures(stream))
        return self

    def _pictures(self, stream: Any) -> Iterator[Incoming]:
        from av.error import FFmpegError

        first, last = True, None
        try:
            for packet in self._container.demux(stream):
                host_ns = time.monotonic_ns()
                if packet.size == 0:  # the end
                    return
                # Of RTSP it counts from the first picture, and leaves that one's stamp out, which is 0 then.
                pts = 0 if packet.pts is None and first and self._source.startswith("rtsp:") else packet.pts
                first, stamp = False, None if pts is None else round(pts * packet.time_base * 1_000_000_000)
                if stamp is not None and last is not None and 0 < last - stamp < 1_000_000_000:
                    raise FirsthandError(f"{self.where}: {BACKWARDS}")
                last = stamp
                problem = "the transport calls it damaged" if packet.is_corrupt else ""
                if self.facts.encoding != "raw":
                    yield Incoming(host_ns, bytes(packet), stamp, problem=problem)
                    continue
                for frame in packet.decode():
                    yield Incoming(host_ns, frame.to_ndarray(format="bgr24"), stamp, problem=problem)
        except FFmpegError as error:
            silent = "sent nothing" if "exit" in str(error).lower() or isinstance(error, TimeoutError) else f"broke ({error.strerror})"
            raise FirsthandError(f"{self.where} {silent}; {self.check}") from None

    def __exit__(self, *_: object) -> None:
        # Closed while FFmpeg still reads from it, it would crash; then the thread keeps it for the little while that it lives.
        if self._background and self._background.stop(self._timeout_s + 1.0):
            self._container.close()
        self._background = self._container = None
