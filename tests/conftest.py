"""Shared fixtures: a tiny library made without cameras, trackers or models, so that each layer can be tested alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.library import Episode, new_session
from firsthand.capture.recording_writer import RecordingWriter
from firsthand.capture.skeleton import PARENTS
from firsthand.capture.stream import Sample, StreamSpec
from firsthand.retarget.action_track import Actions, ActionTrack
from firsthand.retarget.hand_track import ABSENT, MEASURED, Hands, HandTrack

for _number, _usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:  # in a shell's background, under nohup: the commands under test would be as deaf
        signal.signal(_number, _usual)

FPS, WIDTH, HEIGHT = 30, 160, 120
SHARED = Path(os.environ.get("FIRSTHAND_SHARED", Path(__file__).parents[2] / "shared"))
CHROMIUM = Path("/usr/bin/chromium")
ARGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--autoplay-policy=no-user-gesture-required")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of sample media and acceptance checks; a test that needs it skips where it is not."""
    if not SHARED.is_dir():
        pytest.skip("the shared sample media are not beside this checkout (set FIRSTHAND_SHARED)")
    return SHARED


def barcode_image(episode: int, frame: int) -> np.ndarray:
    """A picture that carries its own number: 16 columns across the top quarter, white where a bit of episode*256+frame is set."""
    image = np.full((HEIGHT, WIDTH, 3), (90 + episode * 40, 120, 150), np.uint8)
    for bit in range(16):
        if (episode * 256 + frame) >> bit & 1:
            image[: HEIGHT // 4, bit * WIDTH // 16 : (bit + 1) * WIDTH // 16] = 255
        else:
            image[: HEIGHT // 4, bit * WIDTH // 16 : (bit + 1) * WIDTH // 16] = 0
    cv2.circle(image, (20 + 2 * frame % 120, 80), 10, (40, 60, 200), -1)
    return image


def open_hand() -> np.ndarray:
    """An open right hand, (21, 3) metres, wrist at 0, fingers along -y, in a camera's axes."""
    points = np.zeros((21, 3))
    for joint, parent in enumerate(PARENTS):
        if parent < 0:
            continue
        finger = (joint - 1) // 4
        sideways = (-0.035, -0.022, 0.0, 0.018, 0.034)[finger]
        step = np.array([sideways, -0.085 if finger else -0.03, 0.0]) if parent == 0 else np.array([sideways * 0.3, -0.03, 0.004])
        points[joint] = points[parent] + step
    return points


def make_episode(session: Path, number: int, frames: int = 48, task: str = "put the red cube into the bowl", hand: bool = True) -> Episode:
    """Write one complete episode: recording, hands and gripper actions."""
    episode = Episode(session / f"{number:03d}")
    camera = CameraCalibration(np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]]), WIDTH, HEIGHT)
    t_ns = 1_000_000_000 + np.arange(frames) * 1_000_000_000 // FPS
    with RecordingWriter(episode.recording_path, task=task, source="simulation", calibration=Calibration({"head": camera})) as writer:
        writer.add_stream(StreamSpec("head", "encoded", "camera", encoding="jpeg", rate_hz=FPS, width_px=WIDTH, height_px=HEIGHT))
        for i, t in enumerate(t_ns):
            jpeg = cv2.imencode(".jpg", barcode_image(number, i))[1].tobytes()
            writer.append(Sample("head", int(t) - 5_000_000, int(t), i, jpeg))
    with episode.recording() as recording:
        t_ns = np.array(recording["head"].t_ns)
    s = np.arange(frames) / FPS
    wrist = np.stack([0.03 * np.sin(2 * s), 0.08 + 0.01 * np.cos(s), 0.45 + 0.03 * np.sin(1.3 * s)], 1)
    points = wrist[:, None] + open_hand()
    points[:, 4] += (points[:, 8] - points[:, 4]) * (0.5 - 0.5 * np.cos(3 * s))[:, None]  # pinch and open
    provenance = np.full((frames, 21), MEASURED, np.uint8)
    provenance[10:14] = ABSENT
    points[10:14] = np.nan
    pixels = points[..., :2] / points[..., 2:] * 150.0 + np.array([79.5, 59.5])
    valid = (provenance != ABSENT).all(1)
    sigma = np.where(valid[:, None], 0.01, np.nan) * np.ones((1, 21))
    metric, score = np.where(valid, 2, 0), np.where(valid, 0.9, np.nan)
    track = HandTrack("right", t_ns, points, pixels, points - points[:, :1], sigma, provenance, metric, score)
    findings = () if hand else ("no hand was seen in any frame",)
    Hands("head", t_ns, "camera", camera, {"right": track} if hand else {}, findings=findings).write(episode.hands_path)
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, :3, 3] = (points[:, 4] + points[:, 8]) / 2
    pose[~valid] = np.nan
    width = np.clip(np.linalg.norm(points[:, 4] - points[:, 8], axis=1), 0, 0.08)[:, None]
    action = ActionTrack("right", t_ns, pose, ("width",), ("m",), width, valid, np.where(valid, 0.001, np.nan), width[:, 0] >= 0.08)
    Actions("panda_gripper", "gripper", "camera", {"right": action} if hand else {}).write(episode.actions_path("panda_gripper"))
    return episode


@pytest.fixture
def tiny_library(tmp_path: Path) -> Path:
    """A library of one session with two episodes of 48 and 40 frames, right hand, with four frames unseen in each."""
    library = tmp_path / "library"
    with new_session(library, "tiny", wearer="w01", tasks=("put the red cube into the bowl",)) as session:
        make_episode(session, 0, 48)
        make_episode(session, 1, 40)
    return library


@pytest.fixture
def long_library(tmp_path: Path) -> Path:
    """A library of one episode of 1500 frames: long enough to interrupt what is done with it."""
    with new_session(tmp_path / "library", "long", wearer="w02") as session:
        make_episode(session, 0, 1500)
    return tmp_path / "library"


@pytest.fixture(scope="session")
def firsthand() -> Callable[..., str]:
    """Run the command in a process of its own; it must succeed. Returns what it printed."""

    def run(*arguments: object) -> str:
        done = subprocess.run([sys.executable, "-m", "firsthand.cli", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def real_library(shared: Path, firsthand: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of a real right hand, 621 frames, imported and processed for both robots."""
    video, library = shared / "data" / "media" / "hands" / "human_hand_video.mp4", tmp_path_factory.mktemp("real") / "library"
    if not video.exists():
        pytest.skip(f"{video} is not there")
    firsthand("import", video, "--into", library, "--task", "show every finger")
    firsthand("process", library, "--robot", "panda_gripper", "--robot", "allegro_right")
    return library


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser; tests that need it skip where Playwright or Chromium is not installed.

    One module at a time: Playwright refuses a second session beside an open one.
    """
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (pip install 'firsthand[dev]')")
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGS))
        yield browser
        browser.close()
