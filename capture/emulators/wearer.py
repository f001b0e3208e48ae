"""The motion behind emulated devices: the synthetic wearer at a task, to and fro for ever, without a jump."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from firsthand.capture.emulators.ticks import Tick
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.synthetic.hand import glove_rad
from firsthand.capture.synthetic.head import HeadMotion
from firsthand.capture.synthetic.task import NATURAL_S, make_task

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

Floats = npt.NDArray[np.float64]

_AT_ONCE = 32


class Wearer:
    """Hands and head at any time after the start. World: x right, y forward, z up, metres; the head's axes: x right, y down, z forward."""

    def __init__(self, emulation: "Emulation") -> None:
        self._hands = make_task("pick-and-place", np.random.default_rng([emulation.seed, 1]), NATURAL_S).hands
        self._head = HeadMotion(float(np.random.default_rng([emulation.seed, 2]).uniform(0, 6)))

    def along(self, ticks: Iterator[Tick]) -> Iterator[tuple[Tick, "Instant"]]:
        """The wearer at each tick. Worked out for several at once, which costs a tenth."""
        while batch := list(islice(ticks, _AT_ONCE)):
            t_s = np.array([tick.t_s for tick in batch])
            points, turns, angles = ({side: of(side, t_s) for side in SIDES} for of in (self._points, self._turns, self._angles))
            heads = self._heads(t_s)
            for n, tick in enumerate(batch):
                yield tick, Instant({s: points[s][n] for s in SIDES}, {s: turns[s][n] for s in SIDES}, {s: angles[s][n] for s in SIDES},
                                    heads[n])

    def points_m(self, side: Side, t_s: float) -> Floats:
        """The 21 joints of a hand in the world, shape (21, 3)."""
        return np.asarray(self._points(side, np.array([t_s]))[0])

    def R_world_hand(self, side: Side, t_s: float) -> Floats:
        """How a hand is turned, shape (3, 3): its axes are x to the right when the palm is down, y along the fingers, z out of the back."""
        return np.asarray(self._turns(side, np.array([t_s]))[0])

    def angles_rad(self, side: Side, t_s: float) -> Floats:
        """The 20 angles of `synthetic.hand.GLOVE_NAMES`, shape (20,)."""
        return np.asarray(self._angles(side, np.array([t_s]))[0])

    def T_world_head(self, t_s: float) -> Floats:
        """The pose of the head camera, shape (4, 4)."""
        return np.asarray(self._heads(np.array([t_s]))[0])

    def _points(self, side: Side, t_s: Floats) -> Floats:
        return np.asarray(self._hands[side].points_m(_to_and_fro(t_s)), np.float64)

    def _turns(self, side: Side, t_s: Floats) -> Floats:
        return np.asarray(self._hands[side].R_world_hand(_to_and_fro(t_s)) @ np.diag([1.0, -1.0, -1.0]), np.float64)

    def _angles(self, side: Side, t_s: Floats) -> Floats:
        return np.asarray(glove_rad(self._hands[side].angles(_to_and_fro(t_s))), np.float64)

    def _heads(self, t_s: Floats) -> Floats:
        return np.asarray(self._head.T_world_cam(t_s), np.float64)


class Instant(NamedTuple):
    """The wearer at one time; see the methods of `Wearer`."""

    points_m: dict[Side, Floats]
    R_world_hand: dict[Side, Floats]
    angles_rad: dict[Side, Floats]
    T_world_head: Floats


def _to_and_fro(t_s: Floats) -> Floats:
    return NATURAL_S - np.abs(t_s % (2 * NATURAL_S) - NATURAL_S)
