"""What the synthetic wearer has on the hands: gloves with faults, trackers on the wrists."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from firsthand.capture.skeleton import SIDES, WRIST
from firsthand.capture.synthetic.driver import SyntheticDriver
from firsthand.capture.synthetic.hand import glove_rad
from firsthand.capture.synthetic.task import TASKS
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.head_pose import rotations


def rows_of(driver: SyntheticDriver) -> npt.NDArray[np.float64]:
    rows: list[Any] = []
    while (samples := driver.read(0)) is not None:
        rows += [sample.data for sample in samples]
    return np.array(rows)


def driver_of(wearer: Wearer, name: str) -> SyntheticDriver:
    return next(driver for driver in wearer.drivers() if driver.name == name)


def test_without_faults_a_glove_says_the_true_angles_and_with_them_the_stated_line() -> None:
    for faults in (0.0, 1.0):
        wearer = Wearer(seed=3, task="free-motion", duration_s=4, drop_rate=0, glove_faults=faults)
        worn = wearer.worn["right"]
        true = glove_rad(wearer.task.hands["right"].angles(wearer.seconds("glove-right")))
        said = rows_of(driver_of(wearer, "glove-right"))
        assert np.std(said - true @ worn.gain.T - worn.offset_rad) == pytest.approx(0.008, rel=0.05)
        assert np.allclose(worn.gain, np.eye(20)) == (faults == 0)


def test_a_wrist_tracker_leads_to_the_true_wrist_by_its_mount_and_its_world() -> None:
    wearer = Wearer(seed=5, task="free-motion", duration_s=3, drop_rate=0, wrist_trackers=True)
    for side in SIDES:
        rows = rows_of(driver_of(wearer, f"wrist-{side}"))
        T = np.zeros((len(rows), 4, 4))
        T[:, :3, :3], T[:, :3, 3], T[:, 3, 3] = rotations(rows[:, 3:]), rows[:, :3], 1
        hand = wearer.worn[side].T_world_base @ T @ wearer.worn[side].T_tracker_hand
        true = wearer.task.hands[side].points_m(wearer.seconds(f"wrist-{side}"))[:, WRIST]
        assert np.sqrt(np.mean((hand[:, :3, 3] - true) ** 2)) < 0.0012


def test_there_are_no_wrist_trackers_unless_asked_for() -> None:
    assert [driver.name for driver in Wearer(seed=5).drivers()] == ["head", "glove-left", "glove-right", "imu", "head-pose"]


def test_in_free_motion_all_fingers_bend_and_the_hand_turns_about_all_axes() -> None:
    assert "free-motion" in TASKS
    plan = Wearer(seed=8, task="free-motion", duration_s=30).task.hands["left"]
    t_s = np.arange(0, 30, 0.05)
    angles = glove_rad(plan.angles(t_s)).reshape(-1, 5, 4)[..., :3].sum(2)
    assert (np.ptp(angles, axis=0) > 0.8).all()
    R = plan.R_world_hand(t_s)
    spread = np.array([np.degrees(np.arccos(np.clip((R[0] * R[:, :, :]).sum(1)[:, k], -1, 1))).max() for k in range(3)])
    assert (spread > 15).all()
