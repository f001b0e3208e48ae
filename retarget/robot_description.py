"""A robot as someone else's file tells it: links, joints and limits from a URDF or an MJCF, without meshes."""

import importlib.metadata
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.kinematics import FIXED
from firsthand.retarget.robot_joints import Joint

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Description:
    """What a file says. A joint without limits has infinite ones; one whose speed is not told, an infinite speed."""

    file: str
    root: str
    joints: tuple[Joint, ...]
    notes: tuple[str, ...]
    """What is odd and does not hinder, a sentence each."""
    content: bytes
    """All bytes it was read from: what its hash is made of."""

    @property
    def links(self) -> tuple[str, ...]:
        """All links, the root first."""
        return (self.root, *(joint.child for joint in self.joints))

    def leaves(self) -> list[str]:
        """The links on which nothing hangs."""
        parents = {joint.parent for joint in self.joints}
        return [joint.child for joint in self.joints if joint.child not in parents]

    def below(self, root: str) -> tuple[Joint, ...]:
        """The joints of the part that hangs on one link."""
        kept: set[str] = set()
        reached, waiting = {root}, list(self.joints)
        while ready := {joint.name for joint in waiting if joint.parent in reached}:
            kept |= ready
            reached |= {joint.child for joint in waiting if joint.name in ready}
            waiting = [joint for joint in waiting if joint.name not in ready]
        return tuple(joint for joint in self.joints if joint.name in kept)

    def path(self, link: str) -> list[Joint]:
        """The joints from the root to a link, the root's first."""
        above = {joint.child: joint for joint in self.joints}
        steps: list[Joint] = []
        while link in above and len(steps) <= len(above):
            steps.append(above[link])
            link = above[link].parent
        return steps[::-1]

    def moving(self) -> list[Joint]:
        """The joints that move by themselves."""
        return [joint for joint in self.joints if joint.kind != FIXED and not joint.mimic]


def read_description(model: str, beside: Path) -> Description:
    """Read ``urdf:PATH``, ``mjcf:PATH`` or ``pypi:PACKAGE!PATH`` (a file of an installed package); paths start at the folder `beside`.

    Raises `FirsthandError`: one sentence that names what is wrong and what to write.
    """
    scheme, _, rest = model.partition(":")
    if scheme not in ("urdf", "mjcf", "pypi") or not rest:
        raise FirsthandError(f"the model {model!r} is no place to read a robot from; write urdf:PATH, mjcf:PATH or pypi:PACKAGE!PATH")
    return read_model_file(_in_package(model, rest) if scheme == "pypi" else beside / rest)


def read_model_file(path: Path) -> Description:
    """Read a URDF or an MJCF, whichever the file is."""
    from firsthand.retarget.mjcf import read_mjcf
    from firsthand.retarget.safe_xml import read_xml
    from firsthand.retarget.urdf import read_urdf

    root, content = read_xml(path)
    if root.tag == "robot":
        return read_urdf(root, content, path)
    if root.tag == "mujoco":
        return read_mjcf(root, content, path)
    if root.tag == "sdf":
        raise FirsthandError(f"{path.name} is an SDF, which is not read; convert it to a URDF")
    raise FirsthandError(f"{path.name} starts with <{root.tag[:40]}>, so it is neither a URDF (<robot>) nor an MJCF (<mujoco>)")


def _in_package(model: str, rest: str) -> Path:
    package, _, inside = rest.partition("!")
    if not package or not inside or Path(inside).is_absolute() or ".." in Path(inside).parts:
        raise FirsthandError(f"the model {model!r} names no file of a package; write pypi:PACKAGE!PATH")
    try:
        return Path(str(importlib.metadata.distribution(package).locate_file(inside)))
    except importlib.metadata.PackageNotFoundError as error:
        raise FirsthandError(f"the model {model!r} is in the package {package}, which is not installed: pip install {package}") from error


def numbers(element: Element, attribute: str, count: int, default: str, file: str) -> Floats:
    """The numbers of an attribute, finite; `default` where it is not written."""
    text = element.get(attribute, default)
    try:
        values = [float(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise FirsthandError(f'{file}: <{element.tag}{_named(element)}> has {attribute}="{text[:60]}", which is not {count} finite number'
                             + "s" * (count > 1))  # fmt: skip
    return np.array(values, np.float64)


def _named(element: Element) -> str:
    return f' name="{element.get("name")}"' if element.get("name") else ""


def mesh_notes(wanted: Iterator[tuple[str, str, list[Path]]], file: str) -> list[str]:
    """A sentence on meshes that are not there; `wanted` gives (mesh, its link, places it may be at)."""
    missing = [(mesh, link) for mesh, link, places in wanted if not any(place.exists() for place in places)]
    if not missing:
        return []
    (mesh, link), more = missing[0], len({mesh for mesh, _ in missing}) - 1
    others = f" (nor {more} other{'s' * (more > 1)})" if more else ""
    return [f"{file}: the mesh {mesh} of {link} is not there{others}; check its path, though nothing here needs meshes"]
