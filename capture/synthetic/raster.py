"""Depth of simple bodies in a pinhole camera: spheres, tapered cylinders, boxes and flat strips."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
FAR = np.float32(np.inf)
NEAR_M = 0.06
_LARGE_Q = 80
"""Spheres of more quarter pixels than this are drawn at whole ones."""


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


@lru_cache(maxsize=6000)
def _dome(radius_q: int, x_q: int, y_q: int) -> npt.NDArray[np.float32]:
    """A sphere seen from above: -height (radius 1; infinite outside) per pixel, for a radius and a centre in quarter pixels."""
    radius = radius_q / 4
    half = _half(radius_q)
    at = np.arange(-half, half + 1, dtype=np.float32)
    inside = radius * radius - ((at - x_q / 4) ** 2 + ((at - y_q / 4) ** 2)[:, None])
    dome = np.where(inside > 0, np.sqrt(np.maximum(inside, 0)) * np.float32(-1 / radius), FAR).astype(np.float32)
    dome.setflags(write=False)
    return dome


def _half(radius_q: Any) -> Any:
    """Half the side of a dome's square, in pixels."""
    return radius_q // 4 + 2


def splat_spheres(depth: Floats, box: Box, view: View, centres_cam: Floats, radii_m: Floats) -> None:
    """Lower `depth` (of the pixels in `box`) to the front of the spheres: z = zc - sqrt(r^2 - d^2) zc / f, in place.

    A sphere's outline is rounded to a quarter of a pixel, or a whole one where it is large; its depth is not.
    """
    near = centres_cam[:, 2] > NEAR_M + radii_m
    centres, radii = centres_cam[near], radii_m[near]
    quarters = np.rint(view.project(centres) * 4).astype(int)
    radii_q = np.maximum(np.rint(radii * float(view.K[0, 0]) / centres[:, 2] * 4).astype(int), 4)
    large = radii_q > _LARGE_Q
    quarters[large] = (quarters[large] + 2) // 4 * 4
    radii_q[large] = (radii_q[large] + 2) // 4 * 4
    whole = (quarters + 2) // 4
    parts_q = quarters - 4 * whole
    half = _half(radii_q)[:, None]
    start = whole - (box.x0, box.y0) - half
    low, high = np.maximum(start, 0), np.minimum(start + 2 * half + 1, depth.shape[::-1])
    rows = np.column_stack([low, high, low - start, high - start, radii_q, parts_q])[(low < high).all(1)].tolist()
    heights = np.column_stack([centres[:, 2], radii]).astype(np.float32)[(low < high).all(1)]
    for (x0, y0, x1, y1, u0, v0, u1, v1, rq, xq, yq), (z, r) in zip(rows, heights, strict=True):
        part = depth[y0:y1, x0:x1]
        front = _dome(rq, xq, yq)[v0:v1, u0:u1] * r
        front += z
        np.minimum(part, front, out=part)
