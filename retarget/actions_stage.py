"""The stage that adds ``actions-<robot>.h5`` to an episode."""

from collections.abc import Callable
from dataclasses import replace

from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance, sha256
from firsthand.capture.library import Episode
from firsthand.retarget.action_track import Actions, read_actions
from firsthand.retarget.hand_track import read_hands
from firsthand.retarget.robot import load_robot
from firsthand.retarget.solve import STAGE, parameters, retarget


def make_actions(episode: Episode, robot_name: str, *, progress: Callable[[int, int], None] | None = None, force: bool = False) -> Actions:
    """What a robot would do in an episode, from its ``hands.h5``; written beside it, or read where it is current already.

    `robot_name` is one of `robot_names()` or the path of a card. Current means: same hands, same card, same parameters; `force`
    makes it again all the same. Raises `FirsthandError` for an unknown robot or an episode without hands.
    """
    robot = load_robot(robot_name)
    hands = read_hands(episode.hands_path)
    wanted = Provenance({"hands.h5": sha256(episode.hands_path), "robot": robot.sha256}, parameters(robot), STAGE)
    path = episode.actions_path(robot.name)
    if path.exists() and not force:
        try:
            made = read_actions(path)
        except FirsthandError:
            pass  # cut off or something else: made again below
        else:
            if made.provenance == wanted:
                return made
    actions = replace(retarget(hands, robot, progress=progress), provenance=wanted)
    actions.write(path)
    return actions
