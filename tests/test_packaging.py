"""The wheel: everything that runs, nothing that does not, and no package of ours called `datasets`."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # setuptools leaves a build/ folder where it works
    subprocess.run(["git", "-C", str(ROOT), "checkout-index", "-a", f"--prefix={source}/"], check=True, capture_output=True)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr and "No matching distribution" in done.stderr:
        pytest.skip("building a wheel needs setuptools from a registry, which cannot be reached")
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_code_cards_and_player(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for wanted in ("cli.py", "app.py", "capture/recording.py", "capture/importers/video.py", "retarget/robots/panda_gripper.toml",
                   "annotate/player.js", "datasets/formats.py"):
        assert f"firsthand/{wanted}" in names, f"{wanted} is not in the wheel"
    for file in (ROOT / "annotate").iterdir():
        if file.suffix in (".py", ".js", ".css"):
            assert f"firsthand/annotate/{file.name}" in names, f"annotate/{file.name} is not in the wheel"
    code = {name for name in names if name.endswith(".py")}
    assert all(name.startswith("firsthand/") for name in code) and not any("test" in name for name in code)


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = ("import sys; sys.path.insert(0, sys.argv[1]); sys.meta_path = [f for f in sys.meta_path if 'editable' not in str(f)];"
            "import firsthand.cli, firsthand.retarget.robot as robot; print(robot.__file__, robot.load_robot('allegro_right').title)")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "site")], cwd=tmp_path, capture_output=True, text=True,
                          env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path)) and "Allegro" in done.stdout
