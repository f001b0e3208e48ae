"""An episode as rows for training: constant rate, no NaN, and validity beside every value that had to be filled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from firsthand.annotate.annotation import Annotation, read_annotation
from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.skeleton import WRIST, Side
from firsthand.datasets.grid import Grid, constant_rate, whole_rate
from firsthand.retarget.action_track import Actions, ActionTrack, read_actions
from firsthand.retarget.hand_track import Hands, read_hands

Frame = Literal["world", "camera"]
Floats = npt.NDArray[np.float64]

ORDER: tuple[Side, ...] = ("right", "left")
"""Sides in the order of the exported columns."""
POSE_NAMES = ("x_m", "y_m", "z_m", "x_axis_x", "x_axis_y", "x_axis_z", "y_axis_x", "y_axis_y", "y_axis_z")
"""Position, then the first two columns of the rotation matrix: the end effector's x axis, then its y axis."""
IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
UNKNOWN_SIGMA_M = 1.0
"""Stands for a wrist nobody measured: a metre of doubt, as no training format holds NaN."""
UNLABELLED, UNLABELLED_TASK = "unlabelled", "unlabelled task"


class TooShortError(FirsthandError):
    """An episode of fewer than two frames: no action follows from any of them."""


@dataclass(frozen=True, eq=False)
class SideRows:
    """One end effector in N rows."""

    joint_names: tuple[str, ...]
    """Joint and unit, such as ``width_m``."""
    state: Floats
    """`POSE_NAMES`, then the joints, shape (N, 9 + J). Where not valid: the last valid value, before the first the next one."""
    valid: npt.NDArray[np.bool_]
    """False where `state` was filled, shape (N,)."""
    sigma_m: Floats
    """One standard deviation of the human wrist, shape (N,); `UNKNOWN_SIGMA_M` where nothing is known."""

    def __post_init__(self) -> None:
        n = len(self.valid)
        set_frozen(self, "state", np.float64, (n, len(POSE_NAMES) + len(self.joint_names)))
        set_frozen(self, "valid", np.bool_, (n,))
        set_frozen(self, "sigma_m", np.float64, (n,))


@dataclass(frozen=True, eq=False)
class Rows:
    """One episode at a constant rate; row i belongs to frame i of the exported video."""

    camera: str
    """The stream whose pictures are shown."""
    frame: Frame
    """What the poses refer to."""
    grid: Grid
    n_source: int
    """Frames the camera recorded."""
    capture_time_ns: npt.NDArray[np.int64]
    """When the shown frame was taken, on the session clock, shape (N,)."""
    sides: Mapping[Side, SideRows]
    """Only sides with at least one valid row."""
    task: str
    subtask: tuple[str, ...]
    """The subtask of each row; `UNLABELLED` where nobody marked one."""
    annotation: Annotation | None

    def __len__(self) -> int:
        return len(self.grid.source)


def episode_rows(episode: Episode, robot: str, fps: int | None = None, frame: Frame | None = None) -> Rows:
    """Read one episode as rows for `robot`, at `fps` or the camera's own rate, with poses in `frame` or as they are.

    Raises `FirsthandError` when a file is missing, is of other frames than the recording, or `frame` cannot be had.
    """
    hands, actions = read_hands(episode.hands_path), read_actions(_actions_path(episode, robot))
    annotation = read_annotation(episode.annotations_path)
    with episode.recording() as recording:
        t_ns, task = np.asarray(recording[hands.camera].t_ns, np.int64), recording.task
    counts = {"hands.h5": len(hands.t_ns), **{f"actions-{robot}.h5": len(track.t_ns) for track in actions.tracks.values()},
              **({"annotations.json": annotation.n_frames} if annotation else {})}
    for name, count in counts.items():
        if count != len(t_ns):
            raise FirsthandError(f"{episode.id}: {name} is about {count} frames but camera {hands.camera!r} recorded {len(t_ns)}; "
                                 f"{'label the episode' if name.endswith('json') else f'run firsthand process --robot {robot}'} again")
    grid = constant_rate(t_ns, fps or whole_rate(t_ns))
    if len(grid.source) < 2:
        raise TooShortError(f"it fills {len(grid.source)} row at {grid.fps} frames a second; a training episode needs at least two")
    sides = {side: _side(actions.tracks[side], hands, _to_frame(episode, hands, actions, frame), grid)
             for side in ORDER if side in actions.tracks}
    return Rows(hands.camera, frame or actions.frame, grid, len(t_ns), t_ns[grid.source], {s: r for s, r in sides.items() if r.valid.any()},
                (annotation.instruction if annotation else "").strip() or task.strip() or UNLABELLED_TASK,
                _subtasks(annotation, len(t_ns), grid.source), annotation)


def _actions_path(episode: Episode, robot: str) -> Path:
    path = episode.actions_path(robot)
    if not path.exists():
        there = ", ".join(episode.robots()) or "none"
        raise FirsthandError(f"{episode.id} has no actions for the robot {robot!r} (there are: {there}); "
                             f"run 'firsthand process {episode.library} --robot {robot}' first")
    return path


def _to_frame(episode: Episode, hands: Hands, actions: Actions, frame: Frame | None) -> Floats | None:
    """What to put before a pose to bring it into `frame`, shape (N, 4, 4); None for nothing."""
    if frame is None or frame == actions.frame:
        return None
    if frame == "world" or hands.T_world_cam is None or np.isnan(hands.T_world_cam).all():
        raise FirsthandError(f"{episode.id} has poses relative to the {actions.frame} only, as the head's pose is not known there; "
                             f"export it with frame {actions.frame!r}, or leave it out")
    return np.asarray(np.linalg.inv(hands.T_world_cam), np.float64)


def _side(track: ActionTrack, hands: Hands, before: Floats | None, grid: Grid) -> SideRows:
    T = track.T_frame_ee if before is None else before @ track.T_frame_ee
    state = np.concatenate([T[:, :3, 3], T[:, :3, 0], T[:, :3, 1], track.joints], axis=1)[grid.source]
    valid = track.valid[grid.source] & grid.covered & np.isfinite(state).all(1)
    sigma = hands.tracks[track.side].sigma_m[grid.source, WRIST] if track.side in hands.tracks else np.full(len(valid), np.nan)
    names = tuple(f"{name}_{unit}" for name, unit in zip(track.joint_names, track.joint_units, strict=True))
    return SideRows(names, held(state, valid), valid, np.where(valid & np.isfinite(sigma), sigma, UNKNOWN_SIGMA_M))


def held(values: Floats, valid: npt.NDArray[np.bool_]) -> Floats:
    """Rows (N, C) with each one that is not valid replaced by the last valid before it, or the first valid after; zeros if none is."""
    if not valid.any():
        return np.zeros_like(values)
    last = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), -1))
    return values[np.where(last < 0, int(np.argmax(valid)), last)]


def _subtasks(annotation: Annotation | None, frames: int, source: npt.NDArray[np.int64]) -> tuple[str, ...]:
    names = [UNLABELLED] * frames
    for span in annotation.tiers.get("subtask", ()) if annotation else ():
        names[span.a : span.b] = [span.text.strip() or span.label.strip() or UNLABELLED] * (span.b - span.a)
    return tuple(names[i] for i in source)
