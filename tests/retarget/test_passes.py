"""The solver against its NumPy reference: costs and derivatives, minima, exact limits, other starts, and what each pass adds."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from firsthand.retarget.frame_kernel import cost_run, curvature_run
from firsthand.retarget.free_base import base_limits, with_free_base
from firsthand.retarget.kinematics import FIXED, PRISMATIC, REVOLUTE, Chain, link_positions, rotation
from firsthand.retarget.multi_start import greedy, multi_start
from firsthand.retarget.objective import course_cost, data_cost, data_gradient
from firsthand.retarget.passes import solve_course
from firsthand.retarget.pinch_targets import pinch_targets, pinches
from firsthand.retarget.problem import WRIST, Problem
from firsthand.retarget.rate_limits import RateLimits
from firsthand.retarget.robot import load_robot
from firsthand.retarget.whole_course import refine

ALLEGRO = load_robot("allegro_right")
assert ALLEGRO.hand is not None
HAND = ALLEGRO.hand
TIPS = np.array(HAND.tips)
MU = 4e-3


def rich_chain() -> Chain:
    """Two fingers of turns and slides, with fixed links between, joints that follow others, and axes that lie along nothing."""
    rng = np.random.default_rng(3)
    kinds = [REVOLUTE, FIXED, PRISMATIC, REVOLUTE, FIXED, REVOLUTE, REVOLUTE, REVOLUTE]
    axis = rng.normal(size=(8, 3))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = rotation([0.3, -0.4, 1.0]), [0.02, -0.01, 0.03]
    return Chain(tuple("abcdefgh"), np.array([-1, 0, 1, 2, 3, -1, 5, 6]), np.array(kinds),
                 np.stack([rotation(r) for r in rng.normal(size=(8, 3))]), rng.normal(0, 0.03, (8, 3)),
                 axis / np.linalg.norm(axis, axis=1, keepdims=True), np.array([0, -1, 1, 0, -1, 2, 3, 2]),
                 np.array([1, 0, 1, -1.4, 0, 1, 1, 0.7]), np.array([0, 0, 0.002, 0.2, 0, 0.1, 0, -0.1]), T)


def rich_problem(per_axis: bool, free: bool) -> Problem:
    """Points, vectors between fingers and within one, beyond the knee and below it."""
    chain, lower, upper = rich_chain(), np.array([-1.0, 0, -1, -1]), np.array([1.0, 0.03, 1, 1])
    shift = 0
    if free:
        chain, low_high, shift = with_free_base(chain, 4), base_limits(), 6
        lower, upper = np.r_[lower, low_high[0]], np.r_[upper, low_high[1]]
    rng = np.random.default_rng(4)
    task, origin = np.array([4, 7, 4, 4, 7, 0]), np.array([WRIST, WRIST, 7, 2, 0, WRIST])
    return Problem(chain, lower, upper, task + shift, np.where(origin == WRIST, WRIST, origin + shift), rng.normal(0, 0.05, (20, 6, 3)),
                   rng.uniform(0.5, 3, (20, 6)), 0.06, per_axis)


@pytest.mark.parametrize("per_axis", [False, True])
@pytest.mark.parametrize("free", [False, True])
def test_compiled_costs_gradients_and_curvatures_are_those_of_the_reference(per_axis: bool, free: bool) -> None:
    problem = rich_problem(per_axis, free)
    rng = np.random.default_rng(5)
    q = rng.uniform(np.maximum(problem.lower, -1), np.minimum(problem.upper, 1), (20, len(problem.lower)))
    D, g, H = np.empty(20), np.empty_like(q), np.empty((*q.shape, q.shape[1]))
    cost_run(problem.model, problem.d_m, problem.weight, problem.knee_m, q, D)
    assert_allclose(D, data_cost(problem, q), rtol=1e-12)
    # Much added to the diagonal: the curvature is then the true one, but for the kinks of Huber's cost, which it rounds.
    curvature_run(problem.model, problem.d_m, problem.weight, problem.knee_m, np.full(20, 1e3), q, g, H)
    assert_allclose(g, data_gradient(problem, q), atol=1e-12)
    square = Problem(problem.chain, problem.lower, problem.upper, problem.task, problem.origin, problem.d_m, problem.weight, 10.0, per_axis)
    curvature_run(square.model, square.d_m, square.weight, square.knee_m, np.full(20, 1e3), q, g, H)
    for j in range(q.shape[1]):
        h = 1e-6 * np.eye(q.shape[1])[j]
        assert_allclose((data_cost(problem, q + h) - data_cost(problem, q - h)) / 2e-6, data_gradient(problem, q)[:, j], atol=1e-7)
        numeric = (data_gradient(square, q + h) - data_gradient(square, q - h)) / 2e-6
        assert_allclose(H[:, j:, j], numeric[:, j:], atol=1e-8)


def tips_problem(local: np.ndarray, scale: float = 1.2) -> Problem:
    """DexPilot's objective for the Allegro."""
    targets = pinch_targets(local[:, [4, 8, 12, 16]], scale)
    return Problem(HAND.chain, ALLEGRO.lower, ALLEGRO.upper, TIPS[targets.task], np.where(targets.origin < 0, WRIST, TIPS[targets.origin]),
                   targets.d_m, targets.weight, 0.03)


def free_gradient(problem: Problem, q: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The part of a gradient that no limit answers."""
    held = (q <= problem.lower + 1e-9) & (g > 0) | (q >= problem.upper - 1e-9) & (g < 0)
    assert held.any(), "some joint must be on its limit for this test to tell anything"
    return np.abs(g[~held])


def test_each_frame_is_a_minimum_of_its_cost_within_the_box_and_the_course_of_the_sum(motion: SimpleNamespace) -> None:
    problem, mu = tips_problem(motion.moving_hand()), np.full(90, MU)
    q, _ = greedy(problem, mu)
    assert ((q >= problem.lower) & (q <= problem.upper)).all()
    g = data_gradient(problem, q)[1:] + 2 * MU * np.diff(q, axis=0)
    assert np.percentile(free_gradient(problem, q[1:], g), 98) < 3e-3, "away from a minimum it is about 1"
    whole = refine(problem, q, mu, iterations=60, tolerance=1e-12)
    assert ((whole >= problem.lower) & (whole <= problem.upper)).all()
    g, push = data_gradient(problem, whole), 2 * MU * np.diff(whole, axis=0)
    g[1:] += push
    g[:-1] -= push
    assert np.percentile(free_gradient(problem, whole, g), 98) < 3e-3
    assert course_cost(problem, whole, MU) < course_cost(problem, q, MU)


def test_long_courses_are_solved_in_windows_that_hardly_differ_from_the_whole(motion: SimpleNamespace) -> None:
    problem, mu = tips_problem(motion.moving_hand(300)), np.full(300, MU)
    q, _ = greedy(problem, mu)
    whole, parts = refine(problem, q, mu), refine(problem, q, mu, window=60)
    assert course_cost(problem, parts, MU) < course_cost(problem, whole, MU) * 1.001


def elbow(far: float) -> Problem:
    """A wrong basin: a thumb of one joint follows a point around a circle into its limit, and on to where only the other way leads."""
    chain = Chain(("thumb", "tip"), np.array([-1, 0]), np.array([REVOLUTE, FIXED]), np.tile(np.eye(3), (2, 1, 1)),
                  np.array([[0, 0, 0], [0.08, 0, 0]]), np.array([[0, 0, 1.0], [0, 0, 1]]), np.array([0, -1]), np.array([1.0, 0]),
                  np.zeros(2), np.eye(4))
    angle = np.r_[np.linspace(0, -2.6, 40), np.full(40, -2.6), np.linspace(-2.6, -far, 40), np.full(60, -far)]
    d = 0.08 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)[:, None]
    return Problem(chain, np.array([-1.5]), np.array([2.9]), np.array([1]), np.array([WRIST]), d, np.ones((len(d), 1)), 0.03)


def test_a_thumb_caught_on_the_wrong_side_is_freed_by_other_starts() -> None:
    """The synthetic twin of the known failure: an underactuated thumb stays against its limit, where each small step only costs."""
    problem = elbow(4.2)
    mu = np.full(len(problem.d_m), MU)
    caught, D = greedy(problem, mu)
    assert caught[-1, 0] == -1.5 and D[-1] > 0.1, "followed frame by frame it must be caught for this test to tell anything"
    freed, flagged = multi_start(problem, mu)
    assert_allclose(freed[-60:, 0], 2 * np.pi - 4.2, atol=0.02)
    assert flagged.mean() <= 0.31
    assert course_cost(problem, freed, MU) < course_cost(problem, caught, MU) / 2


def test_speed_and_acceleration_are_kept_exactly_without_lag(motion: SimpleNamespace) -> None:
    problem = tips_problem(motion.moving_hand(120))
    rng = np.random.default_rng(0)
    t_ns = np.cumsum(rng.integers(20_000_000, 46_000_000, 120))
    t_ns[60] = t_ns[59]
    free, fast = solve_course(problem, t_ns, mu=0.02), np.full(16, 2.0)
    kept = solve_course(problem, t_ns, mu=0.02, velocity=fast, acceleration=np.full(16, 40.0))
    dt = np.diff(t_ns)[:, None] * 1e-9
    assert (np.abs(np.diff(free.q, axis=0)) > fast * dt).any()
    assert (np.abs(np.diff(kept.q, axis=0)) <= fast * dt).all()
    assert ((kept.q >= problem.lower) & (kept.q <= problem.upper)).all()
    v = np.diff(kept.q, axis=0)[np.r_[0:59, 60:119]] / dt[np.r_[0:59, 60:119]]
    mean = (dt[1:] + dt[:-1])[np.r_[0:58]] / 2
    assert (np.abs(np.diff(v[:59], axis=0)) <= 40.0 * mean * (1 + 1e-9)).all()
    lags = [np.abs(kept.q[5 + lag : 110 + lag] - free.q[5:110]).mean() for lag in range(-3, 4)]
    assert int(np.argmin(lags)) == 3, "no lag: it is most like the free course at the same time"


def test_limits_that_the_course_keeps_by_itself_change_nothing(motion: SimpleNamespace) -> None:
    problem, t_ns = tips_problem(motion.moving_hand(60)), np.arange(60) * 33_333_333
    free = solve_course(problem, t_ns)
    assert_array_equal(solve_course(problem, t_ns, velocity=np.full(16, 1e3), acceleration=np.full(16, 1e6)).q, free.q)
    assert not free.held_back.any()


def test_an_acceleration_no_course_can_keep_still_leaves_one_that_keeps_it() -> None:
    t_ns = np.arange(50) * 33_333_333
    q = np.random.default_rng(1).uniform(-1, 1, (50, 2))
    kept = RateLimits(t_ns, np.array([np.inf, 3.0]), np.array([5.0, np.inf])).keep(q)
    assert np.abs(np.diff(kept[:, 0], 2)).max() <= 5.0 / 30**2 * (1 + 1e-6)
    assert np.abs(np.diff(kept[:, 1])).max() <= 3.0 / 30
    assert (np.abs(kept) <= 1).all()


@pytest.mark.parametrize("passes", ["greedy", "multi-start", "trajectory"])
def test_frames_with_an_unknown_target_are_not_valid_and_part_the_runs(motion: SimpleNamespace, passes: str) -> None:
    problem = tips_problem(motion.moving_hand(40))
    d = problem.d_m.copy()
    d[10:13, 3] = np.nan
    holed = Problem(problem.chain, problem.lower, problem.upper, problem.task, problem.origin, d, problem.weight, problem.knee_m)
    t_ns = np.arange(40) * 33_333_333
    course = solve_course(holed, t_ns, passes=passes)  # type: ignore[arg-type]
    assert_array_equal(np.flatnonzero(~course.valid), [10, 11, 12])
    assert np.isnan(course.q[10:13]).all() and np.isfinite(course.q[course.valid]).all()
    assert_array_equal(solve_course(problem.part(slice(13, 40)), t_ns[13:], passes=passes).q, course.q[13:])  # type: ignore[arg-type]
    assert solve_course(problem.part(slice(0)), t_ns[:0], passes=passes).q.shape == (0, 16)  # type: ignore[arg-type]


def test_twice_the_frames_are_the_same_course(motion: SimpleNamespace) -> None:
    slow, fast = motion.moving_hand(60, 30.0), motion.moving_hand(119, 59.5)
    q = [solve_course(tips_problem(local), t, mu=0.3).q for local, t in
         ((slow, (np.arange(60) / 30 * 1e9).astype(np.int64)), (fast, (np.arange(119) / 59.5 * 1e9).astype(np.int64)))]  # fmt: skip
    assert np.median(np.abs(q[1][::2] - q[0])) < 0.02


def test_a_free_base_moves_the_whole_hand_and_changes_nothing_at_rest() -> None:
    chain, rng = rich_chain(), np.random.default_rng(2)
    q, base = rng.uniform(-1, 1, (5, 4)), rng.uniform(-1, 1, (5, 6))
    links = range(len(chain.links))
    free = with_free_base(chain, 4)
    at_rest, moved = (link_positions(free, np.c_[q, b], [6 + k for k in links]) for b in (0 * base, base))
    assert_allclose(at_rest, link_positions(chain, q, links), atol=1e-15)
    from scipy.spatial.transform import Rotation

    R = Rotation.from_euler("XYZ", base[:, 3:]).as_matrix()
    assert_allclose(moved, np.einsum("nij,nkj->nki", R, at_rest) + base[:, None, :3], atol=1e-14)
    assert PRISMATIC in free.kind


def test_a_pinch_lasts_until_the_tips_are_well_apart_and_two_fingers_need_the_thumb() -> None:
    gap = np.array([0.06, 0.04, 0.029, 0.04, 0.049, 0.051, 0.04])
    tips = np.zeros((7, 3, 3))
    tips[:, 1, 0], tips[:, 2, 0] = gap, gap + 0.02
    pairs, on = pinches(tips)
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert on[:, 0].tolist() == [False, False, True, True, True, False, False]
    assert not on[:, 1:].any(), "the second finger never came near the thumb"
    tips[:, 2, 0] = gap
    assert pinches(tips)[1][2:5].all()
    assert not pinches(tips, [True, False])[1][:, 1:].any(), "a pair the robot cannot close"
    targets = pinch_targets(tips, 1.5)
    assert_allclose(np.linalg.norm(targets.d_m[2, 0]), 1e-4, rtol=1e-3)
    assert_allclose(targets.d_m[0, 0], [-0.09, 0, 0], atol=1e-12)
    assert_allclose(targets.weight[[0, 2]], np.array([[1, 1, 1, 6, 6, 6], [200, 200, 400, 6, 6, 6]]) / 6)
