"""What the tests of cameras share: pictures that know their number, a camera in place of the kernel's, and rigs of them."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.encode import open_encoder
from firsthand.capture.pattern.pictures import numbered
from firsthand.capture.stream import StreamSpec

WIDTH, HEIGHT, COUNT = 320, 240, 240
SOURCE = Path(__file__).with_name("emulated_camera.c")


@pytest.fixture(scope="session")
def jpegs() -> list[bytes]:
    """Pictures that carry their number."""
    make = numbered("mjpeg", WIDTH, HEIGHT, loop=4, quality=82, seed=1)
    return [make(n) for n in range(COUNT)]


@pytest.fixture(scope="session")
def h264(jpegs: list[bytes]) -> list[bytes]:
    """The same as H.264, a key frame every second."""
    encoder = open_encoder(StreamSpec("x", "encoded", "camera", encoding="raw", width_px=WIDTH, height_px=HEIGHT, rate_hz=30), "h264")
    return [packet for jpeg in jpegs for packet, _ in encoder.encode(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1))]


class EmulatedCamera:
    """A `/dev/video` that programs started with `environment` find at `path`. `fault` and `mend` are what happens to it."""

    def __init__(self, library: Path, dev: Path, pictures: dict[str, Iterable[bytes]]) -> None:
        dev.mkdir(parents=True, exist_ok=True)
        self.path, self.dev = dev / "video0", dev
        self.path.touch()
        for name, frames in pictures.items():
            dev.joinpath(f"video0.{name}").write_bytes(b"".join(struct.pack("<I", len(frame)) + frame for frame in frames))
        self.environment = {"LD_PRELOAD": str(library), "CAMERA_PATH": str(self.path)}

    def fault(self, name: str, number: float | None = None) -> None:
        self.path.with_name(f"video0.{name}").write_text("" if number is None else f"{number:g}")

    def mend(self, name: str) -> None:
        self.path.with_name(f"video0.{name}").unlink()

    def run(self, script: str, *arguments: str) -> Any:
        """What a Python script prints last, as JSON, of a process that has the camera."""
        done = subprocess.run([sys.executable, "-c", script, str(self.path), *arguments], capture_output=True, text=True, timeout=120,
                              env={**os.environ, **self.environment})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def camera_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The emulated camera, compiled against the kernel's header."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None or not Path("/usr/include/linux/videodev2.h").exists():
        pytest.skip("needs Linux, a C compiler and the kernel's headers")
    library = tmp_path_factory.mktemp("camera") / "camera.so"
    flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl", "-lpthread")
    subprocess.run([compiler, *flags], check=True)
    return library


@pytest.fixture
def emulated(camera_library: Path, tmp_path: Path, jpegs: list[bytes]) -> EmulatedCamera:
    return EmulatedCamera(camera_library, tmp_path / "dev", {"MJPG": jpegs})


@pytest.fixture(scope="module")
def everything(camera_library: Path, tmp_path_factory: pytest.TempPathFactory, jpegs: list[bytes], h264: list[bytes]) -> EmulatedCamera:
    """A camera with all its formats."""
    bgr = (cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1) for jpeg in jpegs)
    yuyv = [cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_YUY2).tobytes() for picture in bgr]
    return EmulatedCamera(camera_library, tmp_path_factory.mktemp("dev"), {"MJPG": jpegs, "YUYV": yuyv, "H264": h264})
