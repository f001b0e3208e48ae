"""The stages of an episode, over many episodes: hands, then actions for each robot."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from firsthand.capture.errors import DamagedError
from firsthand.capture.library import Episode
from firsthand.retarget.action_track import Actions
from firsthand.retarget.actions_stage import make_actions
from firsthand.retarget.hand_track import Hands
from firsthand.retarget.hand_way import AUTO, check_way
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.robot import load_robot

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much is done, and of how much."""


@dataclass(frozen=True)
class Processed:
    """What came of one episode."""

    episode: Episode
    frames: int
    coverage: dict[str, float]
    """Share of frames in which each hand is known, by side."""
    actions: dict[str, dict[str, int]] = field(default_factory=dict)
    """Frames with an action, by robot and side."""
    findings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"episode": self.episode.id, "frames": self.frames, "coverage": self.coverage, "actions": self.actions,
                "findings": list(self.findings)}


def process(episodes: Sequence[Episode], robots: Sequence[str], *, tracker: str = AUTO, workers: int | None = None,
            force: bool = False, progress: Progress | None = None, faults: list[str] | None = None) -> list[Processed]:
    """Bring every episode up to date. What is current already is read, not made again.

    `workers` is how many processes look at one video; one a core if not given, and the result is the same. An unknown robot or tracker is
    refused before the first episode is touched. With `faults`, a damaged episode is passed over and told there;
    without, it ends the work.
    """
    for robot in robots:
        load_robot(robot)
    check_way(tracker)
    done: list[Processed] = []
    for episode in episodes:
        try:
            done.append(_process_one(episode, robots, tracker, workers, force, progress))
        except DamagedError as error:
            if faults is None:
                raise
            faults.append(f"{episode.id}: {error}")
    return done


def _process_one(episode: Episode, robots: Sequence[str], tracker: str, workers: int | None, force: bool,
                 progress: Progress | None) -> Processed:
    def step(what: str) -> Callable[[int, int], None]:
        name = f"{what}: {episode.id.partition('Z-')[2] or episode.id}"  # the time of day is not worth its width in a bar
        return lambda done, total: progress(name, done, total) if progress else None

    hands = make_hands(episode, tracker=tracker, workers=workers, force=force, progress=step("hands"))
    actions = {robot: make_actions(episode, robot, force=force, progress=step(robot)) for robot in robots}
    frames = {robot: _valid_frames(made) for robot, made in actions.items()}
    return Processed(episode, len(hands.t_ns), coverage(hands), frames, (*hands.findings, *_idle(hands, robots, frames)))


def _idle(hands: Hands, robots: Sequence[str], frames: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """A sentence for each robot that has nothing to do although a hand was seen."""
    for robot in robots:
        if hands.tracks and not any(frames[robot].values()):
            side, seen = load_robot(robot).side, " and ".join(f"the {side} hand" for side in hands.tracks)
            why = f"it follows the {side} hand and only {seen} was seen" if side not in ("any", *hands.tracks) else "no pose could be had"
            yield f"{robot} has no action in any frame: {why}"


def coverage(hands: Hands) -> dict[str, float]:
    """Share of frames in which each hand is known, by side."""
    return {side: float(np.mean(track.valid)) for side, track in hands.tracks.items()}


def _valid_frames(actions: Actions) -> dict[str, int]:
    return {side: int(np.count_nonzero(track.valid)) for side, track in actions.tracks.items()}
