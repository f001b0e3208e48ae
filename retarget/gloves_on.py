"""The gloves of a recording put on its tracked hands: each calibrated in the session, or by this very recording's own movement."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.fusion import fuse, seen_poses
from firsthand.retarget.glove_calibration import GloveCalibration, calibrate_glove, channels_at, eye_m, glove_stream, seen_frames
from firsthand.retarget.glove_channels import columns_of, glove_values
from firsthand.retarget.glove_model import joints_m
from firsthand.retarget.hand_sight import nearest_rotation, turn_between
from firsthand.retarget.hand_size import ADULT, HandSize
from firsthand.retarget.hand_track import Hands, HandTrack
from firsthand.retarget.wrist_tracker import wrist_tracker

Floats = npt.NDArray[np.float64]

PARAMETERS = {"version": 1}
"""What decides the result."""
SAME_WORLD_RAD, SAME_WORLD_M = np.radians(10.0), 0.03
"""Hands that are seen are off by less, median; a world that has moved is further away."""
FEWEST_FRAMES = 30
"""Frames with the hand in view that it takes to find a wrist tracker's world in that of the hands."""


def with_gloves(recording: Recording, hands: Hands, calibrations: Mapping[Side, GloveCalibration],
                sizes: Mapping[Side, HandSize] | None = None) -> Hands:
    """Hands with their fingers from the gloves that were recorded beside them; a finding for a glove that could not be used.

    `calibrations`: of the session's gloves. A glove that has none there is calibrated by the movement in this recording, where it can
    tell. `sizes`: of the wearer's hands, as far as they were measured. Without a camera there is nothing to fuse, hands are a device's own.
    """
    if hands.intrinsics.width_px == 0:
        return hands
    tracks, findings = dict(hands.tracks), list(hands.findings)
    for side in SIDES:
        glove = glove_stream(recording, side)
        if glove is None:
            continue
        calibration = calibrations.get(side)
        if calibration is None or calibration.stream != glove.spec.name:
            calibration, problem = _by_own_movement(recording, hands, side, (sizes or {}).get(side, ADULT))
            if problem:
                findings.append(f"{problem}; 'firsthand calibrate' on half a minute of free movement in the same session tells it")
        if calibration is None:
            continue
        tracks[side] = _fused(recording, hands, glove, calibration)
    return replace(hands, tracks=tracks, findings=tuple(findings))


def _by_own_movement(recording: Recording, hands: Hands, side: Side, size: HandSize) -> tuple[GloveCalibration | None, str]:
    """A glove's calibration by the movement in the recording itself, without the tracker on the wrist if that cannot be told; and what was
    lacking."""
    problem = ""
    for tracked in (True, False) if wrist_tracker(recording, side) else (False,):
        try:
            return calibrate_glove(recording, hands, side, size, tracked=tracked), problem
        except FirsthandError as error:
            what = f"what is on the {side} wrist" if tracked else f"the glove on the {side} hand"
            problem = f"{what} was not used: {error}"
    return None, problem


def _fused(recording: Recording, hands: Hands, glove: Stream, calibration: GloveCalibration) -> HandTrack:
    side = calibration.side
    names, _, values = glove_values(glove)
    order = np.argsort(glove.t_ns, kind="stable")
    known_ns = glove.latency.latency_ns if glove.latency else 0
    late_ns = glove.latency.latency_ns if glove.latency else calibration.late_ns
    channels = channels_at(hands.t_ns, glove.t_ns[order] + known_ns - late_ns, columns_of(calibration.linear, names, values)[order])
    track = hands.tracks.get(side) or unseen(side, hands.t_ns)
    by_tracker = _by_tracker(recording, hands, track, calibration, channels)
    return fuse(track, calibration, channels, eye_m(hands), by_tracker, camera=hands.intrinsics, T_world_cam=hands.T_world_cam)


def _by_tracker(recording: Recording, hands: Hands, track: HandTrack, calibration: GloveCalibration, channels: Floats) -> Floats | None:
    """Poses of the hand by what is worn on its wrist, shape (N, 4, 4); None without.

    Its world lies in that of the hands as it did in the calibration, where that fits; else as the frames tell in which both are known: a
    headset may begin a new world with each take.
    """
    tracker = wrist_tracker(recording, calibration.side)
    if tracker is None or calibration.T_tracker_hand is None or tracker.stream != calibration.tracker or hands.frame != "world":
        return None
    late_ns = calibration.tracker_late_ns if tracker.known_ns is None else tracker.known_ns
    felt = tracker.at(hands.t_ns, late_ns) @ calibration.T_tracker_hand
    angles = calibration.linear.angles(channels)
    both = seen_frames(track) & np.isfinite(felt[:, 0, 0]) & np.isfinite(angles).all(1)
    if np.count_nonzero(both) < FEWEST_FRAMES:
        return None
    local = joints_m(np.nan_to_num(angles), calibration.shape, calibration.side)
    seen = seen_poses(track, local, np.ones(local.shape[:2], np.bool_), both, eye_m(hands))
    if calibration.T_world_base is not None:
        as_then = calibration.T_world_base @ felt
        if _fits(as_then[both], seen.R[both], seen.wrist_m[both], calibration.placed):
            return np.asarray(as_then, np.float64)
    base = np.eye(4)
    base[:3, :3] = nearest_rotation((seen.R[both] @ felt[both, :3, :3].swapaxes(1, 2)).sum(0))
    if calibration.placed:
        base[:3, 3] = np.median(seen.wrist_m[both] - felt[both, :3, 3] @ base[:3, :3].T, axis=0)
    return np.asarray(base @ felt, np.float64)


def _fits(said: Floats, R: Floats, wrist_m: Floats, placed: bool) -> bool:
    """Whether poses of the hand by its tracker (M, 4, 4) are where it was seen, by and large."""
    turned = np.linalg.norm(turn_between(said[:, :3, :3], R), axis=1)
    moved = np.linalg.norm(said[:, :3, 3] - wrist_m, axis=1) if placed else np.zeros(len(said))
    return bool(np.median(turned) < SAME_WORLD_RAD and np.median(moved) < SAME_WORLD_M)


def unseen(side: Side, t_ns: npt.NDArray[np.int64]) -> HandTrack:
    """The track of a hand that was in no picture."""
    n, nan = len(t_ns), np.nan
    return HandTrack(side, t_ns, np.full((n, 21, 3), nan), np.full((n, 21, 2), nan), np.full((n, 21, 3), nan), np.full((n, 21), nan),
                     np.zeros((n, 21), np.uint8), np.zeros(n, np.uint8), np.full(n, nan))
