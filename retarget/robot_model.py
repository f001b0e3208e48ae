"""The joints of a card that names a URDF or an MJCF: that file's, with what the card says otherwise."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from firsthand.capture.errors import FirsthandError, unknown
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, axis_rotation
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_description import read_description
from firsthand.retarget.robot_joints import Joint, Joints, assemble

_UNITS = {REVOLUTE: "rad", PRISMATIC: "m"}


def model_joints(card: Table, folder: Path, named: Sequence[str]) -> tuple[Joints, str, bytes]:
    """The joints of the model a card names, its root link, and the bytes it was read from.

    `folder` is where the card lies; `named` are the links the card names, which are kept. Fixed links that nobody names are left out.
    A card may limit a joint (``limits``, ``velocity``) or hold it still (``at``). Raises `FirsthandError`.
    """
    try:
        description = read_description(card.text("model"), folder)
    except FirsthandError as error:
        raise FirsthandError(f"robot card {card.card}: {error}") from error
    root = card.text("root", description.root)
    if root not in description.links:
        raise card.fault("root", f"is not a link of {description.file}: {unknown('link', root, list(description.links))}")
    joints = {joint.name: joint for joint in description.below(root)}
    changes = card.table("joints", {})
    for name in changes.values:
        if name not in joints:
            raise changes.fault(name, f"is not a joint of {description.file} below {root}: {unknown('joint', name, list(joints))}")
        joints[name] = _changed(joints[name], changes.table(name))
    _hold_followers(joints, {name: float(table["at"]) for name, table in changes.values.items() if "at" in table})
    kept = _named_or_moving(list(joints.values()), {root, *named})
    return assemble(Table(card.card, "joints", {}), kept, root), root, description.content


def _changed(joint: Joint, change: Table) -> Joint:
    change.only(("limits", "velocity", "at"))
    if joint.kind == FIXED:
        raise change.fault("", "is fixed in the model; leave it out")
    if "at" in change.values:
        return held(joint, change.number("at"))
    if "limits" in change.values:
        lower, upper = change.limits("limits", _UNITS[joint.kind])
        joint = replace(joint, lower=lower, upper=upper)
    return replace(joint, velocity=change.number("velocity", joint.velocity, above=0) if "velocity" in change.values else joint.velocity)


def held(joint: Joint, at: float) -> Joint:
    """A joint fixed where it stands at `at`."""
    R0, p0 = joint.R0, joint.p0
    if joint.kind == REVOLUTE:
        R0 = R0 @ axis_rotation(joint.axis, np.array([at]))[0]
    else:
        p0 = p0 + at * (R0 @ joint.axis)
    return replace(joint, kind=FIXED, R0=R0, p0=p0, mimic="", velocity=math.inf)


def _hold_followers(joints: dict[str, Joint], still: dict[str, float]) -> None:
    """Hold also what follows joints that are held, in place."""
    while followers := [joint for joint in joints.values() if joint.kind != FIXED and joint.mimic in still]:
        for joint in followers:
            still[joint.name] = joint.multiplier * still[joint.mimic] + joint.offset
            joints[joint.name] = held(joint, still[joint.name])


def _named_or_moving(joints: list[Joint], named: set[str]) -> list[Joint]:
    """Without the fixed links at the ends that nobody names: sensors, screws, cameras."""
    while True:
        parents = {joint.parent for joint in joints}
        kept = [joint for joint in joints if joint.kind != FIXED or joint.child in parents | named]
        if len(kept) == len(joints):
            return kept
        joints = kept

