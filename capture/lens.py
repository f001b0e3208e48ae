"""Where a lens puts what it sees: from directions to the plane of the picture and exactly back, for the models that cameras come with.

Every model here first lays a direction on a plane: OpenCV's pinhole divides by z, the fisheyes take the angle from the axis as the
radius. On that plane the lens moves a point; the intrinsic matrix makes pixels of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Model = Literal["opencv", "kannala-brandt", "fisheye624"]

STEPS = 30
EXACT = 1e-12
"""A point found back is this near, in focal lengths, or it is not found."""
WIDEST_RAD = np.radians(140)
WIDEST_TAN = 20.0
FINENESS = 512


@dataclass(frozen=True)
class Lens:
    """A model of lens on its plane."""

    sizes: range
    """How many coefficients it may have."""
    bend: Callable[[Floats, Floats], Floats]
    """Where the lens moves points (N, 2) of the plane, with coefficients (D,)."""
    radial: Callable[[Floats, Floats], Floats]
    """By how much it moves them outward, of squared radii and coefficients; the rest is small."""
    angular: bool
    """Whether the plane's radius is the angle from the axis; else its tangent."""


def _opencv(at: Floats, d: Floats) -> Floats:
    """Brown and Conrady's radial and tangential terms, a quotient, a thin prism: k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4, or some."""
    d = np.pad(d, (0, 12 - len(d)))
    r2 = (at**2).sum(1, keepdims=True)
    return np.asarray(at * _quotient(r2, d) + _aside(at, r2, d[[3, 2]], d[[8, 10]], d[[9, 11]]))


def _quotient(r2: Floats, d: Floats) -> Floats:
    k1, k2, _, _, k3, k4, k5, k6 = np.pad(d, (0, 12 - len(d)))[:8]
    return np.asarray((1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6))))


def _kannala_brandt(at: Floats, d: Floats) -> Floats:
    """OpenCV's fisheye (Kannala and Brandt 2006, four terms): k1 k2 k3 k4."""
    return np.asarray(at * _even((at**2).sum(1, keepdims=True), d))


def _fisheye624(at: Floats, d: Floats) -> Floats:
    """Project Aria's FisheyeRadTanThinPrism: k0 .. k5, p0 p1, s0 .. s3. The side terms work on what the radial ones gave."""
    out = at * _even((at**2).sum(1, keepdims=True), d)
    return np.asarray(out + _aside(out, (out**2).sum(1, keepdims=True), d[6:8], d[[8, 10]], d[[9, 11]]))


def _even(r2: Floats, k: Floats) -> Floats:
    """The first six coefficients, of the even powers."""
    return np.asarray(np.polynomial.polynomial.polyval(r2, np.r_[1.0, k[:6]]))


def _aside(at: Floats, r2: Floats, p: Floats, prism_2: Floats, prism_4: Floats) -> Floats:
    """Tangential and thin-prism terms, each coefficient a vector of the picture's plane."""
    return np.asarray(2 * (at @ p)[:, None] * at + r2 * p + r2 * prism_2 + r2**2 * prism_4)


LENSES: Mapping[str, Lens] = {
    "opencv": Lens(range(13), _opencv, _quotient, angular=False),
    "kannala-brandt": Lens(range(4, 5), _kannala_brandt, _even, angular=True),
    "fisheye624": Lens(range(12, 13), _fisheye624, _even, angular=True),
}


def project(model: Model, K: Floats, coefficients: Floats, points: Floats) -> Floats:
    """Points (..., 3) in the camera to pixels (..., 2); NaN where the model has no picture of them: behind the camera, or too far aside."""
    lens, flat = LENSES[model], points.reshape(-1, 3)
    aside = np.linalg.norm(flat[:, :2], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.arctan2(aside, flat[:, 2]) if lens.angular else np.where(flat[:, 2] > 0, aside / flat[:, 2], np.nan)
        at = flat[:, :2] * np.where(aside > 0, radius / aside, 0)[:, None]
    shown = np.asarray(radius <= _reach(lens, coefficients)[0][-1], np.bool_)  # NaN is not
    out = np.full(at.shape, np.nan)
    out[shown] = (lens.bend(at[shown], coefficients) if len(coefficients) else at[shown]) @ K[:2, :2].T + K[:2, 2]
    return out.reshape(*points.shape[:-1], 2)


def unproject(model: Model, K: Floats, coefficients: Floats, pixels: Floats) -> Floats:
    """Pixels (..., 2) to unit directions (..., 3) in the camera; NaN where the lens sends nothing to a pixel. Newton's method."""
    lens = LENSES[model]
    wanted = np.asarray(np.linalg.solve(K[:2, :2], (pixels.reshape(-1, 2) - K[:2, 2]).T).T, np.float64)
    at = wanted.copy()
    if len(coefficients):
        at = _unbend(lens, coefficients, wanted)
    radius = np.linalg.norm(at, axis=1, keepdims=True)
    if not lens.angular:
        out = np.concatenate([at, np.ones_like(radius)], 1) / np.sqrt(1 + radius**2)
    else:
        out = np.concatenate([at * np.sinc(radius / np.pi), np.cos(radius)], 1)
    return np.asarray(out.reshape(*pixels.shape[:-1], 3))


def _unbend(lens: Lens, d: Floats, wanted: Floats) -> Floats:
    radii, grown = _reach(lens, d)
    far = np.linalg.norm(wanted, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = wanted * np.where(far > 0, np.interp(far, grown, radii) / far, 1)  # right but for the side terms
    step = 1e-7
    left = np.array(np.isfinite(wanted).all(1), np.bool_)
    out = np.full(wanted.shape, np.nan)
    for _ in range(STEPS):
        rows = np.flatnonzero(left)
        if len(rows) == 0:
            break
        here = at[rows]
        off = wanted[rows] - lens.bend(here, d)
        done = np.abs(off).max(1) < EXACT
        out[rows[done]] = here[done]
        left[rows[done]] = False
        J = np.stack([(lens.bend(here + e, d) - lens.bend(here - e, d)) / (2 * step) for e in np.eye(2) * step], -1)
        flat = np.abs(np.linalg.det(J)) < 1e-9
        J[flat] = np.eye(2)
        at[rows] += np.clip(np.linalg.solve(J, off[..., None])[..., 0], -0.2, 0.2)
    out[np.linalg.norm(out, axis=1) > radii[-1] * (1 + 1e-9)] = np.nan
    return out


def _reach(lens: Lens, d: Floats) -> tuple[Floats, Floats]:
    """Radii on the plane up to where the lens would fold the picture back on itself, and what the radial terms make of them."""
    if not len(d):
        return np.array([0, np.inf]), np.array([0, np.inf])
    r = np.linspace(0, WIDEST_RAD if lens.angular else WIDEST_TAN, FINENESS)
    grown = r * lens.radial(r**2, d)
    falls = np.flatnonzero(~(np.diff(grown) > 0))
    last = int(falls[0]) + 1 if len(falls) else len(r)
    return r[:last], grown[:last]
