"""What the numbers of a glove are: which joint angles they tell, and how far that is to be trusted before they were compared with anything.

A glove that measures fewer joints gets the rest from those it has. The last joint of a finger follows the one before by two thirds, since
one tendon bends both (Rijpkema and Girard 1991, "Computer animation of knowledge-based human grasping", SIGGRAPH).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.recording import Stream
from firsthand.capture.skeleton import FINGERS, Side
from firsthand.retarget.glove_model import ANGLES, angles_of

Floats = npt.NDArray[np.float64]

DIP_FROM_PIP = 2 / 3
FAN_RAD = np.radians([0.0, -10.0, -1.0, 7.0, 15.0])
"""Where fingers point sideways that nobody measures, thumb to little."""
GAIN_SIGMA, OFFSET_SIGMA_RAD = 0.1, 0.1
"""Of a glove that gives angles: its scale, as a share, and its zero."""
THUMB_SIGMA = 1.5
"""The thumb's are this much less sure: vendors measure its base in axes of their own."""
MIXED_SIGMA = 0.1
"""How much of one sensor of a finger shows in another: all of the thumb, and bending in spreading (Kahlesz, Zachmann and Klein 2004,
"Visual-fidelity dataglove calibration")."""
THUMB_BASE_SIGMA_RAD, SPREAD_SIGMA_RAD = 0.3, 0.15
CURL_RAD = {1: 1.4, 2: 1.7, 3: 1.2}
"""How far a joint is bent at a curl of 1; joint 0 is inside the palm, but for the thumb."""
SPLAY_RAD, CURL_GAIN_SIGMA = 0.35, 0.3


@dataclass(frozen=True, eq=False)
class Linear:
    """Angles (N, 20) from channels (N, C): ``channels @ gain.T + offset_rad``, with what is known of both."""

    channels: tuple[str, ...]
    gain: Floats
    """Shape (20, C), radians per unit of the channel."""
    offset_rad: Floats
    """Shape (20,)."""
    gain_sigma: Floats
    """One standard deviation, shape (20, C); 0 for what cannot change."""
    offset_sigma_rad: Floats
    """Shape (20,)."""

    def __post_init__(self) -> None:
        set_frozen(self, "gain", np.float64, (20, len(self.channels)))
        set_frozen(self, "offset_rad", np.float64, (20,))
        set_frozen(self, "gain_sigma", np.float64, (20, len(self.channels)))
        set_frozen(self, "offset_sigma_rad", np.float64, (20,))

    def angles(self, channels: Floats) -> Floats:
        """Angles (N, 20) in radians, columns `ANGLES`; NaN where one of the channels it needs is missing."""
        lacking = ~np.isfinite(channels) @ (self.gain != 0).T
        return np.where(lacking, np.nan, np.nan_to_num(channels) @ self.gain.T + self.offset_rad)


def glove_values(stream: Stream) -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
    """Names, units and values (N, C) of the channels of a glove; a stream of joints is told by its angles."""
    names, values = stream.spec.names, np.asarray(stream.values, np.float64)
    if set(HAND_COLUMNS[:63]) <= set(names):
        side: Side = "left" if stream.spec.side == "left" else "right"
        columns = [names.index(name) for name in HAND_COLUMNS[:63]]
        return ANGLES, ("rad",) * 20, angles_of(values[:, columns].reshape(-1, 21, 3), side)
    return names, stream.spec.units, values


def linear_of(stream: str, names: Sequence[str], units: Sequence[str], values: Floats) -> Linear:
    """What is thought of the channels of a glove before it is compared with anything; `values` (N, C) say which of them are there at all.

    Raises `FirsthandError` for a glove none of whose channels is known.
    """
    there = [i for i in range(len(names)) if np.isfinite(values[:, i]).any()]
    channels = tuple(names[i] for i in there)
    unit = {name: np.pi / 180 if units[names.index(name)] in ("deg", "degree") else 1.0 for name in channels}
    gain, gain_sigma = np.zeros((20, len(channels))), np.zeros((20, len(channels)))
    offset, offset_sigma = np.zeros(20), np.full(20, OFFSET_SIGMA_RAD)
    offset_sigma[3::4], offset_sigma[0], offset_sigma[3] = SPREAD_SIGMA_RAD, THUMB_BASE_SIGMA_RAD, THUMB_BASE_SIGMA_RAD

    def told(angle: int, channel: str, by: float, sigma: float) -> None:
        column = channels.index(channel)
        gain[angle, column], gain_sigma[angle, column] = by, abs(by) * sigma * (THUMB_SIGMA if angle < 4 else 1)

    for k, name in enumerate(ANGLES):
        finger, joint = divmod(k, 4)
        curl = f"{FINGERS[finger]}_curl_{joint + (finger > 0)}"
        if name in channels:
            told(k, name, unit[name], GAIN_SIGMA)
        elif joint < 3 and curl in channels:
            told(k, curl, CURL_RAD[joint + 1], CURL_GAIN_SIGMA)
        elif joint == 3 and f"{FINGERS[finger]}_splay" in channels:
            told(k, f"{FINGERS[finger]}_splay", SPLAY_RAD, 2 * CURL_GAIN_SIGMA)
            offset[k] = FAN_RAD[finger]
        elif joint == 3:
            offset[k] = FAN_RAD[finger]
        elif joint == 2 and gain[k - 1].any():
            gain[k], gain_sigma[k] = gain[k - 1] * DIP_FROM_PIP, np.abs(gain[k - 1]) * DIP_FROM_PIP * CURL_GAIN_SIGMA
    if not gain.any():
        raise FirsthandError(f"stream {stream} has none of the channels that tell how fingers are bent, such as {ANGLES[4]} in rad or "
                             "index_curl_1; it was not used")
    for k in range(20):
        group = range(4) if k < 4 else (k - 3,) if k % 4 == 3 else ()
        for other in group:
            if other != k and ANGLES[other] in channels:
                column = channels.index(ANGLES[other])
                gain_sigma[k, column] = gain_sigma[k, column] or MIXED_SIGMA * unit[ANGLES[other]]
    return Linear(channels, gain, offset, gain_sigma, offset_sigma)


def columns_of(linear: Linear, names: Sequence[str], values: Floats) -> Floats:
    """The channels that a calibration knows, shape (N, C); one that a recording lacks is NaN."""
    return np.stack([values[:, names.index(name)] if name in names else np.full(len(values), np.nan) for name in linear.channels], 1)
