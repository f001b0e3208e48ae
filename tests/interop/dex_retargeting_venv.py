"""Build, once, a virtual environment with dex_retargeting outside the checkout; print the path of its Python.

    python tests/interop/dex_retargeting_venv.py

It needs about 1.5 GB below FIRSTHAND_INTEROP_CACHE (default ~/.cache/firsthand/interop). When the pins change it is built again.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "dex-retargeting-0.5.0"
# It imports torch and six without asking for them. torch by itself first, so that nothing replaces the build that is installed.
STEPS = (("torch==2.13.0",), ("dex_retargeting==0.5.0", "six==1.17.0", "numpy==2.4.6"))


def cache() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("FIRSTHAND_INTEROP_CACHE") or Path.home() / ".cache" / "firsthand" / "interop")


def build() -> Path:
    """The Python of the environment, which is built first if it is not there or has other pins."""
    folder = cache() / NAME
    python, marker = folder / "bin" / "python", folder / "pins.json"
    pins = json.dumps([sys.version_info[:2], STEPS])
    if marker.is_file() and marker.read_text() == pins:
        return python
    shutil.rmtree(folder, ignore_errors=True)  # half-built, or of other pins
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = (str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check")
    steps = ((sys.executable, "-m", "venv", str(folder)), *((*pip, *packages) for packages in STEPS))
    for number, command in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {' '.join(command[-3:])}", file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    marker.write_text(pins)
    return python


if __name__ == "__main__":
    print(build())
