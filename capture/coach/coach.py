"""Watches the acceptance gates while a take is recorded. Pure: it is given times and values, and keeps no clock of its own."""

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.coach.advice import Advice, Latch, Level
from firsthand.capture.coach.gates import EXPLAINS, GATES, Gate, Gates
from firsthand.capture.coach.glove_watch import GloveWatch
from firsthand.capture.coach.look import Look, Picture, look, shift_widths
from firsthand.capture.coach.seen_hand import SeenHand, palm_widths, points_outside
from firsthand.capture.stream import StreamSpec

SPEED_S = 1.5
"""The head's speed is judged over so long."""
PAIR_S = 0.2
"""Two pictures further apart have too little in common to see how fast the camera moved."""
LEAST_LOOKS = 6
"""Shares of fewer looks say nothing."""


class Coach:
    """Feed it what arrives, in order of time, and ask it for advice. Whatever it is not given it does not judge."""

    def __init__(self, gates: Gates | None = None, streams: Iterable[StreamSpec] = (), t_ns: int = 0) -> None:
        """`streams` are those that `numeric` will bring; a glove that says nothing after `t_ns` is missed."""
        self._gates = gates or Gates()
        self._gloves: dict[str, GloveWatch] = {}
        self._gyros: dict[str, list[int]] = {}
        self._latches: dict[tuple[Gate, str], Latch] = {}
        self._looks: deque[Look] = deque()
        self._details: deque[tuple[int, float]] = deque()
        self._shifts: deque[tuple[int, float]] = deque()
        self._turns: deque[tuple[int, float]] = deque()
        self._hands: deque[tuple[int, bool, str, bool]] = deque()
        """Time; whether a hand was in view; past which edge one was cut; whether one was too near."""
        self._shape: tuple[int, ...] = (3, 4)
        self._moved_ns: int | None = None
        for spec in streams:
            self.expect(spec, t_ns)

    def expect(self, spec: StreamSpec, t_ns: int) -> None:
        """A stream that `numeric` brings from now on."""
        if spec.role == "glove" and spec.kind == "numeric":
            self._gloves[spec.name] = GloveWatch(spec, self._gates, t_ns)
        elif spec.role == "imu":
            columns = [i for i, unit in enumerate(spec.units) if unit == "rad/s"]
            if len(columns) == 3:
                self._gyros[spec.name] = columns

    def picture(self, t_ns: int, picture: Picture) -> None:
        """A picture of the head camera, BGR (H, W, 3); small ones do. Give two in a row now and then: their shift is the speed."""
        now = look(t_ns, picture)
        self._shape = picture.shape
        before = self._looks[-1] if self._looks else None
        self._looks.append(now)
        _forget(self._looks, t_ns, 1.5, lambda one: one.t_ns)
        g = self._gates
        covered = now.mean < g.covered_grey or (now.contrast < g.covered_contrast and now.clipped < g.clipped_most)
        self._judge("lens", t_ns, "the lens is covered: uncover it, or wipe it" if covered else "")
        self._judge("exposure", t_ns, "the picture is too dark: more light" if now.mean < g.dark_most else
                    "much of the picture is white: turn away from the window or the lamp" if now.clipped > g.clipped_most else "")
        if before and 0 < t_ns - before.t_ns <= PAIR_S * 1e9 and (shift := shift_widths(before, now)) is not None:
            self._shifts.append((t_ns, shift / ((t_ns - before.t_ns) * 1e-9)))
        self._judge_speed(t_ns)
        self._judge_blur(now)
        self._judge_stillness(now)

    def hands(self, t_ns: int, hands: Iterable[SeenHand]) -> None:
        """The hands in the newest picture; none is an answer too."""
        g = self._gates
        seen = [hand for hand in hands if hand.score >= g.hand_score_least]
        edges = [edge for count, edge in map(points_outside, seen) if count >= g.cut_points]
        near = any(palm_widths(hand, self._shape) > g.near_most for hand in seen)
        self._hands.append((t_ns, bool(seen), edges[0] if edges else "", near))
        _forget(self._hands, t_ns, g.hands_s, lambda one: one[0])
        if len(self._hands) < LEAST_LOOKS:
            return
        with_hand = [one for one in self._hands if one[1]]
        few = len(with_hand) < g.hands_least * len(self._hands)
        self._judge("hands", t_ns, "no hand is in view: look at your hands, or tilt the camera down" if few else "")
        if len(with_hand) < LEAST_LOOKS // 2:
            return
        cut = [edge for _, _, edge, _ in with_hand if edge]
        edge = max(set(cut), key=cut.count) if cut else ""
        self._judge("hands-cut", t_ns, f"a hand is cut by the {edge} edge of the picture: look straight at your hands"
                    if len(cut) > g.cut_most * len(with_hand) else "")
        near = sum(one[3] for one in with_hand) > len(with_hand) / 2
        self._judge("hands-near", t_ns, "a hand is too near to the camera: work further away from it" if near else "")

    def numeric(self, stream: str, t_ns: int, values: npt.NDArray[np.floating[Any]]) -> None:
        """A sample of a glove or an IMU, shape (C,); streams that were not expected are passed over."""
        if glove := self._gloves.get(stream):
            glove.add(t_ns, values)
        elif (columns := self._gyros.get(stream)) and np.isfinite(rate := np.asarray(values, np.float64)[columns]).all():
            self._turns.append((t_ns, float(np.linalg.norm(rate))))
            self._judge_speed(t_ns)

    def advice(self, now_ns: int) -> tuple[Advice, ...]:
        """What is wrong for long enough to be told, the causes before what follows from them."""
        for name, glove in self._gloves.items():
            self._judge("glove", now_ns, glove.fault(now_ns), name)
        raised = {gate for (gate, _), latch in self._latches.items() if latch.since_ns is not None}
        hidden = {effect for cause in raised for effect in EXPLAINS.get(cause, ())}
        return tuple(Advice(gate, _LEVELS.get(gate, "warning"), latch.sentence, latch.since_ns, stream)
                     for (gate, stream), latch in sorted(self._latches.items(), key=lambda item: (GATES.index(item[0][0]), item[0][1]))
                     if latch.since_ns is not None and gate not in hidden)

    def _judge_speed(self, t_ns: int) -> None:
        for speeds in (self._turns, self._shifts):
            _forget(speeds, t_ns, SPEED_S, lambda one: one[0])
        g = self._gates
        speeds, most = (self._turns, g.turn_most_rad_s) if self._turns else (self._shifts, g.shift_most_widths_s)
        if len(speeds) >= 3:
            rms = float(np.sqrt(np.mean([speed**2 for _, speed in speeds])))
            self._judge("head-speed", t_ns, "your head moves too fast, the picture smears: move it slower" if rms > most else "")

    def _judge_blur(self, now: Look) -> None:
        g = self._gates
        if not now.texture >= g.texture_least:
            return
        self._details.append((now.t_ns, now.detail))
        _forget(self._details, now.t_ns, g.detail_memory_s, lambda one: one[0])
        if len(self._details) < LEAST_LOOKS:
            return
        usual = float(np.quantile([value for _, value in self._details], 0.9))
        blurred = now.detail < max(g.detail_least, g.detail_fall * usual)
        self._judge("blur", now.t_ns, "the picture is not sharp: wipe the lens, check its focus" if blurred else "")

    def _judge_stillness(self, now: Look) -> None:
        g = self._gates
        past = next((one for one in self._looks if now.t_ns - one.t_ns >= 0.5e9), None)  # the oldest, up to 1.5 s back
        if past is None or now.t_ns - past.t_ns < 0.5e9:
            return
        changed = float(np.quantile(np.abs(now.cells - past.cells), 0.99))
        fingers = [moved for glove in self._gloves.values() if (moved := glove.moved_rad(now.t_ns)) is not None]
        if self._moved_ns is None or changed > g.idle_grey or max(fingers, default=0.0) > g.idle_rad:
            self._moved_ns = now.t_ns
        still = now.t_ns - self._moved_ns > g.idle_s * 1e9
        self._judge("idle", now.t_ns, "nothing moves: go on, or stop the take" if still else "")

    def _judge(self, gate: Gate, t_ns: int, fault: str, stream: str = "") -> None:
        latch = self._latches.get((gate, stream))
        if latch is None:
            latch = self._latches[gate, stream] = Latch(self._gates.raise_s, self._gates.clear_s)
        latch.update(t_ns, fault)


_LEVELS: dict[Gate, Level] = {"idle": "note"}


def _forget(kept: deque[Any], now_ns: int, seconds: float, time_of: Any) -> None:
    """Drop what is older than `seconds`."""
    while kept and now_ns - time_of(kept[0]) > seconds * 1e9:
        kept.popleft()
