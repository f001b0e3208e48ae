"""A camera, whatever it is connected by: broken pictures are counted, gaps keep their numbers, silence is told in one sentence."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.cameras.feed import Facts, Feed, Incoming
from firsthand.capture.cameras.gates import Gate, JpegGate, VideoGate, raw_gate
from firsthand.capture.errors import FirsthandError
from firsthand.capture.stream import Sample, StreamSpec

FIRST_S = 5.0
"""A camera that was just opened may take so long for its first picture."""
STALE_NS = 2_000_000_000
"""A kernel's stamp that lies further back than this, or ahead, is none."""
NO_STAMP, WRONG_STAMP = "it has no stamp, and the first had", "its stamp is not of this moment"
Lens = Callable[[int, int], CameraCalibration | None]
"""Width and height -> the camera's optics; raises `FirsthandError` when they are known for another size."""
_log = logging.getLogger(__name__)


class CameraDriver:
    """One camera as one stream; a `Driver`. It is there once it has sent a picture."""

    def __init__(self, name: str, feed: Feed, *, timeout_s: float, lens: Lens, extra: Mapping[str, Any] | None = None) -> None:
        """After `timeout_s` without a usable picture the camera is gone. `extra` goes into the stream's."""
        self.name = name
        self.streams: tuple[StreamSpec, ...] = ()
        self.calibration = Calibration()
        self.rejected: Counter[str] = Counter()
        """Pictures that did not become a sample since it was opened, by reason."""
        self._feed, self._lens, self._extra, self._timeout_ns = feed, lens, dict(extra or {}), round(timeout_s * 1e9)
        self._told: set[str] = set()
        self._since: Counter[str] = Counter()  # the same since the last sample
        self._first: list[Sample] = []
        self._gate: Gate = raw_gate
        self._facts: Facts
        self._clock = "device"
        self._number = self._seen_ns = 0
        self._stack = ExitStack()

    def read(self, timeout_s: float) -> list[Sample] | None:
        """What came, oldest first. Raises `FirsthandError` when no usable picture did for a while, or the camera is gone."""
        if self._first:
            samples, self._first = self._first, []
            return samples
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            wait_ns = min(deadline_ns, self._seen_ns + self._timeout_ns) - time.monotonic_ns()
            samples = self._samples(self._feed.receive(max(wait_ns, 0) * 1e-9))
            now_ns = time.monotonic_ns()
            if now_ns - self._seen_ns > self._timeout_ns:
                raise FirsthandError(self._silence(self._timeout_ns))
            if samples or now_ns >= deadline_ns:
                return samples

    def _samples(self, pictures: list[Incoming]) -> list[Sample]:
        for why, count in self._feed.refused.items():
            self._reject(why, count)
        self._feed.refused.clear()
        samples = []
        for picture in pictures:
            # A number that does not grow is none: there are drivers that leave it at 0.
            number = self._number if picture.sequence is None else max(picture.sequence, self._number)
            passed = picture.problem or self._gate(picture.data)
            if passed is None:
                continue
            self._number = number + 1
            if isinstance(passed, str):
                self._reject(passed)
                continue
            stamp = self._stamp(picture)
            if isinstance(stamp, str):
                self._reject(stamp)
                continue
            self._seen_ns = picture.host_ns
            self._since.clear()
            samples.append(Sample(self.name, stamp, picture.host_ns, number, *passed))
        return samples

    def _stamp(self, picture: Incoming) -> int | str:
        """The sample's device time. What the first picture had decides: the kernel's time, the device's own, or that of arrival."""
        host_ns, device_ns = picture.host_ns, picture.device_ns
        current = device_ns is not None and 0 <= host_ns - device_ns < STALE_NS
        if not self._seen_ns:
            self._clock = "arrival" if device_ns is None else "host" if self._facts.monotonic and current else "device"
        if self._clock == "arrival":
            return host_ns
        if device_ns is None:
            return NO_STAMP
        return WRONG_STAMP if self._clock == "host" and not current else device_ns

    def _reject(self, why: str, count: int = 1) -> None:
        if why not in self._told:  # told once, counted ever after
            self._told.add(why)
            _log.warning("%s: a picture is left out: %s", self.name, why)
        self.rejected[why] += count
        self._since[why] += count

    def _silence(self, waited_ns: int) -> str:
        begin = f"{self.name}: no picture came from {self._feed.where} for {waited_ns * 1e-9:g} s"
        if not self._since:
            return f"{begin}; {self._feed.check}"
        (why, count), = self._since.most_common(1)
        return f"{begin} that could be used, of {count} the reason is: {why}; {self._feed.check}"

    def __enter__(self) -> Self:
        """Open the camera and wait for its first usable picture."""
        self._first, self._number, self._seen_ns = [], 0, 0
        self._since.clear()
        self.rejected.clear()
        with ExitStack() as stack:
            stack.enter_context(self._feed)
            facts = self._facts = self._feed.facts
            jpeg, video = JpegGate(), VideoGate(facts.encoding, facts.parameter_sets)
            self._gate = jpeg if facts.encoding == "jpeg" else raw_gate if facts.encoding == "raw" else video
            until_ns = time.monotonic_ns() + round(max(FIRST_S * 1e9, self._timeout_ns))
            while not self._first:
                left_ns = until_ns - time.monotonic_ns()
                if left_ns <= 0:
                    raise FirsthandError(self._silence(max(round(FIRST_S * 1e9), self._timeout_ns)))
                self._first = self._samples(self._feed.receive(left_ns * 1e-9))
            # What a JPEG says of its size is what it decodes to, whatever was agreed on.
            width, height = (jpeg.size_px if facts.encoding == "jpeg" else facts.size_px) or (None, None)
            optics = self._lens(width, height) if width and height else None
            self.calibration = Calibration({self.name: optics} if optics else {})
            stamps = {"arrival": "arrival", "host": "kernel"}.get(self._clock)
            extra = {**facts.extra, **self._extra, **({"stamps": stamps} if stamps else {})}
            self.streams = (StreamSpec(self.name, "encoded", "camera", encoding=facts.encoding, rate_hz=facts.rate_hz, width_px=width,
                                       height_px=height, clock="host" if self._clock == "host" else "device", extra=extra,
                                       extradata=video.sets),)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()
