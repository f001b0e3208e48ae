"""Looking over a robot before it is used: does its card read, do its axes point the right way, what is odd about it."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import whole_file
from firsthand.retarget.kinematics import FIXED, Chain, link_poses, link_positions, rotation
from firsthand.retarget.robot import RobotModel, read_card
from firsthand.retarget.robot_arm import ArmModel, load_any, read_arm
from firsthand.retarget.robot_description import Description, read_model_file

Floats = npt.NDArray[np.float64]
WRONG_DEG = 40.0
"""How far the axes of a sound card may be from those found in its joints; those that come with firsthand are within 8 degrees."""
_SAMPLES = 200


@dataclass(frozen=True)
class Checked:
    """What was found in one file."""

    file: str
    robot: RobotModel | ArmModel | None
    """The robot, where it could be read."""
    faults: tuple[str, ...]
    """What keeps it from being used, or makes its actions wrong; one sentence each."""
    notes: tuple[str, ...] = ()
    """What is odd and does no harm."""
    card: str = ""
    """For a URDF or an MJCF: a card that uses it, to be completed."""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {"file": self.file, "ok": not self.faults, "faults": list(self.faults), "notes": list(self.notes), **self.facts}


def check_robot(name_or_path: str) -> Checked:
    """Look over a card (by name or path), a URDF or an MJCF. What is wrong with it is told, not raised."""
    path = Path(name_or_path)
    try:
        if path.suffix.lower() in (".urdf", ".xml", ".mjcf", ".xacro", ".sdf"):
            return _check_model(path)
        return _checked(name_or_path, load_any(name_or_path))
    except FirsthandError as error:
        return Checked(name_or_path, None, (str(error),))


def write_card(found: Checked, path: Path) -> None:
    """Write the card of a URDF or an MJCF that was looked over; it names the file as seen from where the card lies.

    Raises `FirsthandError` for what is no URDF or MJCF, and where something is already.
    """
    if not found.card:
        raise FirsthandError(f"{found.file} is not a URDF or an MJCF that could be read, so there is no card to write")
    if path.exists():
        raise FirsthandError(f"{path} is there already; name a new file")
    model = Path(os.path.relpath(Path(found.file).resolve(), path.resolve().parent)).as_posix()
    text = re.sub(r'^(model = "[a-z]+:).*"$', lambda line: f'{line[1]}{model}"', found.card, count=1, flags=re.MULTILINE)
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _checked(file: str, robot: RobotModel | ArmModel, notes: tuple[str, ...] = (), card: str = "") -> Checked:
    faults = frame_faults(robot) if isinstance(robot, RobotModel) else []
    free = [name for name, speed in zip(robot.joint_names, robot.velocity, strict=True) if np.isinf(speed)]
    if free and robot.kind != "gripper":
        notes = (*notes, f"{_some(free)} {_have(free)} no speed limit; write velocity in a card, or actions may jump")
    return Checked(file, robot, tuple(faults), notes, card, facts(robot))


def facts(robot: RobotModel | ArmModel) -> dict[str, Any]:
    """A robot in plain values: for lists."""
    told: dict[str, Any] = {"name": robot.name, "title": robot.title, "kind": robot.kind, "side": robot.side,
                            "joints": list(robot.joint_names), "source": robot.source, "licence": robot.licence}
    if isinstance(robot, ArmModel):
        told["ends"] = {end.name: end.effector.name if end.effector else None for end in robot.ends}
    elif robot.hand is not None:
        told["fingers"] = list(robot.hand.fingers)
        told["reach_m"] = {finger: round(reach, 4) for finger, reach in zip(robot.hand.fingers, _reach(robot), strict=True)}
    return told


def _reach(robot: RobotModel) -> list[float]:
    assert robot.hand is not None
    q = _spread(robot.lower, robot.upper)
    tips = link_positions(robot.hand.chain, q, robot.hand.tips)
    return [float(reach) for reach in np.linalg.norm(tips, axis=2).max(axis=0)]


def _spread(lower: Floats, upper: Floats) -> Floats:
    """Joint positions to look at a robot in: near 0 first, then all over its limits, shape (N, J); the same each time."""
    rest = np.clip(np.zeros(len(lower)), lower, upper)
    return np.concatenate([rest[None], np.random.default_rng(0).uniform(lower, upper, (_SAMPLES, len(lower)))])


def frame_faults(robot: RobotModel) -> list[str]:
    """Whether the fingers of a hand point along +z of operator axes, lie along y as their side wants, and close towards +x."""
    if robot.hand is None:
        return []
    hand = robot.hand
    R_found, closing_m = operator_axes(hand.chain, dict(zip(hand.fingers, hand.tips, strict=True)), robot.lower, robot.upper, robot.side)
    if closing_m < -0.002:
        other = {"left": "right", "right": "left"}.get(robot.side, "other")
        return [f"{robot.name} closes its fingers towards the back of a {robot.side} hand: it is a {other} hand, or its fingers are named "
                "from the wrong end"]
    angle = np.degrees(np.arccos(np.clip((np.trace(R_found) - 1) / 2, -1, 1)))
    if angle <= WRONG_DEG:
        return []
    better = _listed(rpy_of(nearest_right_angles(R_found @ hand.T_operator_ee[:3, :3])))
    return [f"{robot.name} is turned {angle:.0f} degrees from operator axes: its fingers point {_along(R_found[2])}, where +z is wanted, "
            f"and it closes {_along(R_found[0])}, where +x is wanted; write rpy = {better} under [wrist]"]


def operator_axes(chain: Chain, tips: dict[str, int], lower: Floats, upper: Floats, side: str) -> tuple[Floats, float]:
    """The operator axes that a hand's joints tell, and how far its fingertips move along +x of them as it closes, on average, in metres.

    Returns ``R`` (3, 3), which takes the chain's axes to operator axes. z is the way straight fingers point, y runs across the knuckles
    by the order of the fingers and the side, x is y cross z.
    """
    T = link_poses(chain, _spread(lower, upper))
    bases, points, closing = [], [], []
    for finger, tip in tips.items():
        joints, i = [], tip
        while i >= 0:
            joints += [i] if chain.kind[i] != FIXED else []
            i = int(chain.parent[i])
        bases.append(T[0, joints[-1] if joints else -1, :3, 3])
        if finger != "thumb":
            along = T[0, tip, :3, 3] - bases[-1]
            points.append(along if np.linalg.norm(along) > 1e-3 else T[0, tip, :3, 3])  # a tip may be told at its joint
            closing.append(T[1:, tip, :3, 3].mean(axis=0) - T[0, tip, :3, 3])
    z = np.sum([point / max(float(np.linalg.norm(point)), 1e-9) for point in points], axis=0)
    z = z / max(float(np.linalg.norm(z)), 1e-9)
    across = bases[1] - bases[-1] if len(bases) > 2 else T[0, tips["thumb"], :3, 3] - bases[1]
    y = across * (-1 if side == "left" else 1)
    y = y - (y @ z) * z
    y = y / max(float(np.linalg.norm(y)), 1e-9)
    x = np.cross(y, z)
    return np.stack([x, y, z]), float(np.mean(closing, axis=0) @ x)


def rpy_of(R: Floats) -> Floats:
    """Fixed-axis roll, pitch and yaw of a rotation: ``rotation(rpy_of(R)) == R``. At a pitch of 90 degrees the yaw is taken as 0."""
    pitch = np.arctan2(-R[2, 0], np.hypot(R[0, 0], R[1, 0]))
    if np.hypot(R[0, 0], R[1, 0]) < 1e-9:
        return np.array([np.arctan2(-R[1, 2], R[1, 1]), pitch, 0.0]) if pitch < 0 else np.array([np.arctan2(R[0, 1], R[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(R[2, 1], R[2, 2]), pitch, np.arctan2(R[1, 0], R[0, 0])])


def nearest_right_angles(R: Floats) -> Floats:
    """The rotation by right angles that is nearest to a rotation, or itself where none is within 26 degrees."""
    turns = [np.asarray(rotation(np.array(turn) * np.pi / 2)).round() for turn in np.ndindex(4, 4, 4)]
    best = max(turns, key=lambda turn: float(np.trace(turn.T @ R)))
    return best if float(np.trace(best.T @ R)) > 1 + 2 * np.cos(np.radians(26)) else R


def _along(row: Floats) -> str:
    i = int(np.argmax(np.abs(row)))
    return f"along {'+' if row[i] > 0 else '-'}{'xyz'[i]}"


def _listed(values: Floats) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values + 0.0) + "]"


def _have(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_model(path: Path) -> Checked:
    """Look over a URDF or an MJCF: what a card that names it would have to say."""
    from firsthand.retarget.robot_draft import draft_card

    description = read_model_file(path)
    draft = draft_card(description, path)
    faults = [*draft.faults, *_limit_faults(description, draft.joints)]
    if faults:
        return Checked(str(path), None, tuple(faults), description.notes, draft.card)
    try:
        if draft.kind == "arm":
            robot: RobotModel | ArmModel = read_arm(draft.card.encode(), path.name, path.parent)
        else:
            robot = read_card(draft.card.encode(), path.name, path.parent)
    except FirsthandError as error:
        return Checked(str(path), None, (str(error).removeprefix("robot card "),), description.notes, draft.card)
    return _checked(str(path), robot, description.notes, draft.card)


def _limit_faults(description: Description, joints: tuple[str, ...]) -> list[str]:
    """A sentence on the joints of the part in use that have no limits."""
    free = [joint.name for joint in description.moving() if joint.name in joints and np.isinf(joint.upper - joint.lower)]
    if not free:
        return []
    return [f"{description.file}: {_some(free)} {_have(free)} no limits; write them in the file, or in a card under [joints]: "
            f"{free[0]} = {{ limits = [lower, upper] }}"]
