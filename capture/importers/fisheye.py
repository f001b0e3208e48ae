"""The fisheye of Project Aria's cameras (FisheyeRadTanThinPrism, "Fisheye624"), and the OpenCV model nearest to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration

Floats = npt.NDArray[np.float64]

HONEST_RAD = 0.004
"""A pinhole model with distortion is given when it is nowhere in the picture further from the fisheye: 2 mm at half a metre."""


@dataclass(frozen=True, eq=False)
class Fisheye624:
    """``f, cx, cy, k0..k5, p0, p1, s0..s3`` as in Aria's calibrations. Pixel centres are whole numbers; camera axes as everywhere."""

    params: Floats
    """Shape (15,)."""
    width_px: int
    height_px: int

    def project(self, rays: Floats) -> Floats:
        """Directions (N, 3) with z > 0 to pixels (N, 2)."""
        f, c, k, p, s = self.params[0], self.params[1:3], self.params[3:9], self.params[9:11], self.params[11:15]
        ab = rays[:, :2] / rays[:, 2:]
        r = np.linalg.norm(ab, axis=1)
        theta = np.arctan(r)
        grown = theta * (1 + np.polynomial.polynomial.polyval(theta**2, np.r_[0.0, k]))
        xy = ab * np.divide(grown, r, out=np.ones_like(r), where=r > 1e-12)[:, None]
        r2 = (xy**2).sum(1, keepdims=True)
        tangential = 2 * (xy @ p)[:, None] * xy + r2 * p
        prism = np.concatenate([s[0] * r2 + s[1] * r2**2, s[2] * r2 + s[3] * r2**2], 1)
        return np.asarray(f * (xy + tangential + prism) + c, np.float64)

    def at_size(self, full: tuple[int, int], width_px: int, height_px: int) -> "Fisheye624 | None":
        """The same lens where the sensor's `full` picture is cropped evenly and binned to another size; None for no whole factor."""
        factor = min(full[0] // width_px, full[1] // height_px)
        crop = np.array([full[0] - factor * width_px, full[1] - factor * height_px]) / 2 if factor else np.zeros(2)
        if factor < 1 or np.any(crop > np.array(full) * 0.05):
            return None
        params = self.params.copy()
        params[0] /= factor
        params[1:3] = (params[1:3] - crop + 0.5) / factor - 0.5
        return Fisheye624(params, width_px, height_px)

    def nearest_opencv(self, turns: int, T_rig_cam: Floats) -> tuple[CameraCalibration, float]:
        """OpenCV's model with twelve distortion terms for the picture turned `turns` quarter turns clockwise, and by how many pixels
        it is off at worst."""
        reach = 0.5 * np.hypot(self.width_px, self.height_px) / self.params[0]
        theta, phi = np.meshgrid(np.linspace(0.0, min(1.45, 1.3 * reach), 36)[1:], np.linspace(0, 2 * np.pi, 36, endpoint=False))
        rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1).reshape(-1, 3)
        pixels = self.project(rays)
        inside = np.all((pixels > -0.5) & (pixels < [self.width_px - 0.5, self.height_px - 0.5]), 1)
        rays, pixels = rays[inside], pixels[inside]
        width, height, T = self.width_px, self.height_px, turned(T_rig_cam, turns)
        for _ in range(turns % 4):  # a quarter turn clockwise: the picture's new x is its old -y
            rays, pixels = rays[:, [1, 0, 2]] * [-1, 1, 1], np.stack([height - 1 - pixels[:, 1], pixels[:, 0]], 1)
            width, height = height, width
        best, worst = np.zeros(16), np.inf
        for k4 in (0.0, 0.5, 1.0, 2.0):  # the quotient of polynomials has several valleys
            start = np.r_[self.params[0], self.params[0], (width - 1) / 2, (height - 1) / 2, np.zeros(12)]
            start[[4, 9]] = max(k4 - 0.35, 0.0), k4
            for free in (12, 16):  # the prism last: all at once, the descent gets stuck
                start = _least_squares(start, rays, pixels, free)
                off = float(np.abs(_opencv(start, rays) - pixels).max())
                if off < worst:
                    best, worst = start, off
        K = np.array([[best[0], 0, best[2]], [0, best[1], best[3]], [0, 0, 1]])
        return CameraCalibration(K, width, height, best[4:], T, "factory"), worst


def _opencv(p: Floats, rays: Floats) -> Floats:
    """OpenCV's pinhole with k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4: directions (N, 3) to pixels (N, 2)."""
    x, y = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = p[4:]
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + s2 * r2)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + s4 * r2)
    return np.stack([p[0] * u + p[2], p[1] * v + p[3]], 1)


def _least_squares(start: Floats, rays: Floats, pixels: Floats, free: int, steps: int = 60) -> Floats:
    """Levenberg and Marquardt's descent over the first `free` parameters, with a numeric Jacobian."""
    p, damping = start.copy(), 1e-3
    error = (_opencv(p, rays) - pixels).ravel()
    for _ in range(steps):
        small = 1e-6 * np.maximum(1.0, np.abs(p))
        moves = np.diag(small)[:free]
        J = np.stack([((_opencv(p + d, rays) - pixels).ravel() - error) / s for d, s in zip(moves, small, strict=False)], 1)
        A = J.T @ J
        while damping < 1e12:
            tried = p.copy()
            tried[:free] -= np.linalg.solve(A + damping * np.diag(np.diag(A) + 1e-12), J.T @ error)
            after = (_opencv(tried, rays) - pixels).ravel()
            if after @ after < error @ error:
                p, error, damping = tried, after, damping / 5
                break
            damping *= 4
        else:
            break
    return p


def turned(T_rig_cam: Floats, turns: int) -> Floats:
    """The pose of a camera whose picture is shown turned by quarter turns clockwise."""
    quarter = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return np.asarray(T_rig_cam @ np.linalg.matrix_power(quarter, turns % 4), np.float64)


def rotation_of(quat_wxyz: Sequence[float]) -> Floats:
    """A unit quaternion as a matrix (3, 3)."""
    w, x, y, z = np.asarray(quat_wxyz, np.float64) / np.linalg.norm(quat_wxyz)
    return np.array([[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                     [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                     [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]])
