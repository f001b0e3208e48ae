"""A hand that may also move as a whole: three slides and three turns before its root."""

import numpy as np

from firsthand.retarget.kinematics import PRISMATIC, REVOLUTE, Chain, Floats

BASE_LINKS = ("base x", "base y", "base z", "base roll", "base pitch", "base yaw")
MOST_M, MOST_RAD = 5.0, 2 * np.pi


def with_free_base(chain: Chain, joints: int) -> Chain:
    """The chain with six joints before its root, along and then about x, y and z of the chain's axes.

    They are the last of the now ``joints + 6`` active joints, which keeps the solver's matrix narrow. Their limits are the caller's;
    `MOST_M` and `MOST_RAD` are those dex_retargeting takes.
    """
    n = len(BASE_LINKS)
    T_root = chain.T_base_root
    at_root = chain.parent < 0
    R0, p0 = chain.R0.copy(), chain.p0.copy()
    R0[at_root] = T_root[:3, :3] @ chain.R0[at_root]
    p0[at_root] = chain.p0[at_root] @ T_root[:3, :3].T + T_root[:3, 3]
    parent = np.where(at_root, n - 1, chain.parent + n)
    return Chain(
        (*BASE_LINKS, *chain.links), np.r_[np.arange(-1, n - 1), parent], np.r_[[PRISMATIC] * 3, [REVOLUTE] * 3, chain.kind],
        np.concatenate([np.tile(np.eye(3), (n, 1, 1)), R0]), np.concatenate([np.zeros((n, 3)), p0]),
        np.concatenate([np.eye(3), np.eye(3), chain.axis]), np.r_[np.arange(joints, joints + n), chain.source],
        np.r_[np.ones(n), chain.multiplier], np.r_[np.zeros(n), chain.offset], np.eye(4),
    )  # fmt: skip


def base_limits() -> tuple[Floats, Floats]:
    """Lower and upper limits of the six, shape (6,)."""
    most = np.repeat([MOST_M, MOST_RAD], 3)
    return -most, most
