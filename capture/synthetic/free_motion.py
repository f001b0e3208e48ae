"""Task: what a wearer of gloves does to calibrate them. Fingers bent one by one and together, hands moved and turned about all axes."""

import numpy as np

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.plan import HandPlan, Key, Press
from firsthand.capture.synthetic.task import NATURAL_S, Span, Task

_PLACES_M: dict[Side, tuple[float, float, float]] = {"right": (0.12, 0.10, 0.14), "left": (-0.12, 0.10, 0.14)}
_PLACE_SPREAD_M, _TURN_DEG, _TURN_SPREAD_DEG = (0.02, 0.02, 0.02), (-10.0, -38.0, 0.0), (12.0, 12.0, 16.0)


def free_motion(rng: np.random.Generator, stretch: float) -> Task:
    """Free movement of both hands and all their fingers for six seconds times `stretch`."""
    end_s = NATURAL_S * stretch
    hands = {side: HandPlan(side, _wander(rng, place, end_s), phase=float(rng.uniform(0, 6)), presses=_bends(rng, end_s))
             for side, place in _PLACES_M.items()}  # fmt: skip
    return Task("turn and move your hands, and bend all your fingers", hands,
                (Span(0.5, end_s, "calibrate", "turn and move the hands, bend the fingers"),), lambda _t_s: ())


def _wander(rng: np.random.Generator, place_m: tuple[float, float, float], end_s: float) -> tuple[Key, ...]:
    keys, t_s = [], 0.0
    while t_s < end_s + 2:
        x, y, z = (float(v) for v in rng.normal(place_m, _PLACE_SPREAD_M))
        yaw, pitch, roll = (float(v) for v in np.array(_TURN_DEG) + np.clip(rng.normal(0, 1, 3), -1.8, 1.8) * _TURN_SPREAD_DEG)
        keys.append(Key(t_s, (x, y, z), (yaw, pitch, roll), str(rng.choice(["open", "relaxed", "ready"]))))
        t_s += float(rng.uniform(0.9, 2.2))
    return tuple(keys)


def _bends(rng: np.random.Generator, end_s: float) -> tuple[Press, ...]:
    """Each finger by itself, in its own irregular time."""
    bends = []
    for finger in range(5):
        t_s = float(rng.uniform(0.3, 2.0))
        while t_s < end_s:
            lasts_s = float(rng.uniform(0.5, 1.1))
            bends.append(Press(t_s, t_s + lasts_s, finger, float(rng.uniform(0.4, 1.0))))
            t_s += lasts_s + float(rng.exponential(0.8))
    return tuple(bends)
