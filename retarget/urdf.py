"""Reading a URDF: its links, joints, limits and mimics. Meshes, masses and colours are left alone."""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from firsthand.capture.errors import FirsthandError, unknown
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, rotation
from firsthand.retarget.robot_description import Description, mesh_notes, numbers
from firsthand.retarget.robot_joints import Joint

_KINDS = {"revolute": REVOLUTE, "continuous": REVOLUTE, "prismatic": PRISMATIC, "fixed": FIXED}


def read_urdf(robot: Element, content: bytes, path: Path) -> Description:
    """A robot from the root element of a URDF. Raises `FirsthandError` with one sentence that names the file and the joint."""
    file = path.name
    links = [_name(link, file) for link in robot.findall("link")]
    joints = [_joint(element, file) for element in robot.findall("joint")]
    if not links:
        raise FirsthandError(f"{file} has no links; it may be the empty shell of a robot that is described elsewhere")
    for what, names in (("link", links), ("joint", [joint.name for joint in joints])):
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise FirsthandError(f"{file}: there are two {what}s called {twice!r}; give each a name of its own")
    for joint in joints:
        for end in (joint.parent, joint.child):
            if end not in links:
                raise FirsthandError(f"{file}: the joint {joint.name} hangs on {unknown('link', end, links)}")
    children = [joint.child for joint in joints]
    roots = [link for link in links if link not in children]
    if len(roots) != 1:
        which = " and ".join(roots[:4]) or "none"
        raise FirsthandError(f"{file}: exactly one link must hang on no joint, and here it is {which}; join the parts with fixed joints")
    description = Description(file, roots[0], tuple(joints), tuple(mesh_notes(_meshes(robot, path), file)), content)
    reached = {joint.name for joint in description.below(roots[0])}
    if lost := [joint.name for joint in joints if joint.name not in reached]:
        raise FirsthandError(f"{file}: {' and '.join(lost[:3])} cannot be reached from the root {roots[0]}; no joint may hang on itself")
    return description


def _name(element: Element, file: str) -> str:
    name = element.get("name")
    if not name:
        raise FirsthandError(f"{file}: a <{element.tag}> has no name; give it one")
    return name


def _joint(element: Element, file: str) -> Joint:
    name = _name(element, file)
    kind = element.get("type", "")
    if kind not in _KINDS:
        raise FirsthandError(f"{file}: the joint {name} is {kind or 'of no type'}; only {', '.join(_KINDS)} are read, so make it fixed")
    ends = []
    for end in ("parent", "child"):
        found = element.find(end)
        if found is None or not found.get("link"):
            raise FirsthandError(f"{file}: the joint {name} has no <{end} link=...>; name the link")
        ends.append(str(found.get("link")))
    (parent, child), empty = ends, Element("origin")
    origin, axis, limit, mimic = (element.find(tag) for tag in ("origin", "axis", "limit", "mimic"))
    origin = empty if origin is None else origin
    R0, p0 = rotation(numbers(origin, "rpy", 3, "0 0 0", file)), numbers(origin, "xyz", 3, "0 0 0", file)
    if kind == "fixed":
        return Joint(name, FIXED, parent, child, R0, p0, np.array([0.0, 0, 1]), 0.0, 0.0, 0.0, "", 1.0, 0.0)
    direction = numbers(empty if axis is None else axis, "xyz", 3, "1 0 0", file)
    length = float(np.linalg.norm(direction))
    if length < 1e-6:
        raise FirsthandError(f"{file}: the axis of the joint {name} has no length; write the axis it turns about, such as 0 0 1")
    lower, upper, velocity = -math.inf, math.inf, math.inf
    if limit is not None:
        if kind != "continuous" and (limit.get("lower") or limit.get("upper")):
            lower, upper = (float(numbers(limit, end, 1, "0", file)[0]) for end in ("lower", "upper"))
            if lower > upper:
                raise FirsthandError(f"{file}: the joint {name} goes from {lower:g} to {upper:g}; write the lower limit first")
        velocity = float(numbers(limit, "velocity", 1, "0", file)[0])
        velocity = velocity if velocity > 0 else math.inf  # many exporters write 0 for what they do not know
    source, multiplier, offset = "", 1.0, 0.0
    if mimic is not None:
        source = mimic.get("joint", "")
        multiplier, offset = (float(numbers(mimic, key, 1, default, file)[0]) for key, default in (("multiplier", "1"), ("offset", "0")))
        if not source or multiplier == 0:
            raise FirsthandError(f"{file}: the joint {name} mimics {source or 'no joint'} {multiplier:g} times; name the one it follows")
    return Joint(name, _KINDS[kind], parent, child, R0, p0, direction / length, lower, upper, velocity, source, multiplier, offset)


def _meshes(robot: Element, path: Path) -> Iterator[tuple[str, str, list[Path]]]:
    folders = [path.parent, *path.resolve().parents]
    for link in robot.findall("link"):
        for mesh in link.iter("mesh"):
            name = mesh.get("filename", "")
            if name.startswith("package://"):
                whole = name.removeprefix("package://")
                inside = whole.partition("/")[2]
                places = [folder / part for folder in folders for part in (whole, inside)]
            else:
                places = [path.parent / name.removeprefix("file://")]
            yield name, str(link.get("name")), places
