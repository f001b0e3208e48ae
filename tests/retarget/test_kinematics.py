"""Where links are, against independent arithmetic."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

from firsthand.retarget.kinematics import axis_rotation, link_jacobians, link_positions, rotation
from firsthand.retarget.robot import RobotModel, load_robot

CARD = """
format = "firsthand.robot"
version = 1
name = "made_up"
title = "A hand nobody built"
kind = "hand"
side = "right"
source = "a test"
licence = "Apache-2.0"
root = "mount"
[wrist]
link = "palm"
rpy = [0.3, -0.2, 0.9]
xyz = [0.01, 0.02, -0.03]
[fingers]
thumb = "thumb_tip"
index = "index_tip"
[joints]
spin = { parent = "mount", child = "a", xyz = [0, 0.03, 0.05], rpy = [0.1, 0.2, 0.3], axis = [0, 3, 4], limits = [-1, 1], velocity = 5 }
slide = { type = "prismatic", parent = "a", child = "b", xyz = [0, 0, 0.02], axis = [1, 0, 1], limits = [0, 0.03], velocity = 0.5 }
bend = { parent = "b", child = "c", xyz = [0, 0, 0.03], axis = [0, 1, 0], limits = [-2, 2], velocity = 5, mimic = { joint = "spin", multiplier = -1.5, offset = 0.2 } }
tip = { type = "fixed", parent = "c", child = "thumb_tip", xyz = [0.01, 0, 0.02] }
down = { type = "fixed", parent = "mount", child = "palm", xyz = [0.01, 0, -0.06], rpy = [0.4, 0, 0] }
curl = { parent = "mount", child = "d", xyz = [0, -0.03, 0.05], axis = [0, 1, 0], limits = [-0.5, 1.5], velocity = 5 }
curl2 = { parent = "d", child = "e", xyz = [0, 0, 0.04], axis = [0, 1, 0], limits = [-3, 3], velocity = 5, mimic = { joint = "bend2", multiplier = 2 } }
bend2 = { parent = "e", child = "index_tip", xyz = [0, 0, 0.04], axis = [1, 0, 0], limits = [-2, 1], velocity = 8, mimic = { joint = "curl", multiplier = 0.5, offset = 0.1 } }
"""  # noqa: E501


@pytest.fixture
def made_up(tmp_path: Path) -> RobotModel:
    """A hand with prismatic joints, chains of mimics, and axes that lie along nothing."""
    path = tmp_path / "made_up.toml"
    path.write_text(CARD, encoding="utf-8")
    return load_robot(str(path))


@pytest.fixture(params=["allegro_right", "made_up"])
def robot(request: pytest.FixtureRequest) -> RobotModel:
    """A real hand and a made-up one."""
    return load_robot("allegro_right") if request.param == "allegro_right" else request.getfixturevalue("made_up")


def random_joints(robot: RobotModel, count: int) -> np.ndarray:
    """Joint positions all over the limits, (N, J)."""
    return np.random.default_rng(1).uniform(robot.lower, robot.upper, (count, len(robot.joint_names)))


def pose(xyz: list[float], R: np.ndarray) -> np.ndarray:
    """A pose as a matrix."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, xyz
    return T


def test_roll_pitch_yaw_are_those_of_urdf() -> None:
    rpy = np.random.default_rng(0).uniform(-3, 3, (20, 3))
    assert_allclose([rotation(row) for row in rpy], Rotation.from_euler("xyz", rpy).as_matrix(), atol=1e-14)


def test_rotation_about_an_axis_agrees_with_scipy() -> None:
    axis, angle = np.array([2.0, -1, 2]) / 3, np.linspace(-4, 4, 17)
    assert_allclose(axis_rotation(axis, angle), Rotation.from_rotvec(angle[:, None] * axis).as_matrix(), atol=1e-14)


def test_fingertip_of_the_made_up_hand_by_hand(made_up: RobotModel) -> None:
    spin, slide, curl = 0.4, 0.02, 0.7
    turn = lambda axis, angle: Rotation.from_rotvec(angle * np.array(axis)).as_matrix()  # noqa: E731
    euler = lambda *rpy: Rotation.from_euler("xyz", rpy).as_matrix()  # noqa: E731
    palm = pose([0.01, 0, -0.06], euler(0.4, 0, 0))
    thumb = pose([0, 0.03, 0.05], euler(0.1, 0.2, 0.3) @ turn([0, 0.6, 0.8], spin))
    thumb = thumb @ pose(list(np.array([0, 0, 0.02]) + slide * np.array([1, 0, 1]) / np.sqrt(2)), np.eye(3))
    thumb = thumb @ pose([0, 0, 0.03], turn([0, 1, 0], -1.5 * spin + 0.2)) @ pose([0.01, 0, 0.02], np.eye(3))
    bend2 = 0.5 * curl + 0.1
    index = pose([0, -0.03, 0.05], turn([0, 1, 0], curl)) @ pose([0, 0, 0.04], turn([0, 1, 0], 2 * bend2)) @ pose([0, 0, 0.04], np.eye(3))
    wanted = [(pose([0, 0, 0], euler(0.3, -0.2, 0.9)) @ np.linalg.inv(palm) @ T)[:3, 3] for T in (thumb, index)]
    assert made_up.hand is not None
    assert made_up.joint_names == ("spin", "slide", "curl") and made_up.joint_units == ("rad", "m", "rad")
    assert_allclose(link_positions(made_up.hand.chain, [[spin, slide, curl]], made_up.hand.tips)[0], wanted, atol=1e-15)


def test_the_wrist_link_is_the_origin_of_operator_axes(robot: RobotModel) -> None:
    assert robot.hand is not None
    chain = robot.hand.chain
    wrist = chain.link("wrist") if "wrist" in chain.links else chain.link("palm")
    assert_allclose(link_positions(chain, random_joints(robot, 5), [wrist]), 0, atol=1e-15)


def test_jacobians_agree_with_finite_differences(robot: RobotModel) -> None:
    assert robot.hand is not None
    chain, tips, q, h = robot.hand.chain, robot.hand.tips, random_joints(robot, 20), 1e-6
    J = link_jacobians(chain, q, tips)
    for j in range(q.shape[1]):
        step = np.zeros(q.shape[1])
        step[j] = h
        numeric = (link_positions(chain, q + step, tips) - link_positions(chain, q - step, tips)) / (2 * h)
        assert_allclose(J[..., j], numeric, atol=1e-9)


def test_allegro_stands_where_its_description_says() -> None:
    """Straight fingers: knuckle, phalanges and tip of the public description, added up by hand; the wrist is 0.095 m below."""
    robot = load_robot("allegro_right")
    assert robot.hand is not None
    tips = dict(zip(robot.hand.fingers, link_positions(robot.hand.chain, np.zeros((1, 16)), robot.hand.tips)[0], strict=True))
    assert_allclose(tips["middle"], [0, 0, 0.095 + 0.0007 + 0.0164 + 0.054 + 0.0384 + 0.0267], atol=1e-12)
    length = 0.0164 + 0.054 + 0.0384 + 0.0267
    lean = np.radians(5)
    assert_allclose(tips["index"], [0, 0.0435 + length * np.sin(lean), 0.095 - 0.001542 + length * np.cos(lean)], atol=1e-12)
    assert_allclose(tips["ring"], tips["index"] * [1, -1, 1], atol=1e-12)
    curled = np.zeros((1, 16))
    curled[:, 5:8] = 0.5
    assert link_positions(robot.hand.chain, curled, robot.hand.tips)[0, 2, 0] > 0.05, "fingers curl out of the palm, along +x"
