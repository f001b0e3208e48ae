"""From half a minute of free movement to what a glove's numbers mean on this hand: time, scale and zero of each angle, the hand's size, and
how a tracker sits on the wrist. Refused, in a sentence, where the movement cannot tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.lag import Lag, find_lag
from firsthand.capture.motion import Motion
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import FINGERS, TIPS, Side
from firsthand.retarget.glove_channels import Linear, columns_of, glove_values, linear_of
from firsthand.retarget.glove_fit import Fit, Stretch, fit_glove
from firsthand.retarget.glove_model import ANGLES, MIRROR, PALM, HandShape, shape_of
from firsthand.retarget.hand_fit import ADULT_BONES_M
from firsthand.retarget.hand_motion import hand_motion
from firsthand.retarget.hand_sight import cross, turn_between
from firsthand.retarget.hand_size import ADULT, HandSize
from firsthand.retarget.hand_track import FUSED, MEASURED, Hands, HandTrack
from firsthand.retarget.wrist_tracker import WristTracker, wrist_tracker

Floats = npt.NDArray[np.float64]

LEAST_S, SPACING_S = 10.0, 0.1
"""Seconds of frames in which hand and glove were both seen that it takes; frames nearer to each other than that say the same."""
MOST_FRAMES = 400
"""Of a longer recording frames are taken from all of it."""
LEAST_BEND_RAD = 0.5
"""Each finger must be bent and straightened by this much, all its joints together."""
WIDEST_BEND_RAD = 0.35
"""So well must be known how far a finger is bent, all joints together, where it was bent in the movement: 20 degrees, one sigma."""
WIDEST_TURN_RAD, WIDEST_OFFSET_M = np.radians(6.0), 0.012
"""So well must be known how a tracker sits on the wrist, one sigma."""


@dataclass(frozen=True, eq=False)
class GloveCalibration:
    """One glove on one hand."""

    side: Side
    stream: str
    linear: Linear
    shape: HandShape
    late_ns: int
    """How late the glove's times are against the camera's, by their clocks alone."""
    late_error_ns: int
    """Half its 95 % interval."""
    sigma_m: Floats
    """How well each joint is known on a hand laid where it was seen, one sigma per axis, shape (21,)."""
    on_tracker_m: Floats
    """The same where the tracker has the hand; infinite without one."""
    size_sigma: float
    """Of the hand's size, as a share."""
    tracker: str = ""
    """The stream of what rides on the wrist; empty without."""
    placed: bool = False
    """Whether that knows its place, and not only how it is turned."""
    tracker_late_ns: int = 0
    T_tracker_hand: Floats | None = None
    """Pose of the hand's axes on the tracker, shape (4, 4)."""
    T_world_base: Floats | None = None
    """The tracker's world in that of the hands, as it was then, shape (4, 4)."""
    turn_sigma_rad: float = 0.0
    offset_sigma_m: float = 0.0
    """Of how the tracker sits on the hand, per axis."""
    residual_m: float = 0.0
    """How far seen joints are from the calibrated hand, median over frames and joints."""
    seconds: float = 0.0
    """How long both were seen."""
    report: Mapping[str, float] | None = None
    """Of each unknown how much of what was not known beforehand the movement told, 0 (nothing) to 1 (all)."""

    @property
    def size(self) -> float:
        """The hand's size over the middling adult's."""
        return float(self.shape.bones_m.sum() / shape_of(ADULT_BONES_M).bones_m.sum())

    def to_json(self) -> dict[str, Any]:
        """What a person wants to know of it, as plain JSON."""
        tips_m = self.on_tracker_m[list(TIPS)] if self.placed else self.sigma_m[list(TIPS)]
        return {"stream": self.stream, "late_ms": self.late_ns * 1e-6, "late_residual_ms": self.late_error_ns * 1e-6,
                "seconds": self.seconds, "size": self.size, "size_sigma": self.size_sigma, "residual_mm": self.residual_m * 1e3,
                "tips_sigma_mm": float(tips_m.mean()) * 1e3, "tracker": self.tracker or None,
                "mount_sigma_deg": float(np.degrees(self.turn_sigma_rad)) if self.tracker else None,
                "mount_sigma_mm": self.offset_sigma_m * 1e3 if self.placed else None, "told": dict(self.report or {})}


def calibrate_glove(recording: Recording, hands: Hands, side: Side, size: HandSize = ADULT, *,
                    tracked: bool = True) -> GloveCalibration:
    """What the movement in a recording tells of the glove on one hand, tracked in its pictures as `hands`.

    `size`: of the wearer's hand, as far as it was measured. What rides on the wrist counts only if `tracked`. Raises `FirsthandError` with
    what is lacking when the recording has no such glove, or the movement cannot tell.
    """
    glove = glove_stream(recording, side)
    if glove is None:
        raise FirsthandError(f"{recording.path} has no glove on the {side} hand")
    if side not in hands.tracks:
        raise FirsthandError(f"the {side} hand was not seen in any frame, so its glove cannot be calibrated")
    names, units, values = glove_values(glove)
    linear = linear_of(glove.spec.name, names, units, values)
    order = np.argsort(glove.t_ns, kind="stable")
    t_ns, channels = glove.t_ns[order] + _known_ns(glove), columns_of(linear, names, values)[order]
    late_ns, error_ns = _glove_lag(glove, hands, side, t_ns, channels)
    frames = seen_frames(hands.tracks[side])
    at_frames = channels_at(hands.t_ns, t_ns - late_ns, channels)
    frames &= np.isfinite(at_frames).all(1)
    tracker = wrist_tracker(recording, side) if tracked and hands.frame == "world" else None
    poses, tracker_late_ns = None, 0
    if tracker is not None:
        tracker_late_ns = _tracker_lag(tracker, hands, side, late_ns)
        poses = tracker.at(hands.t_ns, tracker_late_ns)
        frames &= np.isfinite(poses[:, 0, 0])
    rows = np.flatnonzero(frames)
    seconds = len(rows) * float(np.median(np.diff(hands.t_ns))) * 1e-9 if len(hands.t_ns) > 1 else 0.0
    if seconds < LEAST_S:
        both = f"the {side} hand and its glove" + (f" and {tracker.stream}" if tracker else "")
        raise FirsthandError(f"{both} were seen together for {seconds:.1f} s; it takes {LEAST_S:.0f} s or more of free movement in view")
    rows = rows[:: max(1, round(SPACING_S / (seconds / len(rows))), -(-len(rows) // MOST_FRAMES))]
    stretch = Stretch(side, hands.t_ns[rows], seen_points(hands.tracks[side])[rows], eye_m(hands)[rows], at_frames[rows],
                      None if poses is None else poses[rows], tracker is not None and tracker.placed)  # fmt: skip
    if problem := _still(linear, stretch.channels, side):
        raise FirsthandError(problem)
    fit = fit_glove(stretch, linear, shape_of(size.bones_m), float(np.median(size.sigma_m / size.bones_m)))
    if problem := _untold(fit, stretch, side, tracker):
        raise FirsthandError(problem)
    return _calibration(fit, stretch, glove, tracker, late_ns, error_ns, tracker_late_ns, seconds)


def glove_stream(recording: Recording, side: Side) -> Stream | None:
    """The glove on a hand: a stream of angles, else one of joints from a glove; None without."""
    gloves = [s for s in recording.role("glove") if s.spec.side == side]
    joints = [s for s in recording.role("pose") if s.spec.side == side and s.spec.extra.get("origin") in ("glove", "wrist")]
    return next(iter([*gloves, *joints]), None)


def seen_frames(track: HandTrack) -> npt.NDArray[np.bool_]:
    """Frames in which every joint of a hand was seen, shape (N,), whether or not a glove was put on it since."""
    return np.asarray(np.isin(track.provenance, (MEASURED, FUSED)).all(1) & np.isfinite(seen_points(track)).all((1, 2)), np.bool_)


def seen_points(track: HandTrack) -> Floats:
    """Joints as they were seen, before any glove was put on them, shape (N, 21, 3)."""
    return track.raw_m if track.raw_m is not None and (track.provenance == FUSED).any() else track.points_m


def eye_m(hands: Hands) -> Floats:
    """Where the camera was in the frame of the hands, shape (N, 3)."""
    return np.zeros((len(hands.t_ns), 3)) if hands.T_world_cam is None else hands.T_world_cam[:, :3, 3]


def channels_at(t_ns: npt.NDArray[np.int64], channel_t_ns: npt.NDArray[np.int64], channels: Floats) -> Floats:
    """A glove's numbers at times (N,), by lines between samples at most `LONGEST_GAP_S` apart, shape (N, C); NaN elsewhere."""
    out = np.full((len(t_ns), channels.shape[1]), np.nan)
    for column in range(channels.shape[1]):
        there = np.isfinite(channels[:, column])
        at, values = channel_t_ns[there], channels[there, column]
        if len(at) < 2:
            continue
        after = np.clip(np.searchsorted(at, t_ns), 1, len(at) - 1)
        inside = (t_ns >= at[0]) & (t_ns <= at[-1]) & ((at[after] - at[after - 1]) * 1e-9 <= LONGEST_GAP_S)
        out[inside, column] = np.interp((t_ns[inside] - at[0]).astype(np.float64), (at - at[0]).astype(np.float64), values)
    return out


LONGEST_GAP_S = 0.1
"""A glove that says nothing for longer has dropped out."""


def _known_ns(stream: Stream) -> int:
    return stream.latency.latency_ns if stream.latency else 0


def _glove_lag(glove: Stream, hands: Hands, side: Side, t_ns: npt.NDArray[np.int64], channels: Floats) -> tuple[int, int]:
    if glove.latency:
        return glove.latency.latency_ns, glove.latency.error_ns
    return _told(find_lag(hand_motion(hands, side), Motion(f"stream {glove.spec.name}", t_ns, channels)))


def _tracker_lag(tracker: WristTracker, hands: Hands, side: Side, glove_late_ns: int) -> int:
    """How late a tracker's times are: by how the palm moves in space; one that is part of the glove has the glove's clock."""
    if tracker.known_ns is not None:
        return tracker.known_ns
    if not tracker.placed:
        return glove_late_ns
    rows = np.flatnonzero(seen_frames(hands.tracks[side]))
    palm = np.full((len(hands.t_ns), 3), np.nan)
    palm[rows] = seen_points(hands.tracks[side])[rows][:, PALM].mean(1)
    felt = Motion(f"stream {tracker.stream}", tracker.t_ns, tracker.rows[:, :3])
    return _told(find_lag(Motion(f"the {side} palm in the pictures", hands.t_ns, palm), felt, pairing="rotation"))[0]


def _told(lag: Lag) -> tuple[int, int]:
    if lag.lag_ns is None or not lag.observable:
        raise FirsthandError(lag.problem)
    return lag.lag_ns, lag.error_ns or 0


def _still(linear: Linear, channels: Floats, side: Side) -> str:
    """A sentence that names a finger which was hardly bent; empty where all were."""
    bend = linear.angles(channels).reshape(-1, 5, 4)[..., :3].sum(2)
    low, high = np.nanquantile(bend, (0.05, 0.95), axis=0)
    measured = (linear.gain.reshape(5, 4, -1)[:, :3] != 0).any((1, 2))
    still = [f"{finger} ({np.degrees(b - a):.0f} degrees)" for finger, a, b, there in zip(FINGERS, low, high, measured, strict=True)
             if there and b - a < LEAST_BEND_RAD]
    return "" if not still else (f"the glove on the {side} hand cannot be calibrated: {', '.join(still)} was hardly bent; bend and "
                                 "straighten every finger, then try again")


def _untold(fit: Fit, stretch: Stretch, side: Side, tracker: WristTracker | None) -> str:
    """A sentence that says what the movement did not tell; empty where it told enough."""
    if tracker is not None:
        turn, offset = mount_sigmas(fit, side)
        if turn.max() > WIDEST_TURN_RAD or (stretch.placed and offset.max() > WIDEST_OFFSET_M):
            told = "the turn" if turn.max() > WIDEST_TURN_RAD else "the place"
            return (f"{told} of {tracker.stream} on the {side} hand cannot be told (±{np.degrees(turn.max()):.1f} degrees, "
                    f"±{offset.max() * 1e3:.0f} mm): the hand hardly turned about {_poorest_axis(stretch)}; turn it about all its axes")
    bend = bend_sigmas(fit, stretch)
    worst = int(np.argmax(bend))
    if bend[worst] > WIDEST_BEND_RAD:
        return (f"how far the {side} {FINGERS[worst]} is bent cannot be told (±{np.degrees(bend[worst]):.0f} degrees): the camera hardly "
                "saw it bent; bend it with the back and then the palm of the hand to the camera")
    return ""


def bend_sigmas(fit: Fit, stretch: Stretch) -> Floats:
    """How well it is known how far each finger is bent, its joints together, typical of the movement, one sigma, shape (5,), rad.

    The thumb's base is left out: what its angle counts from is the frame of the thumb, which is fitted as well.
    """
    return np.array([float(np.sqrt(np.mean(_angle_variance(fit, stretch, [4 * f + k for k in range(f == 0, 3)])))) for f in range(5)])


def _angle_variance(fit: Fit, stretch: Stretch, angles: list[int]) -> Floats:
    """Of the sum of some angles, shape (K,)."""
    J = np.zeros((len(stretch.t_ns), len(fit.names)))
    for k in angles:
        J[:, fit.names.index(f"offset {ANGLES[k]}")] = 1
        for i, name in enumerate(fit.names):
            if name.startswith(f"gain {ANGLES[k]} "):
                J[:, i] += stretch.channels[:, fit.linear.channels.index(name.split()[2])]
    return np.asarray(np.einsum("ki,ij,kj->k", J, fit.covariance, J), np.float64)


def mount_sigmas(fit: Fit, side: Side) -> tuple[Floats, Floats]:
    """How well it is known how the palm sits on the tracker, one sigma: turned about the hand's axes (3,), radians, moved along them (3,).

    Of the palm as a body: that its joints and the hand's axes may shift against each other does not count.
    """
    palm = np.concatenate([np.zeros((1, 3)), fit.shape.palm_m]) * MIRROR[side]
    body = np.concatenate([-cross(palm), np.tile(np.eye(3), (6, 1, 1))], -1).reshape(18, 6)
    J = np.zeros((18, len(fit.names)))
    J[3:, fit.index("palm")] = np.diag(np.tile(MIRROR[side], 5))
    J[:, fit.index("size")] = palm.reshape(18, 1)
    as_body = np.linalg.pinv(body) @ J
    as_body[:, fit.index("mount")] += np.eye(6)
    sigma = np.sqrt(np.diag(as_body @ fit.covariance @ as_body.T))
    return sigma[:3], sigma[3:]


def _poorest_axis(stretch: Stretch) -> str:
    """What the hand turned about the least, of its own axes as the tracker felt them, in words."""
    assert stretch.T_base_tracker is not None
    R = stretch.T_base_tracker[:, :3, :3]
    turns = turn_between(np.broadcast_to(R[:1].swapaxes(1, 2), R.shape), R.swapaxes(1, 2))
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(turns.T)))
    few = int((spread < np.radians(8)).sum())
    return {0: "some of its axes", 1: "one of its axes", 2: "more than one axis", 3: "any axis"}[few]


def _calibration(fit: Fit, stretch: Stretch, glove: Stream, tracker: WristTracker | None, late_ns: int, error_ns: int, tracker_late_ns: int,
                 seconds: float) -> GloveCalibration:
    sigma = np.sqrt(np.diag(fit.covariance))
    told = {name: round(float(max(0.0, 1 - (after / before) ** 2)), 3)
            for name, after, before in zip(fit.names, sigma, fit.prior_sigma, strict=True) if not name.startswith("beside")}
    turn, offset = mount_sigmas(fit, stretch.side) if tracker else (np.zeros(3), np.zeros(3))
    return GloveCalibration(stretch.side, glove.spec.name, fit.linear, fit.shape, late_ns, error_ns, fit.sigma_m, fit.on_tracker_m,
                            float(sigma[fit.index("size")[0]]), tracker.stream if tracker else "", stretch.placed, tracker_late_ns,
                            fit.T_tracker_hand, fit.T_world_base, float(turn.max()), float(offset.max()) if stretch.placed else 0.0,
                            float(np.median(fit.residual_m)), seconds, told)
