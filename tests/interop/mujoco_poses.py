"""Runs with MuJoCo's Python: where MuJoCo sees the bodies and sites of a model, without its meshes, at given joint positions.

    python tests/interop/mujoco_poses.py MODEL JSON     JSON: a list of {joint: position}; prints a list of {link: 4 x 4 pose}
"""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

FRAMES = ("body", "frame", "joint", "freejoint", "inertial", "site", "default")
KEPT = ("compiler", "option", "default", "worldbody", "equality", "include")


def without_meshes(path: Path) -> str:
    """The model's text with nothing in it but frames and joints."""
    root = ElementTree.parse(path).getroot()
    if root.tag == "robot":
        for link in root.iter("link"):
            for child in list(link):
                link.remove(child)
        for own in root.findall("mujoco"):
            root.remove(own)
        settings = ElementTree.SubElement(ElementTree.SubElement(root, "mujoco"), "compiler")
        settings.set("fusestatic", "false")
    else:
        expand(root, path.parent)
        for child in list(root):
            if child.tag not in KEPT:
                root.remove(child)
        for parent in list(root.iter()):
            for child in list(parent):
                if child.tag not in FRAMES and parent.tag in ("body", "worldbody", "frame", "default"):
                    parent.remove(child)
        for equality in list(root.iter("equality")):
            for child in list(equality):
                if child.tag != "joint":
                    equality.remove(child)
        settings = root.find("compiler")
        if settings is None:
            settings = ElementTree.SubElement(root, "compiler")
        for name in ("meshdir", "texturedir"):
            settings.attrib.pop(name, None)
    for name, value in (("balanceinertia", "true"), ("boundmass", "0.01"), ("boundinertia", "0.01")):
        settings.set(name, value)
    sites: set[str | None] = set()
    for body in list(root.iter("body")):
        for child in list(body):
            if child.tag == "inertial" or (child.tag == "site" and child.get("name") in sites):  # some files have a name twice
                body.remove(child)
            elif child.tag == "site":
                sites.add(child.get("name"))
    return ElementTree.tostring(root, encoding="unicode")


def expand(element: ElementTree.Element, folder: Path) -> None:
    """Put included files in place."""
    i = 0
    while i < len(element):
        child = element[i]
        if child.tag == "include":
            element[i:i + 1] = list(ElementTree.parse(folder / child.get("file")).getroot())
        else:
            expand(child, folder)
            i += 1


def main(path: Path, positions: list[dict[str, float]]) -> list[dict[str, list[list[float]]]]:
    model = mujoco.MjModel.from_xml_string(without_meshes(path))
    data = mujoco.MjData(model)
    found = []
    for q in positions:
        data.qpos[:] = model.qpos0
        for name, value in q.items():
            data.joint(name).qpos[0] = value
        mujoco.mj_kinematics(model, data)
        poses = {}
        for count, of, R, p in ((model.nbody, model.body, data.xmat, data.xpos), (model.nsite, model.site, data.site_xmat, data.site_xpos)):
            for i in range(count):
                T = np.eye(4)
                T[:3, :3], T[:3, 3] = R[i].reshape(3, 3), p[i]
                poses.setdefault(of(i).name, T.tolist())
        found.append(poses)
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
