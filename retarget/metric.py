"""From a hand's shape and its joints in the picture to metres in front of the camera: geometry alone, one row a frame."""

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.skeleton import BONES, PARENTS

Floats = npt.NDArray[np.float64]

LEAST_FORWARD = float(np.cos(np.radians(80)))


def rays(points_px: Floats, camera: CameraCalibration) -> Floats:
    """Where pixels look: points on the plane z = 1, shape (..., 2) as given, with the lens taken out. NaN stays NaN, and is what a fisheye
    sees at 80 degrees from its axis and beyond: the plane is too far there."""
    if camera.model == "opencv" and not camera.distortion.any():
        K = camera.K
        y = (points_px[..., 1] - K[1, 2]) / K[1, 1]
        return np.stack([(points_px[..., 0] - K[0, 2] - K[0, 1] * y) / K[0, 0], y], -1)
    directions = camera.unproject(points_px)
    z = np.where(directions[..., 2:] > LEAST_FORWARD, directions[..., 2:], np.nan)
    return np.asarray(directions[..., :2] / z)


def face_ray(local_m: Floats, xy: Floats) -> Floats:
    """Turn joints seen along the optical axis to the direction they were really seen in, shape (N, 21, 3).

    A tracker looks at a cut-out of the picture as though it were in the middle. `xy` (N, 21, 2) are the joints' `rays`.
    """
    return np.asarray(np.einsum("nij,nkj->nki", facing(xy), local_m), np.float64)


def facing(xy: Floats) -> Floats:
    """The least rotation (N, 3, 3) that takes the optical axis to the mean of each hand's rays `xy` (N, 21, 2)."""
    ray = np.concatenate([xy.mean(1), np.ones((len(xy), 1))], 1)  # (N, 3)
    x, y, z = (ray / np.linalg.norm(ray, axis=1, keepdims=True)).T
    k = 1 / (1 + z)  # Rodrigues' formula for the axis (-y, x, 0); z > 0 in front of the camera
    return np.stack([1 - k * x * x, -k * x * y, x, -k * x * y, 1 - k * y * y, y, -x, -y, z], -1).reshape(-1, 3, 3)


def solve_translation(local_m: Floats, xy: Floats) -> Floats:
    """The translation that puts joints `local_m` (N, 21, 3), in camera axes, onto the rays `xy` (N, 21, 2): shape (N, 3), metres.

    Each joint gives tx - x tz = x Z - X and ty - y tz = y Z - Y; least squares over the 42, in closed form. Rotation is kept
    as it is, so nothing can flip. NaN in, NaN out.
    """
    x, y = xy[..., 0], xy[..., 1]
    a, b = x * local_m[..., 2] - local_m[..., 0], y * local_m[..., 2] - local_m[..., 1]
    mx, my, ma, mb = (v.mean(1, keepdims=True) for v in (x, y, a, b))
    # With tx and ty eliminated: -(x - mx) tz = a - ma and -(y - my) tz = b - mb.
    tz = -(((x - mx) * (a - ma)).sum(1) + ((y - my) * (b - mb)).sum(1)) / (((x - mx) ** 2).sum(1) + ((y - my) ** 2).sum(1))
    return np.stack([ma[:, 0] + mx[:, 0] * tz, mb[:, 0] + my[:, 0] * tz, tz], 1)


def bone_lengths(points_m: Floats) -> Floats:
    """Lengths of the 20 `BONES`, shape (N, 20), of joints (N, 21, 3)."""
    parents, joints = np.array(BONES).T
    return np.asarray(np.linalg.norm(points_m[:, joints] - points_m[:, parents], axis=-1))


def scale_bones(local_m: Floats, lengths_m: Floats) -> Floats:
    """Rebuild joints (N, 21, 3) from the wrist outward with the wearer's own bone lengths (20,), keeping each bone's direction."""
    out = local_m.copy()
    for bone, (parent, joint) in enumerate(BONES):  # BONES has parents before children
        step = local_m[:, joint] - local_m[:, parent]
        out[:, joint] = out[:, parent] + step * (lengths_m[bone] / np.linalg.norm(step, axis=-1, keepdims=True))
    return out


assert all(parent < joint for joint, parent in enumerate(PARENTS))
