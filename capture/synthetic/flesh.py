"""The surface of a hand and forearm as about 600 overlapping spheres around its joints."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import INDEX_MCP, KNUCKLES, LITTLE_MCP, MIDDLE_MCP, WRIST

Floats = npt.NDArray[np.floating[Any]]

JOINT_RADII_M = np.array([
    (14.0, 12.5, 10.8, 8.6), (12.2, 9.8, 8.6, 7.0), (12.6, 10.2, 8.9, 7.2), (12.0, 9.5, 8.3, 6.8), (11.0, 8.4, 7.3, 6.0),
]) * 1e-3  # fmt: skip
"""Radius of the flesh at the four joints of each finger, thumb to little, shape (5, 4)."""
_WRIST_M = np.array([-19, -7, 6, 18]) * 1e-3
_PALM_RADII_M = np.array([11.5, 11.5, 10.8, 9.8]) * 1e-3
_FOREARM_M = 0.26
_ELBOW = 1.7
"""Where the modelled arm ends, in forearms: out of every picture."""
SLEEVE_FROM = 0.22
"""Where the sleeve begins, as a share of the forearm."""


@dataclass(frozen=True, eq=False)
class _Spheres:
    """Centres as joint weights plus shifts along the knuckles (index to little) and along the forearm."""

    weights: Floats
    across_m: Floats
    along_m: Floats
    radii_m: Floats

    def at(self, points: Floats) -> tuple[Floats, Floats]:
        across = points[LITTLE_MCP] - points[INDEX_MCP]
        along = points[WRIST] - points[MIDDLE_MCP]
        across, along = across / np.linalg.norm(across), along / np.linalg.norm(along)
        return self.weights @ points + np.outer(self.across_m, across) + np.outer(self.along_m, along), self.radii_m


def skin_spheres(points: Floats, *, sleeve: bool) -> tuple[Floats, Floats]:
    """Centres (S, 3) and radii (S,) in metres of the bare skin around 21 joints (21, 3); all of the forearm without a sleeve."""
    return _skin(sleeve).at(points)


def sleeve_spheres(points: Floats) -> tuple[Floats, Floats]:
    """Centres and radii of the sleeve, as for the skin."""
    return _sleeve().at(points)


@cache
def _skin(sleeve: bool) -> _Spheres:
    rows: list[tuple[Floats, float, float, float]] = []
    unit = np.eye(21)
    for finger, radii in enumerate(JOINT_RADII_M):
        for bone in range(3):
            a, b = 1 + 4 * finger + bone, 2 + 4 * finger + bone
            r = (radii[bone], 0.95 * (radii[bone] + radii[bone + 1]) / 2, radii[bone + 1])
            rows += [(unit[a] * (1 - s) + unit[b] * s, 0.0, 0.0, float(np.interp(s, (0, 0.5, 1), r))) for s in np.linspace(0, 1, 14)]
    for u in np.linspace(0, 3, 13):  # the palm, as rays from wrist to knuckles
        k = min(int(u), 2)
        knuckle = unit[KNUCKLES[k]] * (k + 1 - u) + unit[KNUCKLES[k + 1]] * (u - k)
        across, r = np.interp(u, range(4), _WRIST_M), np.interp(u, range(4), _PALM_RADII_M)
        rows += [(unit[WRIST] * (1 - s) + knuckle * s, across * (1 - s), 0.0, 0.0135 * (1 - s) + r * s) for s in np.linspace(0, 1, 14)]
    for u in np.linspace(0, 1, 6):  # the ball of the thumb
        end = unit[2] * (1 - 0.75 * u) + unit[INDEX_MCP] * 0.75 * u
        r = 0.013 - 0.004 * u
        rows += [(unit[WRIST] * (1 - s) + end * s, -0.012 * (1 - s), 0.0, 0.015 * (1 - s) + r * s) for s in np.linspace(0, 1, 9)]
    rows += [(unit[1] * (1 - s) + unit[2] * s, 0.0, 0.0, 0.015 - 0.001 * s) for s in np.linspace(0.1, 1, 8)]
    rows += _forearm(0.0, SLEEVE_FROM + 0.06 if sleeve else _ELBOW, (0.0, 0.25, 1.0), (0.015, 0.019, 0.030), strands=6, step=0.25)
    return _gather(rows)


@cache
def _sleeve() -> _Spheres:
    return _gather(_forearm(SLEEVE_FROM, _ELBOW, (SLEEVE_FROM, 1.0), (0.024, 0.036), strands=4, step=0.4))


def _forearm(start: float, stop: float, at: tuple[float, ...], radii_m: tuple[float, ...], *, strands: int,
             step: float) -> list[tuple[Floats, float, float, float]]:
    """Strands of spheres every `step` radii, opposite the middle finger, twice as wide apart at the elbow."""
    rows, s = [], start
    while s <= stop:
        r = float(np.interp(s, at, radii_m))
        rows += [(np.eye(21)[WRIST], strand * (1 + min(s, 1)), s * _FOREARM_M, r) for strand in np.linspace(-0.012, 0.012, strands)]
        s += step * r / _FOREARM_M
    return rows


def _gather(rows: list[tuple[Floats, float, float, float]]) -> _Spheres:
    weights, across, along, radii = zip(*rows, strict=True)
    return _Spheres(np.stack(weights), np.array(across), np.array(along), np.array(radii))
