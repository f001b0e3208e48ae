"""Task: what a wearer does to calibrate the rig. Fingers as on a piano, the head turned and nodded, all of it irregular, to the end."""

import numpy as np

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.head import Nod
from firsthand.capture.synthetic.plan import HandPlan, Key, Press
from firsthand.capture.synthetic.task import NATURAL_S, Span, Task

_PLACES_M: dict[Side, tuple[float, float, float]] = {"right": (0.11, 0.10, 0.13), "left": (-0.11, 0.10, 0.13)}


def calibrate(rng: np.random.Generator, stretch: float) -> Task:
    """Free movement of both hands and the head for six seconds times `stretch`."""
    end_s = NATURAL_S * stretch
    hands = {side: HandPlan(side, _drift(rng, place, end_s), phase=float(rng.uniform(0, 6)), presses=_presses(rng, end_s))
             for side, place in _PLACES_M.items()}  # fmt: skip
    return Task("move your fingers, your hands and your head freely", hands,
                (Span(0.5, end_s, "calibrate", "move fingers, hands and head"),), lambda _t_s: (), _nods(rng, end_s))


def _drift(rng: np.random.Generator, place_m: tuple[float, float, float], end_s: float) -> tuple[Key, ...]:
    """The hand wanders by a few centimetres and degrees about its place."""
    keys, t_s = [], 0.0
    while t_s < end_s + 2:
        x, y, z = rng.normal(place_m, (0.012, 0.012, 0.010))
        yaw, pitch, roll = rng.normal((-10, -38, 0), 4)
        keys.append(Key(t_s, (float(x), float(y), float(z)), (float(yaw), float(pitch), float(roll)), str(rng.choice(["open", "relaxed"]))))
        t_s += float(rng.uniform(0.8, 2.2))
    return tuple(keys)


def _presses(rng: np.random.Generator, end_s: float) -> tuple[Press, ...]:
    presses = []
    for finger in range(5):
        t_s = float(rng.uniform(0.3, 1.0))
        while t_s < end_s:
            lasts_s = float(rng.uniform(0.35, 0.8))
            presses.append(Press(t_s, t_s + lasts_s, finger, float(rng.uniform(0.4, 1.0))))
            t_s += lasts_s + float(rng.exponential(0.5))
    return tuple(presses)


def _nods(rng: np.random.Generator, end_s: float) -> tuple[Nod, ...]:
    nods, t_s = [], 0.5
    while t_s < end_s:
        lasts_s = float(rng.uniform(0.5, 1.2))
        yaw, pitch, roll = (float(v) for v in rng.normal(0, (5, 4, 4)))
        nods.append(Nod(t_s, t_s + lasts_s, yaw, pitch, roll))
        t_s += lasts_s * float(rng.uniform(0.6, 1.3))
    return tuple(nods)
