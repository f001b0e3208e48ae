"""Tasks that are hard to track: fast hands, hands that leave, cross, work alone, are hidden, or share the table with somebody else's."""

from typing import NamedTuple

import numpy as np

from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.synthetic.plan import HandPlan, Key, OtherHand
from firsthand.capture.synthetic.solids import Block, Solid
from firsthand.capture.synthetic.task import NATURAL_S, Span, Task, standing

Place = tuple[float, float, float]

_SIGN: dict[Side, int] = {"right": 1, "left": -1}
_FLAT, _GRIPS = (-10.0, -38.0, 0.0), ("open", "relaxed", "ready", "pinch")
_BELOW_M, _BESIDE_M = -0.45, 0.75
"""Where a hand is out of the picture: y towards the wearer, x to either side."""


class _At(NamedTuple):
    """A place as seen by a right hand: x outwards from the middle."""

    t_s: float
    x: float
    y: float
    z: float
    turn_deg: tuple[float, float, float] = _FLAT
    grip: str = "relaxed"


def _plan(rng: np.random.Generator, side: Side, *path: _At) -> HandPlan:
    keys = tuple(Key(p.t_s, (_SIGN[side] * p.x, p.y, p.z), p.turn_deg, p.grip) for p in path)
    return HandPlan(side, keys, phase=float(rng.uniform(0, 6)))


def _task(what: str, hands: dict[Side, HandPlan], end_s: float, solids: tuple[Solid, ...] = (), others: tuple[OtherHand, ...] = ()) -> Task:
    return Task(what, hands, (Span(0.5, end_s, "work", what),), lambda _t_s: solids, others=others)


def _home(rng: np.random.Generator) -> tuple[float, float, float]:
    x, y, z = rng.normal((0.13, 0.10, 0.12), (0.015, 0.015, 0.01))
    return float(x), float(y), float(z)


def _busy(rng: np.random.Generator, end_s: float, *, rest_s: float = 0.5) -> list[_At]:
    """A hand that works at its place: it wanders, turns, opens and closes."""
    path, t_s = [_At(0.0, *_home(rng), grip="open")], 0.6
    while t_s < end_s:
        yaw, pitch, roll = (float(v) for v in rng.normal(_FLAT, (6, 5, 8)))
        path.append(_At(t_s, *_home(rng), (yaw, pitch, roll), str(rng.choice(_GRIPS))))
        t_s += float(rng.uniform(0.4, 0.4 + 2 * rest_s))
    return path


def fast(rng: np.random.Generator, stretch: float) -> Task:
    """Each hand darts between places 15 to 25 cm apart in a quarter of a second, with short rests: up to 1.9 m/s."""
    end_s = NATURAL_S * stretch
    hands: dict[Side, HandPlan] = {}
    for side in SIDES:
        path, t_s, far = [_At(0.0, *_home(rng), grip="open")], 0.8, True
        while t_s < end_s:
            x, y, z = rng.uniform((0.17, 0.14, 0.10), (0.21, 0.22, 0.16)) if far else rng.uniform((0.06, 0.05, 0.05), (0.09, 0.09, 0.10))
            rests, lasts, grip = float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.22, 0.35)), str(rng.choice(_GRIPS))
            path += [path[-1]._replace(t_s=t_s), _At(t_s + lasts, float(x), float(y), float(z), grip=grip)]
            t_s, far = t_s + lasts + rests, not far
        hands[side] = _plan(rng, side, *path)
    return _task("move both hands as fast as you can", hands, end_s)


def leave(rng: np.random.Generator, stretch: float) -> Task:
    """Hands leave the picture below or to the side, and come back elsewhere; now one, now the other, now both."""
    end_s = NATURAL_S * stretch
    hands: dict[Side, HandPlan] = {}
    for side in SIDES:
        path, t_s = [_At(0.0, *_home(rng), grip="open")], float(rng.uniform(0.8, 1.6))
        while t_s < end_s:
            x, y, z = _home(rng)
            out = (x, _BELOW_M, z) if rng.random() < 0.6 else (_BESIDE_M, y, z)
            away = float(rng.uniform(0.3, 1.2))
            path += [path[-1]._replace(t_s=t_s), _At(t_s + 0.5, *out), _At(t_s + 0.5 + away, *out),
                     _At(t_s + 1.1 + away, x, y, z, grip=str(rng.choice(_GRIPS)))]
            t_s += 1.1 + away + float(rng.uniform(0.6, 1.6))
        hands[side] = _plan(rng, side, *path)
    return _task("fetch things from beside the table", hands, end_s)


def cross(rng: np.random.Generator, stretch: float) -> Task:
    """The hands change places, one above the other, stay crossed for a while, and change back."""
    end_s = NATURAL_S * stretch
    paths: dict[Side, list[_At]] = {side: [_At(0.0, *_home(rng), grip="open")] for side in SIDES}
    t_s, crossed = 1.0, False
    while t_s < end_s:
        crossed = not crossed
        lasts, stays, above = float(rng.uniform(0.5, 0.9)), float(rng.uniform(0.3, 1.0)), bool(rng.random() < 0.5)
        for side, path in paths.items():
            x, y, _ = _home(rng)
            over = (side == "right") == above
            place = (-0.8 * x if crossed else x, y + (0.02 if over else -0.01), 0.17 if over else 0.06)
            path += [path[-1]._replace(t_s=t_s), _At(t_s + lasts, *place, (-38.0 if crossed else -10.0, -38.0, 0.0))]
        t_s += lasts + stays
    return _task("swap the things on your left and right", {side: _plan(rng, side, *path) for side, path in paths.items()}, end_s)


def alone(rng: np.random.Generator, stretch: float) -> Task:
    """One hand works, the other is out of the picture but for a short visit; which is which is chance."""
    end_s = NATURAL_S * stretch
    hands: dict[Side, HandPlan] = {}
    first: Side = "left" if rng.random() < 0.5 else "right"
    for side in SIDES:
        if side == first:
            hands[side] = _plan(rng, side, *_busy(rng, end_s))
            continue
        x, y, z = _home(rng)
        starts, stays = 0.35 * end_s, 0.2 * end_s
        hands[side] = _plan(rng, side, _At(starts, x, _BELOW_M, z), _At(starts + 0.6, x, y, z), _At(starts + 0.6 + stays, x, y, z),
                            _At(starts + 1.2 + stays, x, _BELOW_M, z))
    return _task("work with one hand", hands, end_s)


def nobody(rng: np.random.Generator, stretch: float) -> Task:
    """Both hands stay out of the picture."""
    hands = {side: _plan(rng, side, _At(0.0, 0.15, _BELOW_M, 0.1), _At(1.0, 0.15, _BELOW_M, 0.1)) for side in SIDES}
    return _task("look at the table", hands, NATURAL_S * stretch)


def visitor(rng: np.random.Generator, stretch: float) -> Task:
    """Somebody across the table reaches in with one hand, then both, while the wearer works; for a while the wearer's right is away."""
    end_s = NATURAL_S * stretch
    hands = {side: _plan(rng, side, *_busy(rng, end_s)) for side in SIDES}
    away_s = 0.7 * end_s
    x, y, z = _home(rng)
    hands["right"] = _plan(rng, "right", *(p for p in _busy(rng, away_s - 0.6)), _At(away_s, x, y, z), _At(away_s + 0.5, x, _BELOW_M, z))
    others = []
    for side, comes, goes in zip(SIDES, (0.15, 0.35), (0.55, 0.95), strict=True):
        x, y, comes_s, goes_s = float(rng.uniform(0.05, 0.12)), float(rng.uniform(0.02, 0.06)), comes * end_s, goes * end_s
        path = (_At(comes_s, x, _BELOW_M, 0.1), _At(comes_s + 0.8, x, y, 0.05), _At(goes_s, x, y + 0.02, 0.05, grip="pinch"),
                _At(goes_s + 0.8, x, _BELOW_M, 0.1))
        others.append(OtherHand(_plan(rng, side, *path), np.pi, (0.0, 0.20)))
    return _task("work across from somebody", hands, end_s, others=tuple(others))


def hidden(rng: np.random.Generator, stretch: float) -> Task:
    """A box stands between the camera and where the left hand goes now and then."""
    end_s = NATURAL_S * stretch
    x, y, z = _home(rng)
    path, t_s = [_At(0.0, x, y, z, grip="open")], 0.8
    while t_s < end_s:
        path += [path[-1]._replace(t_s=t_s), _At(t_s + 0.5, x, y + 0.11, 0.05), _At(t_s + 1.1, x, y + 0.11, 0.05), _At(t_s + 1.6, x, y, z)]
        t_s += 1.6 + float(rng.uniform(0.5, 1.0))
    hands: dict[Side, HandPlan] = {"left": _plan(rng, "left", *path), "right": _plan(rng, "right", *_busy(rng, end_s))}
    box = Block(standing(-x, y + 0.05, 0.02, yaw_rad=float(rng.uniform(-0.1, 0.1))), (0.22, 0.03, 0.22), (60, 110, 160))
    return _task("reach behind the box", hands, end_s, (box,))
