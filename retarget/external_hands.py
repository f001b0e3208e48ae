"""Hands that a program of somebody else's found: one ``.npz``, checked, as detections. The exchange is told in docs/hands.md."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.files import sha256
from firsthand.capture.library import Episode
from firsthand.retarget.detect import Found
from firsthand.retarget.external_checks import check_hands
from firsthand.retarget.flat_views import middle_view
from firsthand.retarget.hand_frames import HandFrames, interpolate, least
from firsthand.retarget.hand_place import INTERPOLATED_SIGMA, SCALED_SIGMA, SEEN_SIGMA_M
from firsthand.retarget.hand_track import ABSENT, MEASURED, METRIC, HandTrack
from firsthand.retarget.metric import facing, rays
from firsthand.retarget.tracker import Detection

Floats = npt.NDArray[np.float64]

PREFIX = "npz:"
"""Before the path, where a tracker's name is expected."""
FILE = "hands.npz"
"""Its name in the folder of an episode's frames."""
MONO = METRIC.index("mono")


@dataclass(frozen=True, eq=False)
class ExternalHands:
    """The hands of a file, in the camera's own pictures; M of them."""

    frame: npt.NDArray[np.int64]
    """The frame each was seen in, shape (M,)."""
    rightness: Floats
    """The score, negative for a left hand, shape (M,)."""
    points_px: Floats
    """Shape (M, 21, 2)."""
    points_m: Floats
    """In the camera, shape (M, 21, 3)."""
    local_m: Floats
    """The same relative to the wrist, turned as though the hand were in the middle of the picture, as trackers have it; (M, 21, 3)."""
    metric: npt.NDArray[np.uint8]
    """Codes of `METRIC`, shape (M,)."""

    def found(self, frames: int) -> Found:
        """They as what a tracker found in each of so many frames."""
        out: Found = [[] for _ in range(frames)]
        for i, frame in enumerate(self.frame):
            out[frame].append(Detection(self.points_px[i], self.local_m[i], float(self.rightness[i]), float(abs(self.rightness[i]))))
        return out

    def as_told(self, track: HandTrack, seen: HandFrames, T_world_cam: Floats | None) -> HandTrack:
        """A track with its places as the file has them, where that knows better than one camera alone (`mono`) can. `seen` are the
        detections that became the track."""
        n = len(track.t_ns)
        points, sigma, metric = track.points_m.copy(), track.sigma_m.copy(), track.metric.copy()
        told = np.zeros(n, np.bool_)
        for i in np.flatnonzero((track.provenance == MEASURED).all(1)):
            rows = np.flatnonzero(self.frame == i)
            row = rows[np.abs(self.points_px[rows] - seen.points_px[i]).sum((1, 2)).argmin()]
            if self.metric[row] <= MONO:
                continue
            points[i], metric[i], told[i] = self.points_m[row], self.metric[row], True
            sigma[i] = SCALED_SIGMA * self.points_m[row, 0, 2] if METRIC[self.metric[row]] == "mono_scaled" else SEEN_SIGMA_M
        if T_world_cam is not None:
            T = T_world_cam[told]
            points[told] = points[told] @ T[:, :3, :3].swapaxes(1, 2) + T[:, None, :3, 3]
        known = (track.provenance == MEASURED).all(1)
        filled = (track.provenance != ABSENT).all(1) & ~known
        return replace(track, points_m=interpolate(points, known, filled), metric=least(metric, known, filled),
                       sigma_m=interpolate(sigma, known, filled) * np.where(filled, INTERPOLATED_SIGMA, 1.0)[:, None])


def external_path(tracker: str, episode: Episode) -> Path:
    """The file that ``npz:PATH`` means for an episode: PATH itself, or in a folder ``<episode>/hands.npz``.

    Raises `DamagedError` when it is not there.
    """
    path = Path(tracker.removeprefix(PREFIX)).expanduser()
    path = path / episode.id / FILE if path.is_dir() else path
    if not path.is_file():
        raise DamagedError(f"{episode.id} has no hands at {path}; write them there from what 'firsthand frames' put out")
    return path


def external_parameters(path: Path) -> Mapping[str, Any]:
    """What decides the result of a file of hands."""
    return {"tracker": "npz", "file_sha256": sha256(path)}


def read_external(path: Path, t_ns: npt.NDArray[np.int64], camera: CameraCalibration) -> ExternalHands:
    """The valid hands of a file for a camera's frames at `t_ns` (N,).

    Raises `DamagedError` in one sentence for what is missing, has another shape, is of other frames or another camera, or contradicts
    itself: joints that are not where the picture has them, hands that bend as only the other one can.
    """
    view = middle_view(camera)
    told = check_hands(path, t_ns, camera if view is None else view.flat)
    valid = told["valid"]
    sign = np.where(told["side"][valid] == "right", 1.0, -1.0)
    points_px, points_m = told["kpts2d"][valid], told["kpts3d_cam"][valid]
    if view is not None:  # back from the flat picture to the one that was recorded
        points_px = camera.project(view.flat.unproject(points_px) @ view.R_cam_view.T)
        points_m = points_m @ view.R_cam_view.T
    metric = np.array([METRIC.index(name) for name in told["metric_quality"][valid]], np.uint8)
    inside = np.isfinite(points_px).all((1, 2))
    if not inside.all():
        raise DamagedError(f"{path}: {int((~inside).sum())} hands lie where the lens of the camera sees nothing; mark them as not valid")
    local_m = (points_m - points_m[:, :1]) @ facing(rays(points_px, camera))
    return ExternalHands(told["frame"][valid], sign * np.maximum(told["score"][valid], 1e-6), points_px, points_m, local_m, metric)
