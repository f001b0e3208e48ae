"""What goes into one export: the episodes that can, the ones that cannot and why, and what they share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from firsthand.annotate.labels import REJECTED
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.datasets.columns import Columns
from firsthand.datasets.rows import ORDER, UNLABELLED_TASK, Frame, Rows, TooShortError, episode_rows

Progress = Callable[[int, int], None]

CURES = {
    "frame rate": "give --fps to put all on one rate",
    "frame of reference": "give --frame camera to have all relative to the camera",
}


@dataclass(frozen=True)
class Selection:
    """Episodes that share columns, rate, frame of reference and picture size."""

    robot: str
    fps: int
    frame: Frame
    columns: Columns
    width_px: int
    height_px: int
    episodes: tuple[tuple[Episode, int], ...]
    """Each episode and its number of rows."""
    left_out: tuple[tuple[str, str], ...]
    """Episode id and the reason."""
    losses: tuple[str, ...] = ()
    """What making rows of them lost, one sentence each."""

    @property
    def frames(self) -> int:
        """Rows of all episodes."""
        return sum(n for _, n in self.episodes)

    def rows(self, episode: Episode) -> Rows:
        """The rows of one of the episodes."""
        return episode_rows(episode, self.robot, self.fps, self.frame)


def select(episodes: Sequence[Episode], robot: str, *, fps: int | None = None, frame: Frame | None = None,
           progress: Progress | None = None) -> Selection:
    """Look at every episode once and settle what they share; nothing is written. Progress is in episodes.

    Episodes without any valid action, and those an annotator rejected, are left out. Raises `FirsthandError` when nothing remains,
    when an episode lacks a file, or when episodes differ in rate, frame of reference, joints or picture size and cannot stand in
    one dataset.
    """
    if fps is not None and fps < 1:
        raise FirsthandError(f"fps must be a whole number from 1 on, got {fps}")
    kept: list[tuple[Episode, int]] = []
    left_out: list[tuple[str, str]] = []
    shared: dict[str, dict[Any, list[str]]] = {}
    tally = dict.fromkeys(("rows", "repeated", "dropped", "gap", "no task", "recorded task", *ORDER), 0)
    for done, episode in enumerate(episodes):
        try:
            rows = episode_rows(episode, robot, fps, frame)
        except TooShortError as error:
            left_out.append((episode.id, str(error)))
            continue
        if rows.annotation and REJECTED in rows.annotation.flags:
            left_out.append((episode.id, "an annotator rejected it"))
        elif rows.sides:
            kept.append((episode, len(rows)))
            _count(tally, rows)
            for what, value in _facts(episode, rows).items():
                shared.setdefault(what, {}).setdefault(value, []).append(episode.id)
        else:
            left_out.append((episode.id, f"no frame has a valid action for {robot}"))
        if progress:
            progress(done + 1, len(episodes))
    if not kept:
        why = f" ({left_out[0][0]}: {left_out[0][1]})" if left_out else ""
        raise FirsthandError(f"nothing to export: none of {len(episodes)} episodes can be{why}")
    common = {what: _agreed(what, values) for what, values in shared.items()}
    width_px, height_px = common["picture size"]
    columns = Columns({side: common[f"{side} joints"] for side in ORDER if f"{side} joints" in common})
    return Selection(robot, common["frame rate"], common["frame of reference"], columns, width_px, height_px, tuple(kept), tuple(left_out),
                     _losses(tally, columns, len(kept)))


def _facts(episode: Episode, rows: Rows) -> dict[str, Any]:
    with episode.recording() as recording:
        height_px, width_px = recording[rows.camera].image(0).shape[:2]
    return {"picture size": (width_px, height_px), "frame rate": rows.grid.fps, "frame of reference": rows.frame,
            **{f"{side} joints": side_rows.joint_names for side, side_rows in rows.sides.items()}}


def _agreed(what: str, values: Mapping[Any, Sequence[str]]) -> Any:
    """The one value all episodes have, or the error that names who differs."""
    if len(values) > 1:
        told = "; ".join(f"{value} in {ids[0]}" + (f" and {len(ids) - 1} more" if len(ids) > 1 else "") for value, ids in values.items())
        cure = CURES.get(what, "export them apart")
        raise FirsthandError(f"episodes of one dataset must share their {what}, these differ ({told}): {cure}")
    return next(iter(values))


def _count(tally: dict[str, int], rows: Rows) -> None:
    shown = len(np.unique(rows.grid.source))
    tally["rows"] += len(rows)
    tally["repeated"] += len(rows) - shown
    tally["dropped"] += rows.n_source - shown
    tally["gap"] += int((~rows.grid.covered).sum())
    if rows.task == UNLABELLED_TASK:
        tally["no task"] += 1
    elif rows.annotation is None or not rows.annotation.instruction.strip():
        tally["recorded task"] += 1
    for side, side_rows in rows.sides.items():
        tally[side] += int(side_rows.valid.sum())


def _losses(tally: Mapping[str, int], columns: Columns, episodes: int) -> tuple[str, ...]:
    rows = tally["rows"]
    told = [f"{rows - tally[side]} of {rows} rows have no valid {side} action; they hold another row's and are 0 in the validity columns"
            for side in columns.sides if tally[side] < rows]
    if tally["repeated"] or tally["dropped"]:
        told.append(f"for a constant rate {tally['repeated']} rows repeat a camera frame and {tally['dropped']} camera frames are left out")
    if tally["gap"]:
        told.append(f"{tally['gap']} rows lie in gaps of the camera; they repeat the nearest picture and are marked not valid")
    if tally["no task"]:
        told.append(f"{tally['no task']} of {episodes} episodes have no task text; theirs is {UNLABELLED_TASK!r}")
    if tally["recorded task"]:
        told.append(f"{tally['recorded task']} of {episodes} episodes carry the task text of the recording, not one an annotator wrote")
    return tuple(told)
