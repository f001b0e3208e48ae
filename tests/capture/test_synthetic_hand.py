"""The synthetic hand: bones that keep their length, gloves that say how they bend, motion without jumps."""

import numpy as np
import pytest

from firsthand.capture.skeleton import BONES, INDEX_TIP, KNUCKLES, THUMB_TIP
from firsthand.capture.synthetic.flesh import JOINT_RADII_M, skin_spheres
from firsthand.capture.synthetic.hand import GLOVE_NAMES, N_ANGLES, bone_lengths_m, glove_rad, hand_template, joints_m
from firsthand.capture.synthetic.head import GRAVITY_M_S2, HeadMotion
from firsthand.capture.synthetic.plan import GRIPS, HandPlan, Key
from firsthand.capture.synthetic.rotation import about, from_rotation_vector, inverse, poses, quat_wxyz, rotation_vector

MIRROR = np.diag([-1.0, 1.0, 1.0])


def some_articulations(count: int = 50) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 0.9, (count, N_ANGLES))


def a_plan(side: str = "right") -> HandPlan:
    return HandPlan(side, (  # type: ignore[arg-type]
        Key(0.5, (0.1, 0.1, 0.1), (-10, -36, 0), "open"), Key(1.5, (0.1, 0.2, 0.05), (-10, -30, 20), "pinch"),
        Key(2.5, (0.0, 0.2, 0.1), (0, -30, 0), "relaxed"),
    ), arcs=((1.5, 2.5, 0.05),), phase=1.0)  # fmt: skip


def test_bones_keep_their_length_however_the_hand_bends() -> None:
    points = joints_m(some_articulations())
    lengths = np.stack([np.linalg.norm(points[:, b] - points[:, a], axis=1) for a, b in BONES], 1)
    np.testing.assert_allclose(lengths, np.broadcast_to(bone_lengths_m(), lengths.shape), atol=1e-12)
    np.testing.assert_allclose(lengths[0, [5, 6, 7]], [0.042, 0.025, 0.022], atol=1e-12)  # index phalanges


def test_fingers_point_up_the_image_and_the_thumb_is_on_the_left_of_a_right_hand() -> None:
    flat = hand_template()
    assert (flat[list(KNUCKLES), 1] < -0.07).all()
    assert np.all(np.diff(flat[list(KNUCKLES), 0]) > 0)
    assert flat[THUMB_TIP, 0] < flat[KNUCKLES[0], 0]


def test_a_glove_reports_the_bend_between_neighbouring_bones() -> None:
    angles = some_articulations()
    angles[:, 12] = 0.0  # no splay: each finger bends in one plane
    points, glove = joints_m(angles), glove_rad(angles)
    for finger in range(1, 5):
        bones = np.diff(points[:, 1 + 4 * finger : 5 + 4 * finger], axis=1)
        bones /= np.linalg.norm(bones, axis=2, keepdims=True)
        bend = np.arccos(np.clip((bones[:, 1:] * bones[:, :-1]).sum(2), -1, 1))
        np.testing.assert_allclose(glove[:, 4 * finger + 1 : 4 * finger + 3], bend, atol=1e-6)
    assert len(GLOVE_NAMES) == len(set(GLOVE_NAMES)) == glove.shape[1] == 20


def test_the_pinch_brings_thumb_and_index_together_and_the_open_hand_does_not() -> None:
    apertures = {name: np.linalg.norm(np.subtract(*joints_m(grip[None])[0, [THUMB_TIP, INDEX_TIP]])) for name, grip in GRIPS.items()}
    assert apertures["pinch"] == pytest.approx(0.0165, abs=0.0005)
    assert apertures["open"] > apertures["relaxed"] > apertures["ready"] > 0.03


def test_motion_reaches_its_keys_and_never_jumps() -> None:
    plan, t = a_plan(), np.linspace(0, 3, 3001)
    points = plan.points_m(t)
    assert np.linalg.norm(np.diff(points, axis=0), axis=2).max() < 0.001  # below 1 m/s
    pinch = (points[:, THUMB_TIP] + points[:, INDEX_TIP]) / 2
    np.testing.assert_allclose(pinch, plan.pinch_m(t), atol=1e-12)
    np.testing.assert_allclose(pinch[1500], (0.1, 0.2, 0.05), atol=0.004)  # up to its sway


def test_a_left_hand_is_the_mirror_image_of_a_right_one() -> None:
    t = np.linspace(0, 3, 20)
    np.testing.assert_allclose(a_plan("left").local_m(t), a_plan("right").local_m(t) @ MIRROR, atol=1e-12)


def test_what_is_held_keeps_its_place_between_the_fingers() -> None:
    plan = a_plan()
    in_hand = inverse(plan.T_world_pinch(1.5)) @ np.array([0.1, 0.25, 0.05, 1.0])
    for t in (1.7, 2.0):
        tips = plan.points_m(np.array([t]))[0, [THUMB_TIP, INDEX_TIP]]
        thing = (plan.T_world_pinch(t) @ in_hand)[:3]
        assert np.linalg.norm(thing - tips.mean(0)) == pytest.approx(np.linalg.norm(in_hand[:3]), abs=1e-9)


def test_flesh_covers_every_joint() -> None:
    points = a_plan().points_m(np.array([1.0]))[0]
    centres, radii = skin_spheres(points, sleeve=True)
    depth_in_flesh = (radii - np.linalg.norm(points[:, None] - centres, axis=2)).max(1)
    np.testing.assert_array_less(JOINT_RADII_M.ravel() - 1e-9, depth_in_flesh[1:] + 1e-9)
    assert depth_in_flesh[0] > 0.005


def test_rotation_vectors_and_quaternions_agree_with_matrices() -> None:
    vectors = np.random.default_rng(1).normal(0, 0.8, (40, 3))
    R = from_rotation_vector(vectors)
    np.testing.assert_allclose(rotation_vector(R), vectors, atol=1e-9)
    w, x, y, z = quat_wxyz(R).T
    half = np.linalg.norm(vectors, axis=1) / 2
    wanted = np.column_stack([np.cos(half), vectors * (np.sin(half) / (2 * half))[:, None]])
    np.testing.assert_allclose(np.stack([w, x, y, z], 1), wanted, atol=1e-9)
    turned_over = quat_wxyz(np.concatenate([about(axis, np.pi) for axis in range(3)]))  # where the trace gives no scale
    np.testing.assert_allclose(np.abs(turned_over), np.eye(4)[1:], atol=1e-9)


def test_a_resting_imu_feels_gravity_upwards() -> None:
    head = HeadMotion(0.3)
    t = np.linspace(0, 60, 500)
    felt = np.einsum("nij,nj->ni", head.T_world_cam(t)[:, :3, :3], head.imu(t)[:, :3])
    np.testing.assert_allclose(felt.mean(0), (0, 0, GRAVITY_M_S2), atol=0.01)


def test_an_imu_integrates_to_the_path_of_the_camera() -> None:
    head, step = HeadMotion(1.2), 1 / 500
    t = np.arange(0, 4, step)
    T, imu = head.T_world_cam(t), head.imu(t)
    R = T[0, :3, :3]
    place, velocity = T[0, :3, 3], (head.T_world_cam(np.array([1e-4]))[0, :3, 3] - head.T_world_cam(np.array([-1e-4]))[0, :3, 3]) / 2e-4
    for force, rate in zip(imu[:-1, :3], imu[:-1, 3:], strict=True):
        acceleration = R @ force - (0, 0, GRAVITY_M_S2)
        place, velocity = place + velocity * step + acceleration * step**2 / 2, velocity + acceleration * step
        R = R @ from_rotation_vector(rate[None] * step)[0]
    assert np.degrees(np.linalg.norm(rotation_vector((R.T @ T[-1, :3, :3])[None]))) < 0.1
    assert np.linalg.norm(place - T[-1, :3, 3]) < 0.01


def test_a_pose_times_its_inverse_is_identity() -> None:
    T = poses(from_rotation_vector(np.random.default_rng(2).normal(size=(5, 3))), np.arange(15.0).reshape(5, 3))
    np.testing.assert_allclose(T @ inverse(T), np.broadcast_to(np.eye(4), (5, 4, 4)), atol=1e-12)
