"""Where the links of a robot hand are, and how they move with its joints: batches of joint positions in NumPy.

The solver has its own compiled twin of this (``frame_kernel.py``); tests hold the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen

Floats = npt.NDArray[np.float64]
FIXED, REVOLUTE, PRISMATIC = range(3)


@dataclass(frozen=True, eq=False)
class Chain:
    """A tree of links as flat arrays, parents first. Link l hangs on its own joint l; the root link is not listed (-1).

    Joint l stands at ``multiplier[l] * q[source[l]] + offset[l]``, which is how a joint that mimics another is told.
    """

    links: tuple[str, ...]
    parent: npt.NDArray[np.int64]
    """The link each joint hangs on, shape (L,); -1 is the root."""
    kind: npt.NDArray[np.int64]
    """FIXED, REVOLUTE or PRISMATIC, shape (L,)."""
    R0: Floats
    """Orientation of the joint in its parent link, shape (L, 3, 3)."""
    p0: Floats
    """Position of the joint in its parent link in metres, shape (L, 3)."""
    axis: Floats
    """Unit axis in the joint's own frame, shape (L, 3)."""
    source: npt.NDArray[np.int64]
    """The active joint that drives it, shape (L,); -1 for fixed ones."""
    multiplier: Floats
    offset: Floats
    T_base_root: Floats
    """Pose of the root link in the axes positions are reported in, shape (4, 4)."""

    def __post_init__(self) -> None:
        n = len(self.links)
        for name, dtype, shape in (("parent", np.int64, (n,)), ("kind", np.int64, (n,)), ("R0", np.float64, (n, 3, 3)),
                                   ("p0", np.float64, (n, 3)), ("axis", np.float64, (n, 3)), ("source", np.int64, (n,)),
                                   ("multiplier", np.float64, (n,)), ("offset", np.float64, (n,)), ("T_base_root", np.float64, (4, 4))):
            set_frozen(self, name, dtype, shape)

    def link(self, name: str) -> int:
        """The number of a link; -1 for one that is not listed, the root."""
        return self.links.index(name) if name in self.links else -1


def rotation(rpy: npt.ArrayLike) -> Floats:
    """The matrix of fixed-axis roll, pitch, yaw as URDF means them: Rz(yaw) Ry(pitch) Rx(roll)."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    return np.array([
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ])


def axis_rotation(axis: Floats, angle: Floats) -> Floats:
    """Rotations about one unit axis, shape (N, 3, 3) for angles (N,) (Rodrigues' formula)."""
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    s, c = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.asarray(np.eye(3) + s * K + (1 - c) * (K @ K), np.float64)


def moving_joints(chain: Chain, link: int) -> set[int]:
    """The active joints that move a link."""
    joints = set()
    while link >= 0:
        if chain.kind[link] != FIXED:
            joints.add(int(chain.source[link]))
        link = int(chain.parent[link])
    return joints


def link_poses(chain: Chain, q: npt.ArrayLike) -> Floats:
    """Pose of every link, shape (N, L + 1, 4, 4), for active joints q (N, J). The root is last, so that -1 finds it."""
    q = np.asarray(q, np.float64)
    T = np.zeros((len(q), len(chain.links) + 1, 4, 4))
    T[:, -1] = chain.T_base_root
    for i, parent in enumerate(chain.parent):
        step = np.tile(np.eye(4), (len(q), 1, 1))
        step[:, :3, :3], step[:, :3, 3] = chain.R0[i], chain.p0[i]
        if chain.kind[i] != FIXED:
            value = chain.multiplier[i] * q[:, chain.source[i]] + chain.offset[i]
            if chain.kind[i] == REVOLUTE:
                step[:, :3, :3] = chain.R0[i] @ axis_rotation(chain.axis[i], value)
            else:
                step[:, :3, 3] = chain.p0[i] + value[:, None] * (chain.R0[i] @ chain.axis[i])
        T[:, i] = T[:, parent] @ step
    return T


def link_positions(chain: Chain, q: npt.ArrayLike, links: Sequence[int]) -> Floats:
    """Origins of some links in metres, shape (N, F, 3), for active joints q (N, J)."""
    return link_poses(chain, q)[..., :3, 3][:, list(links)]


def link_jacobians(chain: Chain, q: npt.ArrayLike, links: Sequence[int]) -> Floats:
    """Derivatives of those origins by the active joints, shape (N, F, 3, J)."""
    q = np.asarray(q, np.float64)
    T = link_poses(chain, q)
    J = np.zeros((len(q), len(links), 3, q.shape[1]))
    for row, link in enumerate(links):
        i = link
        while i >= 0:
            if chain.kind[i] != FIXED:
                axis = T[:, i, :3, :3] @ chain.axis[i]
                arm = T[:, link, :3, 3] - T[:, i, :3, 3]
                moved = np.cross(axis, arm) if chain.kind[i] == REVOLUTE else axis
                J[:, row, :, chain.source[i]] += chain.multiplier[i] * moved
            i = int(chain.parent[i])
    return J
