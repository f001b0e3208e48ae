"""The real LeRobot, in its own environment, for the tests of this folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def lerobot_python(request: pytest.FixtureRequest) -> str:
    """The Python that has LeRobot; built on first use, with progress on the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        built = subprocess.run([sys.executable, str(HERE / "lerobot_venv.py")], stdout=subprocess.PIPE, text=True, check=True)
    return built.stdout.strip()


@pytest.fixture
def in_lerobot(lerobot_python: str) -> Callable[..., str]:
    """Run a script with LeRobot's Python; returns what it printed. A failure shows the end of both outputs."""

    def run(script: Path, *arguments: str) -> str:
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run([lerobot_python, str(script), *arguments], capture_output=True, text=True, env=quiet)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    return run


