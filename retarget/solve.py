"""From human hands to what a robot would do: a pure function of hands and robot."""

from collections.abc import Callable
from typing import Any

from firsthand.capture.files import Provenance
from firsthand.capture.skeleton import SIDES
from firsthand.retarget import gripper
from firsthand.retarget.action_track import Actions
from firsthand.retarget.hand_track import Hands
from firsthand.retarget.robot import RobotModel

STAGE = "actions/1"


def parameters(robot: RobotModel) -> dict[str, Any]:
    """Every setting that changes the actions of a robot, besides its card."""
    if robot.kind == "gripper":
        return dict(gripper.PARAMETERS)
    from firsthand.retarget.solve_hand import PARAMETERS

    return dict(PARAMETERS)


def retarget(hands: Hands, robot: RobotModel, *, progress: Callable[[int, int], None] | None = None) -> Actions:
    """What `robot` would do in place of each hand it can follow, frame by frame, in the frame of `hands`.

    A hand that was not seen has no track; a frame without it is not valid and NaN. `progress` is told (hands done, hands).
    """
    tracks = {}
    sides = [side for side in SIDES if side in hands.tracks and robot.follows(side)]
    for done, side in enumerate(sides):
        if robot.kind == "gripper":
            tracks[side] = gripper.follow_with_gripper(hands.tracks[side], robot)
        else:
            from firsthand.retarget.solve_hand import follow_with_hand

            tracks[side] = follow_with_hand(hands.tracks[side], robot)
        if progress:
            progress(done + 1, len(sides))
    return Actions(robot.name, robot.kind, hands.frame, tracks, Provenance(parameters=parameters(robot), stage=STAGE))
