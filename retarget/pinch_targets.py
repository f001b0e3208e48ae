"""DexPilot's targets (Handa et al. 2020) as dex_retargeting defines them: tips that a person closes are closed, by switches in time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ON_M, OFF_M = 0.03, 0.05
THUMB_GAP_M, FINGER_GAP_M = 1e-4, 3e-2
THUMB_WEIGHT, FINGER_WEIGHT = 200.0, 400.0


@dataclass(frozen=True, eq=False)
class PinchTargets:
    """Targets for P pairs of tips and then F vectors from the wrist to the tips."""

    task: npt.NDArray[np.int64]
    """The finger each vector ends at, shape (P + F,)."""
    origin: npt.NDArray[np.int64]
    """The finger it starts from; -1 for the wrist."""
    d_m: Floats
    """Shape (N, P + F, 3)."""
    weight: Floats
    """Shape (N, P + F)."""
    on: npt.NDArray[np.bool_]
    """Pairs that are pinched, shape (N, P)."""


def pinches(tips_m: npt.ArrayLike, allowed: npt.ArrayLike = True) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Pairs of fingers (P, 2), thumb first, and where each is pinched, (N, P), from tips (N, F, 3).

    A thumb pair is on below 30 mm and off above 50 mm, if `allowed` (F - 1,); two fingers are on while both meet the thumb and are 30 mm
    apart or less.
    """
    tips = np.asarray(tips_m, np.float64)
    fingers = tips.shape[1]
    pairs = np.array([(i, j) for i in range(fingers) for j in range(i + 1, fingers)])
    gap = np.linalg.norm(tips[:, pairs[:, 0]] - tips[:, pairs[:, 1]], axis=2)
    on = np.zeros(gap.shape, np.bool_)
    state = np.zeros(fingers - 1, np.bool_)
    for t in range(len(tips)):
        state = (state | ((gap[t, : fingers - 1] < ON_M) & allowed)) & ~(gap[t, : fingers - 1] > OFF_M)
        on[t, : fingers - 1] = state
    for k, (i, j) in enumerate(pairs[fingers - 1 :], fingers - 1):
        on[:, k] = on[:, i - 1] & on[:, j - 1] & (gap[:, k] <= ON_M)
    return pairs, on


def pinch_targets(tips_m: npt.ArrayLike, scale: float) -> PinchTargets:
    """From human tips in operator axes, wrist at 0, thumb first, shape (N, F, 3)."""
    tips = np.asarray(tips_m, np.float64)
    n, fingers = tips.shape[:2]
    pairs, on = pinches(tips)
    thumb = pairs[:, 0] == 0
    apart = tips[:, pairs[:, 0]] - tips[:, pairs[:, 1]]
    touch = apart / (np.linalg.norm(apart, axis=2, keepdims=True) + 1e-6) * np.where(thumb, THUMB_GAP_M, FINGER_GAP_M)[:, None]
    rows = len(pairs) + fingers
    weight = np.where(on, np.where(thumb, THUMB_WEIGHT, FINGER_WEIGHT), 1.0)
    return PinchTargets(np.r_[pairs[:, 0], np.arange(fingers)], np.r_[pairs[:, 1], np.full(fingers, -1)],
                        np.concatenate([np.where(on[..., None], touch, scale * apart), scale * tips], 1),
                        np.concatenate([weight, np.full((n, fingers), float(rows))], 1) / rows, on)
