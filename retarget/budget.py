"""What every stage adds to the error, measured against the synthetic wearer's truth."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.library import Episode
from firsthand.capture.skeleton import MIDDLE_MCP, SIDES, WRIST, Side
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.retarget.action_track import ActionTrack, read_actions
from firsthand.retarget.hand_place import place_by_size
from firsthand.retarget.hand_track import Hands, read_hands
from firsthand.retarget.metric import rays
from firsthand.retarget.robot import load_robot

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One line of the error budget."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    """The bound it is held to, or None for a figure without one."""
    at_least: bool = False
    """Whether the bound is from below."""

    @property
    def ok(self) -> bool:
        """Whether the goal is met; a figure that could not be measured (NaN) never meets one."""
        return self.goal is None or (self.value >= self.goal if self.at_least else self.value <= self.goal)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True)
class Measured:
    """The errors of one episode, one number a hand and frame (or a sample), to be pooled over episodes."""

    time_ms: Floats
    """Session time minus truth minus the link's fastest delivery, every sample of every stream."""
    latency_ms: Floats
    """The fastest delivery of each stream: what one-way stamps cannot show."""
    visible: int
    """Hand-frames in which a hand was in the picture."""
    found: int
    """... and was found, on its own side."""
    swapped: int
    """Hand-frames in which a track lay on the other hand."""
    joint_px: Floats
    joint_palm: Floats
    """The same as a share of the palm's length in the picture."""
    aligned_mm: Floats
    """Mean joint error after the best similarity transform (PA-MPJPE), a hand-frame each."""
    wrist_mm: Floats
    """Wrist error in the world, with whatever depth there was."""
    wrist_mono_mm: Floats
    """The same with sensor depth put aside."""
    width_mm: Floats
    """Gripper width against the true thumb-to-index distance, clipped to what the gripper can do."""
    residual_mm: Floats
    """Tip residual of the dexterous hand."""
    violations: int
    """Joint positions outside the card's limits."""


def measure(episode: Episode, grippers: Sequence[str], dexterous: Sequence[str]) -> Measured:
    """Compare an episode's files with its ``truth.h5``."""
    truth, hands = read_truth(episode.truth_path), read_hands(episode.hands_path)
    with episode.recording() as recording:
        frame = recording[hands.camera].sequence - truth.first_sequence  # row of the truth for each frame recorded
        time, latency = [], []
        for name, true in truth.streams.items():
            stream = recording[name]
            error_ns = stream.t_ns - true.t_ns[np.searchsorted(true.sequence, stream.sequence)]
            time.append((error_ns - true.min_latency_ns) * 1e-6)
            latency.append(true.min_latency_ns * 1e-6)
    parts = [_hand(hands, truth, frame, side) for side in SIDES if side in truth.hands]
    pooled: dict[str, Any] = {key: np.concatenate([p[key] for p in parts]) for key in parts[0] if isinstance(parts[0][key], np.ndarray)}
    counted = {key: sum(p[key] for p in parts) for key in ("visible", "found", "swapped")}
    tracks = {robot: read_actions(episode.actions_path(robot)).tracks for robot in [*grippers, *dexterous]}
    widths = [_width_error(track, truth, frame, robot) for robot in grippers for track in tracks[robot].values()]
    residuals = [track.residual_m[track.valid] * 1e3 for robot in dexterous for track in tracks[robot].values()]
    violations = sum(_violations(track, robot) for robot, made in tracks.items() for track in made.values())
    return Measured(time_ms=np.concatenate(time), latency_ms=np.array(latency), **counted, **pooled, width_mm=_pool(widths),
                    residual_mm=_pool(residuals), violations=violations)


def _pool(parts: Sequence[Floats]) -> Floats:
    return np.concatenate(parts) if parts else np.zeros(0)


def _hand(hands: Hands, truth: Truth, frame: npt.NDArray[np.int64], side: Side) -> dict[str, Any]:
    true = truth.hands[side]
    visible, true_px, true_m = true.visible[frame], true.points_px[frame], true.points_m[frame]
    track = hands.tracks.get(side)
    if track is None:
        nothing = dict.fromkeys(("joint_px", "joint_palm", "aligned_mm", "wrist_mm", "wrist_mono_mm"), np.zeros(0))
        return {"visible": int(visible.sum()), "found": 0, "swapped": 0, **nothing}
    other = next((h.points_px[frame] for s, h in truth.hands.items() if s != side), None)
    own_px = np.linalg.norm(track.points_px - true_px, axis=2).mean(1)  # (N,)
    swapped = np.zeros(len(frame), np.bool_)
    if other is not None:
        swapped = track.valid & (np.linalg.norm(track.points_px - other, axis=2).mean(1) < own_px)
    found = visible & track.valid & ~swapped
    palm_px = np.linalg.norm(true_px[:, MIDDLE_MCP] - true_px[:, WRIST], axis=1)
    mono_m = wrist_without_depth(hands, side)
    return {
        "visible": int(visible.sum()), "found": int(found.sum()), "swapped": int(swapped.sum()),
        "joint_px": own_px[found], "joint_palm": (own_px / palm_px)[found],
        "aligned_mm": procrustes_error(track.points_m[found], true_m[found]) * 1e3,
        "wrist_mm": np.linalg.norm(track.points_m[found, WRIST] - true_m[found, WRIST], axis=1) * 1e3,
        "wrist_mono_mm": np.linalg.norm(mono_m[found] - true_m[found, WRIST], axis=1) * 1e3,
    }  # fmt: skip


def wrist_without_depth(hands: Hands, side: Side) -> Floats:
    """The wrist as one camera alone would place it, from the tracker's raw joints, in the frame of `hands`, shape (N, 3)."""
    track = hands.tracks[side]
    wrist = place_by_size(track.local_m, rays(track.points_px, hands.intrinsics), side)[:, WRIST]
    if hands.T_world_cam is None:
        return wrist
    return np.asarray(np.einsum("nij,nj->ni", hands.T_world_cam[:, :3, :3], wrist) + hands.T_world_cam[:, :3, 3], np.float64)


def procrustes_error(points: Floats, true: Floats) -> Floats:
    """Mean joint distance after the best similarity transform of each frame, shapes (N, J, 3), result (N,), metres (Umeyama 1991)."""
    a, b = points - points.mean(1, keepdims=True), true - true.mean(1, keepdims=True)
    U, S, Vt = np.linalg.svd(np.einsum("nji,njk->nik", a, b))
    flip = np.sign(np.linalg.det(U @ Vt))
    D = np.stack([np.ones_like(flip), np.ones_like(flip), flip], axis=1)
    R = np.einsum("nij,nj,njk->nik", U, D, Vt)
    scale = (S * D).sum(1) / (a**2).sum((1, 2))
    return np.asarray(np.linalg.norm(scale[:, None, None] * a @ R - b, axis=2).mean(1), np.float64)


def _width_error(track: ActionTrack, truth: Truth, frame: npt.NDArray[np.int64], robot: str) -> Floats:
    limits = load_robot(robot)
    true = np.clip(truth.hands[track.side].aperture_m[frame], limits.lower[0], limits.upper[0])
    return np.asarray(np.abs(track.joints[:, 0] - true)[track.valid] * 1e3, np.float64)


def _violations(track: ActionTrack, robot: str) -> int:
    card, joints = load_robot(robot), track.joints[track.valid]
    return int(np.count_nonzero((joints < card.lower) | (joints > card.upper)))


def budget(episodes: Sequence[Measured]) -> list[Figure]:
    """The error budget over all episodes, with the goals the demo is held to."""
    arrays = [name for name in Measured.__dataclass_fields__ if isinstance(getattr(episodes[0], name), np.ndarray)]
    pool: Mapping[str, Floats] = {name: np.concatenate([getattr(e, name) for e in episodes]) for name in arrays}
    total = {name: sum(getattr(e, name) for e in episodes) for name in ("visible", "found", "swapped", "violations")}

    def q(name: str, share: float) -> float:
        values = np.abs(pool[name])
        return float(np.quantile(values, share)) if len(values) else float("nan")

    shape_mm = float(pool["aligned_mm"].mean()) if total["found"] else float("nan")

    return [
        Figure("time, after the link's fastest delivery: median", q("time_ms", 0.5), "ms"),
        Figure("time, after the link's fastest delivery: p99", q("time_ms", 0.99), "ms"),
        Figure("fastest delivery, unseen by one-way stamps: largest", q("latency_ms", 1.0), "ms"),
        Figure("hands found, of those in the picture", total["found"] / max(total["visible"], 1), "", 0.99, at_least=True),
        Figure("hands on the wrong side", total["swapped"], "frames", 0),
        Figure("joints in the picture: median", q("joint_px", 0.5), "px"),
        Figure("joints in the picture: median", q("joint_palm", 0.5) * 100, "% palm"),
        Figure("joints, shape alone (PA-MPJPE): mean", shape_mm, "mm", 12),
        Figure("wrist in the world, with depth: median", q("wrist_mm", 0.5), "mm", 10),
        Figure("wrist in the world, with depth: p95", q("wrist_mm", 0.95), "mm"),
        Figure("wrist in the world, one camera alone: median", q("wrist_mono_mm", 0.5), "mm", 50),
        Figure("gripper width: median", q("width_mm", 0.5), "mm", 8),
        Figure("dexterous hand, tips from target: median", q("residual_mm", 0.5), "mm"),
        Figure("joints beyond their limits", total["violations"], "", 0),
    ]
