"""How much later one stream shows a movement than another: the lag, its interval, and whether the movement can tell it at all."""

from dataclasses import dataclass, field

import numpy as np

from firsthand.capture.correlation import Pairing, correlate
from firsthand.capture.lag_fine import FineLag
from firsthand.capture.motion import Floats, Gridded, Motion, band, on_grid, without_slow

LAG_S = 0.5
"""No transport is slower than this."""
REACH_S = 5.0
"""So far around the agreement is looked at: what agrees as well there is chance, or a movement that repeats itself."""
RIVAL_S = 0.15
"""What is further from the peak than this is another one."""
LEAST_S = 10.0
"""Shorter movements do not tell a lag."""
LEAST_CORRELATION, LEAST_CONFIDENCE, WIDEST_S = 0.4, 0.1, 0.02
"""What agreement, lead over every rival and interval a lag must have to be believed."""


@dataclass(frozen=True, eq=False)
class Lag:
    """What two motions say of the time between them."""

    lag_ns: int | None
    """How much later the second shows the movement than the first; None where nothing agrees."""
    error_ns: int | None
    """Half the width of its 95 % interval."""
    correlation: float
    """How well they agree there, 0 to 1."""
    confidence: float
    """How much better than at any other lag within 5 s."""
    problem: str = ""
    """Why the lag is not to be used, a sentence; empty where it is observable."""
    curve_s: Floats = field(default_factory=lambda: np.zeros(0))
    curve: Floats = field(default_factory=lambda: np.zeros(0))
    """Agreement over lags, shapes (L,), for looking at."""
    pairs: tuple[tuple[int, int], ...] = ()
    """Channels of the first and second that belong together, best first."""

    @property
    def observable(self) -> bool:
        """Whether the movement tells the lag."""
        return not self.problem


def find_lag(a: Motion, b: Motion, *, pairing: Pairing = "channels") -> Lag:
    """How much later `b` shows a movement than `a`: a(t) is like b(t + lag). 20 to 30 s of free, irregular movement tell it best.

    Rates, units and signs may differ. The denser stream is interpolated at the samples that the other really has, so what is missing
    there is not made up. docs/timing.md tells the method.
    """
    for motion in (a, b):
        if not motion.seen.any() and not np.isfinite(motion.values).any():
            return _refused(f"{motion.name} has no values: nothing was seen")
    kept = [motion.useful() for motion in (a, b)]
    for motion, channels in zip((a, b), kept, strict=True):
        if len(channels) == 0:
            return _refused(f"{motion.name} does not move")
    if pairing == "rotation":  # an axis about which nothing turns belongs to it
        kept = [np.arange(3), np.arange(3)]
    useful_a, useful_b = a.only(kept[0]), b.only(kept[1])
    spans = [(int(m.t_ns[m.seen][0]), int(m.t_ns[m.seen][-1])) for m in (useful_a, useful_b)]
    start, stop = max(s[0] for s in spans), min(s[1] for s in spans)
    if (stop - start) * 1e-9 < LEAST_S:
        return _refused(f"{a.name} and {b.name} have {max(stop - start, 0) * 1e-9:.1f} s in common; record 20 to 30 s of free movement")
    dense, sparse = (useful_a, useful_b) if useful_a.rate_hz >= useful_b.rate_hz else (useful_b, useful_a)
    lo, hi = start - 500_000_000, stop + 500_000_000
    x_raw, y_raw = on_grid(dense, lo, hi), on_grid(sparse, lo, hi)
    for motion, grid in ((dense, x_raw), (sparse, y_raw)):
        if still := _still(motion, grid):
            return _refused(still)
    x, y = band(x_raw), band(y_raw)
    shared_s = float(np.count_nonzero(x.known & y.known)) * (hi - lo) * 1e-9 / len(x.known)
    if shared_s < LEAST_S / 2:
        return _refused(f"{a.name} and {b.name} were both seen for {shared_s:.1f} s only; keep in view, and record 20 to 30 s")
    lags, curve, chosen = correlate(x, y, REACH_S, pairing)
    near = np.where(np.abs(lags) <= LAG_S, np.nan_to_num(curve, nan=-1), -1)
    at = int(np.argmax(near))
    rival = np.nan_to_num(np.where(np.abs(lags - lags[at]) > RIVAL_S, curve, 0))
    correlation, confidence = float(near[at]), float(near[at] - rival.max())
    sign = 1 if dense is useful_b else -1
    curve_s, shown = sign * lags[::sign], curve[::sign]
    problem = _doubt(a, b, float(lags[at]), correlation, confidence, float(lags[int(np.argmax(rival))]), float(rival.max()))
    tau, width, strength = FineLag(sparse, y_raw, x, chosen, pairing).solve(float(lags[at]))
    if not problem and not (width <= WIDEST_S):
        known = f"only known to ±{width * 1e3:.0f} ms" if np.isfinite(width) else "not known"
        problem = f"{a.name} and {b.name} agree, but so unevenly that the lag is {known}; move more, and more irregularly"
    if not np.isfinite(tau):
        problem = problem or f"{a.name} and {b.name} do not show the same movement"
        return Lag(None, None, correlation, confidence, problem, curve_s, shown)
    order = np.argsort(-strength)
    together = [(int(chosen[k]), int(k))[:: sign * -1] for k in order if chosen[k] >= 0]
    pairs = tuple((int(kept[0][i]), int(kept[1][k])) for i, k in together)
    error_ns = round(width * 1e9) if np.isfinite(width) else None
    return Lag(round(sign * tau * 1e9), error_ns, correlation, confidence, problem, curve_s, shown, pairs)


def _refused(problem: str) -> Lag:
    return Lag(None, None, 0.0, 0.0, problem)


def _still(motion: Motion, raw: Gridded) -> str:
    """A sentence where a motion is nothing but noise: as strong between neighbouring samples as over a gesture."""
    seen = motion.seen
    values = motion.values[seen]
    steps = np.diff(values, axis=0)
    near = np.diff(motion.t_ns[seen]) < 3e9 / motion.rate_hz
    noise = np.median(np.abs(steps[near]), axis=0) * 1.4826 / np.sqrt(2) if near.any() else np.zeros(values.shape[1])
    quick, known = without_slow(motion, raw)
    moves = np.std(quick[known], axis=0) > 1.25 * noise
    return "" if moves.any() else f"{motion.name} shows no movement above its own noise"


def _doubt(a: Motion, b: Motion, lag_s: float, correlation: float, confidence: float, rival_s: float, rival: float) -> str:
    """Why a first peak is not to be believed, a sentence; empty where it is."""
    both = f"{a.name} and {b.name}"
    if correlation < LEAST_CORRELATION or (confidence < LEAST_CONFIDENCE and rival < 0.7 and correlation < 0.7):
        return f"{both} do not show the same movement (they agree to {correlation:.2f} at best)"
    if confidence < LEAST_CONFIDENCE:
        return (f"the movement repeats itself every {abs(rival_s - lag_s):.2f} s, so {both} agree as well at other lags "
                f"({correlation:.2f} and {rival:.2f}); move irregularly")
    if abs(lag_s) > LAG_S - 0.02:
        return f"{both} agree best at the end of what was looked at, ±{LAG_S:g} s; they are further apart than any transport makes them"
    return ""
