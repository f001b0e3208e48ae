"""Which stretch of rows one training item is, and which stretches are legal: inside one episode, gap-free, with a hand in view."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError

Require = Literal["any", "all", "none"]


@dataclass(frozen=True)
class Window:
    """The item at row t: observations of rows t - observation_steps + 1 .. t, actions of rows t .. t + action_steps - 1."""

    observation_steps: int = 1
    action_steps: int = 16
    stride: int = 1
    """Every how many rows a window may start."""
    require: Require = "any"
    """Which sides must be known in every row: ``any`` one, ``all``, or ``none``, when the weights are all that tells."""
    images: bool = True
    """Whether pictures are read at all."""
    image_px: tuple[int, int] | None = None
    """Height and width pictures are scaled to; None leaves them as they are."""

    def __post_init__(self) -> None:
        if min(self.observation_steps, self.action_steps, self.stride) < 1:
            raise FirsthandError(f"a window needs at least one observation, one action and a stride of one, got {self.observation_steps}, "
                                 f"{self.action_steps} and {self.stride}")


def legal_rows(window: Window, episode: npt.NDArray[np.int64], observed: npt.NDArray[np.bool_], acted: npt.NDArray[np.bool_],
               covered: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Every row at which a window may stand, increasing, shape (W,).

    `episode` (N,) is the episode of each row; `observed` and `acted` (N, S) say which sides are known in state and action;
    `covered` (N,) is False in gaps of the camera. A window that would hold a row of another episode is never legal, nor, unless
    nothing is required, one that observes a row in a gap or holds a row that lacks the required sides.
    """
    n, past, ahead = len(episode), window.observation_steps - 1, window.action_steps
    good_observed = _enough(observed, window.require) & (covered | (window.require == "none"))
    good_acted = _enough(acted, window.require)
    t = np.arange(past, n - ahead + 1)
    if not len(t):
        return t
    inside = episode[t - past] == episode[t + ahead - 1]
    whole = _run(good_observed, past + 1)[t - past] & _run(good_acted, ahead)[t]
    first = np.searchsorted(episode, episode[t])  # each episode counts its strides from its own first row
    return np.asarray(t[inside & whole & ((t - past - first) % window.stride == 0)], np.int64)


def _enough(known: npt.NDArray[np.bool_], require: Require) -> npt.NDArray[np.bool_]:
    if require == "none":
        return np.ones(len(known), bool)
    return np.asarray(known.any(1) if require == "any" else known.all(1))


def _run(good: npt.NDArray[np.bool_], length: int) -> npt.NDArray[np.bool_]:
    """Whether rows i .. i + length - 1 are all good, shape (N - length + 1,)."""
    bad = np.concatenate([[0], np.cumsum(~good)])
    return np.asarray(bad[length:] == bad[:-length])
