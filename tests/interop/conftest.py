"""The real LeRobot, each version in its own environment, for the tests of this folder."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def built(request: pytest.FixtureRequest, version: str) -> str:
    """The Python that has a version of LeRobot; built on first use, with progress on the terminal."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        made = subprocess.run([sys.executable, str(HERE / "lerobot_venv.py"), version], stdout=subprocess.PIPE, text=True, check=True)
    return made.stdout.strip()


@pytest.fixture(scope="session")
def lerobot_python(request: pytest.FixtureRequest) -> str:
    return built(request, "0.4.4")


@pytest.fixture(scope="session")
def old_lerobot_python(request: pytest.FixtureRequest) -> str:
    """The last version that writes v2.1."""
    return built(request, "0.3.3")


@pytest.fixture
def in_lerobot(lerobot_python: str) -> Callable[..., str]:
    """Run a script with LeRobot's Python; returns what it printed."""
    return lambda script, *arguments: run(lerobot_python, script, *arguments)


@pytest.fixture
def in_old_lerobot(old_lerobot_python: str) -> Callable[..., str]:
    return lambda script, *arguments: run(old_lerobot_python, script, *arguments)


def run(python: str, script: Path, *arguments: str) -> str:
    """What a script printed. A failure shows the end of both outputs."""
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([python, str(script), *arguments], capture_output=True, text=True, env=quiet)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout
