"""Task: pour from one cup into another. The right hand tilts its cup by the handle; the left holds the other one still."""

from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.synthetic.plan import HandPlan, Key
from firsthand.capture.synthetic.rotation import inverse
from firsthand.capture.synthetic.solids import Beads, Cup, Solid
from firsthand.capture.synthetic.task import COLOURS, Span, Task, pick, standing

Floats = npt.NDArray[np.floating[Any]]

_TEA = (40, 75, 130)
_GRIP_M = 0.040
_MUG_M, _GLASS_M = 0.070, 0.055
"""Heights of the cup that is poured from and of the other one."""
_ARM_M = 0.050
"""From a cup's axis to where its handle is held."""


def pour(rng: np.random.Generator, stretch: float) -> Task:
    """Tea from a cup at the right into a cup at the left."""
    mug_name, mug_bgr = pick(rng, COLOURS)
    glass_name, glass_bgr = pick(rng, COLOURS, but=mug_name)
    x, y = rng.uniform(0.14, 0.17), rng.uniform(0.12, 0.15)
    gx, gy = rng.uniform(-0.13, -0.11), rng.uniform(0.14, 0.16)
    tilt_x, tilt_z = gx + _ARM_M + 0.094, 0.135
    go, at, held, over, tilted, poured, upright, down, free, end = np.array([0.4, 1.2, 1.6, 2.4, 2.9, 3.7, 4.2, 4.9, 5.2, 5.8]) * stretch
    flat, side = (-12, -34, -24), (-12, -32, 24)
    right = HandPlan("right", (
        Key(go, (0.13, 0.10, 0.14), (-10, -38, 0), "open"),
        Key(at, (x, y, _GRIP_M), flat, "ready"),
        Key(held, (x, y, _GRIP_M), flat, "pinch"),
        Key(over, (tilt_x + 0.02, gy, tilt_z), flat, "pinch"),
        Key(tilted, (tilt_x, gy, tilt_z), side, "pinch"),
        Key(poured, (tilt_x, gy, tilt_z), side, "pinch"),
        Key(upright, (tilt_x + 0.03, gy, tilt_z), flat, "pinch"),
        Key(down, (x, y, _GRIP_M), flat, "pinch"),
        Key(free, (x, y, _GRIP_M), flat, "ready"),
        Key(end, (0.14, 0.10, 0.12), (-10, -38, 0), "open"),
    ), phase=float(rng.uniform(0, 6)))  # fmt: skip
    left = HandPlan("left", (
        Key(go, (-0.13, 0.09, 0.12), (-10, -38, 0), "open"),
        Key(at, (gx, gy, 0.034), (-14, -36, -12), "ready"),
        Key(held, (gx, gy, 0.034), (-14, -36, -12), "pinch"),
        Key(down, (gx, gy, 0.034), (-14, -36, -12), "pinch"),
        Key(free, (gx, gy, 0.034), (-14, -36, -12), "ready"),
        Key(end, (-0.14, 0.09, 0.12), (-10, -38, 0), "open"),
    ), phase=float(rng.uniform(0, 6)))  # fmt: skip
    grip = right.pinch_m(np.array([held]))[0]
    rest = standing(grip[0] - _ARM_M, grip[1])
    in_hand = inverse(right.T_world_pinch(held)) @ rest
    left_grip = left.pinch_m(np.array([held]))[0]
    glass = standing(left_grip[0] + _ARM_M, left_grip[1])
    put = right.T_world_pinch(down) @ in_hand
    back = standing(put[0, 3], put[1, 3])

    def solids(t_s: float) -> tuple[Solid, ...]:
        T = rest if t_s < held else right.T_world_pinch(t_s) @ in_hand if t_s < down else back
        level = float(np.clip((t_s - tilted) / (poured - tilted), 0, 1))
        parts: list[Solid] = [
            Cup(glass, 0.028, 0.035, _GLASS_M, glass_bgr, fill=0.1 + 0.55 * level, fill_bgr=_TEA),
            _handle(glass, -1, _GLASS_M, glass_bgr),
            Cup(T, 0.028, 0.033, _MUG_M, mug_bgr, fill=0.72 - 0.45 * level, fill_bgr=_TEA),
            _handle(T, 1, _MUG_M, mug_bgr),
        ]
        if tilted - 0.05 * stretch < t_s < poured:
            lip = (T @ np.array([-0.034, 0, _MUG_M + 0.001, 1]))[:3]
            low = np.array([glass[0, 3] + 0.2 * (lip[0] - glass[0, 3]), glass[1, 3], _GLASS_M * (0.1 + 0.55 * level)])
            s = np.linspace(0, 1, 40)[:, None]
            stream = lip + (low - lip) * np.concatenate([np.sqrt(s), np.sqrt(s), s], 1)  # a falling parabola
            parts.append(Beads(stream, np.full(40, 0.0028), _TEA))
        return tuple(parts)

    mug, other = f"the {mug_name} cup", f"the {glass_name} cup"
    spans = (
        Span(go, at, "reach", f"reach for {mug}"),
        Span(at, held, "grasp", f"grasp {mug} by its handle"),
        Span(held, over, "carry", f"carry {mug} over {other}"),
        Span(over, upright, "pour", f"pour tea into {other}"),
        Span(upright, down, "place", f"put {mug} back"),
        Span(down, free, "release", f"let go of {mug}"),
        Span(free, end, "return", "bring the hands back"),
    )
    return Task(f"pour tea from {mug} into {other}", {"right": right, "left": left}, spans, solids)


def _handle(T_world_cup: Floats, side: int, height_m: float, bgr: tuple[int, int, int]) -> Beads:
    """A loop on the +x (1) or -x (-1) side of a cup."""
    a = np.linspace(-np.pi / 2, np.pi / 2, 26)
    loop = np.stack([side * (0.029 + 0.023 * np.cos(a)), np.zeros(26), height_m * 0.52 + height_m * 0.30 * np.sin(a), np.ones(26)], 1)
    return Beads((loop @ T_world_cup.T)[:, :3], np.full(26, 0.0042), bgr)
