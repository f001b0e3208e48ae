"""The look of a hand: normals from depth, soft light, a little shine, nails."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_MCP, LITTLE_MCP, TIPS, Side
from firsthand.capture.synthetic.canvas import LIGHT, Canvas
from firsthand.capture.synthetic.flesh import JOINT_RADII_M, skin_spheres, sleeve_spheres
from firsthand.capture.synthetic.raster import FAR, NEAR_M, Box, View, splat_spheres

Floats = npt.NDArray[np.floating[Any]]

TONES: tuple[tuple[int, int, int], ...] = ((140, 172, 224), (120, 150, 205), (96, 128, 190), (70, 98, 152), (48, 66, 104))
"""Skin colours as BGR, lightest first."""


@dataclass(frozen=True, eq=False)
class Look:
    """What a wearer's arms look like."""

    bgr: tuple[int, int, int]
    sleeve_bgr: tuple[int, int, int] | None
    """None for bare arms."""
    grain: Floats
    """Relative brightness of the skin, a texture larger than any hand's box, shape (H, W)."""


def paint_hand(canvas: Canvas, view: View, points_m: Floats, side: Side, look: Look, number: int) -> None:
    """Paint a hand and forearm given its 21 joints in the world, shape (21, 3)."""
    points = view.to_cam(points_m)
    centres, radii = skin_spheres(points, sleeve=look.sleeve_bgr is not None)
    sleeve = sleeve_spheres(points) if look.sleeve_bgr is not None else None
    f = float(view.K[0, 0])
    box = _box(view, *((centres, radii) if sleeve is None else (np.concatenate([centres, sleeve[0]]), np.concatenate([radii, sleeve[1]]))))
    if box.empty:
        return
    depth = np.full((box.y1 - box.y0, box.x1 - box.x0), FAR, np.float32)
    splat_spheres(depth, box, view, centres, radii)
    bgr: Floats = np.array(look.bgr, np.float32)
    shine = np.float32(0.12)
    clothed = None
    if sleeve is not None:
        cloth = np.full_like(depth, FAR)
        splat_spheres(cloth, box, view, *sleeve)
        clothed = cloth < depth
        np.minimum(depth, cloth, out=depth)
    x, y = np.rint(view.project(points[0])).astype(int) - (box.x0, box.y0)
    grain = _around(look.grain, int(x), int(y), depth.shape)
    lit, gloss, red = _light(depth, f, LIGHT @ view.T_world_cam[:3, :3], float(np.median(points[:, 2])))
    lit *= grain
    colour = np.empty((*depth.shape, 3), np.float32)
    for channel in range(3):
        colour[..., channel] = lit * bgr[channel] + (255 * shine) * gloss
    colour[..., 2] *= red
    _paint_nails(colour, depth, box, view, points, side, bgr)
    if clothed is not None and look.sleeve_bgr is not None:
        for channel in range(3):
            np.copyto(colour[..., channel], lit * np.float32(look.sleeve_bgr[channel]), where=clothed)
    canvas.paint(box, depth, colour, number)


def _box(view: View, centres: Floats, radii: Floats) -> Box:
    """The pixels that spheres in front of the camera can touch."""
    ahead = centres[:, 2] > NEAR_M + radii
    pixels, reach = view.project(centres[ahead]), (radii[ahead] / centres[ahead, 2] * view.K[0, 0])[:, None]
    return view.box_around(np.concatenate([pixels - reach, pixels + reach]), 2)


def _light(depth: Floats, f: float, light: Floats, distance_m: float) -> tuple[Floats, Floats, Floats]:
    """Brightness, gloss and redness of every pixel of a hand's depth image, each shape (H, W)."""
    there = np.isfinite(depth)
    mask = there.astype(np.float32)
    flat = np.where(there, depth, np.float32(0))
    sigma = max(1.2, 0.0022 * f / distance_m)
    smooth = cv2.GaussianBlur(flat, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(mask, (0, 0), sigma), 1e-6)
    # A blur across the gap between two fingers would weld them together: keep the true depth there.
    z = np.where(np.abs(smooth - flat) * mask < 0.006, smooth, flat)

    small = (max(depth.shape[1] // 4, 1), max(depth.shape[0] // 4, 1))
    low, low_mask = (cv2.resize(a, small, interpolation=cv2.INTER_AREA) for a in (flat, mask))
    wide = cv2.GaussianBlur(low, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(low_mask, (0, 0), sigma), 1e-6)
    sunk = z - cv2.resize(wide, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    shade = 1 - 0.35 * np.clip(sunk / np.float32(0.012), 0, 1)

    per_metre = np.float32(f / 8) / np.maximum(z, np.float32(0.05))
    gx, gy = (np.clip(cv2.Sobel(z, cv2.CV_32F, dx, 1 - dx) * per_metre, -3, 3) for dx in (1, 0))
    nz = 1 / np.sqrt(gx * gx + gy * gy + 1)  # the normal is (gx, gy, -1) nz
    half = light + np.array([0, 0, -1])
    half = half / np.linalg.norm(half)
    lambert = (gx * np.float32(light[0]) + gy * np.float32(light[1]) - np.float32(light[2])) * nz
    gloss = np.maximum((gx * np.float32(half[0]) + gy * np.float32(half[1]) - np.float32(half[2])) * nz, 0)
    gloss = gloss * gloss * gloss  # to the 24th
    gloss = gloss * gloss
    gloss = gloss * gloss
    gloss = gloss * gloss
    diffuse = np.clip((lambert + np.float32(0.35)) / np.float32(1.35), 0, 1)
    return (np.float32(0.38) + np.float32(0.72) * diffuse) * shade, gloss, np.float32(1.05) - np.float32(0.05) * nz


def _around(texture: Floats, x: int, y: int, shape: tuple[int, ...]) -> Floats:
    """A window of a texture that moves with the pixel (x, y), so that the skin's grain stays on the hand."""
    top, left = texture.shape[0] // 2 - y, texture.shape[1] // 2 - x
    top = int(np.clip(top, 0, texture.shape[0] - shape[0]))
    left = int(np.clip(left, 0, texture.shape[1] - shape[1]))
    return texture[top : top + shape[0], left : left + shape[1]]


def _paint_nails(colour: Floats, depth: Floats, box: Box, view: View, points: Floats, side: Side, bgr: Floats) -> None:
    """A nail on the back of each last phalanx that faces the camera: a superellipse 5 % back from the tip."""
    f = float(view.K[0, 0])
    across = points[LITTLE_MCP] - points[INDEX_MCP]
    across = across / np.linalg.norm(across)
    nail = bgr * 1.12 + np.array([18, 14, 14], np.float32)
    for finger, tip in enumerate(TIPS):
        along = points[tip] - points[tip - 1]
        bone = float(np.linalg.norm(along))
        along = along / bone
        r = float(JOINT_RADII_M[finger, 3])
        # The nail's normal: square to the bone and away from the palm; the thumb's looks sideways, away from the fingers.
        back = np.cross(across, along) * (1 if side == "right" else -1)
        if finger == 0:
            back = 0.6 * back - across
            back = back - along * (back @ along)
        back = back / np.linalg.norm(back)
        centre = points[tip] - along * 0.05 * bone + back * 0.75 * r
        facing = float(-back @ centre / np.linalg.norm(centre))
        if facing < 0.15:
            continue
        px = view.project(centre) - (box.x0, box.y0)
        u = along[:2] - centre[:2] / centre[2] * along[2]
        shortened = float(np.linalg.norm(u))
        if shortened < 0.15:
            continue
        u = u / shortened
        length, width = 0.95 * r * f / centre[2] * shortened, 0.62 * r * f / centre[2] * max(facing, 0.4)
        reach = int(np.ceil(max(length, width))) + 1
        x0, y0 = (np.rint(px) - reach).astype(int)
        x1, y1 = x0 + 2 * reach + 1, y0 + 2 * reach + 1
        if x0 < 0 or y0 < 0 or x1 > depth.shape[1] or y1 > depth.shape[0]:
            continue
        dx = np.arange(x0, x1) - px[0]
        dy = (np.arange(y0, y1) - px[1])[:, None]
        a, b = (dx * u[0] + dy * u[1]) / length, (dy * u[0] - dx * u[1]) / width
        on = np.clip(1.5 - (a**4 + b**4), 0, 1) * 0.65 * min(1.0, 2 * facing)
        on = np.where(np.abs(depth[y0:y1, x0:x1] - centre[2]) < r, on, 0)[..., None].astype(np.float32)
        patch = colour[y0:y1, x0:x1]
        patch += (nail - patch) * on
