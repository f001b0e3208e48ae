"""Hands to test with: a synthetic one that opens, closes and pinches, and the real tracks of the shared media."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import Side
from firsthand.retarget.hand_track import ABSENT, MEASURED, Hands, HandTrack
from firsthand.retarget.kinematics import axis_rotation

CLIPS = ("dexretargeting_profiling_right", "dexretargeting_video_right")


def moving_hand(frames: int = 90, fps: float = 30.0) -> np.ndarray:
    """A right hand in operator axes, (N, 21, 3) metres: fingers curl and stretch in turn, and the thumb meets each of three fingertips."""
    s = np.arange(frames) / fps
    points = np.zeros((frames, 21, 3))
    knuckles = ((0.0, 0.026, 0.096), (0.0, 0.0, 0.097), (0.009, -0.020, 0.091), (0.017, -0.035, 0.075))
    bones = ((0.042, 0.025, 0.022), (0.046, 0.028, 0.024), (0.042, 0.026, 0.023), (0.033, 0.020, 0.020))
    near = [np.exp(-0.5 * ((s - (k + 0.75) * max(s[-1:], default=1.0) / 3.5) / 0.18) ** 2) * (frames > 1) for k in range(3)]
    for f in range(1, 5):
        curl = 0.22 + 0.18 * np.sin(2.2 * s + f)  # rad per joint
        if f < 4:
            curl += near[f - 1] * (0.75 - curl)  # bent towards the thumb in its pinch
        at, angle = np.tile(knuckles[f - 1], (frames, 1)), np.zeros(frames)
        points[:, 1 + 4 * f] = at
        for k, length in enumerate(bones[f - 1]):
            angle = angle + curl
            at = at + length * np.stack([np.sin(angle), np.zeros(frames), np.cos(angle)], 1)
            points[:, 2 + 4 * f + k] = at
    points[:, 1:5] = [[0.012, 0.030, 0.030], [0.020, 0.055, 0.055], [0.028, 0.070, 0.080], [0.034, 0.078, 0.105]]
    for k, tip in enumerate((8, 12, 16)):  # one pinch after the other
        reach = near[k][:, None] * (points[:, tip] - points[:, 4])
        points[:, 2:5] += np.array([0.25, 0.6, 1.0])[:, None] * reach[:, None]
    return points


def in_camera(local: np.ndarray, fps: float = 30.0) -> np.ndarray:
    """Points (N, 21, 3) in hand axes, carried through space by a hand that turns and moves: the same in camera axes."""
    s = np.arange(len(local)) / fps
    R = axis_rotation(np.array([0.6, 0.0, 0.8]), 0.4 * np.sin(s)) @ axis_rotation(np.array([1.0, 0.0, 0.0]), 1.2 + 0.3 * np.cos(1.3 * s))
    wrist = np.stack([0.05 * np.sin(s), 0.1 + 0.02 * np.cos(s), 0.45 + 0.03 * np.sin(0.7 * s)], 1)
    return np.asarray(np.einsum("nij,nkj->nki", R, local) + wrist[:, None])


def hand_track(points: np.ndarray, side: Side = "right", t_ns: np.ndarray | None = None, fps: float = 30.0) -> HandTrack:
    """A track of points (N, 21, 3); frames with a NaN are absent."""
    n = len(points)
    t_ns = (5_000_000_000 + np.arange(n) * 1e9 / fps).astype(np.int64) if t_ns is None else t_ns
    seen = np.isfinite(points).all(axis=(1, 2))
    provenance = np.where(seen[:, None], MEASURED, ABSENT) * np.ones((1, 21), np.uint8)
    unknown = np.full((n, 21), np.nan)
    return HandTrack(side, t_ns, points, np.full((n, 21, 2), np.nan), points - points[:, :1], unknown, provenance, np.zeros(n), np.ones(n))


def hands(*tracks: HandTrack) -> Hands:
    """Hands in camera axes."""
    t_ns = tracks[0].t_ns if tracks else np.zeros(0, np.int64)
    return Hands("head", t_ns, "camera", CameraCalibration.from_hfov(640, 480, 70), {track.side: track for track in tracks})


@pytest.fixture(scope="session")
def motion() -> SimpleNamespace:
    """The functions above, for test files (which cannot import one another)."""
    return SimpleNamespace(moving_hand=moving_hand, in_camera=in_camera, hand_track=hand_track, hands=hands)


@pytest.fixture(scope="session", params=CLIPS)
def real_hand(shared: Path, request: pytest.FixtureRequest) -> np.ndarray:
    """One of the two recorded right hands, (621, 21, 3) metres in operator axes, 30 frames a second."""
    with np.load(shared / "data" / "landmarks" / f"{request.param}.npz") as file:
        return np.asarray(file["joints"], np.float64)
