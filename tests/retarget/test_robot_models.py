"""Robots from other people's files: what a URDF and an MJCF mean, and what a person reads when one is wrong or hostile."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.kinematics import FIXED, link_poses, rotation
from firsthand.retarget.robot import load_robot, robot_names
from firsthand.retarget.robot_arm import load_any
from firsthand.retarget.robot_card import Table
from firsthand.retarget.robot_check import check_robot, rpy_of, write_card
from firsthand.retarget.robot_description import Description, read_model_file
from firsthand.retarget.robot_joints import assemble

FINGER = """
  <joint name="{f}_spread" type="revolute"><parent link="palm"/><child link="{f}_base"/><origin xyz="0 {y} 0.09" rpy="0 0 0"/>
    <axis xyz="1 0 0"/><limit lower="-0.3" upper="0.3" velocity="6" effort="1"/></joint>
  <joint name="{f}_bend" type="revolute"><parent link="{f}_base"/><child link="{f}_mid"/><origin xyz="0 0 0.02"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.6" velocity="6" effort="1"/></joint>
  <joint name="{f}_curl" type="revolute"><parent link="{f}_mid"/><child link="{f}_far"/><origin xyz="0 0 0.04"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.6" velocity="6" effort="1"/><mimic joint="{f}_bend" multiplier="0.9"/></joint>
  <joint name="{f}_end" type="fixed"><parent link="{f}_far"/><child link="{f}_tip"/><origin xyz="0 0 0.03"/></joint>
  <link name="{f}_base"/><link name="{f}_mid"/><link name="{f}_far"/><link name="{f}_tip"/>
"""
HAND = ('<?xml version="1.0"?>\n<robot name="made"><link name="palm"/>'
        + FINGER.format(f="index", y=0.03) + FINGER.format(f="ring", y=-0.02)
        + FINGER.format(f="thumb", y=0.05).replace('xyz="0 0.05 0.09" rpy="0 0 0"', 'xyz="0.01 0.04 0.03" rpy="-0.9 0 0"')
        + "</robot>")  # fmt: skip


def save(tmp_path: Path, text: str, name: str = "made.urdf") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def poses(description: Description, q: dict[str, float]) -> dict[str, np.ndarray]:
    """Where the links are at some joint positions."""
    joints = assemble(Table("a test", "joints", {}), description.joints, description.root)
    T = link_poses(joints.chain, np.array([[q.get(name, 0.0) for name in joints.names]]))[0]
    return dict(zip(joints.chain.links, T, strict=False))


def test_a_urdf_is_checked_and_its_card_can_be_used(tmp_path: Path) -> None:
    found = check_robot(str(save(tmp_path, HAND)))
    assert found.faults == () and found.robot is not None
    write_card(found, tmp_path / "cards" / "mine.toml")
    robot = load_robot(str(tmp_path / "cards" / "mine.toml"))
    assert robot.side == "right" and robot.hand is not None and robot.hand.fingers == ("thumb", "index", "ring")
    assert set(robot.joint_names) == {f"{f}_{j}" for f in ("index", "ring", "thumb") for j in ("spread", "bend")}
    with pytest.raises(FirsthandError, match="is there already"):
        write_card(found, tmp_path / "cards" / "mine.toml")


def test_a_card_may_limit_and_hold_joints_of_its_model(tmp_path: Path) -> None:
    save(tmp_path, HAND)
    changes = "[joints]\nring_spread = { at = 0.1 }\nring_bend = { at = 0.2 }\nindex_bend = { limits = [0, 1], velocity = 2 }\n"
    card = check_robot(str(tmp_path / "made.urdf")).card + changes
    robot = load_robot(str(save(tmp_path, card, "mine.toml")))
    assert not {"ring_spread", "ring_bend"} & set(robot.joint_names)
    free = poses(read_model_file(tmp_path / "made.urdf"), {"ring_spread": 0.1, "ring_bend": 0.2})["ring_tip"]
    assert robot.hand is not None  # the joint that follows one that is held is held, too
    assert_allclose(link_poses(robot.hand.chain, robot.lower[None])[0, robot.hand.chain.link("ring_tip")], free, atol=1e-12)
    i = robot.joint_names.index("index_bend")
    assert (robot.lower[i], robot.upper[i], robot.velocity[i]) == (0, 1, 2)
    with pytest.raises(FirsthandError, match=r"mine\.toml: joints\.rng_spread is not a joint of made\.urdf below palm: .*did you mean"):
        load_robot(str(save(tmp_path, card.replace("ring_spread =", "rng_spread ="), "mine.toml")))


def test_the_hash_of_a_card_is_also_that_of_its_model(tmp_path: Path) -> None:
    card = save(tmp_path, check_robot(str(save(tmp_path, HAND))).card, "mine.toml")
    before = load_robot(str(card)).sha256
    save(tmp_path, HAND.replace("0.04", "0.041"))
    assert load_robot(str(card)).sha256 != before


WRONG = {
    "a missing tip": (HAND.replace("thumb", "digit"), "no link is named as the tip of a thumb .*index_tip.*name the tips under"),
    "joints without limits": (HAND.replace('<limit lower="-0.3" upper="0.3" velocity="6" effort="1"/>', "", 1),
                              r"made\.urdf: index_spread has no limits; write them"),
    "a continuous joint": (HAND.replace('type="revolute"', 'type="continuous"', 1), "index_spread has no limits"),
    "millimetres": (HAND.replace('xyz="0 0 0.04"', 'xyz="0 0 40"').replace('xyz="0 0 0.03"', 'xyz="0 0 30"').replace('0.09"', '90"'),
                    "write lengths in metres, and these look like millimetres"),
    "an entity": ('<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><robot name="&a;"/>', "declares a document type or entities"),
    "a laughing billion": ('<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><robot>&b;</robot>', "declares a document type"),
    "no XML": ("a robot", "made.urdf is not XML: .* in line 1"),
    "a xacro": ('<robot xmlns:xacro="x"><xacro:include filename="a"/></robot>', "is a xacro, which a program must expand first"),
    "an SDF": ("<sdf/>", "made.urdf is an SDF, which is not read"),
    "something else": ("<html/>", "starts with <html>"),
    "deep nesting": ("<robot>" + "<a>" * 300 + "</a>" * 300 + "</robot>", "inside each other; no robot does"),
    "an unknown link": (HAND.replace('<link name="palm"/>', ""), "the joint index_spread hangs on no link called 'palm'"),
    "two roots": (HAND.replace("</robot>", '<link name="lost"/></robot>'), "exactly one link must hang on no joint, .* palm and lost"),
    "a word for a number": (HAND.replace('xyz="0 0 0.02"', 'xyz="0 zero 0"', 1), 'has xyz="0 zero 0", which is not 3 finite numbers'),
    "an infinite number": (HAND.replace('xyz="0 0 0.02"', 'xyz="0 0 inf"', 1), "which is not 3 finite numbers"),
    "an axis without length": (HAND.replace('xyz="1 0 0"', 'xyz="0 0 0"', 1), "axis of the joint index_spread has no length"),
    "a mimic of nothing": (HAND.replace('joint="ring_bend"', 'joint="rng_bend"'), "ring_curl.mimic follows no moving joint: .*'rng_bend'"),
    "a circle": (HAND.replace('<parent link="palm"/>', '<parent link="index_tip"/>', 1), "index_curl cannot be reached from the root palm"),
    "a floating joint": (HAND.replace('type="revolute"', 'type="floating"', 1), "index_spread is floating; only revolute"),
    "inverted limits": (HAND.replace('lower="0" upper="1.6"', 'lower="1.6" upper="0"', 1), "index_bend goes from 1.6 to 0; write"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_urdf_is_told_in_one_sentence(tmp_path: Path, fault: str) -> None:
    text, message = WRONG[fault]
    assert text != HAND
    found = check_robot(str(save(tmp_path, text)))
    assert len(found.faults) == 1 and "\n" not in found.faults[0]
    with pytest.raises(FirsthandError, match=message):
        raise FirsthandError(found.faults[0])


def test_a_mesh_that_is_not_there_is_told_and_not_needed(tmp_path: Path) -> None:
    mesh = '<link name="palm"><visual><geometry><mesh filename="package://made/meshes/palm.stl"/></geometry></visual></link>'
    found = check_robot(str(save(tmp_path, HAND.replace('<link name="palm"/>', mesh))))
    assert found.faults == () and found.robot is not None
    assert "the mesh package://made/meshes/palm.stl of palm is not there" in found.notes[0]
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "palm.stl").touch()
    assert check_robot(str(tmp_path / "made.urdf")).notes == ()


@pytest.mark.parametrize("turn", [(0, 0, 1.5708), (1.5708, 0, 0), (3.1416, 0, 0)])
def test_a_wrong_operator_frame_is_told_with_the_right_one(tmp_path: Path, turn: tuple[float, ...]) -> None:
    save(tmp_path, HAND)
    card = check_robot(str(tmp_path / "made.urdf")).card
    wrong = card.replace("rpy = [0, 0, 0]", f"rpy = {list(turn)}")
    assert wrong != card
    fault, = check_robot(str(save(tmp_path, wrong, "mine.toml"))).faults
    assert "degrees from operator axes" in fault and "write rpy = [" in fault
    right = fault.split("write ")[1].split(" under")[0]
    assert check_robot(str(save(tmp_path, wrong.replace(f"rpy = {list(turn)}", right), "mine.toml"))).faults == ()


def test_a_hand_named_for_the_other_side_is_told(tmp_path: Path) -> None:
    save(tmp_path, HAND)
    card = check_robot(str(tmp_path / "made.urdf")).card.replace('side = "right"', 'side = "left"')
    fault, = check_robot(str(save(tmp_path, card, "mine.toml"))).faults
    assert "closes its fingers towards the back of a left hand: it is a right hand" in fault


@pytest.mark.parametrize("name", robot_names())
def test_no_card_that_comes_along_has_a_fault(name: str) -> None:
    assert check_robot(name).faults == ()


@pytest.mark.parametrize("hand", ["allegro", "leap", "shadow", "ability"])
def test_left_hands_are_mirror_images_of_right_ones(hand: str) -> None:
    left, right = load_robot(f"{hand}_left").hand, load_robot(f"{hand}_right").hand
    assert left is not None and right is not None and left.fingers == right.fingers
    q = np.zeros((1, len(load_robot(f"{hand}_left").joint_names)))
    tips = [link_poses(model.chain, q)[0, list(model.tips), :3, 3] for model in (left, right)]
    assert_allclose(tips[0] * [1, -1, 1], tips[1], atol=0.006)  # the Ability Hand's thumbs differ in its description


@pytest.mark.parametrize("rpy", [(0, 0, 0), (0.3, -0.2, 0.9), (1, np.pi / 2, 0.4), (1, -np.pi / 2, 0.4), (np.pi, 0, 0)])
def test_roll_pitch_and_yaw_come_back(rpy: tuple[float, ...]) -> None:
    assert_allclose(rotation(rpy_of(rotation(rpy))), rotation(rpy), atol=1e-12)


MJCF = """
<mujoco><compiler eulerseq="zyx"/>
  <default><joint axis="0 1 0"/><default class="slim"><joint range="-30 90"/></default></default>
  <worldbody><body name="base" pos="0 0 1" euler="30 0 0" childclass="slim">
    <body name="a" pos="0.1 0 0" axisangle="0 0 1 90"><joint name="one" pos="0 0 0.05" ref="10"/><joint name="two" axis="1 0 0"/>
      <frame pos="0 0 0.2">
        <body name="b" zaxis="1 0 0"><joint name="three" type="slide" range="0 0.1"/><site name="b" pos="0 0 0.3"/></body>
      </frame>
    </body></body></worldbody>
  <equality><joint joint1="two" joint2="one" polycoef="0.1 0.5 0 0 0"/></equality>
</mujoco>"""


def test_an_mjcf_means_what_mujoco_says_it_means(tmp_path: Path) -> None:
    """Degrees, defaults, ref, joints off the body's origin, frames, equalities; against the same written out by hand."""
    description = read_model_file(save(tmp_path, MJCF, "made.xml"))
    by_name = {joint.name: joint for joint in description.joints}
    assert_allclose([by_name["one"].lower, by_name["one"].upper], np.radians([-30, 90]))
    assert by_name["two"].mimic == "one"
    one, three = 0.5, 0.03
    two = 0.1 + 0.5 * (one - np.radians(10))
    turn = lambda seq, angle: Rotation.from_euler(seq, angle).as_matrix()  # noqa: E731

    def move(xyz: tuple[float, ...], R: np.ndarray | None = None) -> np.ndarray:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = np.eye(3) if R is None else R, xyz
        return T

    T = move((0, 0, 1), turn("z", np.radians(30))) @ move((0.1, 0, 0), turn("z", np.pi / 2))
    T = T @ move((0, 0, 0.05)) @ move((0, 0, 0), turn("y", one - np.radians(10))) @ move((0, 0, -0.05)) @ move((0, 0, 0), turn("x", two))
    b = T @ move((0, 0, 0.2)) @ move((0, 0, 0), turn("y", np.pi / 2)) @ move((0, three, 0))
    found = poses(description, {"one": one, "three": three})
    assert_allclose(found["b"], b, atol=1e-12)
    assert_allclose(found["b/2"], b @ move((0, 0, 0.3)), atol=1e-12)


def test_includes_of_an_mjcf_stay_in_its_folder(tmp_path: Path) -> None:
    save(tmp_path, '<mujocoinclude><body name="arm"><joint name="j" range="0 90"/></body></mujocoinclude>', "part.xml")
    whole = '<mujoco><worldbody><include file="part.xml"/></worldbody></mujoco>'
    assert read_model_file(save(tmp_path, whole, "made.xml")).links == ("world", "arm")
    for name in ("../part.xml", "/etc/passwd", "made.xml"):
        with pytest.raises(FirsthandError, match="outside its folder or includes itself"):
            read_model_file(save(tmp_path, whole.replace("part.xml", name), "made.xml"))


@pytest.mark.parametrize(("old", "new", "message"), [
    ('type="slide"', 'type="ball"', "three is a ball joint; only hinge and slide"),
    ("<frame ", '<replicate count="3"/><frame ', "uses <replicate>"),
    ('childclass="slim"', 'childclass="fat"', "the class 'fat', which no <default> defines"),
    ('eulerseq="zyx"', 'eulerseq="zy"', "write three of x, y and z"),
    ('name="two"', 'name="one"', "two joints called 'one'"),
])  # fmt: skip
def test_a_wrong_mjcf_is_told_in_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FirsthandError, match=message):
        read_model_file(save(tmp_path, MJCF.replace(old, new), "made.xml"))


def test_a_model_may_be_in_an_installed_package_or_not(tmp_path: Path) -> None:
    card = check_robot(str(save(tmp_path, HAND))).card
    for model, message in (("pypi:no_such_robots!a.urdf", "in the package no_such_robots, which is not installed: pip install"),
                           ("pypi:numpy!../a.urdf", "names no file of a package"), ("http:made.urdf", "write urdf:PATH, mjcf:PATH or"),
                           ("pypi:numpy!numpy/none.urdf", "cannot read .*none.urdf"), ("urdf:none.urdf", "cannot read .*none.urdf")):
        with pytest.raises(FirsthandError, match=f"robot card mine.toml: .*{message}"):
            load_robot(str(save(tmp_path, card.replace("urdf:made.urdf", model), "mine.toml")))


def test_fixed_links_that_nobody_names_are_left_out(tmp_path: Path) -> None:
    screw = '<link name="screw"/><joint name="s" type="fixed"><parent link="index_mid"/><child link="screw"/></joint>'
    text = HAND.replace("</robot>", f"{screw}</robot>")
    robot = load_robot(str(save(tmp_path, check_robot(str(save(tmp_path, text))).card, "mine.toml")))
    assert robot.hand is not None and "screw" not in robot.hand.chain.links and "index_tip" in robot.hand.chain.links


def test_an_arm_is_no_hand_and_says_so() -> None:
    with pytest.raises(FirsthandError, match="panda has arms, and actions for arms are not made yet; name a gripper or a hand"):
        load_robot("panda")
    assert load_any("panda").kind == "arm"


def test_a_urdf_in_the_place_of_a_card_names_the_command_that_makes_one() -> None:
    with pytest.raises(FirsthandError, match=r"x\.urdf is not a card; make one that uses it with: firsthand robots check x\.urdf --card"):
        load_robot("x.urdf")


def test_every_joint_of_a_description_has_a_known_kind(tmp_path: Path) -> None:
    description = read_model_file(save(tmp_path, HAND))
    assert description.root == "palm" and len(description.moving()) == 6
    assert {joint.child for joint in description.joints if joint.kind == FIXED} == {"index_tip", "ring_tip", "thumb_tip"}
