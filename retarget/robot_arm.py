"""Robots with arms: one, two, or the upper half of a humanoid, with what is mounted on them. Forward kinematics; no solver yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import unknown
from firsthand.retarget.kinematics import FIXED, Chain, rotation
from firsthand.retarget.robot import COMMON, RobotModel, card_file, open_card, read_card, right_size
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_joints import Joints, read_joints
from firsthand.retarget.robot_model import model_joints

Floats = npt.NDArray[np.float64]
ArmSide = Literal["left", "right", "any"]


@dataclass(frozen=True)
class End:
    """One end of a robot with arms: where a gripper or a hand is, or could be mounted."""

    name: str
    side: ArmSide
    """The human hand it follows."""
    link: int
    """The link that the end effector's pose is told of (flange, TCP, the hand's wrist), as a number in the chain."""
    effector: RobotModel | None = None
    """What is mounted on it."""
    joints: tuple[int, ...] = ()
    """The effector's joints, in its own order, as numbers in the joints of the whole."""


@dataclass(frozen=True, eq=False)
class ArmModel:
    """A robot with one or more arms. Made by `load_any`."""

    name: str
    title: str
    side: ArmSide
    source: str
    licence: str
    joint_names: tuple[str, ...]
    joint_units: tuple[str, ...]
    lower: Floats
    upper: Floats
    velocity: Floats
    sha256: str
    chain: Chain
    """Its links, in the axes of its root: x forward, z up, metres."""
    ends: tuple[End, ...]
    rest: Floats
    """A pose to begin from, shape (J,), within the limits."""
    kind: Literal["arm"] = "arm"

    def __post_init__(self) -> None:
        for name in ("lower", "upper", "velocity", "rest"):
            set_frozen(self, name, np.float64, (len(self.joint_names),))

    def end(self, name: str) -> End:
        """The end of that name. Raises `KeyError`."""
        return {end.name: end for end in self.ends}[name]


def load_any(name_or_path: str) -> RobotModel | ArmModel:
    """Any robot by name or by the path of its card: a gripper, a hand, an arm or a composition. Raises `FirsthandError`."""
    return _load(name_or_path, ())


def read_arm(content: bytes, file_name: str, folder: Path) -> ArmModel:
    """The arm a card describes; `file_name` is for messages, `folder` is where a model it names is looked for."""
    card, common = open_card(content, file_name)
    common.pop("kind")
    return _arm(card, common, folder)


def _load(name_or_path: str, inside: tuple[str, ...]) -> RobotModel | ArmModel:
    path, content = card_file(name_or_path)
    card, common = open_card(content, path.name)
    kind = common.pop("kind")
    if kind == "arm":
        return _arm(card, common, path.parent)
    if kind == "composition":
        from firsthand.retarget.robot_composition import compose

        return compose(card, common, path.parent, lambda name: _load(name, (*inside, common["name"])), inside)
    return read_card(content, path.name, path.parent)


def _arm(card: Table, common: Mapping[str, Any], folder: Path) -> ArmModel:
    card.only((*COMMON, "model", "root", "ends", "rest", "joints"))
    ends = card.table("ends")
    if not ends.values:
        raise card.fault("ends", "is empty; name at least one end, such as [ends.flange] with its link")
    places = {name: ends.table(name) for name in ends.values}
    if "model" in card.values:
        joints, root, _ = model_joints(card, folder, [place.text("link") for place in places.values()])
    else:
        root = card.text("root")
        joints = read_joints(card, root)
    made, chain = [], joints.chain
    for name, place in places.items():
        place.only(("link", "side", "xyz", "rpy"))
        link, side = place.text("link"), place.text("side", common["side"], among=("left", "right", "any"))
        if link not in chain.links:
            raise place.fault("link", f"is not a link that hangs on a joint: {unknown('link', link, chain.links)}")
        number = chain.link(link)
        if "xyz" in place.values or "rpy" in place.values:
            T = pose(place)
            chain = with_links(chain, (f"{name}_end",), np.array([number]), T[None, :3, :3], T[None, :3, 3])
            number = len(chain.links) - 1
        right_size(place, "link", chain, number, 20.0)
        made.append(End(name, side, number))  # type: ignore[arg-type]  # one of the three words
    return ArmModel(**common, joint_names=joints.names, joint_units=joints.units, lower=joints.lower, upper=joints.upper,
                    velocity=joints.velocity, chain=chain, ends=tuple(made), rest=_rest(card, joints))


def pose(table: Table) -> Floats:
    """The pose that ``xyz`` and ``rpy`` of a table tell, shape (4, 4)."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation(table.vector("rpy", 3, (0, 0, 0))), table.vector("xyz", 3, (0, 0, 0))
    return T


def with_links(chain: Chain, names: tuple[str, ...], parent: npt.NDArray[np.int64], R0: Floats, p0: Floats) -> Chain:
    """A chain with more fixed links at its end."""
    n = len(names)
    return Chain(
        links=chain.links + names, parent=np.append(chain.parent, parent), kind=np.append(chain.kind, np.full(n, FIXED)),
        R0=np.concatenate([chain.R0, R0]), p0=np.concatenate([chain.p0, p0]),
        axis=np.concatenate([chain.axis, np.tile([0.0, 0, 1], (n, 1))]),
        source=np.append(chain.source, np.full(n, -1)), multiplier=np.append(chain.multiplier, np.ones(n)),
        offset=np.append(chain.offset, np.zeros(n)), T_base_root=chain.T_base_root,
    )  # fmt: skip


def _rest(card: Table, joints: Joints) -> Floats:
    """The card's resting pose; a joint it does not name rests at 0, or as near as its limits let it."""
    table = card.table("rest", {})
    table.only(joints.names)
    q = np.clip(np.zeros(len(joints.names)), joints.lower, joints.upper)
    for i, name in enumerate(joints.names):
        q[i] = table.number(name, q[i])
        if not joints.lower[i] <= q[i] <= joints.upper[i]:
            raise table.fault(name, f"is {q[i]:g}, outside its limits {joints.lower[i]:g} to {joints.upper[i]:g}")
    return q
