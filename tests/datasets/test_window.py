import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.datasets.window import Window, legal_rows

EPISODE = np.repeat([0, 1, 2], [10, 7, 3])
GOOD = np.ones((20, 1), bool)
COVERED = np.ones(20, bool)


def brute_force(window: Window, observed: np.ndarray, acted: np.ndarray, covered: np.ndarray) -> list[int]:
    """The same by trying every row of every window."""
    rows = []
    for t in range(20):
        seen, done = range(t - window.observation_steps + 1, t + 1), range(t, t + window.action_steps)
        every = [*seen, *done]
        if min(every) < 0 or max(every) >= 20 or len({EPISODE[i] for i in every}) > 1:
            continue
        if all(observed[i].any() and covered[i] for i in seen) and all(acted[i].any() for i in done):
            rows.append(t)
    return rows


@pytest.mark.parametrize("window", [Window(1, 1), Window(1, 4), Window(3, 1), Window(2, 5), Window(3, 8), Window(4, 16)])
def test_windows_are_those_that_cross_no_episode_gap_or_missing_hand(window: Window) -> None:
    rng = np.random.default_rng(window.action_steps)
    for _ in range(50):
        observed, acted, covered = rng.random((20, 2)) > 0.3, rng.random((20, 2)) > 0.3, rng.random(20) > 0.1
        assert legal_rows(window, EPISODE, observed, acted, covered).tolist() == brute_force(window, observed, acted, covered)


def test_a_stride_starts_anew_in_each_episode() -> None:
    assert legal_rows(Window(2, 2, stride=3), EPISODE, GOOD, GOOD, COVERED).tolist() == [1, 4, 7, 11, 14, 18]


def test_all_sides_can_be_required_and_nothing_can() -> None:
    half = np.tile([True, False], (20, 1))
    assert len(legal_rows(Window(1, 1, require="any"), EPISODE, half, half, COVERED)) == 20
    assert len(legal_rows(Window(1, 1, require="all"), EPISODE, half, half, COVERED)) == 0
    assert len(legal_rows(Window(1, 1, require="none"), EPISODE, half, half, ~COVERED)) == 20


def test_a_window_without_rows_is_refused() -> None:
    with pytest.raises(FirsthandError, match="at least one observation, one action and a stride of one, got 0, 16 and 1"):
        Window(observation_steps=0)
