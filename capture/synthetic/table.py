"""The table, what is printed on it, what is behind it, and the shadows that fall on it."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.canvas import LIGHT
from firsthand.capture.synthetic.raster import FAR, View

Floats = npt.NDArray[np.floating[Any]]

PX_PER_M = 900
_LEFT_M, _FAR_M = -1.0, 0.72
"""World x of the texture's left edge and y of its top edge: the table's far edge."""
_SIZE_PX = (1800, 1000)
_SHADOW_PX_PER_M = 200
_SHADOW_SIZE = (400, 240)
_DARKEST = 0.5
"""How much light a full shadow takes."""


@dataclass(frozen=True, eq=False)
class Table:
    """A wooden table at z = 0; frozen once painted, the same for a whole take."""

    texture: npt.NDArray[np.uint8]
    """BGR, 900 px/m, shape (H, W, 3)."""
    floor: npt.NDArray[np.uint8]
    """What is seen past the far edge, shape (h, w, 3); stretched over the picture."""

    def backdrop(self, view: View) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        """The empty table as the camera sees it, and its depth; infinite past its edge."""
        size = (view.width_px, view.height_px)
        H = _homography(view, PX_PER_M, _LEFT_M, _FAR_M)
        image = cv2.warpPerspective(self.texture, H, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        R, t = view.T_world_cam[:3, :3], view.T_world_cam[:3, 3]
        x = (np.arange(view.width_px, dtype=np.float32) - np.float32(view.K[0, 2])) / np.float32(view.K[0, 0])
        y = ((np.arange(view.height_px, dtype=np.float32) - np.float32(view.K[1, 2])) / np.float32(view.K[1, 1]))[:, None]
        falls = x * np.float32(R[2, 0]) + (y * np.float32(R[2, 1]) + np.float32(R[2, 2]))
        depth = np.where(falls < -1e-3, np.float32(-t[2]) / np.minimum(falls, np.float32(-1e-3)), FAR)
        past = np.float32(t[1]) + depth * (x * np.float32(R[1, 0]) + (y * np.float32(R[1, 1]) + np.float32(R[1, 2]))) > _FAR_M
        rows = int(np.max(np.flatnonzero(past.any(1)), initial=-1)) + 1
        if rows:
            floor = cv2.resize(self.floor, size, interpolation=cv2.INTER_LINEAR)[:rows]
            cv2.copyTo(floor, past[:rows].astype(np.uint8), image[:rows])
            depth[:rows][past[:rows]] = FAR
        return image, depth  # type: ignore[return-value]


def on_texture(x_m: float, y_m: float) -> tuple[float, float]:
    """Column and row of the texture at a place on the table, world x and y."""
    return (x_m - _LEFT_M) * PX_PER_M, (_FAR_M - y_m) * PX_PER_M


def _homography(view: View, px_per_m: float, left_m: float, far_m: float) -> Floats:
    """From pixels of a map of the table plane (x right, y towards the wearer) to pixels of the picture: K [r1 r2 t] A."""
    to_plane = np.array([[1 / px_per_m, 0, left_m], [0, -1 / px_per_m, far_m], [0, 0, 1]])
    R, t = view.T_world_cam[:3, :3].T, view.T_world_cam[:3, 3]
    return np.asarray(view.K @ np.column_stack([R[:, 0], R[:, 1], -R @ t]) @ to_plane)


class Shadows:
    """The shadows of one frame, gathered on a map of the table: sharp near it, soft from high above."""

    def __init__(self) -> None:
        self._low = np.zeros(_SHADOW_SIZE[::-1], np.uint8)
        self._high = np.zeros(_SHADOW_SIZE[::-1], np.uint8)

    def _on_map(self, points_m: Floats) -> Floats:
        fallen = points_m[..., :2] - LIGHT[:2] * (points_m[..., 2:] / LIGHT[2])
        return np.asarray((fallen * (1, -1) + (-_LEFT_M, _FAR_M)) * _SHADOW_PX_PER_M)

    def _layer(self, height_m: float) -> npt.NDArray[np.uint8]:
        return self._high if height_m > 0.07 else self._low

    def spheres(self, centres_m: Floats, radii_m: Floats) -> None:
        """Add the shadows of spheres, world centres (S, 3)."""
        at = np.rint(self._on_map(centres_m)).astype(int).tolist()
        radii = np.maximum(np.rint(radii_m * _SHADOW_PX_PER_M), 1).astype(int).tolist()
        for (x, y), r, z in zip(at, radii, centres_m[:, 2].tolist(), strict=True):
            cv2.circle(self._layer(z), (x, y), r, 255, -1)

    def hull(self, points_m: Floats) -> None:
        """Add the shadow of a convex body, world points (P, 3)."""
        hull = cv2.convexHull(self._on_map(points_m).astype(np.float32))
        cv2.fillConvexPoly(self._layer(float(points_m[:, 2].min())), np.rint(hull).astype(np.int32), 255)

    def light(self, view: View) -> npt.NDArray[np.uint8]:
        """How much light reaches each pixel's place on the table, 255 for all of it, shape (H, W)."""
        low, high = cv2.GaussianBlur(self._low, (0, 0), 1.2), cv2.GaussianBlur(self._high, (0, 0), 3.5)
        shade = cv2.max(low, cv2.convertScaleAbs(high, alpha=0.8))
        light = cv2.convertScaleAbs(shade, alpha=-_DARKEST, beta=255)
        # Soft anyway: at half the resolution.
        H = np.diag([0.5, 0.5, 1.0]) @ _homography(view, _SHADOW_PX_PER_M, _LEFT_M, _FAR_M)
        seen = cv2.warpPerspective(light, H, (view.width_px // 2, view.height_px // 2), flags=cv2.INTER_LINEAR, borderValue=(255,))
        return np.asarray(cv2.resize(seen, (view.width_px, view.height_px), interpolation=cv2.INTER_LINEAR), np.uint8)


def wooden_table(rng: np.random.Generator) -> Table:
    """A table of planks with a few flat things lying on it, and a floor behind."""
    width, height = _SIZE_PX
    wood = np.array(((132, 146, 150), (96, 128, 164), (150, 160, 166), (82, 104, 130))[rng.integers(4)], np.float32)
    grain = np.zeros((height, width), np.float32)
    for stretch, strength in ((4, 0.03), (12, 0.04), (40, 0.025)):  # grain runs along x
        noise = cv2.GaussianBlur(rng.standard_normal((height // 2, width // (2 * stretch)), np.float32), (0, 0), 0.7)
        grain += strength * cv2.resize(noise / noise.std(), (width, height), interpolation=cv2.INTER_CUBIC)
    for top in range(0, height, 175):
        grain[top : top + 175] += rng.normal(0, 0.05)
        grain[top : top + 2] -= 0.25
    picture = np.clip(wood * (1 + grain[..., None]), 0, 255).astype(np.uint8)
    for _ in range(3):  # coasters and a sheet of paper, away from where the hands work
        x = int(rng.choice([rng.integers(250, 520), rng.integers(1280, 1550)]))
        y = int(rng.integers(120, 420))
        colour = [int(c) for c in rng.integers(60, 220, 3)]
        r = int(rng.integers(35, 60))
        _soft_shadow(picture, (x + 8, y + 6), r)
        cv2.circle(picture, (x, y), r, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, (x, y), int(r * 0.82), [int(c * 0.85) for c in colour], 3, cv2.LINE_AA)
    x, y, turn = int(rng.integers(760, 1040)), int(rng.integers(90, 130)), float(rng.uniform(-12, 12))
    paper = cv2.boxPoints(((x, y), (260, 180), turn)).astype(np.int32)
    _soft_shadow(picture, (x + 8, y + 6), 100)
    cv2.fillConvexPoly(picture, paper, (228, 232, 234), cv2.LINE_AA)
    for line in range(-3, 4):
        a = np.radians(turn)
        along, down = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        start, stop = (np.array([x, y]) + s * 100 * along + line * 20 * down for s in (-1, rng.uniform(0.2, 1)))
        cv2.line(picture, [int(v) for v in start], [int(v) for v in stop], (150, 140, 135), 3, cv2.LINE_AA)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.7)
    shade = np.linspace(0.82, 1.0, 48, dtype=np.float32)[:, None, None] * np.array((95, 105, 110), np.float32)
    floor = shade + 4 * cv2.GaussianBlur(rng.standard_normal((48, 64, 3), np.float32), (0, 0), 3)
    return Table(picture, np.clip(floor, 0, 255).astype(np.uint8))


def _soft_shadow(picture: npt.NDArray[np.uint8], at: tuple[int, int], radius: int) -> None:
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.circle(mask, at, radius + 4, 0.35, -1)
    light = 1 - cv2.GaussianBlur(mask, (0, 0), 8)[..., None]
    np.copyto(picture, (picture * light).astype(np.uint8))
