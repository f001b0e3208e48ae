"""A loop of pictures with as much detail as a room has, so that their JPEGs are as large as a camera's."""

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

SWAY_PX = 96
_GRAIN = 4.5
"""One sigma of the sensor's noise."""

Pictures = tuple[npt.NDArray[np.integer[Any]], ...]


@lru_cache(maxsize=8)
def colour_loop(width_px: int, height_px: int, count: int, seed: int) -> Pictures:
    """`count` BGR pictures (H, W, 3) uint8, read-only: a view that sways over a textured scene and comes back to its start."""
    rng = np.random.default_rng([seed, 1])
    scene = _texture(width_px + SWAY_PX, height_px + SWAY_PX, rng)
    for _ in range(90):  # things with edges
        x, y = int(rng.integers(scene.shape[1])), int(rng.integers(scene.shape[0]))
        size = int(rng.integers(8, max(height_px // 10, 9)))
        colour = tuple(int(c) for c in np.clip(rng.integers(30, 225) + rng.integers(-35, 36, 3), 0, 255))
        if rng.random() < 0.5:
            cv2.circle(scene, (x, y), size, colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(scene, (x, y), (x + 2 * size, y + size), colour, -1)
    grain = np.rint(rng.standard_normal(scene.shape, np.float32) * _GRAIN).astype(np.int16)
    pictures = []
    for k in range(count):
        x, y = _sway(k, count)
        gx, gy = rng.integers(0, SWAY_PX, 2)
        view, noise = (a[j : j + height_px, i : i + width_px] for a, i, j in ((scene, x, y), (grain, gx, gy)))
        pictures.append(np.asarray(cv2.add(view, noise, dtype=cv2.CV_8U)))
    return _read_only(pictures)


@lru_cache(maxsize=8)
def depth_loop(width_px: int, height_px: int, count: int, seed: int) -> Pictures:
    """`count` depth pictures (H, W) uint16 in millimetres, read-only: a bumpy ground with holes, where 0 means unseen."""
    rng = np.random.default_rng([seed, 2])
    shape = (height_px + SWAY_PX, width_px + SWAY_PX)
    ground = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 24)
    depth = 900 + 250 * ground / ground.std() + rng.standard_normal(shape, np.float32) * 2
    holes = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (0, 0), 6)
    depth = np.where(holes > 2 * holes.std(), 0, np.clip(depth, 200, 6000)).astype(np.uint16)
    views = (_sway(k, count) for k in range(count))
    return _read_only([depth[y : y + height_px, x : x + width_px].copy() for x, y in views])


def _texture(width_px: int, height_px: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Noise of many sizes, the large ones strongest, as in pictures of real things; (H, W, 3)."""
    total = np.full((height_px, width_px, 3), 120, np.float32)
    for step, strength in ((256, 38.0), (64, 22.0), (16, 13.0), (4, 9.0)):
        small = rng.standard_normal((height_px // step + 2, width_px // step + 2, 3), np.float32)
        small = 0.35 * small + 1.1 * small.mean(2, keepdims=True)  # real things differ more in brightness than in colour
        total += strength * cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


def _sway(k: int, count: int) -> tuple[int, int]:
    angle = 2 * np.pi * k / count
    return round(SWAY_PX / 2 * (1 + np.cos(angle))) % SWAY_PX, round(SWAY_PX / 2 * (1 + np.sin(angle))) % SWAY_PX


def _read_only(pictures: list[Any]) -> Pictures:
    for picture in pictures:
        picture.setflags(write=False)
    return tuple(pictures)
