"""Least squares over a stretch of motion: what a glove's numbers mean, how the wearer's hand is made, how a wrist tracker sits on it.

The unknowns are few for the whole stretch and six for each frame, the hand's pose. The frames' own are eliminated one by one (the Schur
complement, as in bundle adjustment: Triggs et al. 2000). Joints that do not fit count for less (Cauchy's weight).

Hand trackers are wrong in the same way for long, so two things are not taken at face value. Each joint may lie beside where it is seen,
always by the same way in the hand's axes: an unknown as well, and what is known of it beforehand decides how much pictures can say of the
hand's shape. And frames within `LASTING_S` of each other count as one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.skeleton import Side
from firsthand.retarget.glove_channels import Linear
from firsthand.retarget.glove_model import ANGLES, MIRROR, PALM, HandShape, by_angle, joints_m
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_sight import ACROSS_M, BESIDE_SIGMA_M, best_pose, cross, nearest_rotation, root, turn_between

Floats = npt.NDArray[np.float64]

ROUNDS, CONVERGED = 25, 1e-3
OUTLIER = 2.5
"""A joint this many sigmas off counts for half of what it would."""
PALM_SIGMA_M, BONE_SIGMA, THUMB_SIGMA_RAD = np.array([0.004, *[0.002] * 4]), 0.03, np.radians(20)
"""How hands of one size differ: where fingers begin, single bones as a share, the thumb's frame."""
WHOLE_SIGMA_RAD, WHOLE_SIGMA_M = np.radians(4.0), 0.007
"""How far a whole seen hand is off from where a tracker on the wrist has it: what all its joints are wrong by together."""
LASTING_S = 0.7
"""How long a hand tracker's mistake lasts."""
MOUNT = ("turn x", "turn y", "turn z", "x", "y", "z")


@dataclass(frozen=True, eq=False)
class Stretch:
    """What is known of one hand in the frames of a stretch of motion: seen joints, the glove's numbers, a tracker's poses."""

    side: Side
    t_ns: npt.NDArray[np.int64]
    """Shape (K,)."""
    points_m: Floats
    """Seen joints, shape (K, 21, 3); nothing may be NaN."""
    eye_m: Floats
    """Where they were seen from, shape (K, 3), in the same frame."""
    channels: Floats
    """The glove's numbers at these times, shape (K, C); nothing may be NaN."""
    T_base_tracker: Floats | None = None
    """Poses of a tracker on the wrist in its own world, shape (K, 4, 4)."""
    placed: bool = True
    """Whether that tracker knows where it is, and not only how it is turned."""

    def __post_init__(self) -> None:
        set_frozen(self, "t_ns", np.int64, (None,))
        n = len(self.t_ns)
        set_frozen(self, "points_m", np.float64, (n, 21, 3))
        set_frozen(self, "eye_m", np.float64, (n, 3))
        set_frozen(self, "channels", np.float64, (n, None))
        if self.T_base_tracker is not None:
            set_frozen(self, "T_base_tracker", np.float64, (n, 4, 4))


@dataclass(frozen=True, eq=False)
class Fit:
    """What the least squares came to."""

    linear: Linear
    shape: HandShape
    T_tracker_hand: Floats | None
    """Pose of the hand's axes on the tracker, shape (4, 4); its place is 0 for a tracker that does not know its own."""
    T_world_base: Floats | None
    """The tracker's world in that of the seen joints, shape (4, 4)."""
    names: tuple[str, ...]
    """Of the unknowns, such as ``"size"``, ``"gain index_pip_flex"`` or ``"mount turn x"``."""
    covariance: Floats
    """Of the unknowns, shape (P, P): radians, metres, shares."""
    prior_sigma: Floats
    """What was known of them beforehand, shape (P,)."""
    sigma_m: Floats
    """How well each joint is known on a hand laid where it was seen, one sigma per axis, typical of the frames, shape (21,)."""
    on_tracker_m: Floats
    """The same where the tracker has the hand; infinite without one."""
    residual_m: Floats
    """How far each joint was seen from where the hand has it, median over the frames, shape (21,)."""

    def index(self, group: str) -> list[int]:
        """Where the unknowns of a group are, such as ``"mount"``."""
        return [i for i, name in enumerate(self.names) if name.split()[0] == group]


class _Unknowns:
    """All unknowns of a stretch as one vector of differences from what is thought beforehand."""

    def __init__(self, linear: Linear, shape: HandShape, size_sigma: float, tracked: bool, placed: bool) -> None:
        self.linear, self.shape = linear, shape
        self.free = np.argwhere(linear.gain_sigma > 0)
        names = (ANGLES, linear.channels)
        own = [f"gain {names[0][i]} {names[1][c]}" for i, c in self.free]
        labels = [f"{finger} {axis}" for finger in range(5) for axis in "xyz"]
        parts: list[tuple[str, list[str], Floats]] = [
            ("offset", list(names[0]), linear.offset_sigma_rad), ("", own, linear.gain_sigma[tuple(self.free.T)]),
            ("", ["size"], np.array([size_sigma])), ("palm", labels, np.repeat(PALM_SIGMA_M, 3)),
            ("bone", [f"{finger} {k}" for finger in range(5) for k in range(3)], np.full(15, BONE_SIGMA)),
            ("thumb", list("xyz"), np.full(3, THUMB_SIGMA_RAD)), ("beside", [f"{j} {axis}" for j in range(21) for axis in "xyz"],
                                                                  BESIDE_SIGMA_M.ravel()),
        ]  # fmt: skip
        if tracked:
            anywhere = np.array([np.pi, np.pi, np.pi, *[10.0] * 3])
            nowhere = np.array([1, 1, 1, *[1.0 if placed else 1e-9] * 3])
            parts += [("mount", list(MOUNT), anywhere * nowhere), ("base", list(MOUNT), anywhere * nowhere)]
        self.names = tuple(f"{group} {name}".strip() for group, members, _ in parts for name in members)
        self.sigma = np.concatenate([sigma for _, _, sigma in parts])
        ends = np.cumsum([len(sigma) for _, _, sigma in parts])
        self.at = {label: slice(int(end) - len(part[2]), int(end)) for label, end, part in
                   zip(("offset", "gain", "size", "palm", "bone", "thumb", "beside", "mount", "base"), ends, parts, strict=False)}

    def linear_of(self, p: Floats) -> Linear:
        gain = self.linear.gain.copy()
        gain[tuple(self.free.T)] += p[self.at["gain"]]
        return Linear(self.linear.channels, gain, self.linear.offset_rad + p[self.at["offset"]], self.linear.gain_sigma,
                      self.linear.offset_sigma_rad)  # fmt: skip

    def shape_of(self, p: Floats) -> HandShape:
        size = np.exp(p[self.at["size"]][0])
        return HandShape((self.shape.palm_m + p[self.at["palm"]].reshape(5, 3)) * size,
                         self.shape.bones_m * np.exp(p[self.at["bone"]].reshape(5, 3)) * size,
                         self.shape.thumb_turn_rad + p[self.at["thumb"]])

    def hand(self, p: Floats, stretch: Stretch) -> tuple[Floats, Floats, Floats]:
        """Joints in hand axes (K, 21, 3), as they are seen (beside), and the derivatives of the latter by the unknowns (K, 21, 3, P)."""
        side, shape = stretch.side, self.shape_of(p)
        angles = self.linear_of(p).angles(stretch.channels)
        local = joints_m(angles, shape, side)
        J = np.zeros((*local.shape, len(p)))
        J[..., self.at["offset"]] = D = by_angle(angles, shape, side)
        J[..., self.at["gain"]] = D[..., self.free[:, 0]] * stretch.channels[:, None, None, self.free[:, 1]]
        for k in range(self.at["size"].start, self.at["beside"].start):
            q = p.copy()
            q[k] += 1e-6
            J[..., k] = (joints_m(angles, self.shape_of(q), side) - local) / 1e-6
        mirror = MIRROR[side]
        J[..., self.at["beside"]] = (np.eye(63) * np.tile(mirror, 21)).reshape(21, 3, 63)
        return local, local + p[self.at["beside"]].reshape(21, 3) * mirror, J


def fit_glove(stretch: Stretch, linear: Linear, shape: HandShape, size_sigma: float) -> Fit:
    """Fit everything to a stretch. `linear`, `shape` and `size_sigma` (a share) say what is thought beforehand."""
    tracked = stretch.T_base_tracker is not None
    unknowns = _Unknowns(linear, shape, size_sigma, tracked, stretch.placed)
    K, P = len(stretch.t_ns), len(unknowns.names)
    p = np.zeros(P)
    local, _, _ = unknowns.hand(p, stretch)
    R, t = best_pose(local[:, PALM], stretch.points_m[:, PALM])
    mount, base = _hand_eye(stretch, R, t) if tracked else (np.eye(4), np.eye(4))
    span_s = float(np.ptp(stretch.t_ns)) * 1e-9
    counts = min(1.0, max(span_s / LASTING_S, 1.0) / K)
    for _ in range(ROUNDS):
        local, beside, J = unknowns.hand(p, stretch)
        A = root(np.einsum("nij,nkj->nki", R, local) + t[:, None], stretch.eye_m)
        x = np.einsum("nij,nkj->nki", R, beside)
        r = np.einsum("nkij,nkj->nki", A, stretch.points_m - x - t[:, None])
        trust = 1 / np.sqrt(1 + (r**2).sum(-1) / 3 / OUTLIER**2)
        A = A * trust[..., None, None]
        rows = [np.einsum("nkij,njl,nklp->nkip", A, R, J, optimize=True).reshape(K, 63, P)]
        by_pose = [np.concatenate([np.einsum("nkij,nkjl->nkil", A, -cross(x)), A], -1).reshape(K, 63, 6)]
        off = [(r * trust[..., None]).reshape(K, 63)]
        if stretch.T_base_tracker is not None:
            more = _tracker_rows(stretch.T_base_tracker, stretch.placed, base, mount, R, t, local[0, PALM].mean(0))
            G = np.zeros((K, 6, P))
            G[..., unknowns.at["mount"]], G[..., unknowns.at["base"]] = more[2], more[3]
            rows, by_pose, off = [*rows, G], [*by_pose, more[1]], [*off, more[0]]
        Jg, Jp, res = np.concatenate(rows, 1), np.concatenate(by_pose, 1), np.concatenate(off, 1)
        Hpp, Hpg = np.einsum("nai,naj->nij", Jp, Jp), np.einsum("nai,nap->nip", Jp, Jg)
        inner = np.linalg.solve(Hpp, np.concatenate([Hpg, np.einsum("nai,na->ni", Jp, res)[..., None]], -1))
        flat, tall = Jg.reshape(-1, P), Hpg.reshape(-1, P)
        H = (flat.T @ flat - tall.T @ inner[..., :-1].reshape(-1, P)) * counts + np.diag(unknowns.sigma**-2)
        g = (flat.T @ res.ravel() - tall.T @ inner[..., -1].ravel()) * counts - p / unknowns.sigma**2 * _regular(unknowns)
        step = np.linalg.solve(H, g)
        pose = inner[..., -1] - inner[..., :-1] @ step
        R, t = rotations(pose[:, :3]) @ R, t + pose[:, 3:]
        p = p + step * _regular(unknowns)
        if tracked:
            mount = mount @ _small(step[unknowns.at["mount"]])
            base = _small(step[unknowns.at["base"]]) @ base
        if np.abs(step / unknowns.sigma).max() < CONVERGED:
            break
    local, _, J = unknowns.hand(p, stretch)
    J[..., unknowns.at["beside"]] = 0
    covariance = np.linalg.inv(H)
    seen = np.linalg.norm(np.einsum("nij,nkj->nki", R, local) + t[:, None] - stretch.points_m, axis=-1)
    sigmas = _sigmas(local, J, covariance, unknowns.at, R, t)
    return Fit(unknowns.linear_of(p), unknowns.shape_of(p), mount if tracked else None, base if tracked else None, unknowns.names,
               covariance, unknowns.sigma, *sigmas, np.median(seen, axis=0))


def _sigmas(local: Floats, J: Floats, covariance: Floats, at: Mapping[str, slice], R: Floats, t: Floats) -> tuple[Floats, Floats]:
    """Standard deviations of joints (K, 21, 3), per axis, shape (21,): on a hand laid where it was seen, and where the tracker has it."""
    tracked = "mount" in at
    moved = np.concatenate([-cross(local), np.broadcast_to(np.eye(3), (*local.shape, 3))], -1)  # (K, 21, 3, 6)
    K, P = len(local), J.shape[-1]
    weight = np.repeat(1 / ACROSS_M, 3)[:, None]
    body = np.linalg.pinv(moved.reshape(K, 63, 6) * weight) @ (J.reshape(K, 63, P) * weight)
    laid, on_tracker = J - np.einsum("nkij,njp->nkip", moved, body), J.copy()
    if tracked:
        there = np.einsum("nij,nkj->nki", R, local) + t[:, None]
        in_base = np.concatenate([-cross(there), np.broadcast_to(np.eye(3), (*there.shape, 3))], -1)
        on_tracker[..., at["mount"]] += moved
        on_tracker[..., at["base"]] += np.einsum("nji,nkjl->nkil", R, in_base)

    def spread(part: Floats) -> Floats:
        return np.asarray(np.sqrt(np.einsum("nkip,nkip->k", part @ covariance, part) / (3 * K)), np.float64)

    return spread(laid), spread(on_tracker) if tracked else np.full(21, np.inf)


def _regular(unknowns: _Unknowns) -> Floats:
    """1 for unknowns that add up, 0 for those of the mount, which are steps from where it is."""
    out = np.ones(len(unknowns.names))
    for part in ("mount", "base"):
        if part in unknowns.at:
            out[unknowns.at[part]] = 0
    return out


def _tracker_rows(T: Floats, placed: bool, base: Floats, mount: Floats, R: Floats, t: Floats,
                  centre: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """How far the hand's poses are from the tracker's, in sigmas, shape (K, 6), and derivatives by pose, mount and base (K, 6, 6).

    Places are compared at the palm's `centre` (3,): about that a hand that is seen turned wrongly turns, not about its wrist.
    """
    said = base @ T @ mount
    K, turned = len(T), R @ centre
    there = said[:, :3, 3] + said[:, :3, :3] @ centre
    off = np.concatenate([turn_between(said[:, :3, :3], R), t + turned - there], 1)
    by_pose, by_mount, by_base = np.tile(np.eye(6), (K, 1, 1)), np.zeros((K, 6, 6)), np.tile(np.eye(6), (K, 1, 1))
    by_pose[:, 3:, :3] = -cross(turned)
    by_mount[:, :3, :3] = by_mount[:, 3:, 3:] = said[:, :3, :3]
    by_mount[:, 3:, :3] = -said[:, :3, :3] @ cross(centre)
    by_base[:, 3:, :3] = -cross(there)
    scale = np.repeat([1 / WHOLE_SIGMA_RAD, 1 / WHOLE_SIGMA_M if placed else 0.0], 3)
    return -off * scale, by_pose * scale[:, None], -by_mount * scale[:, None], -by_base * scale[:, None]


def _hand_eye(stretch: Stretch, R: Floats, t: Floats) -> tuple[Floats, Floats]:
    """A first guess of mount and base: what turns the hand turns the tracker, in other axes (Park and Martin 1994)."""
    assert stretch.T_base_tracker is not None
    T = stretch.T_base_tracker
    n = len(R)
    first, second = np.triu_indices(n, 1)
    pick = np.linspace(0, len(first) - 1, min(len(first), 20_000)).astype(np.int64)
    first, second = first[pick], second[pick]
    seen = turn_between(R[first].swapaxes(1, 2), R[second].swapaxes(1, 2))
    felt = turn_between(T[first, :3, :3].swapaxes(1, 2), T[second, :3, :3].swapaxes(1, 2))
    mount, base = np.eye(4), np.eye(4)
    mount[:3, :3] = nearest_rotation(felt.T @ seen)
    base[:3, :3] = nearest_rotation((R @ mount[:3, :3].T @ T[:, :3, :3].swapaxes(1, 2)).sum(0))
    if stretch.placed:  # t = base_R (T_R x + T_t) + z: linear in x and z
        A = np.concatenate([base[:3, :3] @ T[:, :3, :3], np.broadcast_to(np.eye(3), (n, 3, 3))], -1).reshape(-1, 6)
        b = t - T[:, :3, 3] @ base[:3, :3].T
        mount[:3, 3], base[:3, 3] = np.linalg.lstsq(A, b.ravel(), rcond=None)[0].reshape(2, 3)
    return mount, base


def _small(step: Floats) -> Floats:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotations(step[None, :3])[0], step[3:]
    return T

