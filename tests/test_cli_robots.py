"""``firsthand robots`` as a person or a script meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2

from firsthand.retarget.robot import robot_names

URDF = """<robot name="claw"><link name="palm"/><link name="thumb_tip"/><link name="index_tip"/>
<joint name="t" type="revolute"><parent link="palm"/><child link="thumb_tip"/><origin xyz="0 0.04 0.1"/><axis xyz="0 1 0"/>
  <limit lower="0" upper="1" velocity="1" effort="1"/></joint>
<joint name="i" type="{kind}"><parent link="palm"/><child link="index_tip"/><origin xyz="0 0 0.1"/><axis xyz="0 1 0"/>
  <limit lower="0" upper="1" velocity="1" effort="1"/></joint></robot>"""


def firsthand(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firsthand.cli", "robots", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_robots_are_listed_and_drawn(tmp_path: Path) -> None:
    done = firsthand(tmp_path, "--json", "--picture", "all.png")
    assert done.returncode == 0, done.stderr
    assert [robot["name"] for robot in json.loads(done.stdout)] == robot_names()
    picture = cv2.imread(str(tmp_path / "all.png"))
    assert picture is not None and picture.std() > 5


def test_a_urdf_is_looked_over_drawn_and_given_a_card(tmp_path: Path) -> None:
    (tmp_path / "claw.urdf").write_text(URDF.format(kind="revolute"))
    done = firsthand(tmp_path, "check", "claw.urdf", "--card", "claw.toml")
    assert done.returncode == 0, done.stderr
    assert "claw: hand, right, 2 joints: t, i" in done.stdout and "picture: claw.png" in done.stdout
    assert (tmp_path / "claw.png").stat().st_size > 10_000 and 'model = "urdf:claw.urdf"' in (tmp_path / "claw.toml").read_text()


def test_a_fault_is_one_sentence_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "claw.urdf").write_text(URDF.format(kind="continuous"))
    done = firsthand(tmp_path, "check", "claw.urdf")
    assert done.returncode == 1 and done.stderr.startswith("error: claw.urdf: i has no limits; write them in the file") and not done.stdout
    assert json.loads(firsthand(tmp_path, "check", "claw.urdf", "--json").stdout)["ok"] is False
