"""Build, once, a virtual environment with MuJoCo and packages that hold robots, outside the checkout; print the path of its Python.

    python tests/interop/robots_venv.py

It needs about 1.5 GB below FIRSTHAND_INTEROP_CACHE (default ~/.cache/firsthand/interop). When the pins change it is built again.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "robots"
PINS = ("numpy==2.4.6", "mujoco==4.0.0")
WITHOUT_DEPENDENCIES = (  # for the files in them
    "gym_aloha==0.1.5", "playground==0.2.0", "gymnasium_robotics==1.4.2", "mani_skill==3.0.1", "robosuite==1.5.2",
    "example-robot-data==6.0.0",
)  # fmt: skip


def build() -> Path:
    """The Python of the environment, which is built first if it is not there or has other pins."""
    cache = Path(os.environ.get("FIRSTHAND_INTEROP_CACHE") or Path.home() / ".cache" / "firsthand" / "interop")
    folder = cache / NAME
    python, marker = folder / "bin" / "python", folder / "pins.json"
    pins = json.dumps([sys.version_info[:2], PINS, WITHOUT_DEPENDENCIES])
    if marker.is_file() and marker.read_text() == pins:
        return python
    shutil.rmtree(folder, ignore_errors=True)  # half-built, or of other pins
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = (str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    steps = ((sys.executable, "-m", "venv", str(folder)), (*pip, *PINS), (*pip, "--no-deps", *WITHOUT_DEPENDENCIES))
    for number, command in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {' '.join(command[-4:])}", file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    marker.write_text(pins)
    return python


if __name__ == "__main__":
    print(build())
