"""Robots with arms, and robots put together from cards."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.kinematics import link_poses
from firsthand.retarget.robot import load_robot, robot_names
from firsthand.retarget.robot_arm import ArmModel, load_any

HEAD = 'format = "firsthand.robot"\nversion = 1\nname = "both"\ntitle = "t"\nkind = "composition"\nsource = "a test"\nlicence = "none"\n'
ARM = '[parts.arm]\ncard = "panda"\nside = "right"\nxyz = [0.1, 0.2, 0.3]\n'
HAND = '[parts.hand]\ncard = "allegro_right"\non = "arm"\nxyz = [0, 0, 0.095]\n'


def compose(tmp_path: Path, parts: str) -> ArmModel:
    (tmp_path / "both.toml").write_text(HEAD + parts)
    robot = load_any(str(tmp_path / "both.toml"))
    assert isinstance(robot, ArmModel)
    return robot


@pytest.mark.parametrize("name", [name for name in robot_names() if isinstance(load_any(name), ArmModel)])
def test_arms_rest_within_their_limits_and_every_end_is_somewhere(name: str) -> None:
    robot = load_any(name)
    assert isinstance(robot, ArmModel) and robot.ends
    assert (robot.lower <= robot.rest).all() and (robot.rest <= robot.upper).all()
    T = link_poses(robot.chain, robot.rest[None])[0, [end.link for end in robot.ends]]
    assert np.isfinite(T).all() and (np.linalg.norm(T[:, :3, 3], axis=1) < 1.5).all()


def test_a_hand_on_an_arm_is_where_arm_and_hand_put_it(tmp_path: Path) -> None:
    robot, arm, hand = compose(tmp_path, ARM + HAND), load_any("panda"), load_robot("allegro_right")
    assert isinstance(arm, ArmModel) and hand.hand is not None
    assert robot.joint_names == tuple(f"arm/{j}" for j in arm.joint_names) + tuple(f"hand/{j}" for j in hand.joint_names)
    q = np.random.default_rng(0).uniform(robot.lower, robot.upper, (4, len(robot.lower)))
    end = robot.end("arm")
    assert end.side == "right" and end.effector is not None and end.effector.name == "allegro_right"
    found = link_poses(robot.chain, q)
    flange = link_poses(arm.chain, q[:, :7])[:, arm.ends[0].link]
    flange[:, :3, 3] += [0.1, 0.2, 0.3]
    fingers = link_poses(hand.hand.chain, q[:, list(end.joints)])  # positions from the wrist, in operator axes
    assert_allclose(found[:, end.link], flange, atol=1e-12)  # the wrist is as far below the hand's root as the root is above
    for tip in hand.hand.tips:
        link = robot.chain.link(f"hand/{hand.hand.chain.links[tip]}")
        assert_allclose(found[:, link], flange @ fingers[:, tip], atol=1e-12)


def test_a_grippers_tool_centre_is_before_the_flange() -> None:
    robot, arm = load_any("panda_with_gripper"), load_any("panda")
    assert isinstance(robot, ArmModel) and isinstance(arm, ArmModel)
    flange = link_poses(arm.chain, arm.rest[None])[0, arm.ends[0].link]
    T = link_poses(robot.chain, robot.rest[None])[0, robot.ends[0].link]
    assert_allclose(np.linalg.inv(flange) @ T @ [0, 0, 0, 1], [0, 0, 0.1034, 1], atol=1e-12)
    assert robot.joint_names[-1] == "gripper/width" and robot.ends[0].joints == (7,)


WRONG = {
    "a hand before its arm": (HAND + ARM, "parts.hand.on names no arm listed before it: no end called 'arm'"),
    "no arm": ("[parts]\n", "parts hold no arm"),
    "two hands on one end": (ARM + HAND + HAND.replace("parts.hand", "parts.more"), "which has allegro_right on it already"),
    "a hand of the other side": (ARM + HAND.replace("allegro_right", "allegro_left"), "is for a left hand, and arm is a right arm"),
    "an unknown card": (ARM.replace('"panda"', '"pando"'), "no robot called 'pando'; did you mean 'panda'"),
    "an end it has not got": (ARM + HAND + 'end = "tool"\n', "no end called 'arm/tool'"),
    "itself": ('[parts.arm]\ncard = "both.toml"\n', "lead back to both itself"),
    "a misspelt field": (ARM + HAND + "yxz = [0, 0, 0]\n", r"parts\.hand\.yxz is not a field of a card; did you mean xyz"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_composition_is_told_in_one_sentence(tmp_path: Path, fault: str) -> None:
    parts, message = WRONG[fault]
    with pytest.raises(FirsthandError, match=message) as caught:
        compose(tmp_path, parts)
    assert "\n" not in str(caught.value)


def test_an_arm_in_millimetres_and_a_rest_outside_the_limits_are_told(tmp_path: Path) -> None:
    card = (Path(__file__).parents[2] / "retarget" / "robots" / "panda.toml").read_text()
    for old, new, message in (("xyz = [0, 0, 0.333]", "xyz = [0, 0, 333]", "write lengths in metres, and these look like millimetres"),
                              ("panda_joint2 = -0.785", "panda_joint2 = -2.785", r"rest\.panda_joint2 is -2\.785, outside its limits")):
        assert old in card
        (tmp_path / "arm.toml").write_text(card.replace(old, new))
        with pytest.raises(FirsthandError, match=message):
            load_any(str(tmp_path / "arm.toml"))
