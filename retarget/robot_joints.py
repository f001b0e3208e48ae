"""The joints of a robot card: a tree of links, and the box its active joints may move in."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firsthand.capture.errors import unknown
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, Chain, Floats, rotation
from firsthand.retarget.robot_card import Table

_KINDS = {"revolute": REVOLUTE, "prismatic": PRISMATIC, "fixed": FIXED}
_UNITS = {REVOLUTE: "rad", PRISMATIC: "m"}


@dataclass(frozen=True)
class Joint:
    """One joint as the card tells it."""

    name: str
    kind: int
    parent: str
    child: str
    R0: Floats
    p0: Floats
    axis: Floats
    lower: float
    upper: float
    velocity: float
    mimic: str
    multiplier: float
    offset: float


@dataclass(frozen=True)
class Joints:
    """Active joints in the card's order, and the links they move. Mimic joints are folded into those they follow."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    lower: Floats
    upper: Floats
    velocity: Floats
    chain: Chain


def read_joints(card: Table, root: str) -> Joints:
    """The joints of a card whose root link is `root`. Positions come out in the root's axes.

    Raises `FirsthandError` for an unknown parent, a circle, inverted limits, or mimic limits that leave a joint no room.
    """
    table = card.table("joints")
    return assemble(table, [_read_joint(table.table(name), name) for name in table.values], root)


def assemble(table: Table, listed: Sequence[Joint], root: str) -> Joints:
    """What `read_joints` does, for joints from anywhere; faults name `table`."""
    joints = {joint.name: joint for joint in listed}
    ordered = _parents_first(table, joints, root)
    active = [joint for joint in joints.values() if joint.kind != FIXED and not joint.mimic]
    if not active:
        raise table.fault("", "has no joint that moves; a robot needs at least one of type revolute or prismatic")
    for joint in active:
        if not (math.isfinite(joint.lower) and math.isfinite(joint.upper) and joint.lower < joint.upper):
            free, key = joint.lower != joint.upper, _key(joint.name)
            told = "has no limits; write them" if free else f"may only stand at {joint.lower:g}; fix it"
            entry = "{ limits = [-1.0, 1.0] }" if free else f"{{ at = {joint.lower:g} }}"
            raise table.fault(joint.name, f"{told} in a card, under [joints]: {key} = {entry}")
    place = {joint.name: i for i, joint in enumerate(active)}
    lower, upper = np.array([j.lower for j in active]), np.array([j.upper for j in active])
    velocity = np.array([j.velocity for j in active])
    drive = {joint.name: _follow(table, joints, joint) for joint in ordered if joint.kind != FIXED}
    for name, (source, multiplier, offset) in drive.items():  # what a follower may do limits the one it follows
        i, joint = place[source], joints[name]
        ends = sorted(((joint.lower - offset) / multiplier, (joint.upper - offset) / multiplier))
        lower[i], upper[i] = max(lower[i], ends[0]), min(upper[i], ends[1])
        velocity[i] = min(velocity[i], joint.velocity / abs(multiplier))
        if lower[i] >= upper[i]:
            raise table.fault(name, f"mimics {source}, whose limits then leave no room to move; check its multiplier, offset and limits")
    links = {joint.child: i for i, joint in enumerate(ordered)}
    driven = [drive.get(joint.name, ("", 1.0, 0.0)) for joint in ordered]
    chain = Chain(
        links=tuple(links), parent=np.array([links.get(j.parent, -1) for j in ordered]), kind=np.array([j.kind for j in ordered]),
        R0=np.array([j.R0 for j in ordered]), p0=np.array([j.p0 for j in ordered]), axis=np.array([j.axis for j in ordered]),
        source=np.array([place.get(source, -1) for source, _, _ in driven]),
        multiplier=np.array([multiplier for _, multiplier, _ in driven]), offset=np.array([offset for _, _, offset in driven]),
        T_base_root=np.eye(4),
    )  # fmt: skip
    return Joints(tuple(place), tuple(_UNITS[j.kind] for j in active), lower, upper, velocity, chain)


def _key(name: str) -> str:
    """A joint's name as TOML takes it for a key."""
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'


def _read_joint(table: Table, name: str) -> Joint:
    kind = _KINDS[table.text("type", "revolute", among=_KINDS)]
    origin = ("type", "parent", "child", "xyz", "rpy")
    R0, p0 = rotation(table.vector("rpy", 3, (0, 0, 0))), table.vector("xyz", 3, (0, 0, 0))
    parent, child = table.text("parent"), table.text("child")
    if kind == FIXED:
        table.only(origin)
        return Joint(name, kind, parent, child, R0, p0, np.array([0.0, 0, 1]), 0.0, 0.0, 0.0, "", 1.0, 0.0)
    table.only((*origin, "axis", "limits", "velocity", "mimic"))
    axis = table.vector("axis", 3)
    length = float(np.linalg.norm(axis))
    if length < 1e-6:
        raise table.fault("axis", "has no length; write the axis it turns about or slides along, such as [0, 0, 1]")
    lower, upper = table.limits("limits", _UNITS[kind])
    mimic, multiplier, offset = "", 1.0, 0.0
    if "mimic" in table.values:
        other = table.table("mimic")
        other.only(("joint", "multiplier", "offset"))
        mimic, multiplier, offset = other.text("joint"), other.number("multiplier", 1.0), other.number("offset", 0.0)
        if multiplier == 0:
            raise other.fault("multiplier", "is 0, so it would follow nothing; make the joint fixed instead")
    velocity = table.number("velocity", above=0)
    return Joint(name, kind, parent, child, R0, p0, axis / length, lower, upper, velocity, mimic, multiplier, offset)


def _parents_first(table: Table, joints: Mapping[str, Joint], root: str) -> list[Joint]:
    """The joints in an order in which a link comes after the one it hangs on."""
    made_by: dict[str, Joint] = {}
    for joint in joints.values():
        if joint.child == root or joint.child in made_by:
            other = "is the root" if joint.child == root else f"is moved by {made_by[joint.child].name} already"
            raise table.fault(f"{joint.name}.child", f"is {joint.child!r}, which {other}; each link hangs on one joint")
        made_by[joint.child] = joint
    for joint in joints.values():
        if joint.parent != root and joint.parent not in made_by:
            raise table.fault(f"{joint.name}.parent", f"is not a link: {unknown('link', joint.parent, [root, *made_by])}")
    ordered: list[Joint] = []
    reached, waiting = {root}, list(joints.values())
    while waiting:
        ready = [joint for joint in waiting if joint.parent in reached]
        if not ready:
            raise table.fault(waiting[0].name, f"hangs in a circle with {', '.join(j.name for j in waiting[1:]) or 'itself'}; "
                              f"let one of them have the root {root!r} as parent")
        ordered += ready
        reached |= {joint.child for joint in ready}
        waiting = [joint for joint in waiting if joint.child not in reached]
    return ordered


def _follow(table: Table, joints: Mapping[str, Joint], joint: Joint) -> tuple[str, float, float]:
    """The active joint at the end of a chain of mimics, and the multiplier and offset from it."""
    multiplier, offset, seen = 1.0, 0.0, [joint.name]
    while joint.mimic:
        if joint.mimic not in joints or joints[joint.mimic].kind == FIXED:
            moving = [other.name for other in joints.values() if other.kind != FIXED]
            raise table.fault(f"{joint.name}.mimic", f"follows no moving joint: {unknown('joint', joint.mimic, moving)}")
        offset += multiplier * joint.offset
        multiplier *= joint.multiplier
        joint = joints[joint.mimic]
        if joint.name in seen:
            raise table.fault(f"{joint.name}.mimic", f"follows itself through {' and '.join(seen)}; one of them must move on its own")
        seen.append(joint.name)
    return joint.name, multiplier, offset


def place_on_wrist(card: Table, joints: Joints, root: str, wrist: str, R_operator_wrist: Floats) -> Chain:
    """The chain with positions in operator axes from the robot's wrist link, which no joint may move."""
    chain = joints.chain
    if wrist not in (root, *chain.links):
        raise card.fault("wrist.link", f"is not a link: {unknown('link', wrist, [root, *chain.links])}")
    T_root_wrist, i = np.eye(4), chain.link(wrist)
    while i >= 0:
        if chain.kind[i] != FIXED:
            raise card.fault("wrist.link", f"is {wrist!r}, which a joint moves; name a link that is fixed to the root {root!r}")
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = chain.R0[i], chain.p0[i]
        T_root_wrist, i = step @ T_root_wrist, int(chain.parent[i])
    T_operator_wrist = np.eye(4)
    T_operator_wrist[:3, :3] = R_operator_wrist
    parts: dict[str, Any] = {name: getattr(chain, name) for name in chain.__dataclass_fields__}
    return Chain(**{**parts, "T_base_root": T_operator_wrist @ np.linalg.inv(T_root_wrist)})
