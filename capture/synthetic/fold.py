"""Task: fold a cloth. Both hands take its near corners, carry them over, and let go."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import Side
from firsthand.capture.synthetic.plan import HandPlan, Key
from firsthand.capture.synthetic.solids import Sheet, Solid
from firsthand.capture.synthetic.task import COLOURS, Span, Task, pick

Floats = npt.NDArray[np.floating[Any]]

_THICK_M = 0.002
_GRIP_M = 0.017
_LAP_M = 0.007
"""How much cloth lies beyond each pinch."""
_LAPS: tuple[tuple[Side, float], ...] = (("left", -_LAP_M), ("right", _LAP_M))
_STRIPS = 20


def fold(rng: np.random.Generator, stretch: float) -> Task:
    """A striped towel, folded once away from the wearer."""
    name, bgr = pick(rng, COLOURS)
    stripe_bgr = pick(rng, COLOURS, but=name)[1]
    half_width, half = rng.uniform(0.115, 0.13), rng.uniform(0.10, 0.115)
    near = rng.uniform(0.06, 0.09)
    crease = near + half
    go, at, held, over, free, end = np.array([0.45, 1.5, 2.0, 4.1, 4.6, 5.7]) * stretch
    phase = float(rng.uniform(0, 6))

    def plan(side: Side, sign: int) -> HandPlan:
        x, far, rest, down, up = sign * half_width, crease + 0.93 * half, (-10, -36, 0), (-10, -34, -10), (-10, -28, -10)
        return HandPlan(side, (
            Key(go, (sign * 0.12, 0.09, 0.13), rest, "open"),
            Key(at, (x, near, _GRIP_M), down, "ready"),
            Key(held, (x, near, _GRIP_M), down, "pinch"),
            Key(over, (x, far, _GRIP_M + 0.004), up, "pinch"),
            Key(free, (x, far, _GRIP_M + 0.012), up, "ready"),
            Key(end, (sign * 0.13, 0.10, 0.12), rest, "open"),
        ), arcs=((held, over, 0.86 * half),), phase=phase)  # fmt: skip

    hands: dict[Side, HandPlan] = {"right": plan("right", 1), "left": plan("left", -1)}
    at_rest = {side: hand.pinch_m(np.array([held]))[0] for side, hand in hands.items()}
    crease = float((at_rest["left"][1] + at_rest["right"][1]) / 2) + half
    s = np.linspace(0, 1, _STRIPS + 1)
    stripes = tuple(stripe_bgr if 0.72 < v < 0.82 or 0.86 < v < 0.90 else bgr for v in (s[1:] + s[:-1]) / 2)

    def solids(t_s: float) -> tuple[Solid, ...]:
        t = np.array([min(max(t_s, held), over)])
        sides: list[tuple[Floats, Floats]] = []
        for side, lap in _LAPS:
            x = at_rest[side][0] + lap
            lying = np.stack([np.full(_STRIPS + 1, x), crease + half * s, np.full(_STRIPS + 1, _THICK_M)], 1)
            held_at = hands[side].pinch_m(t)[0] + np.array([lap, 0, 0.003 - _GRIP_M])
            sides.append((lying, _hanging(x, held_at, crease, half, s)))
        (left, left_moving), (right, right_moving) = sides
        return (Sheet(left, right, stripes), Sheet(right_moving, left_moving, stripes))

    spans = (
        Span(go, at, "reach", f"reach for the near corners of the {name} cloth"),
        Span(at, held, "grasp", "pinch both corners"),
        Span(held, over, "carry", "carry the corners over to the far edge"),
        Span(over, free, "release", "lay the edge down and let go"),
        Span(free, end, "return", "bring both hands back"),
    )
    return Task(f"fold the {name} cloth in half, away from you", hands, spans, solids)


def _hanging(x: float, grip: Floats, crease: float, half: float, s: Floats) -> Floats:
    """World points (S + 1, 3) along one side of the moving half, from the crease (s = 0) to the held edge (s = 1).

    A parabola of the cloth's length between crease and hand, sagging; what would be under the table lies on it.
    """
    span = np.hypot(grip[1] - crease, grip[2] - _THICK_M)
    # Length of a shallow arc: chord (1 + 8/3 (sag / chord)^2).
    sag = float(np.sqrt(max(half / max(span, 1e-6) - 1, 0) * 3 / 8) * span)
    across = (grip[0] - x) * s
    y = crease + (grip[1] - crease) * s
    z = 2 * _THICK_M + (grip[2] - 2 * _THICK_M) * s - 4 * sag * s * (1 - s)
    return np.stack([x + across, y, np.maximum(z, 2 * _THICK_M * np.minimum(1, 4 * s) + 1e-4)], 1)
