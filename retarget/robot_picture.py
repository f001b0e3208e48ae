"""Robots to look at, drawn without GL from their links: where the fingers point, what the axes are, how far the joints go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.capture.skeleton import BONES, FINGERS
from firsthand.capture.synthetic.hand import N_ANGLES, joints_m
from firsthand.retarget.kinematics import Chain, link_poses
from firsthand.retarget.operator_frame import operator_frame
from firsthand.retarget.robot import RobotModel
from firsthand.retarget.robot_arm import ArmModel

Floats = npt.NDArray[np.float64]

_FINGER_COLOURS = dict(zip(FINGERS, ("#d1495b", "#edae49", "#66a182", "#2e86ab", "#8d6a9f"), strict=True))
_XYZ_COLOURS, _INK, _GREY, _GHOST = ("#c0392b", "#1e8449", "#1f4e9e"), "#20262e", "#8a919b", "#dcdfe4"
_CLOSED = 0.55
"""How far towards its upper limits the closed pose is drawn."""
_OBLIQUE = np.array([[-0.5, 0.866, 0.0], [-0.354, -0.204, 0.913]])
_VIEWS: dict[str, Floats] = {
    "palm": np.array([[0.0, 1, 0], [0, 0, 1]]), "side": np.array([[1.0, 0, 0], [0, 0, 1]]), "above": np.array([[0.0, -1, 0], [1, 0, 0]]),
    "oblique": _OBLIQUE,
}  # fmt: skip
"""What goes right and up in each view, as rows of a matrix that takes points to the paper."""


def draw_robot(robot: RobotModel | ArmModel, path: Path, notes: Sequence[str] = ()) -> None:
    """Write a PNG of a robot from three sides, with its joints' limits. Raises `FirsthandError` where matplotlib is not installed."""
    views = ("side", "above", "oblique") if isinstance(robot, ArmModel) else ("palm", "side", "oblique")
    figure = _figure((15, 6.2))
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.9))
    figure.suptitle(f"{robot.name}: {robot.title}", x=0.01, ha="left", fontsize=13, fontweight="bold", color=_INK)
    for axis, view in zip(axes[:3], views, strict=True):
        _draw(axis, robot, view, labels=True)
        axis.set_title(_caption(robot, view), loc="left", fontsize=9, color=_GREY)
    _limits(axes[3], robot)
    if notes:
        figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=9, color=_XYZ_COLOURS[0], wrap=True)
    with whole_file(path) as part:
        figure.savefig(part, dpi=90, format="png")


def draw_sheet(robots: Sequence[RobotModel | ArmModel], path: Path, columns: int = 6) -> None:
    """Write a PNG with a small picture of each robot. Raises `FirsthandError` where matplotlib is not installed."""
    rows = -(-len(robots) // columns)
    figure = _figure((2.5 * columns, 2.7 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(robots):]:
        axis.axis("off")
    for axis, robot in zip(axes, robots, strict=False):
        _draw(axis, robot, "oblique", labels=False)
        axis.set_title(robot.name, loc="left", fontsize=10, fontweight="bold", color=_INK)
        count = len(robot.joint_names)
        told = f"{robot.kind} · {robot.side} · {count} joint{'s' * (count > 1)}"
        axis.text(0, -0.02, told, transform=axis.transAxes, fontsize=8, color=_GREY, va="top")
    with whole_file(path) as part:
        figure.savefig(part, dpi=80, format="png")


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FirsthandError(f"a robot's picture cannot be drawn ({error}); pip install 'firsthand[hands]'") from error
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _caption(robot: RobotModel | ArmModel, view: str) -> str:
    if isinstance(robot, ArmModel):
        return {"side": "from its right (x forward, z up)", "above": "from above (x up)", "oblique": "in its resting pose"}[view]
    if robot.kind == "gripper":
        return {"palm": "axes of the grasp: y thumb to index", "side": "from the side", "oblique": "open, and closed (pale)"}[view]
    palm = f"looking at the palm ({robot.side} hand)"
    return {"palm": palm, "side": "palm to the right", "oblique": "straight, and closing (pale)"}[view]


def _draw(axis: Any, robot: RobotModel | ArmModel, view: str, *, labels: bool) -> None:
    P = _VIEWS[view]
    axis.set_aspect("equal", adjustable="datalim")
    axis.axis("off")
    if isinstance(robot, ArmModel):
        _draw_arm(axis, robot, P, labels)
    elif robot.hand is None:
        _draw_gripper(axis, robot, P, labels)
    else:
        _draw_hand(axis, robot, P, labels)
    axis.margins(0.12)


def _draw_hand(axis: Any, robot: RobotModel, P: Floats, labels: bool) -> None:
    hand = robot.hand
    assert hand is not None
    rest = np.clip(np.zeros(len(robot.lower)), robot.lower, robot.upper)
    closed = rest + _CLOSED * (np.where(np.abs(robot.upper) >= np.abs(robot.lower), robot.upper, robot.lower) - rest)
    T = link_poses(hand.chain, np.stack([rest, closed]))
    reach = float(np.linalg.norm(T[0, list(hand.tips)][:, :3, 3], axis=1).max())
    if labels:
        _draw_person(axis, robot.side, reach, P)
    for pose, alpha in ((1, 0.35), (0, 1.0)):
        for finger, tip in zip(hand.fingers, hand.tips, strict=True):
            points = _way(hand.chain, T[pose], tip, hand.wrist) @ P.T
            axis.plot(*points.T, "-o", color=_FINGER_COLOURS[finger], lw=2.2, ms=3, alpha=alpha, solid_capstyle="round")
            if labels and pose == 0:
                axis.annotate(finger, points[-1], textcoords="offset points", xytext=(3, 3), fontsize=8, color=_FINGER_COLOURS[finger])
    _triad(axis, np.eye(4), reach * 0.25, P, ("x palm", "y", "z fingers") if labels else ("", "", ""))


def _draw_person(axis: Any, side: str, reach: float, P: Floats) -> None:
    """An open human hand in the same axes, as large as the robot: what the robot should look like."""
    points = joints_m(np.zeros((1, N_ANGLES)) + np.eye(N_ANGLES)[12])
    local = operator_frame(points, "right")[1][0]
    local = local * reach / np.linalg.norm(local, axis=1).max() * ([1, -1, 1] if side == "left" else [1, 1, 1])
    for a, b in BONES:
        axis.plot(*(local[[a, b]] @ P.T).T, color=_GHOST, lw=9, solid_capstyle="round", zorder=0)


def _draw_gripper(axis: Any, robot: RobotModel, P: Floats, labels: bool) -> None:
    depth = float(np.linalg.norm(robot.flange_tcp_m)) or 0.1
    pad = min(0.4 * depth, 0.03)
    for width, alpha in ((robot.lower[0], 0.35), (robot.upper[0], 1.0)):
        for sign, finger in ((-1, "thumb"), (1, "index")):
            y = sign * width / 2
            points = np.array([[0, 0, -depth], [0, 0, -depth * 0.6], [0, y, -depth * 0.6], [0, y, 0]])
            axis.plot(*(points @ P.T).T, color=_FINGER_COLOURS[finger], lw=2.2, alpha=alpha)
            axis.plot(*(np.array([[-pad / 2, y, 0], [pad / 2, y, 0]]) @ P.T).T, color=_FINGER_COLOURS[finger], lw=5, alpha=alpha)
    T = np.eye(4)
    _triad(axis, T, depth * 0.35, P, ("x", "y thumb to index", "z approach") if labels else ("", "", ""))
    if labels:
        axis.annotate("flange", np.array([0, 0, -depth]) @ P.T, textcoords="offset points", xytext=(4, -8), fontsize=8, color=_GREY)


def _draw_arm(axis: Any, robot: ArmModel, P: Floats, labels: bool) -> None:
    T = link_poses(robot.chain, robot.rest[None])[0]
    size = float(np.ptp(T[:, :3, 3], axis=0).max())
    mounted = tuple(robot.joint_names[end.joints[0]].rpartition("/")[0] + "/" for end in robot.ends if end.joints)
    for i, parent in enumerate(robot.chain.parent):
        points = np.stack([T[parent, :3, 3], T[i, :3, 3]]) @ P.T
        hand = robot.chain.links[i].startswith(mounted)
        axis.plot(*points.T, "-o", color=_GREY if hand else _INK, lw=1.2 if hand else 2.6, ms=2 if hand else 4, solid_capstyle="round")
    _triad(axis, T[-1], size * 0.18, P, ("x", "y", "z") if labels else ("", "", ""))
    for end in robot.ends:
        _triad(axis, T[end.link], size * 0.12, P, ("", "", ""))
        if labels:
            axis.annotate(end.name, T[end.link, :3, 3] @ P.T, textcoords="offset points", xytext=(6, 6), fontsize=8, color=_INK)


def _way(chain: Chain, T: Floats, link: int, wrist: int) -> Floats:
    """The origins of the links from the wrist to a link, shape (n, 3)."""
    points = []
    while link >= 0:
        points.append(T[link, :3, 3])
        link = int(chain.parent[link])
    return np.array([*points, T[wrist, :3, 3]])[::-1]


def _triad(axis: Any, T: Floats, length: float, P: Floats, names: tuple[str, str, str]) -> None:
    for k, (colour, name) in enumerate(zip(_XYZ_COLOURS, names, strict=True)):
        points = np.stack([T[:3, 3], T[:3, 3] + length * T[:3, k]]) @ P.T
        if np.linalg.norm(points[1] - points[0]) < 0.1 * length:
            continue
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", points[1], xytext=points[0], arrowprops=arrow)
        axis.plot(*points[1], alpha=0)
        if name:
            axis.annotate(name, points[1], textcoords="offset points", xytext=(3, -9), fontsize=7.5, color=colour)


def _limits(axis: Any, robot: RobotModel | ArmModel) -> None:
    """A bar for each joint: how far it goes."""
    scale = np.array([180 / np.pi if unit == "rad" else 1000.0 for unit in robot.joint_units])
    lower, upper = robot.lower * scale, robot.upper * scale
    rows = np.arange(len(lower))[::-1]
    axis.barh(rows, upper - lower, left=lower, height=0.6, color="#7fa7c9")
    units = ["°" if unit == "rad" else "mm" for unit in robot.joint_units]
    axis.set_yticks(rows, [f"{name} ({unit})" for name, unit in zip(robot.joint_names, units, strict=True)])
    axis.tick_params(labelsize=8 if len(rows) <= 24 else 5, length=0)
    axis.axvline(0, color=_GREY, lw=0.8)
    axis.set_title("limits", loc="left", fontsize=9, color=_GREY)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
