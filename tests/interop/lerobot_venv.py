"""Build, once, a virtual environment with the real LeRobot outside the checkout; print the path of its Python.

    python tests/interop/lerobot_venv.py [0.4.4 | 0.3.3]

Each needs about 2.2 GB below FIRSTHAND_INTEROP_CACHE (default ~/.cache/firsthand/interop) and some minutes. When its pins below
change it is built again.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

TORCH = "torch==2.13.0"
# LeRobot's own pins ask for an older torch and pip would then replace the CPU build; hence torch first, held as a constraint, and LeRobot
# without its dependencies.
WITH_TORCH = {
    "0.4.4": (
        "torchvision==0.28.0", "datasets>=4,<5", "diffusers>=0.27.2,<0.36", "huggingface-hub>=0.34.2,<0.36", "accelerate<2", "einops<0.9",
        "opencv-python-headless<4.13", "av>=15,<16", "jsonlines", "packaging<26", "draccus==0.10.0", "gymnasium<2", "rerun-sdk>=0.24,<0.27",
        "deepdiff<9", "imageio[ffmpeg]", "termcolor", "pyserial", "wandb<0.25",
    ),
    "0.3.3": (  # the last that writes v2.1; for data sets alone
        "torchvision==0.28.0", "datasets==3.6.0", "huggingface-hub>=0.34.2,<0.36", "av>=15,<16", "jsonlines", "packaging<26",
        "draccus==0.10.0", "einops<0.9", "termcolor", "deepdiff<9",
    ),
}  # fmt: skip
# torchcodec up to 0.13 is for the CPU; later ones link CUDA libraries.
WITHOUT_DEPENDENCIES = {"0.4.4": ("lerobot==0.4.4", "pynput", "torchcodec==0.13.0"), "0.3.3": ("lerobot==0.3.3", "torchcodec==0.13.0")}


def cache() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("FIRSTHAND_INTEROP_CACHE") or Path.home() / ".cache" / "firsthand" / "interop")


def build(version: str = "0.4.4") -> Path:
    """The Python of the environment, which is built first if it is not there or has other pins."""
    folder = cache() / f"lerobot-{version}"
    python, marker = folder / "bin" / "python", folder / "pins.json"
    with_torch, alone = WITH_TORCH[version], WITHOUT_DEPENDENCIES[version]
    pins = json.dumps([sys.version_info[:2], TORCH, with_torch, alone])
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
    step(3, f"installing {len(with_torch)} packages that LeRobot needs", *pip, "-c", str(constraint), *with_torch)
    step(4, f"installing {alone[0]}", *pip, "--no-deps", *alone)
    marker.write_text(pins)
    print(f"built in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return python


if __name__ == "__main__":
    print(build(*sys.argv[1:]))
