import numpy as np
import pytest

from firsthand.capture.errors import FirsthandError
from firsthand.datasets.grid import constant_rate, whole_rate


@pytest.mark.parametrize("frames", [2, 47, 621, 20_000])
def test_a_constant_rate_video_gives_exactly_its_frames_though_its_times_are_rounded_to_milliseconds(frames: int) -> None:
    t_ns = np.round(np.arange(frames) * 1000 / 30).astype(np.int64) * 1_000_000 + 7_000_000_000
    grid = constant_rate(t_ns, whole_rate(t_ns))
    assert grid.fps == 30
    np.testing.assert_array_equal(grid.source, np.arange(frames))
    assert grid.covered.all()
    assert np.abs(grid.age_s).max() < 1e-3


def test_a_camera_that_runs_a_little_slow_has_frames_repeated_and_keeps_its_length() -> None:
    t_ns = np.round(np.arange(3000) * 1001e6 / 30).astype(np.int64)  # 29.97 a second
    grid = constant_rate(t_ns, 30)
    assert len(grid.source) == round(t_ns[-1] * 30 / 1e9) + 1 == 3003
    assert set(np.diff(grid.source)) == {0, 1}
    assert np.abs(grid.age_s).max() <= 0.5 / 29.97 + 1e-9


def test_half_the_rate_takes_every_second_frame() -> None:
    t_ns = np.round(np.arange(61) * 1e9 / 30).astype(np.int64)
    np.testing.assert_array_equal(constant_rate(t_ns, 15).source, np.arange(0, 61, 2))


def test_a_lost_frame_is_bridged_and_a_longer_gap_is_not_covered() -> None:
    t_ns = np.round(np.arange(40) * 1e9 / 30).astype(np.int64)
    one = constant_rate(np.delete(t_ns, 10), 30)
    assert len(one.source) == 40
    assert one.covered.all()
    many = constant_rate(np.delete(t_ns, np.arange(10, 20)), 30)
    np.testing.assert_array_equal(np.flatnonzero(~many.covered), np.arange(11, 19))
    assert len(many.source) == 40


def test_the_age_of_a_picture_is_positive_where_it_is_older_than_its_row() -> None:
    t_ns = np.array([0, 33, 60, 100], np.int64) * 1_000_000
    assert constant_rate(t_ns, 30).age_s[2] == pytest.approx(2 / 30 - 0.060, abs=1e-6)


def test_times_that_run_backwards_are_refused() -> None:
    with pytest.raises(FirsthandError, match="run backwards at frame 2"):
        constant_rate(np.array([0, 33, 20, 100], np.int64) * 1_000_000, 30)


def test_a_rate_can_be_told_where_frames_share_a_time() -> None:
    assert whole_rate(np.repeat(np.arange(10) * 33_333_333, 2)) == 30
    assert whole_rate(np.zeros(3, np.int64)) == 1
