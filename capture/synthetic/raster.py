"""Depth of simple bodies in a pinhole camera: spheres, tapered cylinders, boxes and flat strips."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
FAR = np.float32(np.inf)
NEAR_M = 0.06


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, half-open."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0


@dataclass(frozen=True, eq=False)
class View:
    """One camera pose: what turns points into pixels and back."""

    K: Floats
    T_world_cam: Floats
    width_px: int
    height_px: int

    def to_cam(self, points_m: Floats) -> Floats:
        """World points (..., 3) in camera axes."""
        return np.asarray((points_m - self.T_world_cam[:3, 3]) @ self.T_world_cam[:3, :3])

    def project(self, points_cam: Floats) -> Floats:
        """Camera points (..., 3) to pixels (..., 2)."""
        return np.asarray(points_cam[..., :2] / points_cam[..., 2:] * self.K[[0, 1], [0, 1]] + self.K[:2, 2])

    def box_around(self, pixels: Floats, margin_px: float) -> Box:
        """The part of the image around pixels (N, 2)."""
        low, high = np.floor(pixels.min(0) - margin_px), np.ceil(pixels.max(0) + margin_px) + 1
        x0, y0 = np.clip(low, 0, (self.width_px, self.height_px)).astype(int)
        x1, y1 = np.clip(high, 0, (self.width_px, self.height_px)).astype(int)
        return Box(int(x0), int(y0), int(x1), int(y1))

    def rays(self, box: Box) -> Floats:
        """Rays (H, W, 3) of a box's pixels in camera axes with z = 1, so that the distance along them is the depth."""
        x = (np.arange(box.x0, box.x1, dtype=np.float32) - np.float32(self.K[0, 2])) / np.float32(self.K[0, 0])
        y = (np.arange(box.y0, box.y1, dtype=np.float32) - np.float32(self.K[1, 2])) / np.float32(self.K[1, 1])
        rays = np.ones((len(y), len(x), 3), np.float32)
        rays[..., 0], rays[..., 1] = x, y[:, None]
        return rays


@lru_cache(maxsize=8192)
def _dome(radius_q: int, x_q: int, y_q: int) -> tuple[int, Floats]:
    """Half-width in pixels and height (radius 1; -inf outside) of a sphere, its radius and centre in quarter pixels."""
    radius = radius_q / 4
    half = int(np.ceil(radius)) + 1
    at = np.arange(-half, half + 1, dtype=np.float32)
    d2 = (at - x_q / 4) ** 2 + ((at - y_q / 4) ** 2)[:, None]
    inside = radius * radius - d2
    dome = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)) / radius, -FAR).astype(np.float32)
    return half, dome


def splat_spheres(depth: Floats, box: Box, view: View, centres_cam: Floats, radii_m: Floats) -> None:
    """Lower `depth` (of the pixels in `box`) to the front of the spheres: z = zc - sqrt(r^2 - d^2) zc / f, in place.

    A sphere's outline is rounded to a quarter of a pixel; its depth is not.
    """
    near = centres_cam[:, 2] > NEAR_M + radii_m
    centres, radii = centres_cam[near], radii_m[near]
    f = float(view.K[0, 0])
    pixels = view.project(centres)
    quarters = np.rint(pixels * 4).astype(int)
    whole = (quarters + 2) // 4
    quarter_radii = np.maximum(np.rint(radii * f / centres[:, 2] * 4).astype(int), 4)
    height, width = depth.shape
    rows = np.column_stack([whole - (box.x0, box.y0), quarters - 4 * whole, quarter_radii]).tolist()
    for (x, y, xq, yq, rq), z, r in zip(rows, centres[:, 2].tolist(), radii.tolist(), strict=True):
        half, dome = _dome(rq, xq, yq)
        x0, x1, y0, y1 = max(x - half, 0), min(x + half + 1, width), max(y - half, 0), min(y + half + 1, height)
        if x0 >= x1 or y0 >= y1:
            continue
        part = depth[y0:y1, x0:x1]
        front = np.float32(z) - dome[y0 - y + half : y1 - y + half, x0 - x + half : x1 - x + half] * np.float32(r)
        np.minimum(part, front, out=part)
