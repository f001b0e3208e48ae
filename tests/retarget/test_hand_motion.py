"""Fingers on a palm held still: only what the fingers do is left."""

import numpy as np

from firsthand.capture.calibration import CameraCalibration
from firsthand.retarget.hand_motion import CHANNELS, hand_motion, on_still_palm
from firsthand.retarget.hand_track import INTERPOLATED, MEASURED, Hands, HandTrack


def seen(frames: int = 60) -> np.ndarray:
    """A hand in the picture as complex numbers (N, 21): knuckles still, the tips in motion."""
    rng = np.random.default_rng(0)
    points = np.tile(rng.normal(0, 50, 21) + 1j * rng.normal(0, 50, 21), (frames, 1))
    points[:, [4, 8, 12, 16, 20]] += 20 * np.sin(np.arange(frames) / 5)[:, None]
    return points


def test_where_the_hand_is_how_it_is_turned_and_its_size_leave_no_trace() -> None:
    still, rng = seen(), np.random.default_rng(1)
    moved = still * (rng.uniform(0.5, 2, 60) * np.exp(1j * rng.uniform(-3, 3, 60)))[:, None] + rng.normal(0, 100, (60, 1))
    a, b = on_still_palm(still), on_still_palm(moved)
    b = b * (a[0, 0] / b[0, 0])  # the mean palm is turned as the first one happened to be
    np.testing.assert_allclose(a, b, atol=1e-9)
    assert on_still_palm(still[:0]).shape == (0, 16)


def test_frames_in_which_the_hand_was_not_measured_are_missing() -> None:
    points = seen()
    px = np.stack([points.real, points.imag], -1)
    provenance = np.full((60, 21), MEASURED, np.uint8)
    provenance[10:14] = INTERPOLATED
    unknown = np.full((60, 21), np.nan)
    t_ns = np.arange(60) * 33_000_000
    track = HandTrack("left", t_ns, np.full((60, 21, 3), np.nan), px, np.full((60, 21, 3), np.nan), unknown, provenance, np.zeros(60),
                      np.ones(60))
    hands = Hands("head", t_ns, "camera", CameraCalibration.from_hfov(640, 480, 70), {"left": track})
    motion = hand_motion(hands, "left")
    assert motion.values.shape == (60, len(CHANNELS)) and np.flatnonzero(~motion.seen).tolist() == [10, 11, 12, 13]
    assert not hand_motion(hands, "right").seen.any()
