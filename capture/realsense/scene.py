"""What a camera that is software sees and measures: the synthetic wearer's head camera and IMU, to and fro for ever. The truth of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.synthetic.ahead import Ahead, rendered
from firsthand.capture.synthetic.devices import DeviceClock
from firsthand.capture.synthetic.sensor import DEPTH_UNIT_M
from firsthand.capture.synthetic.wearer import Wearer

__all__ = ["DEPTH_UNIT_M", "STREAMS", "Scene"]

STREAMS = ("color", "depth", "accel", "gyro")
_AT_ONCE = 64
JITTER_US = 20
"""Stamps are off by up to so much, each by itself, as exposure ends a little sooner or later."""


@dataclass(frozen=True)
class Scene:
    """Every sample of every stream by its number, from 1 on, for the same options the same."""

    seed: int = 0
    size_px: Sequence[int] = (640, 480)
    fps: float = 30
    imu_hz: float = 200
    task: str = "pick-and-place"
    duration_s: float = 6.0
    """Of the wearer's take, which is shown forwards and backwards in turn; at least 3."""
    drop_rate: float = 0.0
    """Share of the samples that are lost, though counted."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size_px", tuple(self.size_px))
        if len(self.size_px) != 2 or self.fps <= 0 or self.imu_hz <= 0:
            raise FirsthandError(f"a software camera of {self.size_px} at {self.fps} Hz with an IMU of {self.imu_hz} Hz cannot be; ask "
                                 "for a width and a height, and rates above 0")

    def rate_hz(self, stream: str) -> float:
        """Of a stream, by the camera's own clock."""
        return self.fps if stream in ("color", "depth") else self.imu_hz

    def t_s(self, stream: str, number: int) -> float:
        """When a sample is really taken, in seconds after the camera was switched on."""
        return (number - 1) / self.rate_hz(stream) * (1 + self.wearer.timelines["head"].clock.drift_ppm * 1e-6)

    def stamp_us(self, stream: str, number: int, boot: int = 0) -> int:
        """What the camera stamps on it, after it was plugged in for the `boot`-th time."""
        clock = self._clock(boot)
        jitter = int(self._rng(stream, number, 1).integers(-JITTER_US, JITTER_US + 1))
        return clock.after_ns(clock.reference_ns, round(self.t_s(stream, number) * 1e9)) // 1000 + jitter

    def is_lost(self, stream: str, number: int) -> bool:
        """Whether it never leaves the camera."""
        return self.drop_rate > 0 and bool(self._rng(stream, number, 2).random() < self.drop_rate)

    def color(self, number: int) -> npt.NDArray[np.uint8]:
        """The colour picture, (H, W, 3) BGR."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.jpeg(number), np.uint8), cv2.IMREAD_COLOR), np.uint8)

    def jpeg(self, number: int) -> bytes:
        """The same as the camera's own JPEG."""
        return self._ahead.payload(self._frame(number), 0)

    def depth(self, number: int) -> npt.NDArray[np.uint16]:
        """The depth picture in units of `DEPTH_UNIT_M`, (H, W), 0 where nothing is seen. The colour camera's view."""
        png = np.frombuffer(self._ahead.payload(self._frame(number), 1), np.uint8)
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.uint16)

    def motion(self, stream: str, number: int) -> npt.NDArray[np.float32]:
        """Specific force (m/s^2) or rotation rate (rad/s) in the camera's axes, shape (3,)."""
        block, n = divmod(number - 1, _AT_ONCE)
        values = _motions(self, block)[n]
        return np.asarray(values[:3] if stream == "accel" else values[3:])

    @cached_property
    def wearer(self) -> Wearer:
        """Who wears the camera. Its optics are the wearer's head camera's."""
        width, height = self.size_px
        return Wearer(seed=self.seed, task=self.task, duration_s=self.duration_s, fps=self.fps, size_px=(int(width), int(height)),
                      drop_rate=0)

    @cached_property
    def _ahead(self) -> Ahead:
        return rendered(self.wearer)

    def prepare(self) -> None:
        """Have all pictures ready, rendered now where no cache has them."""
        assert self._ahead

    def _frame(self, number: int) -> int:
        """Which of the wearer's frames a picture shows."""
        last = len(self.wearer.seconds("head")) - 1
        return last - abs((number - 1) % (2 * last) - last)

    def _clock(self, boot: int) -> DeviceClock:
        start_us = int(np.random.default_rng([self.seed, 61, boot]).integers(10**7, 3 * 10**9))
        return DeviceClock(start_us * 1000, self.wearer.timelines["head"].clock.drift_ppm, 0.0)

    def _rng(self, stream: str, number: int, purpose: int) -> Any:
        return np.random.default_rng([self.seed, 62, purpose, STREAMS.index(stream), number])


@lru_cache(maxsize=4)
def _motions(scene: Scene, block: int) -> npt.NDArray[np.float32]:
    """What accelerometer and gyroscope measure, some samples at once, which costs far less; (N, 6)."""
    t_s = np.array([scene.t_s("accel", 1 + block * _AT_ONCE + n) for n in range(_AT_ONCE)])
    first_s, last_s = scene.wearer.seconds("head")[[0, -1]]
    length_s = last_s - first_s
    values = scene.wearer.head.imu(first_s + length_s - np.abs(t_s % (2 * length_s) - length_s))
    values[t_s % (2 * length_s) > length_s, 3:] *= -1  # on the way back everything turns the other way
    return np.asarray(values, np.float32)
