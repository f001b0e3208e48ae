"""How much of each hand the camera can really see: a depth buffer of everything else, held against the joints."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.canvas import Canvas
from firsthand.capture.synthetic.flesh import JOINT_RADII_M, skin_spheres, sleeve_spheres
from firsthand.capture.synthetic.raster import FAR, Box, View, splat_spheres
from firsthand.capture.synthetic.wearer import CAMERA, Wearer

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

_SHRINK = 4
"""The buffer has a quarter of the picture's resolution: what hides a joint is larger than that."""
_FLESH_M = np.concatenate([[0.0135], JOINT_RADII_M.ravel()])
"""How far the skin lies in front of each joint, (21,)."""


def shown_joints(wearer: Wearer) -> dict[Side, Doubles]:
    """Share of each hand's 21 joints that are in the picture with nothing but the hand itself before them, by side, shape (F,)."""
    t_s = wearer.seconds(CAMERA)
    out: dict[Side, Doubles] = {side: np.zeros(len(t_s)) for side in wearer.task.hands}
    poses = wearer.head.T_world_cam(t_s)
    width, height = (side // _SHRINK for side in wearer.size_px)
    shrink = np.diag([1 / _SHRINK, 1 / _SHRINK, 1.0])
    shrink[:2, 2] = 0.5 / _SHRINK - 0.5  # pixels count from their centres
    K = shrink @ wearer.camera.K
    hands = {side: plan.points_m(t_s) for side, plan in wearer.task.hands.items()}
    others = [other.points_m(t_s) for other in wearer.task.others]
    for i in range(len(t_s)):
        view = View(K, poses[i], width, height)
        empty = np.full((height, width), FAR, np.float32)
        canvas = Canvas(np.zeros((height, width, 3), np.uint8), empty, np.zeros((height, width), np.uint8))
        for solid in wearer.task.solids(float(t_s[i])):
            solid.paint(canvas, view, 1)
        for side in out:
            before = canvas.depth.copy()
            for points in [*(p[i] for s, p in hands.items() if s != side), *(p[i] for p in others)]:
                _splat(before, view, view.to_cam(points))
            joints = view.to_cam(hands[side][i])
            at = np.rint(view.project(joints)).astype(np.int64)
            inside = (at >= 0).all(1) & (at < (width, height)).all(1) & (joints[:, 2] > 0)
            x, y = np.where(inside[:, None], at, 0).T
            out[side][i] = np.mean(inside & (before[y, x] >= joints[:, 2] - _FLESH_M))
    return out


def _splat(depth: npt.NDArray[np.float32], view: View, points: Floats) -> None:
    """Lower a depth buffer to a hand and its sleeve."""
    box = Box(0, 0, view.width_px, view.height_px)
    for centres, radii in (skin_spheres(points, sleeve=True), sleeve_spheres(points)):
        splat_spheres(depth, box, view, centres, radii)
