"""Hands that a source tells of, as the streams that a tracker's hands become too."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.hand_stream import hand_spec
from firsthand.capture.importers.tracks import Times, Track, numbers
from firsthand.capture.skeleton import Side

Floats = npt.NDArray[np.float64]
More = Mapping[tuple[str, str], Floats]
"""Further columns: name and unit -> values (N,)."""


def hand_track(side: Side, t_ns: Times, points_m: Floats, quat_wxyz: Floats, *, extra: Mapping[str, Any], more: More | None = None,
               prefix: str = "", rate_hz: float | None = None) -> Track:
    """A stream of one hand: canonical joints (N, 21, 3), the wrist's quaternion (N, 4), and what else there is; NaN for what is not known.

    `extra` is as for `hand_spec`. A row of which no joint is known has no quaternion either.
    """
    beside = dict(more or {})
    spec = hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=extra, more=dict(beside.keys()), clock="media")
    points = points_m.reshape(len(points_m), -1)
    known = np.isfinite(points).any(axis=1, keepdims=True)
    quat = np.where(known, quat_wxyz, np.nan)
    values = np.concatenate([points, quat, *(column[:, None] for column in beside.values())], 1)
    return numbers(spec.name, spec.role, spec.names, spec.units, t_ns, values, side=side, rate_hz=rate_hz, extra=spec.extra)
