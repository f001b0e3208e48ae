"""Task: put a block into a bowl. The right hand takes it by its knob; the left rests beside."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.plan import HandPlan, Key
from firsthand.capture.synthetic.solids import Block, Cup, Solid
from firsthand.capture.synthetic.task import COLOURS, Span, Task, pick, standing

Floats = npt.NDArray[np.floating[Any]]

_SIDE_M, _KNOB_M = 0.042, 0.012
_GRIP_M = _SIDE_M + 0.008
"""Height at which the knob is held."""
_BOWL_M = 0.040
_FALL_M_S2 = 9.81


def pick_and_place(rng: np.random.Generator, stretch: float) -> Task:
    """A block with a knob, carried into a bowl."""
    block_name, block_bgr = pick(rng, {k: v for k, v in COLOURS.items() if k != "white"})
    bowl_name, bowl_bgr = pick(rng, COLOURS, but=block_name)
    x, y = rng.uniform(0.12, 0.16), rng.uniform(0.08, 0.13)
    bowl_x, bowl_y = rng.uniform(-0.02, 0.02), rng.uniform(0.19, 0.23)
    go, at, held, over, low, drop, free, end = np.array([0.45, 1.45, 1.95, 3.35, 3.75, 4.05, 4.35, 5.5]) * stretch
    above = _BOWL_M + 0.075
    right = HandPlan("right", (
        Key(go, (0.13, 0.10, 0.15), (-10, -36, 0), "open"),
        Key(at, (x, y, _GRIP_M), (-14, -36, -12), "ready"),
        Key(held, (x, y, _GRIP_M), (-14, -36, -12), "pinch"),
        Key(over, (bowl_x, bowl_y, above), (-10, -30, -14), "pinch"),
        Key(low, (bowl_x, bowl_y, above - 0.02), (-10, -30, -14), "pinch"),
        Key(free, (bowl_x, bowl_y, above - 0.015), (-10, -30, -14), "ready"),
        Key(end, (0.14, 0.10, 0.14), (-10, -36, 0), "open"),
    ), arcs=((held, over, 0.035),), phase=float(rng.uniform(0, 6)))  # fmt: skip
    lx, ly = rng.uniform(-0.16, -0.13), rng.uniform(0.09, 0.13)
    left = HandPlan("left", (
        Key(0.0, (lx, ly, 0.09), (-10, -36, 0), "open"),
        Key(over, (lx - 0.015, ly + 0.01, 0.075), (-14, -38, 4), "relaxed"),
        Key(end, (lx, ly, 0.09), (-10, -36, 0), "open"),
    ), phase=float(rng.uniform(0, 6)))  # fmt: skip
    taken, freed = right.pinch_m(np.array([held, drop]))
    yaw = float(rng.uniform(-0.4, 0.4))

    def solids(t_s: float) -> tuple[Solid, ...]:
        if t_s < held:
            place = taken
        elif t_s < drop:
            place = right.pinch_m(np.array([t_s]))[0]
        else:
            place = freed.copy()
            place[2] = max(freed[2] - _FALL_M_S2 / 2 * (t_s - drop) ** 2, _GRIP_M + 0.004)
        bottom = standing(place[0], place[1], place[2] - _GRIP_M, yaw_rad=yaw)
        knob = bottom.copy()
        knob[2, 3] += _SIDE_M
        return (
            Cup(standing(bowl_x, bowl_y), 0.048, 0.074, _BOWL_M, bowl_bgr, wall_m=0.004),
            Block(bottom, (_SIDE_M, _SIDE_M, _SIDE_M), block_bgr),
            Cup(knob, 0.004, 0.0055, _KNOB_M, (150, 190, 215), wall_m=0.0005, fill=0.98),
        )

    block, bowl = f"the {block_name} block", f"the {bowl_name} bowl"
    spans = (
        Span(go, at, "reach", f"reach for {block}"),
        Span(at, held, "grasp", f"grasp {block}"),
        Span(held, over, "carry", f"carry {block} to {bowl}"),
        Span(over, low, "place", f"lower {block} into {bowl}"),
        Span(low, free, "release", f"let go of {block}"),
        Span(free, end, "return", "bring the hand back"),
    )
    return Task(f"put {block} into {bowl}", {"right": right, "left": left}, spans, solids)
