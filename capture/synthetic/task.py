"""What the wearer is asked to do, and what then really happens: a plan for each hand, things that move, and named spans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import unknown
from firsthand.capture.plugins import find
from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.head import Nod
from firsthand.capture.synthetic.plan import HandPlan, OtherHand
from firsthand.capture.synthetic.solids import Solid

Floats = npt.NDArray[np.floating[Any]]

TASKS: dict[str, str] = {
    "pick-and-place": "firsthand.capture.synthetic.pick_and_place:pick_and_place",
    "pour": "firsthand.capture.synthetic.pour:pour",
    "fold": "firsthand.capture.synthetic.fold:fold",
    "calibrate": "firsthand.capture.synthetic.calibrate:calibrate",
    "free-motion": "firsthand.capture.synthetic.free_motion:free_motion",
    "fast": "firsthand.capture.synthetic.hard:fast",
    "leave": "firsthand.capture.synthetic.hard:leave",
    "cross": "firsthand.capture.synthetic.hard:cross",
    "alone": "firsthand.capture.synthetic.hard:alone",
    "nobody": "firsthand.capture.synthetic.hard:nobody",
    "visitor": "firsthand.capture.synthetic.hard:visitor",
    "hidden": "firsthand.capture.synthetic.hard:hidden",
}
"""Name -> ``"module:function"`` of (random generator, scale of time) -> `Task`."""

NATURAL_S = 6.0
"""How long each task takes when time is not stretched."""
_SLOWEST = 1.5
_FIXED = ("pick-and-place", "pour", "fold")
"""Tasks that are done at some time; the others go on as long as the take."""


@dataclass(frozen=True)
class Span:
    """A true sub-task, in seconds from the start of the take."""

    start_s: float
    stop_s: float
    label: str
    text: str


@dataclass(frozen=True, eq=False)
class Task:
    """One way a take can go, fixed by its seed."""

    instruction: str
    """An English imperative."""
    hands: Mapping[Side, HandPlan]
    spans: tuple[Span, ...]
    """In order, not overlapping."""
    solids: Callable[[float], tuple[Solid, ...]]
    """The things on the table at a time in seconds."""
    nods: tuple[Nod, ...] = ()
    """How the head moves besides its own sway."""
    others: tuple[OtherHand, ...] = ()
    """Hands of somebody else."""


def make_task(name: str, rng: np.random.Generator, duration_s: float) -> Task:
    """The task called `name`, drawn from `rng` and fitted into `duration_s`; at most half as slow again, then the hands rest;
    what is never done (``calibrate``, the hard ones) goes on to the end.

    Raises `FirsthandError` for an unknown name.
    """
    if name not in TASKS:
        raise unknown("synthetic task", name, TASKS)
    make: Callable[[np.random.Generator, float], Task] = find("tasks", TASKS, name)
    return make(rng, min(duration_s / NATURAL_S, _SLOWEST) if name in _FIXED else duration_s / NATURAL_S)


def pick(rng: np.random.Generator, named: Mapping[str, tuple[int, int, int]], *, but: str = "") -> tuple[str, tuple[int, int, int]]:
    """A colour by name, other than `but`."""
    names = [name for name in named if name != but]
    name = names[int(rng.integers(len(names)))]
    return name, named[name]


COLOURS = {
    "red": (45, 45, 200), "blue": (190, 95, 35), "green": (75, 150, 50), "yellow": (50, 190, 225), "orange": (40, 120, 235),
    "white": (225, 228, 230),
}  # fmt: skip
"""BGR by the word a person would use."""


def standing(x: float, y: float, z: float = 0.0, *, yaw_rad: float = 0.0) -> Floats:
    """Pose (4, 4) of something upright at a place in the world."""
    T = np.eye(4)
    T[:2, :2] = [[np.cos(yaw_rad), -np.sin(yaw_rad)], [np.sin(yaw_rad), np.cos(yaw_rad)]]
    T[:3, 3] = x, y, z
    return T
