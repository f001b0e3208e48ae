"""One hand on the video's frames placed in metres: by sensor depth where it holds, else by the hand's own size."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import WRIST, Side
from firsthand.retarget.hand_depth import joint_depths, wrist_from_depth
from firsthand.retarget.hand_frames import HandFrames, bridged, interpolate, least
from firsthand.retarget.hand_track import ABSENT, INTERPOLATED, MEASURED, METRIC, HandTrack
from firsthand.retarget.metric import face_ray, rays, solve_translation

Floats = npt.NDArray[np.float64]

DEPTH_SIGMA_M = 0.012
"""Of a joint placed by sensor depth. Provisional."""
MONO_SIGMA = 0.1
"""Of a joint placed by the hand's size, as a share of its distance: 45 mm at 0.45 m. Provisional."""
INTERPOLATED_SIGMA = 2.0
"""How much less sure an interpolated joint is."""


def place(side: Side, t_ns: npt.NDArray[np.int64], frames: HandFrames, camera: CameraCalibration, patches_m: Floats | None,
          T_world_cam: Floats | None) -> HandTrack:
    """The track of one hand. `patches_m` (N, 5) is the skin's depth at the anchors; without `T_world_cam` (N, 4, 4) it is in the camera."""
    seen = frames.detected.copy()
    xy = rays(frames.points_px, camera)  # (N, 21, 2)
    local = face_ray(frames.local_m, xy)
    wrist = local[:, WRIST] + solve_translation(local, xy)
    metric = np.where(seen, METRIC.index("mono"), METRIC.index("none")).astype(np.uint8)
    if patches_m is not None:
        near = wrist_from_depth(joint_depths(patches_m, local), local, xy)
        by_depth = np.isfinite(near).all(1)
        wrist[by_depth], metric[by_depth] = near[by_depth], METRIC.index("depth")
    points = wrist[:, None] + local - local[:, WRIST, None]
    behind = seen & ~(points[..., 2] > 0).all(1)  # no solution a camera could have seen
    seen &= ~behind
    sigma = np.where(metric == METRIC.index("depth"), DEPTH_SIGMA_M, MONO_SIGMA * wrist[:, 2])
    posed = np.ones(len(t_ns), np.bool_)
    if T_world_cam is not None:
        posed = np.isfinite(T_world_cam[:, 0, 0])
        points = np.einsum("nij,nkj->nki", T_world_cam[:, :3, :3], points) + T_world_cam[:, None, :3, 3]

    seen &= posed
    filled = bridged(seen, frames.filled & posed)
    provenance = np.where(seen, MEASURED, np.where(filled, INTERPOLATED, ABSENT))
    sigma = interpolate(sigma, seen, filled) * np.where(filled, INTERPOLATED_SIGMA, 1.0)
    return HandTrack(side, t_ns, interpolate(points, seen, filled), interpolate(frames.points_px, seen, filled),
                     interpolate(frames.local_m, seen, filled), np.repeat(sigma[:, None], 21, 1), np.repeat(provenance[:, None], 21, 1),
                     least(metric, seen, filled), interpolate(frames.score, seen, filled))
