"""The camera's pose from anchors: each picture's from what it shows, all anchors in one world, what disagrees left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.retarget.anchor_sight import Sight

Floats = npt.NDArray[np.float64]

FARTHEST_OFF = 0.006
"""RMS between where an anchor's points were seen and where they should be, on the plane z = 1: 2 px of a 640 px picture."""
SEEN_TOGETHER = 5
"""Pictures that show two anchors, for one to be placed by the other."""
FASTEST_M_S, FASTEST_RAD_S = 3.0, 12.0
"""No head moves or turns faster: a pose that would need it, from both sides, is wrong."""
MOVED_SHARE = 0.2
"""An anchor that the others contradict in more of its pictures did not stand still."""
UNLIKE = 1.5
"""Of the two poses in which a flat thing looks much alike, the right one fits its corners so many times better, or neither is taken."""
SAME_POSE = 0.02
WORLD_FROM_ANCHOR = np.diag([1.0, -1.0, -1.0, 1.0])
"""The world of an anchor that lies on the table: x to the right of its print, y up the print, z out of it."""


@dataclass(frozen=True, eq=False)
class AnchorPoses:
    """The camera among anchors."""

    T_world_cam: Floats
    """Shape (N, 4, 4); NaN where no anchor was seen well."""
    sights: list[list[Sight]]
    """What each pose was found from."""
    T_world_anchor: dict[int, Floats]
    """Where each anchor stands, (4, 4); one that was never seen with another is not there."""
    moved: tuple[int, ...]
    """Anchors that did not stand still."""


def poses_from(sights: Sequence[Sequence[Sight]], t_ns: npt.NDArray[np.int64]) -> AnchorPoses | None:
    """Poses of a camera from what each of its pictures shows of anchors; None when nothing was ever seen.

    The world is that of the first anchor that was seen at all, `WORLD_FROM_ANCHOR`; the others are placed by pictures that show two.
    """
    alone = [{sight.anchor: T for sight in seen if (T := solve_pose([sight.points_m], [sight.xy])) is not None} for seen in sights]
    placed = _placed(alone)
    if not placed:
        return None
    out, kept = np.full((len(sights), 4, 4), np.nan), []
    count, odd = Counter[int](), Counter[int]()
    for i, seen in enumerate(sights):
        used = [sight for sight in seen if sight.anchor in placed]
        T, good = _agreed(used, placed)
        kept.append(good)
        if T is not None:
            out[i] = np.linalg.inv(T)
        count.update(sight.anchor for sight in used)
        odd.update({sight.anchor for sight in used} - {sight.anchor for sight in good})
    out[_impossible(out, t_ns)] = np.nan
    moved = tuple(a for a in placed if count[a] > SEEN_TOGETHER and odd[a] > MOVED_SHARE * count[a])
    return AnchorPoses(out, kept, placed, moved)


def solve_pose(points_m: Sequence[Floats], xy: Sequence[Floats]) -> Floats | None:
    """``T_cam_points`` (4, 4) from points and their rays, any number of arrays (P, 3) and (P, 2); None where none fits, or two do."""
    import cv2

    points, seen = np.concatenate(points_m), np.concatenate(xy)
    flat = np.linalg.matrix_rank(points - points.mean(0), tol=1e-4) < 3
    method = cv2.SOLVEPNP_IPPE if flat else cv2.SOLVEPNP_SQPNP
    count, turns, moves, _ = cv2.solvePnPGeneric(points, seen, np.eye(3), None, flags=method)
    fits: list[tuple[float, Floats]] = []
    for turn, move in zip(turns[:count], moves[:count], strict=True):
        turn, move = cv2.solvePnPRefineLM(points, seen, np.eye(3), None, turn, move)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = cv2.Rodrigues(turn)[0], move.ravel()
        off = _off(T, points, seen)
        if all(np.linalg.norm(T[:3, 2] - other[:3, 2]) > SAME_POSE for _, other in fits):
            fits.append((off, T))
    fits.sort(key=lambda fit: fit[0])
    if not fits or fits[0][0] > FARTHEST_OFF or (len(fits) > 1 and fits[1][0] < UNLIKE * fits[0][0]):
        return None
    return fits[0][1]


def _off(T: Floats, points_m: Floats, xy: Floats) -> float:
    """RMS on the plane z = 1; infinite for anything behind the camera."""
    there = points_m @ T[:3, :3].T + T[:3, 3]
    if (there[:, 2] <= 0.01).any():
        return float("inf")
    return float(np.sqrt(((there[:, :2] / there[:, 2:] - xy) ** 2).sum(1).mean()))


def _agreed(seen: list[Sight], placed: dict[int, Floats]) -> tuple[Floats | None, list[Sight]]:
    """``T_cam_world`` from all sights together, less those that the others contradict; and those it was found from."""
    while seen:
        world = [_moved(placed[sight.anchor], sight.points_m) for sight in seen]
        T = solve_pose(world, [sight.xy for sight in seen])
        if T is not None:
            return T, seen
        if len(seen) == 1:
            break
        # Without each in turn: the one whose absence helps most is wrong.
        others = [[j for j in range(len(seen)) if j != k] for k in range(len(seen))]
        fits = [_fit_of([world[j] for j in rest], [seen[j].xy for j in rest]) for rest in others]
        seen = [seen[j] for j in others[int(np.argmin(fits))]]
    return None, []


def _fit_of(points_m: list[Floats], xy: list[Floats]) -> float:
    T = solve_pose(points_m, xy)
    return float("inf") if T is None else _off(T, np.concatenate(points_m), np.concatenate(xy))


def _placed(alone: Sequence[dict[int, Floats]]) -> dict[int, Floats]:
    """``T_world_anchor`` of every anchor that pictures join, step by step, to the first that was seen."""
    anchors = sorted({anchor for seen in alone for anchor in seen})
    placed = {anchors[0]: WORLD_FROM_ANCHOR.copy()} if anchors else {}
    while True:
        steps = [(sum(a in seen and b in seen for seen in alone), a, b) for a in placed for b in anchors if b not in placed]
        count, a, b = max(steps, default=(0, 0, 0))
        if count < SEEN_TOGETHER:
            return placed
        placed[b] = placed[a] @ _typical(np.stack([np.linalg.inv(seen[a]) @ seen[b] for seen in alone if a in seen and b in seen]))


def _typical(T: Floats) -> Floats:
    """The middle of poses (N, 4, 4), most of which are right."""
    out, near = np.eye(4), np.ones(len(T), np.bool_)
    for _ in range(3):
        out[:3, 3] = np.median(T[near, :3, 3], 0)
        U, _, Vt = np.linalg.svd(T[near, :3, :3].sum(0))
        out[:3, :3] = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
        cosine = (np.einsum("nij,ij->n", T[:, :3, :3], out[:3, :3]) - 1) / 2
        off = np.arccos(np.clip(cosine, -1, 1)) + np.linalg.norm(T[:, :3, 3] - out[:3, 3], axis=1)
        near = off <= 2 * np.median(off) + 1e-9
    return out


def _impossible(T: Floats, t_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows of poses (N, 4, 4) that no head can have gone to and come back from."""
    rows = np.flatnonzero(np.isfinite(T[:, 0, 0]))
    if len(rows) < 3:
        return np.zeros(0, np.int64)
    span_s = np.maximum(np.diff(t_ns[rows]) * 1e-9, 1e-3)
    far = np.linalg.norm(np.diff(T[rows, :3, 3], axis=0), axis=1) / span_s > FASTEST_M_S
    trace = np.einsum("nij,nij->n", T[rows[:-1], :3, :3], T[rows[1:], :3, :3])
    far |= np.arccos(np.clip((trace - 1) / 2, -1, 1)) / span_s > FASTEST_RAD_S
    return np.asarray(rows[1:-1][far[:-1] & far[1:]])


def place_with(R_world_cam: Floats, sights: Sequence[Sequence[Sight]], T_world_anchor: dict[int, Floats]) -> Floats:
    """Where the camera stands, shape (N, 3), turned as given (N, 3, 3), to see anchors where it saw them; NaN where it saw none."""
    out = np.full((len(R_world_cam), 3), np.nan)
    for i, seen in enumerate(sights):
        if not seen or not np.isfinite(R_world_cam[i]).all():
            continue
        world = np.concatenate([_moved(T_world_anchor[sight.anchor], sight.points_m) for sight in seen])
        x, y = np.concatenate([sight.xy for sight in seen]).T
        R = R_world_cam[i].T  # to the camera: R (X - c) is along (x, y, 1)
        rows = np.concatenate([R[0] - x[:, None] * R[2], R[1] - y[:, None] * R[2]])
        out[i] = np.linalg.lstsq(rows, (rows.reshape(2, -1, 3) * world).sum(2).ravel(), rcond=None)[0]
    return out


def _moved(T: Floats, points_m: Floats) -> Floats:
    return np.asarray(points_m @ T[:3, :3].T + T[:3, 3])
