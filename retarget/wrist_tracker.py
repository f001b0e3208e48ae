"""A tracker that rides on a hand: a pose stream with a side, or the orientation that a glove's own sensor tells."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.hand_stream import POSE_COLUMNS
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import Side
from firsthand.retarget.head_pose import poses_at

Floats = npt.NDArray[np.float64]

_GLOVE_QUATERNION = tuple(f"wrist.{part}" for part in ("qw", "qx", "qy", "qz"))


@dataclass(frozen=True, eq=False)
class WristTracker:
    """Where something worn on a hand was, in a world of its own."""

    stream: str
    t_ns: npt.NDArray[np.int64]
    """Session times by the stream's clock alone, in order, shape (M,)."""
    rows: Floats
    """Places and unit quaternions, columns `POSE_COLUMNS`, shape (M, 7); places are 0 where it does not know them."""
    placed: bool
    """Whether it knows where it is, and not only how it is turned."""
    known_ns: int | None
    """How late its times are, where the rig was calibrated."""

    def at(self, t_ns: npt.NDArray[np.int64], late_ns: int) -> Floats:
        """Its poses at session times (N,), shape (N, 4, 4); NaN where it was not tracked. `late_ns` is what its times are late by."""
        return poses_at(t_ns, self.t_ns - late_ns, self.rows)


def wrist_tracker(recording: Recording, side: Side) -> WristTracker | None:
    """What was worn on a hand: a pose stream of that side, else the orientation of a glove that knows how it is turned; None without.

    A stream of joints in a world is the hand itself seen by a device, and no tracker on it.
    """
    streams = [s for s in recording.role("pose") if s.spec.side == side]
    for stream in streams:
        if stream.spec.names[:7] == POSE_COLUMNS:
            return _tracker(stream, list(POSE_COLUMNS), placed=True)
    for stream in streams:
        if set(_GLOVE_QUATERNION) <= set(stream.spec.names) and stream.spec.extra.get("origin") == "glove":
            return _tracker(stream, list(_GLOVE_QUATERNION), placed=False)
    return None


def _tracker(stream: Stream, columns: list[str], *, placed: bool) -> WristTracker | None:
    values = np.asarray(stream.values, np.float64)[:, [stream.spec.names.index(c) for c in columns]]
    late = stream.latency.latency_ns if stream.latency else None
    order = np.argsort(stream.t_ns, kind="stable")
    order = order[np.isfinite(values[order]).all(1) & (np.abs(values[order, -4:]).sum(1) > 0)]
    if len(order) == 0:
        return None
    rows = values[order] if placed else np.concatenate([np.zeros((len(order), 3)), values[order]], 1)
    return WristTracker(stream.spec.name, stream.t_ns[order] + (late or 0), rows, placed, late)
