"""Prepare a process for LeRobot on a machine with neither FFmpeg nor a GPU. Runs in LeRobot's own environment; firsthand is not there."""

import atexit
import contextlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path


def prepare() -> None:
    """Call first of all; may start the script again with another library path."""
    find_ffmpeg()
    # A private, empty cache and no network: what is not in the dataset is not there.
    home = tempfile.mkdtemp(prefix="firsthand-hub-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=home, HF_DATASETS_CACHE=home, HF_LEROBOT_HOME=home)
    os.environ.setdefault("WANDB_MODE", "disabled")
    import_torchvision()


def find_ffmpeg() -> None:
    """torchcodec wants FFmpeg's libraries under their plain names; PyAV's wheel holds them under others: link, and start again."""
    if os.environ.get("FIRSTHAND_FFMPEG_LINKED") or not sys.platform.startswith("linux"):
        return
    spec = importlib.util.find_spec("av")
    bundled = Path(spec.origin or "").parents[1] / "av.libs" if spec else Path()
    if not spec or not bundled.is_dir():
        return
    links = Path(sys.prefix) / "ffmpeg-links"
    links.mkdir(exist_ok=True)
    for library in bundled.iterdir():
        plain = re.match(r"(lib(?:av|sw)[a-z]+)-[0-9a-f]+\.so\.(\d+)", library.name)
        if plain:
            with contextlib.suppress(FileExistsError):
                (links / f"{plain[1]}.so.{plain[2]}").symlink_to(library)
    paths = [str(links), str(bundled), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    os.environ.update(FIRSTHAND_FFMPEG_LINKED="1", LD_LIBRARY_PATH=os.pathsep.join(paths))
    os.execv(sys.executable, [sys.executable, *sys.argv])


def import_torchvision() -> None:
    """The registry's torchvision is built for CUDA and cannot load its operators beside a CPU torch; declare those it looks for."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        prepare.keep = library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[attr-defined]
        for operator in ("nms(Tensor dets, Tensor scores, float iou_threshold)", "qnms(Tensor dets, Tensor scores, float iou_threshold)"):
            with contextlib.suppress(RuntimeError):
                library.define(f"{operator} -> Tensor")
        import torchvision  # noqa: F401
