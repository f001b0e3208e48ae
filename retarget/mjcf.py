"""Reading an MJCF: its bodies, sites, joints, defaults and linear equalities. Geometry, tendons and actuators are left alone."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, Floats, axis_rotation
from firsthand.retarget.robot_description import Description, mesh_notes, numbers
from firsthand.retarget.robot_joints import Joint
from firsthand.retarget.safe_xml import read_xml

ROOT = "world"
_KINDS = {"hinge": REVOLUTE, "slide": PRISMATIC}
_NOT_READ = ("attach", "replicate", "composite", "flexcomp")
_Z = np.array([0.0, 0, 1])


def read_mjcf(root: Element, content: bytes, path: Path) -> Description:
    """A robot from the root element of an MJCF; its root link is ``world``. Sites are links, too.

    Angles of joints are MuJoCo's own, ``ref`` included. Raises `FirsthandError` with one sentence that names the file.
    """
    reader = _Reader(path, content)
    reader.include(root, 0)
    reader.settings(root)
    for world in root.findall("worldbody"):
        reader.walk(world, ROOT, np.eye(4), "")
    reader.follow(root)
    reader.notes += mesh_notes(reader.meshes(root), path.name)
    return Description(path.name, ROOT, tuple(reader.joints), tuple(reader.notes), reader.content)


class _Reader:
    """The settings of a file while it is walked."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path, self.file, self.content = path, path.name, content
        self.joints: list[Joint] = []
        self.refs: dict[str, float] = {}
        self.notes: list[str] = []
        self.names: set[str] = {ROOT}
        self.defaults: dict[str, dict[str, dict[str, str]]] = {}

    def include(self, element: Element, depth: int) -> None:
        """Put included files in the place of their <include>; they must lie in the model's folder."""
        for child in list(element):
            if child.tag == "include":
                other = (self.path.parent / child.get("file", "")).resolve()
                if depth > 10 or not other.is_relative_to(self.path.parent.resolve()):
                    raise FirsthandError(f"{self.file} includes {child.get('file')!r}, which is outside its folder or includes itself; "
                                         "put the parts beside it")
                part, content = read_xml(other)
                self.content += content
                self.include(part, depth + 1)
                place = list(element).index(child)
                element[place:place + 1] = list(part)
            elif child.tag in _NOT_READ:
                raise FirsthandError(f"{self.file} uses <{child.tag}>, which is not read; let MuJoCo write it out with mj_saveLastXML")
            else:
                self.include(child, depth)

    def settings(self, root: Element) -> None:
        compiler: dict[str, str] = {}
        for element in root.findall("compiler"):
            compiler.update(element.attrib)
        if compiler.get("coordinate", "local") != "local":
            raise FirsthandError(f"{self.file} has global coordinates, which MuJoCo dropped in 2.3; save it with a newer MuJoCo")
        self.unit = 1.0 if compiler.get("angle", "degree") == "radian" else math.pi / 180
        self.autolimits = compiler.get("autolimits", "true") == "true"
        self.sequence = compiler.get("eulerseq", "xyz")
        self.mesh_folder = compiler.get("meshdir", compiler.get("assetdir", ""))
        if len(self.sequence) != 3 or set(self.sequence.lower()) - set("xyz"):
            raise FirsthandError(f"{self.file} has eulerseq={self.sequence!r}; write three of x, y and z")
        for element in root.findall("default"):
            self.default(element, {}, element.get("class", "main"))

    def default(self, element: Element, above: dict[str, dict[str, str]], name: str) -> None:
        own = {tag: dict(values) for tag, values in above.items()}
        for child in element:
            if child.tag != "default":
                own.setdefault(child.tag, {}).update(child.attrib)
        self.defaults[name] = own if name not in self.defaults else {**self.defaults[name], **own}
        for child in element.findall("default"):
            self.default(child, own, child.get("class", ""))

    def full(self, element: Element, childclass: str) -> Element:
        """An element with what its class gives it."""
        name = element.get("class") or childclass or "main"
        if name not in self.defaults and name != "main":
            raise FirsthandError(f"{self.file}: <{element.tag}> has the class {name!r}, which no <default> defines")
        return Element(element.tag, {**self.defaults.get(name, {}).get(element.tag, {}), **element.attrib})

    def walk(self, parent: Element, link: str, T: Floats, childclass: str) -> None:
        """All bodies and sites in an element; `T` is its pose in the link."""
        for child in parent:
            own_class = child.get("childclass", childclass)
            if child.tag == "frame":
                self.walk(child, link, T @ self.pose(child), own_class)
            elif child.tag == "body":
                self.body(child, link, T @ self.pose(child), own_class)
            elif child.tag == "site" and child.get("name"):
                site = self.full(child, childclass)
                self.add(self.new(str(child.get("name")), "site"), FIXED, link, T @ self.pose(site))

    def body(self, element: Element, parent: str, T: Floats, childclass: str) -> None:
        name = self.new(element.get("name", f"body_{len(self.joints)}"), "body")
        moving = [self.full(child, childclass) for child in element if child.tag == "joint"]
        if element.find("freejoint") is not None or any(joint.get("type") == "free" for joint in moving):
            self.notes.append(f"{self.file}: {name} floats freely; it is taken as standing where it starts")
            moving = []
        link, step = parent, T
        for i, joint in enumerate(moving):
            kind = joint.get("type", "hinge")
            if kind not in _KINDS:
                raise FirsthandError(f"{self.file}: {joint.get('name', 'the joint of ' + name)} is a {kind} joint; only hinge and slide "
                                     "are read, so make it three hinges")
            at = np.eye(4)
            at[:3, 3] = numbers(joint, "pos", 3, "0 0 0", self.file)
            last = i == len(moving) - 1 and not at[:3, 3].any()
            child = name if last else self.new(f"{name}/{i}", "body")
            self.joint(joint, kind, joint.get("name", f"{name}_joint{i}"), link, child, step @ at)
            link, step = child, np.asarray(np.linalg.inv(at), np.float64)
        if link != name:
            self.add(name, FIXED, link, step)
        self.walk(element, name, np.eye(4), childclass)

    def joint(self, element: Element, kind: str, name: str, link: str, child: str, T: Floats) -> None:
        unit = self.unit if kind == "hinge" else 1.0
        axis = numbers(element, "axis", 3, "0 0 1", self.file)
        length = float(np.linalg.norm(axis))
        if length < 1e-6:
            raise FirsthandError(f"{self.file}: the axis of the joint {name} has no length; write the axis it turns about, such as 0 0 1")
        axis = axis / length
        ref = float(numbers(element, "ref", 1, "0", self.file)[0]) * unit
        back = np.eye(4)
        if kind == "hinge":
            back[:3, :3] = axis_rotation(axis, np.array([-ref]))[0]
        else:
            back[:3, 3] = -ref * axis
        limited = element.get("limited", "auto")
        lower, upper = -math.inf, math.inf
        if limited == "true" or (limited == "auto" and self.autolimits and "range" in element.attrib):
            lower, upper = (float(end) * unit for end in numbers(element, "range", 2, "0 0", self.file))
        if any(joint.name == name for joint in self.joints if joint.kind != FIXED):
            raise FirsthandError(f"{self.file}: there are two joints called {name!r}; give each a name of its own")
        self.refs[name] = ref
        T = T @ back
        self.joints.append(Joint(name, _KINDS[kind], link, child, T[:3, :3], T[:3, 3], axis, lower, upper, math.inf, "", 1.0, 0.0))

    def add(self, name: str, kind: int, link: str, T: Floats) -> None:
        self.joints.append(Joint(f"to {name}", kind, link, name, T[:3, :3], T[:3, 3], _Z, 0.0, 0.0, 0.0, "", 1.0, 0.0))

    def new(self, name: str, what: str) -> str:
        """A link's name. A site may be called as another link is, and then gets a number."""
        count, wanted = 2, name
        while what == "site" and name in self.names:
            name, count = f"{wanted}/{count}", count + 1
        if name in self.names:
            raise FirsthandError(f"{self.file}: there are two links called {name!r}; give each a name of its own")
        self.names.add(name)
        return name

    def pose(self, element: Element) -> Floats:
        """Position and orientation of an element in its parent, shape (4, 4)."""
        T = np.eye(4)
        T[:3, 3] = numbers(element, "pos", 3, "0 0 0", self.file)
        if "quat" in element.attrib:
            w, x, y, z = self.unit_vector(element, "quat", 4)
            T[:3, :3] = [[1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                         [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                         [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]]  # fmt: skip
        elif "euler" in element.attrib:
            angles = numbers(element, "euler", 3, "", self.file) * self.unit
            for letter, angle in zip(self.sequence, angles, strict=True):
                turn = axis_rotation(np.eye(3)["xyz".index(letter.lower())], np.array([angle]))[0]
                T[:3, :3] = T[:3, :3] @ turn if letter.islower() else turn @ T[:3, :3]  # lower case: about the axes as they have turned
        elif "axisangle" in element.attrib:
            values = numbers(element, "axisangle", 4, "", self.file)
            length = float(np.linalg.norm(values[:3]))
            T[:3, :3] = axis_rotation(values[:3] / (length or 1.0), values[3:] * self.unit)[0]
        elif "xyaxes" in element.attrib:
            x, y = numbers(element, "xyaxes", 6, "", self.file).reshape(2, 3)
            x = x / np.linalg.norm(x)
            y = y - (y @ x) * x
            y = y / np.linalg.norm(y)
            T[:3, :3] = np.stack([x, y, np.cross(x, y)], axis=1)
        elif "zaxis" in element.attrib:
            z = self.unit_vector(element, "zaxis", 3)
            across = np.cross(_Z, z)
            sine = float(np.linalg.norm(across))
            axis = across / sine if sine > 1e-12 else np.array([1.0, 0, 0])
            T[:3, :3] = axis_rotation(axis, np.array([math.atan2(sine, z[2])]))[0]
        return T

    def unit_vector(self, element: Element, attribute: str, count: int) -> Floats:
        values = numbers(element, attribute, count, "", self.file)
        length = float(np.linalg.norm(values))
        if length < 1e-12:
            raise FirsthandError(f"{self.file}: <{element.tag}> has a {attribute} of length 0")
        return values / length

    def follow(self, root: Element) -> None:
        """Joints held to another by a linear equality follow it."""
        for equality in (element for part in root.findall("equality") for element in part.findall("joint")):
            element = self.full(equality, "")
            one, other = element.get("joint1", ""), element.get("joint2", "")
            c = numbers(element, "polycoef", 5, "0 1 0 0 0", self.file) if "polycoef" in element.attrib else np.array([0.0, 1, 0, 0, 0])
            index = next((i for i, joint in enumerate(self.joints) if joint.name == one and joint.kind != FIXED), None)
            if index is None or other not in self.refs:
                continue
            if c[2:].any() or c[1] == 0:
                self.notes.append(f"{self.file}: {one} follows {other} along a curve; it is taken as moving by itself")
                continue
            offset = float(self.refs[one] + c[0] - c[1] * self.refs[other])
            self.joints[index] = replace(self.joints[index], mimic=other, multiplier=float(c[1]), offset=offset)

    def meshes(self, root: Element) -> Iterator[tuple[str, str, list[Path]]]:
        for asset in root.findall("asset"):
            for mesh in asset.findall("mesh"):
                if name := mesh.get("file"):
                    yield name, "its assets", [self.path.parent / self.mesh_folder / name]
