"""Robot cards: what comes with firsthand, and what a person reads when a card of their own is wrong."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from firsthand.capture.errors import FirsthandError
from firsthand.retarget.robot import load_robot, robot_names
from firsthand.retarget.robot_arm import load_any

HAND = """
format = "firsthand.robot"
version = 1
name = "small"
title = "Two fingers"
kind = "hand"
side = "right"
source = "a test"
licence = "Apache-2.0"
root = "palm"
[wrist]
link = "palm"
rpy = [0, 0, 0]
[fingers]
thumb = "thumb_tip"
index = "index_tip"
[joints]
t1 = { parent = "palm", child = "thumb_tip", xyz = [0, 0, 0.1], axis = [1, 0, 0], limits = [-1, 1], velocity = 5 }
i1 = { parent = "palm", child = "i", xyz = [0, 0, 0.1], axis = [1, 0, 0], limits = [-1, 1], velocity = 5 }
i2 = { parent = "i", child = "index_tip", xyz = [0, 0, 0.1], axis = [1, 0, 0], limits = [-0.5, 1], velocity = 4, mimic = { joint = "i1", multiplier = 2 } }
"""  # noqa: E501
GRIPPER = """
format = "firsthand.robot"
version = 1
name = "jaws"
title = "Jaws"
kind = "gripper"
source = "a test"
licence = "Apache-2.0"
[gripper]
width = [0.01, 0.1]
[tcp]
link = "tcp"
approach = "+x"
closing = "-z"
"""


def write(tmp_path: Path, card: str) -> str:
    """A card on disk."""
    path = tmp_path / "mine.toml"
    path.write_text(card, encoding="utf-8")
    return str(path)


def test_every_card_that_comes_along_is_read_and_says_where_its_numbers_are_from() -> None:
    assert {"panda_gripper", "allegro_right"} <= set(robot_names())
    for name in robot_names():
        robot = load_any(name)
        assert robot.name == name and robot.source and robot.licence and len(robot.sha256) == 64
        assert (robot.lower < robot.upper).all() and (robot.velocity > 0).all()
        assert len(robot.joint_names) == len(robot.joint_units) == len(robot.lower)


def test_panda_gripper_opens_eight_centimetres_and_follows_either_hand() -> None:
    robot = load_robot("panda_gripper")
    assert (robot.kind, robot.joint_names, robot.joint_units) == ("gripper", ("width",), ("m",))
    assert (robot.lower[0], robot.upper[0]) == (0.0, 0.08)
    assert robot.follows("left") and robot.follows("right")
    assert_allclose(robot.R_grasp_tcp, np.eye(3))


def test_allegro_has_sixteen_joints_in_the_order_of_its_driver_and_follows_the_right_hand() -> None:
    robot = load_robot("allegro_right")
    assert robot.joint_names == tuple(f"joint_{i}.0" for i in range(16))
    assert robot.follows("right") and not robot.follows("left")
    assert robot.hand is not None and robot.hand.fingers == ("thumb", "index", "middle", "ring")


def test_what_a_card_gives_cannot_be_changed() -> None:
    robot = load_robot("allegro_right")
    with pytest.raises(ValueError, match="read-only"):
        robot.lower[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        robot.hand.chain.p0[0] = 0  # type: ignore[union-attr]


def test_a_card_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    robot = load_robot(write(tmp_path, HAND))
    assert robot.name == "small" and robot.joint_names == ("t1", "i1")


def test_limits_and_speed_of_a_follower_limit_the_joint_it_follows(tmp_path: Path) -> None:
    robot = load_robot(write(tmp_path, HAND))
    assert_allclose(robot.lower, [-1, -0.25])
    assert_allclose(robot.upper, [1, 0.5])
    assert_allclose(robot.velocity, [5, 2])


def test_axes_of_a_gripper_are_the_cards_own(tmp_path: Path) -> None:
    R = load_robot(write(tmp_path, GRIPPER)).R_grasp_tcp
    assert_allclose(R @ [1, 0, 0], [0, 0, 1])  # its approach is the grasp's z
    assert_allclose(R @ [0, 0, -1], [0, 1, 0])  # its closing axis is the grasp's y
    assert_allclose(np.linalg.det(R), 1)


def test_an_unknown_robot_names_the_near_ones() -> None:
    with pytest.raises(FirsthandError, match=r"no robot called 'panda_griper'; did you mean 'panda_gripper'.*\? \(there are: "):
        load_robot("panda_griper")


def test_a_card_that_is_not_there() -> None:
    with pytest.raises(FirsthandError, match=r"cannot read the robot card nowhere/x\.toml: No such file"):
        load_robot("nowhere/x.toml")


WRONG = {
    "not TOML": (HAND, "version = 1", "version =", "is not TOML"),
    "another format": (HAND, "firsthand.robot", "urdf", r'format is \'urdf\'; write "firsthand.robot"'),
    "a later version": (HAND, "version = 1", "version = 2", "this firsthand reads version 1: upgrade it"),
    "a name that is no file name": (HAND, 'name = "small"', 'name = "a/b"', "name is 'a/b'; it names a file, so write only letters"),
    "a missing title": (HAND, 'title = "Two fingers"', "", "title is missing; write a text"),
    "an unknown kind": (HAND, 'kind = "hand"', 'kind = "foot"', 'kind is \'foot\'; write "gripper" or "hand" or "arm" or "composition"'),
    "a hand without a side": (HAND, 'side = "right"', "", 'side is missing; write "left" or "right" or "any"'),
    "a misspelt field": (HAND, "root =", "rot =", "rot is not a field of a card; did you mean root"),
    "a misspelt joint field": (HAND, "velocity = 4", "speed = 4", "joints.i2.speed is not a field of a card"),
    "a missing tip": (HAND, 'index = "index_tip"', "", "fingers names thumb; a hand needs its thumb's tip and that of a finger"),
    "a tip that is no link": (HAND, '"thumb_tip"\nindex', '"thumb_tp"\nindex', "fingers.thumb is not a link .* did you mean 'thumb_tip'"),
    "inverted limits": (HAND, "limits = [-0.5, 1]", "limits = [1, -0.5]", r"joints\.i2\.limits goes from 1 to -0.5; write \[lower, upper"),
    "a number that is none": (HAND, "xyz = [0, 0, 0.1], axis", "xyz = [0, nan, 0.1], axis", r"joints\.t1\.xyz is .*; write 3 finite"),
    "no axis": (HAND, "axis = [1, 0, 0], limits = [-0.5", "axis = [0, 0, 0], limits = [-0.5", r"joints\.i2\.axis has no length"),
    "no speed": (HAND, "velocity = 4", "velocity = 0", r"joints\.i2\.velocity is 0; write a finite number above 0"),
    "an unknown parent": (HAND, 'parent = "i"', 'parent = "j"', r"joints\.i2\.parent is not a link: no link called 'j'.*palm"),
    "a circle": (HAND, 'i1 = { parent = "palm"', 'i1 = { parent = "index_tip"', r"joints\.i1 hangs in a circle with i2; let one"),
    "a link moved twice": (HAND, 'child = "index_tip"', 'child = "i"', r"joints\.i2\.child is 'i', which is moved by i1 already"),
    "a mimic of nothing": (HAND, 'joint = "i1"', 'joint = "i9"', r"joints\.i2\.mimic follows no moving joint: no joint called 'i9'"),
    "a mimic of itself": (HAND, 'joint = "i1"', 'joint = "i2"', r"joints\.i2\.mimic follows itself through i2"),
    "a mimic without room": (HAND, "multiplier = 2", "multiplier = 2, offset = 9", r"joints\.i2 mimics i1, whose limits then leave no"),
    "a mimic by nothing": (HAND, "multiplier = 2", "multiplier = 0", r"joints\.i2\.mimic\.multiplier is 0"),
    "no moving joint": (HAND, HAND[HAND.index("t1 ="):], 'f = { type = "fixed", parent = "palm", child = "f" }', "has no joint that moves"),
    "an unknown joint type": (HAND, "t1 = {", 't1 = { type = "continuous",', r"joints\.t1\.type is 'continuous'; write \"revolute\" or"),
    "a wrist that moves": (HAND, 'link = "palm"\nrpy', 'link = "i"\nrpy', "wrist.link is 'i', which a joint moves; name a link"),
    "a wrist that is no link": (HAND, 'link = "palm"\nrpy', 'link = "plam"\nrpy', "wrist.link is not a link: .* did you mean 'palm'"),
    "a scale that is a word": (HAND, "root =", 'scale = "big"\nroot =', "scale is 'big'; write \"auto\", a number, or one"),
    "a scale for one finger only": (HAND, "root =", "scale = { thumb = 1.2 }\nroot =", "scale.index is missing"),
    "a pinch without the thumb": (HAND, "root =", 'pinch = [["index", "middle"]]\nroot =', "pinch holds .*; write pairs of the thumb"),
    "a gripper that opens inwards": (GRIPPER, "[0.01, 0.1]", "[-0.01, 0.1]", "never below 0"),
    "a gripper without width": (GRIPPER, "[0.01, 0.1]", "[0.1, 0.1]", r"gripper\.width goes from 0.1 to 0.1"),
    "a gripper that closes along its approach": (GRIPPER, '"-z"', '"-x"', r"tcp\.closing lies along approach"),
    "an axis that is none": (GRIPPER, '"-z"', '"up"', r"tcp\.closing is 'up'; write"),
    "a gripper with joints": (GRIPPER, "[tcp]", "[joints]\n[tcp]", "joints is not a field of a card"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_card_is_refused_in_one_sentence_that_names_it(tmp_path: Path, fault: str) -> None:
    card, old, new, message = WRONG[fault]
    assert old in card
    with pytest.raises(FirsthandError, match=message) as caught:
        load_robot(write(tmp_path, card.replace(old, new, 1)))
    assert str(caught.value).startswith("robot card mine.toml") and "\n" not in str(caught.value)
