"""The motion behind emulated devices: the synthetic wearer at a task, to and fro for ever, without a jump."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.hand import glove_rad
from firsthand.capture.synthetic.head import HeadMotion
from firsthand.capture.synthetic.task import NATURAL_S, make_task

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]


class Wearer:
    """Hands and head at any time after the start. World: x right, y forward, z up, metres; the head's axes: x right, y down, z forward."""

    def __init__(self, emulation: "Emulation") -> None:
        self._hands = make_task("pick-and-place", np.random.default_rng([emulation.seed, 1]), NATURAL_S).hands
        self._head = HeadMotion(float(np.random.default_rng([emulation.seed, 2]).uniform(0, 6)))

    def points_m(self, side: Side, t_s: float) -> Floats:
        """The 21 joints of a hand in the world, shape (21, 3)."""
        return np.asarray(self._hands[side].points_m(self._at(t_s))[0], np.float64)

    def R_world_hand(self, side: Side, t_s: float) -> Floats:
        """How a hand is turned, shape (3, 3): its axes are x to the right when the palm is down, y along the fingers, z out of the back."""
        return np.asarray(self._hands[side].R_world_hand(self._at(t_s))[0] @ np.diag([1.0, -1.0, -1.0]), np.float64)

    def angles_rad(self, side: Side, t_s: float) -> Floats:
        """The 20 angles of `synthetic.hand.GLOVE_NAMES`, shape (20,)."""
        return np.asarray(glove_rad(self._hands[side].angles(self._at(t_s)))[0], np.float64)

    def T_world_head(self, t_s: float) -> Floats:
        """The pose of the head camera, shape (4, 4)."""
        return np.asarray(self._head.T_world_cam(np.array([t_s]))[0], np.float64)

    @staticmethod
    def _at(t_s: float) -> Floats:
        return np.array([NATURAL_S - abs(t_s % (2 * NATURAL_S) - NATURAL_S)])
