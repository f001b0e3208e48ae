"""Things on the table: boxes, cups and bowls, strings of beads (handles, a stream of tea), and sheets of cloth."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.canvas import LIGHT, Canvas
from firsthand.capture.synthetic.raster import FAR, View, splat_spheres

Floats = npt.NDArray[np.floating[Any]]
Colour = tuple[int, int, int]
_AMBIENT = 0.45
_BEYOND_M = 0.003


@dataclass(frozen=True, eq=False)
class Block:
    """A rectangular block; the origin of `T_world_block` is the middle of its bottom."""

    T_world_block: Floats
    size_m: tuple[float, float, float]
    bgr: Colour

    def outline_m(self) -> Floats:
        """World points whose shadow is the block's, shape (8, 3)."""
        x, y, z = self.size_m
        corners = np.array([(i * x / 2, j * y / 2, k * z) for k in (0, 1) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
        return corners @ self.T_world_block[:3, :3].T + self.T_world_block[:3, 3]

    def paint(self, canvas: Canvas, view: View, number: int) -> None:
        """Paint the faces that look at the camera."""
        corners = self.outline_m()
        for face in ((3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)):
            quad = corners[list(face)]
            normal = np.cross(quad[1] - quad[0], quad[2] - quad[1])
            if normal @ (view.T_world_cam[:3, 3] - quad[0]) > 0:
                _paint_quad(canvas, view, quad, self.bgr, normal, number)


@dataclass(frozen=True, eq=False)
class Cup:
    """A hollow tapered cylinder standing on the origin of `T_world_cup`, axis z: a cup, a bowl, or (solid) a knob."""

    T_world_cup: Floats
    bottom_m: float
    """Radius at the bottom."""
    top_m: float
    """Radius at the rim."""
    height_m: float
    bgr: Colour
    wall_m: float = 0.003
    fill: float = 0.08
    """Height of what is inside, as a share of the cup's."""
    fill_bgr: Colour | None = None
    """Its colour; None shows the bottom of the cup."""

    def outline_m(self) -> Floats:
        """World points whose shadow is the cup's, shape (32, 3)."""
        a = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = np.stack([np.cos(a), np.sin(a), np.zeros(16)], 1)
        points = np.concatenate([ring * self.bottom_m, ring * self.top_m + (0, 0, self.height_m)])
        return np.asarray(points @ self.T_world_cup[:3, :3].T + self.T_world_cup[:3, 3])

    def paint(self, canvas: Canvas, view: View, number: int) -> None:
        """Cast a ray through each pixel: outer wall, rim, content, inner wall; the nearest that is hit is seen."""
        outline = view.to_cam(self.outline_m())
        if outline[:, 2].min() < 0.05:
            return
        box = view.box_around(view.project(outline), 3)
        if box.empty:
            return
        R = self.T_world_cup[:3, :3].T
        origin = (R @ (view.T_world_cam[:3, 3] - self.T_world_cup[:3, 3])).astype(np.float32)
        rays = view.rays(box) @ (R @ view.T_world_cam[:3, :3]).T.astype(np.float32)
        light = (R @ LIGHT).astype(np.float32)
        h, taper = np.float32(self.height_m), np.float32((self.top_m - self.bottom_m) / self.height_m)
        inside = np.float32(self.bottom_m - self.wall_m)
        level = np.float32(self.fill * self.height_m)
        bgr = np.array(self.bgr, np.float32)

        best = np.full(rays.shape[:2], FAR, np.float32)
        shade = np.zeros(rays.shape[:2], np.float32)
        content = np.zeros(rays.shape[:2], bool)
        for radius, front in ((np.float32(self.bottom_m), True), (inside, False)):
            z, lit = _wall(origin, rays, radius, taper, h, light, front=front)
            if not front:
                # Light reaches less of the inside the deeper it is.
                lit = lit * (0.62 + 0.38 * np.clip((origin[2] + rays[..., 2] * np.where(np.isfinite(z), z, 0)) / h, 0, 1))
            nearer = z < best
            best, shade = np.where(nearer, z, best), np.where(nearer, lit, shade)
        for at, low, high, up in ((h, inside + taper * h, np.float32(self.top_m), 1.0), (level, np.float32(0), inside + taper * level, 1.0),
                                  (np.float32(0), np.float32(0), np.float32(self.bottom_m), -1.0)):
            z = (at - origin[2]) / rays[..., 2]
            r2 = (origin[0] + z * rays[..., 0]) ** 2 + (origin[1] + z * rays[..., 1]) ** 2
            nearer = (z > 0) & (r2 >= low * low) & (r2 <= high * high) & (z < best)
            best = np.where(nearer, z, best)
            shade = np.where(nearer, _AMBIENT + (1 - _AMBIENT) * max(float(up * light[2]), 0) * (0.85 if at == level else 1.0), shade)
            content = np.where(nearer, at == level, content)
        colour = np.where(content[..., None], np.array(self.fill_bgr or self.bgr, np.float32), bgr) * shade[..., None]
        canvas.paint(box, best, colour, number)


@dataclass(frozen=True, eq=False)
class Beads:
    """A string of overlapping spheres: a handle, a stream of tea."""

    points_m: Floats
    """World centres, shape (M, 3)."""
    radii_m: Floats
    """Shape (M,)."""
    bgr: Colour

    def paint(self, canvas: Canvas, view: View, number: int) -> None:
        """Paint the spheres, lit by their depth's slope."""
        centres = view.to_cam(self.points_m)
        box = view.box_around(view.project(centres), float(self.radii_m.max() * view.K[0, 0] / centres[:, 2].min()) + 3)
        if box.empty:
            return
        depth = np.full((box.y1 - box.y0, box.x1 - box.x0), FAR, np.float32)
        splat_spheres(depth, box, view, centres, self.radii_m)
        filled = np.where(np.isfinite(depth), depth, float(centres[:, 2].max()))
        gradient = cv2.GaussianBlur(filled, (0, 0), 0.8)
        metres_per_px = filled / float(view.K[0, 0])
        light = LIGHT @ view.T_world_cam[:3, :3]
        nx, ny = (np.clip(cv2.Sobel(gradient, cv2.CV_32F, dx, 1 - dx) / 8 / metres_per_px, -2, 2) for dx in (1, 0))
        lambert = (nx * light[0] + ny * light[1] - light[2]) / np.sqrt(nx * nx + ny * ny + 1)
        shade = _AMBIENT + (1 - _AMBIENT) * np.clip(lambert, 0, 1)
        canvas.paint(box, depth, shade[..., None] * np.array(self.bgr, np.float32), number)


@dataclass(frozen=True, eq=False)
class Sheet:
    """Cloth ruled by straight lines: each strip lies between two neighbouring lines."""

    left_m: Floats
    """World points of the lines' left ends, shape (S + 1, 3)."""
    right_m: Floats
    bgr: tuple[Colour, ...]
    """One colour per strip, S of them."""

    def quads_m(self) -> Floats:
        """World corners of the strips, shape (S, 4, 3)."""
        return np.stack([self.left_m[:-1], self.right_m[:-1], self.right_m[1:], self.left_m[1:]], 1)

    def paint(self, canvas: Canvas, view: View, number: int) -> None:
        """Paint both faces of every strip; the underside a little darker."""
        for quad, bgr in zip(self.quads_m(), self.bgr, strict=True):
            normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
            if normal @ (view.T_world_cam[:3, 3] - quad[0]) < 0:
                normal, bgr = -normal, (int(bgr[0] * 0.88), int(bgr[1] * 0.88), int(bgr[2] * 0.88))
            _paint_quad(canvas, view, quad, bgr, normal, number)


Solid = Block | Cup | Beads | Sheet


def _wall(origin: Floats, rays: Floats, radius: np.float32, taper: np.float32, height: np.float32, light: Floats, *,
          front: bool) -> tuple[Floats, Floats]:
    """Depth where rays meet x^2 + y^2 = (radius + taper z)^2 between 0 and `height`, and the light there; infinite for a miss.

    The near crossing seen from outside (`front`), or the far one seen from inside.
    """
    dx, dy, dz = rays[..., 0], rays[..., 1], rays[..., 2]
    slope, base = taper * dz, radius + taper * origin[2]
    a = dx * dx + dy * dy - slope * slope
    b = origin[0] * dx + origin[1] * dy - base * slope
    c = origin[0] ** 2 + origin[1] ** 2 - base * base
    root = b * b - a * c
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (-b - np.sqrt(root)) / a if front else (-b + np.sqrt(root)) / a
        at = origin[2] + z * dz
        hit = (root > 0) & (z > 0) & (at >= 0) & (at <= height)
        sign = np.float32(1 if front else -1)
        normal_z = -taper * (radius + taper * at)
        px, py = origin[0] + z * dx, origin[1] + z * dy
        lambert = sign * (px * light[0] + py * light[1] + normal_z * light[2]) / np.sqrt(px * px + py * py + normal_z * normal_z)
    lit = _AMBIENT + (1 - _AMBIENT) * np.clip((lambert + 0.25) / 1.25, 0, 1)
    return np.where(hit, z, FAR), np.where(hit, lit, 0)


def _paint_quad(canvas: Canvas, view: View, quad_m: Floats, bgr: Colour, normal: Floats, number: int) -> None:
    """Paint a flat convex quadrilateral (4, 3); its depth is exact: 1/z is linear in the pixel."""
    corners = view.to_cam(quad_m)
    if corners[:, 2].min() < 0.05:
        return
    pixels = view.project(corners)
    box = view.box_around(pixels, 1)
    length = float(np.linalg.norm(normal))
    if box.empty or length == 0:
        return
    mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
    cv2.fillConvexPoly(mask, np.rint((pixels - (box.x0, box.y0)) * 16).astype(np.int32), 1, shift=4)
    n = normal @ view.T_world_cam[:3, :3]
    f = float(view.K[0, 0])
    # n . (z ray) = n . corner
    down = (np.arange(box.y0, box.y1) - view.K[1, 2]) * (n[1] / f) + n[2]
    along = (np.arange(box.x0, box.x1) - view.K[0, 2]) * (n[0] / f) + down[:, None]
    reach = float(n @ corners[0])
    with np.errstate(divide="ignore"):
        z = np.where(mask > 0, reach / along, FAR)
    # A strip seen edge-on has no usable plane: keep near the corners. A little beyond, for the border pixels it shares.
    z = np.where(np.isfinite(z), np.clip(z, corners[:, 2].min() - _BEYOND_M, corners[:, 2].max() + _BEYOND_M), FAR)
    light = _AMBIENT + (1 - _AMBIENT) * max(float(normal @ LIGHT) / length, 0.0)
    canvas.paint(box, z, np.array(bgr, np.float32) * light, number)
