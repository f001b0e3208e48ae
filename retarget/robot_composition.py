"""Robots put together from cards: an arm with a hand, two arms on a table."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import unknown
from firsthand.retarget.kinematics import FIXED, Chain
from firsthand.retarget.robot import COMMON, RobotModel
from firsthand.retarget.robot_arm import ArmModel, End, pose, with_links
from firsthand.retarget.robot_card import Table

Floats = npt.NDArray[np.float64]
Loader = Callable[[str], RobotModel | ArmModel]


def compose(card: Table, common: Mapping[str, Any], folder: Path, load: Loader, inside: tuple[str, ...]) -> ArmModel:
    """The robot a composition describes. Its joints and links are called ``part/name``; parts come in the card's order.

    An arm stands in the whole's root where ``xyz`` and ``rpy`` say; a hand or gripper sits on an arm listed before it (``on``, and ``end``
    where that has several), its root or flange at ``xyz`` and ``rpy`` from the arm's end. Raises `FirsthandError`.
    """
    card.only((*COMMON, "parts"))
    if common["name"] in inside:
        raise card.fault("parts", f"lead back to {common['name']} itself; a composition cannot hold itself")
    parts, whole, models = card.table("parts"), _Whole(), []
    for name in parts.values:
        table = parts.table(name)
        table.only(("card", "on", "end", "side", "xyz", "rpy"))
        model = load(_card(table.text("card"), folder))
        models.append(model)
        if isinstance(model, ArmModel):
            whole.stand(name, model, pose(table), table.text("side", model.side, among=("left", "right", "any")))
        else:
            whole.mount(name, model, table)
    if not whole.ends:
        raise card.fault("parts", "hold no arm; name at least one card of an arm")
    sha256 = hashlib.sha256("".join([common["sha256"], *(model.sha256 for model in models)]).encode()).hexdigest()
    return whole.model({**common, "sha256": sha256})


def _card(name: str, folder: Path) -> str:
    """A card's name, or its path seen from the composition."""
    return str(folder / name) if name.endswith(".toml") else name


class _Whole:
    """A robot that grows by parts."""

    def __init__(self) -> None:
        none = np.zeros((0, 3))
        self.chain = Chain((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 3, 3)), none, none, np.zeros(0, np.int64),
                           np.zeros(0), np.zeros(0), np.eye(4))
        self.joints: list[tuple[str, str, float, float, float, float]] = []
        self.ends: dict[str, End] = {}

    def stand(self, name: str, arm: ArmModel, T: Floats, side: str) -> None:
        """Put an arm's root where `T` says."""
        first = len(self.joints)
        links = self.add(name, arm.chain, -1, T)
        self.drive(name, arm, arm.rest)
        for end in arm.ends:
            label = name if len(arm.ends) == 1 else f"{name}/{end.name}"
            of = end.side if side == "any" else side
            self.ends[label] = End(label, of, links + end.link, end.effector, tuple(first + j for j in end.joints))  # type: ignore[arg-type]

    def mount(self, name: str, model: RobotModel, table: Table) -> None:
        """Put a hand's root, or a gripper's flange, on the end of an arm."""
        label = table.text("on") + (f"/{table.text('end')}" if "end" in table.values else "")
        if label not in self.ends:
            raise table.fault("on", f"names no arm listed before it: {unknown('end', label, list(self.ends))}")
        arm = self.ends[label]
        if arm.effector is not None:
            raise table.fault("on", f"is {label}, which has {arm.effector.name} on it already")
        if "any" not in (arm.side, model.side) and arm.side != model.side:
            raise table.fault("card", f"is for a {model.side} hand, and {label} is a {arm.side} arm; name the card of the other side")
        first = len(self.joints)
        if model.hand is not None:
            links = self.add(name, model.hand.chain, arm.link, pose(table))
            link = links + model.hand.wrist
            self.drive(name, model, np.clip(np.zeros(len(model.lower)), model.lower, model.upper))
        else:
            T = pose(table)
            T[:3, 3] += T[:3, :3] @ model.flange_tcp_m
            self.chain = with_links(self.chain, (f"{name}/tcp",), np.array([arm.link]), T[None, :3, :3], T[None, :3, 3])
            link = len(self.chain.links) - 1
            self.drive(name, model, model.upper)
        side = model.side if arm.side == "any" else arm.side
        self.ends[label] = End(label, side, link, model, tuple(range(first, len(self.joints))))

    def add(self, name: str, chain: Chain, parent: int, T: Floats) -> int:
        """Hang a chain's root on a link; returns the number its first link has got. Its root is the one before."""
        self.chain = with_links(self.chain, (f"{name}/root",), np.array([parent]), T[None, :3, :3], T[None, :3, 3])
        a, b, n, j = self.chain, chain, len(self.chain.links), len(self.joints)
        self.chain = Chain(
            links=a.links + tuple(f"{name}/{link}" for link in b.links),
            parent=np.append(a.parent, b.parent + n), kind=np.append(a.kind, b.kind), R0=np.concatenate([a.R0, b.R0]),
            p0=np.concatenate([a.p0, b.p0]), axis=np.concatenate([a.axis, b.axis]),
            source=np.append(a.source, np.where(b.kind == FIXED, -1, b.source + j)), multiplier=np.append(a.multiplier, b.multiplier),
            offset=np.append(a.offset, b.offset), T_base_root=np.eye(4),
        )  # fmt: skip
        return n

    def drive(self, name: str, model: RobotModel | ArmModel, rest: Floats) -> None:
        rows = zip(model.joint_names, model.joint_units, model.lower, model.upper, model.velocity, rest, strict=True)
        self.joints += [(f"{name}/{joint}", *row) for joint, *row in rows]  # type: ignore[misc]

    def model(self, common: Mapping[str, Any]) -> ArmModel:
        names, units, lower, upper, velocity, rest = zip(*self.joints, strict=True)
        return ArmModel(**common, joint_names=names, joint_units=units, lower=np.array(lower), upper=np.array(upper),
                        velocity=np.array(velocity), chain=self.chain, ends=tuple(self.ends.values()), rest=np.array(rest))

