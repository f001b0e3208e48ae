"""Forward kinematics against MuJoCo: our readers on every robot that a package brings, and our cards against what they were made from."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from firsthand.retarget.kinematics import FIXED, link_poses
from firsthand.retarget.robot_arm import ArmModel, load_any
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_description import read_model_file
from firsthand.retarget.robot_joints import assemble

pytestmark = pytest.mark.interop
HERE = Path(__file__).parent
Poses = list[dict[str, list[list[float]]]]

ASSETS = "robosuite/models/assets"
SHARE = "example-robot-data/robots"
MODELS = (
    "mani_skill/assets/robots/*/*.urdf", "mani_skill/assets/robots/inspire_hand/RH56DFX-2LR/urdf/*.urdf", f"{ASSETS}/robots/*/robot.xml",
    f"{ASSETS}/grippers/*.xml", "gym_aloha/assets/bimanual_viperx_transfer_cube.xml", "gymnasium_robotics/envs/assets/hand/reach.xml",
    "mujoco_playground/_src/manipulation/*/xmls/leap_rh_mjx.xml", "mujoco_playground/_src/manipulation/aloha/xmls/mjx_aloha.xml",
    "mujoco_playground/_src/manipulation/aero_hand/xmls/right_hand.xml", f"{SHARE}/*/urdf/*.urdf", f"{SHARE}/*/robots/*.urdf",
)  # fmt: skip
REFUSED_BY_MUJOCO = (
    "fourier_left_hand.xml", "fourier_right_hand.xml", "inspire_left_hand.xml", "inspire_right_hand.xml", "xarm7_gripper.xml",
)  # fmt: skip
"""Robosuite's own faults: names twice, elements that MuJoCo does not know."""


def shadow(name: str) -> str:
    """The Shadow Hand's joints and links in gymnasium-robotics: numbers one less, another prefix."""
    if name[-1].isdigit():
        return f"robot0:{name[:-1]}{int(name[-1]) - 1}"
    return f"robot0:{'S_' if name.endswith('tip') else ''}{name}"


def same(name: str) -> str:
    return name


LEAP = "mujoco_playground/_src/manipulation/leap_hand/xmls/leap_rh_mjx.xml"
CARDS: dict[str, tuple[str, Callable[[str], str]]] = {
    "leap_right": (LEAP, same),
    "shadow_right": ("gymnasium_robotics/envs/assets/hand/reach.xml", shadow),
    "allegro_left": (f"{SHARE}/allegro_hand_description/urdf/allegro_left_hand.urdf", same),
    "allegro_right": ("mani_skill/assets/robots/allegro/allegro_hand_right.urdf", same),
    "panda": (f"{SHARE}/panda_description/urdf/panda.urdf", same),
    "ur5e": (f"{ASSETS}/robots/ur5e/robot.xml", lambda name: "right_hand" if name == "flange" else name),
    "xarm7": ("mani_skill/assets/robots/xarm7/xarm7.urdf", same),
    "aloha": ("gym_aloha/assets/bimanual_viperx_transfer_cube.xml", lambda name: name if name == "world" else f"vx300s_{name}"),
    "g1": (f"{SHARE}/g1_description/urdf/g1_29dof_rev_1_0.urdf", same),
    "gr1": (f"{ASSETS}/robots/gr1/robot.xml",
            lambda name: {"pelvis": "whole_body", "left_hand": "left_hand_eefd", "right_hand": "right_hand_eef"}.get(name, name)),
}  # fmt: skip
"""Where each card's numbers can be had from a package, and what its names are there."""


@pytest.fixture(scope="session")
def robots_python(request: pytest.FixtureRequest) -> str:
    """The Python that has MuJoCo and the robots; built on first use, with progress on the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        built = subprocess.run([sys.executable, str(HERE / "robots_venv.py")], stdout=subprocess.PIPE, text=True, check=True)
    return built.stdout.strip()


@pytest.fixture
def folders(robots_python: str) -> list[Path]:
    packages, = Path(robots_python).parents[1].glob("lib/python3*/site-packages")
    return [packages, packages / "cmeel.prefix" / "share"]


@pytest.fixture
def mujoco_poses(robots_python: str) -> Callable[[Path, list[dict[str, float]]], Poses]:
    def ask(path: Path, positions: list[dict[str, float]]) -> Poses:
        command = [robots_python, str(HERE / "mujoco_poses.py"), str(path), json.dumps(positions)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{path.name}: {done.stderr[-500:]}"
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    return ask


def test_readers_agree_with_mujoco_on_every_robot_of_the_packages(folders: list[Path], mujoco_poses: Callable[..., Poses]) -> None:
    paths = sorted({path for folder in folders for pattern in MODELS for path in folder.glob(pattern)})
    paths = [path for path in paths if path.name not in REFUSED_BY_MUJOCO and b"<joint" in path.read_bytes()]  # some are empty
    worst, links = {}, 0
    for path in paths:
        description = read_model_file(path)
        if not description.moving():
            continue
        joints = [replace(joint, mimic="", multiplier=1.0, offset=0.0, lower=max(joint.lower, -1.0), upper=min(joint.upper, 1.0))
                  for joint in description.joints]  # fmt: skip
        joints = [joint if joint.kind == FIXED or joint.lower < joint.upper else replace(joint, lower=-1.0, upper=1.0) for joint in joints]
        made = assemble(Table(path.name, "joints", {}), joints, description.root)
        q = np.random.default_rng(0).uniform(made.lower, made.upper, (3, len(made.names)))
        theirs = mujoco_poses(path, [dict(zip(made.names, row, strict=True)) for row in q])
        T = link_poses(made.chain, q)
        errors = []
        for n, found in enumerate(theirs):
            root = np.linalg.inv(found.get(description.root, np.eye(4)))
            errors += [np.abs(root @ np.array(found[link]) - T[n, i]).max() for i, link in enumerate(made.chain.links) if link in found]
        assert len(errors) >= 3 * len(made.names), path.name
        worst[path.name], links = max(errors), links + len(errors)
    print(f"{len(paths)} models, {links} link poses, worst {max(worst.values()):.1e}")
    assert len(paths) > 40 and max(worst.values()) < 1e-9, worst


@pytest.mark.parametrize("name", CARDS)
def test_cards_agree_with_mujoco_on_what_they_were_made_from(name: str, folders: list[Path], mujoco_poses: Callable[..., Poses]) -> None:
    source, theirs = CARDS[name]
    path = next(folder / source for folder in folders if (folder / source).exists())
    robot = load_any(name)
    if isinstance(robot, ArmModel):
        chain, links = robot.chain, [end.link if robot.chain.links[end.link] != f"{end.name}_end" else int(robot.chain.parent[end.link])
                                     for end in robot.ends]  # fmt: skip
    else:
        assert robot.hand is not None
        chain, links = robot.hand.chain, list(robot.hand.tips)
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (20, len(robot.joint_names)))
    found = mujoco_poses(path, [{theirs(joint): value for joint, value in zip(robot.joint_names, row, strict=True)} for row in q])
    T = link_poses(chain, q)
    first = int(np.flatnonzero(chain.parent == -1)[0])  # a link on the root: relative to it the root need not be named
    for n, poses in enumerate(found):
        base = np.linalg.inv(T[n, first])
        their_base = np.linalg.inv(np.array(poses[theirs(chain.links[first])]))
        for link in links:
            np.testing.assert_allclose(base @ T[n, link], their_base @ np.array(poses[theirs(chain.links[link])]), atol=1e-9)
