"""Build, once, a virtual environment with the real LeRobot outside the checkout; print the path of its Python.

    python tests/interop/lerobot_venv.py

It needs about 2.2 GB below FIRSTHAND_INTEROP_CACHE (default ~/.cache/firsthand/interop) and some minutes. When the pins below
change it is built again.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

NAME = "lerobot-0.4.4"
TORCH = "torch==2.13.0"
# LeRobot's own pins ask for an older torch and pip would then replace the CPU build; hence torch first, held as a constraint.
WITH_TORCH = (
    "torchvision==0.28.0", "datasets>=4,<5", "diffusers>=0.27.2,<0.36", "huggingface-hub>=0.34.2,<0.36", "accelerate<2", "einops<0.9",
    "opencv-python-headless<4.13", "av>=15,<16", "jsonlines", "packaging<26", "draccus==0.10.0", "gymnasium<2", "rerun-sdk>=0.24,<0.27",
    "deepdiff<9", "imageio[ffmpeg]", "termcolor", "pyserial", "wandb<0.25",
)  # fmt: skip
# torchcodec up to 0.13 is for the CPU; later ones link CUDA libraries.
WITHOUT_DEPENDENCIES = ("lerobot==0.4.4", "pynput", "torchcodec==0.13.0")


def cache() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("FIRSTHAND_INTEROP_CACHE") or Path.home() / ".cache" / "firsthand" / "interop")


def build() -> Path:
    """The Python of the environment, which is built first if it is not there or has other pins."""
    folder = cache() / NAME
    python, marker = folder / "bin" / "python", folder / "pins.json"
    pins = json.dumps([sys.version_info[:2], TORCH, WITH_TORCH, WITHOUT_DEPENDENCIES])
    if marker.is_file() and marker.read_text() == pins:
        return python
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)  # half-built, or of other pins
    folder.parent.mkdir(parents=True, exist_ok=True)

    def step(number: int, what: str, *command: str) -> None:
        print(f"[{number}/4] {what} ({time.monotonic() - began:.0f} s so far)", file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    pip = (str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    step(1, f"making {folder}", sys.executable, "-m", "venv", str(folder))
    step(2, f"installing {TORCH}", *pip, TORCH)
    constraint = folder / "constraint.txt"
    asked = subprocess.run([python, "-c", "import torch; print(torch.__version__)"], check=True, capture_output=True, text=True)
    constraint.write_text(f"torch=={asked.stdout.strip()}\n")  # with its +cpu, which the pin does not name
    step(3, f"installing {len(WITH_TORCH)} packages that LeRobot needs", *pip, "-c", str(constraint), *WITH_TORCH)
    step(4, f"installing {WITHOUT_DEPENDENCIES[0]}", *pip, "--no-deps", *WITHOUT_DEPENDENCIES)
    marker.write_text(pins)
    print(f"built in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return python


if __name__ == "__main__":
    print(build())
