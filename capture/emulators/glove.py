"""A glove that sends its twenty angles as JSON, 120 times a second: the synthetic wearer at a task, to and fro for ever.

    {"seq":0,"t_us":512345,"hand":"right","deg":[12.34, ...]}

``deg`` holds four angles a finger, thumb to little: for the thumb CMC, MCP and IP flexion and spread, for the others MCP, PIP and DIP
flexion and spread. ``t_us`` counts microseconds since it was switched on.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from firsthand.capture.emulators.ticks import ticks
from firsthand.capture.synthetic.hand import glove_rad
from firsthand.capture.synthetic.plan import HandPlan
from firsthand.capture.synthetic.task import NATURAL_S, make_task

if TYPE_CHECKING:
    from firsthand.capture.emulator import Emulation

RATE_HZ = 120.0


def plan_of(emulation: "Emulation") -> HandPlan:
    """How the hand in the glove moves."""
    return make_task("pick-and-place", np.random.default_rng([emulation.seed, 1]), NATURAL_S).hands[emulation.side]


def angles_deg(plan: HandPlan, t_s: float) -> list[float]:
    """The true angles at a time after the start, to a hundredth of a degree."""
    to_and_fro_s = NATURAL_S - abs(t_s % (2 * NATURAL_S) - NATURAL_S)
    return [round(float(angle), 2) for angle in np.degrees(glove_rad(plan.angles(np.array([to_and_fro_s])))[0])]


def messages(emulation: "Emulation") -> Iterator[tuple[int, bytes]]:
    """When each message leaves, in nanoseconds after the start, and the message."""
    plan = plan_of(emulation)
    for tick in ticks(emulation, RATE_HZ):
        document = {"seq": tick.sequence, "t_us": tick.device_us, "hand": emulation.side, "deg": angles_deg(plan, tick.t_s)}
        yield tick.due_ns, json.dumps(document, separators=(",", ":")).encode()
