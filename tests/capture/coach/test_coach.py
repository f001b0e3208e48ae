"""The coach on good and on spoilt footage: what it must say, and above all what it must not."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from firsthand.capture.coach.advice import Latch
from firsthand.capture.coach.coach import Coach
from firsthand.capture.coach.gates import EXPLAINS, GATES, Gates
from firsthand.capture.coach.look import detail, look, shift_widths
from firsthand.capture.coach.seen_hand import SeenHand
from firsthand.capture.stream import StreamSpec
from firsthand.capture.synthetic.wearer import Wearer

S = 1_000_000_000
LOOK_NS = S // 3
FRAME_NS = S // 30
Footage = list[tuple[np.ndarray, np.ndarray]]
"""For each look, two neighbouring pictures."""
Spoil = Callable[[int, np.ndarray], np.ndarray]

OPEN_HAND = np.array([(0.5, 0.8), *((0.4 - 0.02 * k, 0.75 - 0.04 * k) for k in range(4)),
                      *((0.44 + 0.04 * f, 0.62 - 0.05 * k) for f in range(4) for k in range(4))])


def wearer_footage(seed: int, task: str, seconds: float = 8) -> Footage:
    """A take of the synthetic wearer, with its camera's noise."""
    wearer = Wearer(seed=seed, task=task, duration_s=seconds)

    def frame(i: int) -> np.ndarray:
        return cv2.imdecode(np.frombuffer(wearer.sensor.jpeg(i, wearer.frame(i)[0]), np.uint8), cv2.IMREAD_COLOR)

    return [(frame(i), frame(i + 1)) for i in range(0, int(seconds * 30) - 1, 10)]


@pytest.fixture(scope="module")
def synthetic() -> Footage:
    return wearer_footage(0, "pick-and-place")


@pytest.fixture(scope="module")
def real(shared: Path) -> Footage:
    """A real right hand before a camera, at half size: 20 s."""
    path = shared / "data/media/hands/human_hand_video.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    video = cv2.VideoCapture(str(path))
    pictures = []
    for i in range(621):
        ok = video.grab()
        if ok and i % 10 < 2:
            pictures.append(cv2.resize(video.retrieve()[1], (640, 360), interpolation=cv2.INTER_AREA))
    return [(pictures[i], pictures[i + 1]) for i in range(0, len(pictures) - 1, 2)]


@pytest.fixture(scope="module")
def helmet(shared: Path) -> Footage:
    """A camera that is carried about outdoors: 10 s."""
    path = shared / "data/media/gopro/max-heromode.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    video = cv2.VideoCapture(str(path))
    pictures = [video.read()[1] for _ in range(300)]
    return [(pictures[i], pictures[i + 1]) for i in range(0, 299, 10)]


def raised(footage: Footage, spoil: Spoil = lambda i, picture: picture, *, after: float = 0.4, coach: Coach | None = None,
           hands: Callable[[np.ndarray], list[SeenHand]] | None = None) -> set[str]:
    """The gates that are raised at some time, when the footage is good at first and spoilt after that share of it."""
    coach, said = coach or Coach(), set[str]()
    for k, pair in enumerate(footage):
        t_ns = 50 * S + k * LOOK_NS
        for j, picture in enumerate(pair):
            shown = spoil(2 * k + j, picture) if k >= after * len(footage) else picture
            coach.picture(t_ns + j * FRAME_NS, shown)
        if hands:
            coach.hands(t_ns + FRAME_NS, hands(shown))
        said |= {advice.gate for advice in coach.advice(t_ns + FRAME_NS)}
    return said


def noise(picture: np.ndarray, sigma: float = 3.0) -> np.ndarray:
    """Sensor noise, which blur does not take away: it comes after the lens."""
    return np.clip(picture + np.random.default_rng(1).normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)


def shaken(i: int, picture: np.ndarray) -> np.ndarray:
    """A head that turns to and fro at about 2 rad/s: the picture moves and smears along."""
    width = picture.shape[1]
    x = 0.35 * width * np.sin(2 * np.pi * 0.9 * (i // 2 / 3 + i % 2 / 30))
    moved = cv2.warpAffine(picture, np.array([[1.0, 0, x], [0, 1.0, 0]]), (width, picture.shape[0]), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.blur(moved, (max(width // 60, 1), 1)))


SPOILT: dict[str, tuple[Spoil, str]] = {
    "out of focus": (lambda i, p: noise(cv2.GaussianBlur(p, (0, 0), 4)), "blur"),
    "far out of focus": (lambda i, p: cv2.GaussianBlur(p, (0, 0), 8), "blur"),
    "greasy lens": (lambda i, p: noise(cv2.addWeighted(cv2.GaussianBlur(p, (0, 0), 9), 0.85, p, 0.15, 0)), "blur"),
    "lights off": (lambda i, p: noise((p * 0.2).astype(np.uint8)), "exposure"),
    "into the window": (lambda i, p: np.clip(p.astype(float) * 3 + 60, 0, 255).astype(np.uint8), "exposure"),
    "shaken": (shaken, "head-speed"),
    "cap on": (lambda i, p: noise(np.full_like(p, 5), 2), "lens"),
    "hand before the lens": (lambda i, p: noise(cv2.GaussianBlur(np.full_like(p, (90, 110, 160)), (0, 0), 9)), "lens"),
}  # fmt: skip


@pytest.mark.parametrize(("seed", "task"), [(1, "pour"), (2, "fold")])
def test_good_synthetic_takes_raise_nothing(seed: int, task: str) -> None:
    assert raised(wearer_footage(seed, task, 6)) == set()


def test_good_real_footage_raises_nothing(real: Footage, helmet: Footage) -> None:
    assert raised(real) == set() and raised(helmet) == set()


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_synthetic_footage_raises_exactly_its_gate(synthetic: Footage, how: str) -> None:
    spoil, gate = SPOILT[how]
    assert raised(synthetic, spoil) == {gate}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_real_footage_raises_exactly_its_gate(real: Footage, how: str) -> None:
    spoil, gate = SPOILT[how]
    assert raised(real, spoil) == {gate}


def test_a_picture_that_was_never_sharp_is_told_too(synthetic: Footage) -> None:
    assert raised(synthetic, lambda i, p: noise(cv2.GaussianBlur(p, (0, 0), 5)), after=0) == {"blur"}


def test_small_pictures_say_the_same(synthetic: Footage) -> None:
    small = [tuple(cv2.resize(p, (320, 240), interpolation=cv2.INTER_AREA) for p in pair) for pair in synthetic]
    assert raised(small) == set()  # type: ignore[arg-type]
    assert raised(small, lambda i, p: noise(cv2.GaussianBlur(p, (0, 0), 2))) == {"blur"}  # type: ignore[arg-type]


def test_noise_is_not_detail(synthetic: Footage) -> None:
    def measured(picture: np.ndarray) -> float:
        return look(0, picture).detail

    picture = synthetic[0][0]
    assert measured(noise(picture, 6)) == pytest.approx(measured(picture), rel=0.05)
    fine, coarse = detail(np.random.default_rng(0).normal(128, 3, (240, 320)))
    assert fine < 1 and coarse < 0.2


def test_a_shift_is_measured_in_widths(synthetic: Footage) -> None:
    picture = synthetic[0][0]
    moved = np.roll(picture, 64, axis=1)
    assert shift_widths(look(0, picture), look(0, moved)) == pytest.approx(0.1, abs=0.01)
    assert shift_widths(look(0, picture), look(0, picture)) == pytest.approx(0, abs=1e-3)


def test_a_picture_that_stands_still_is_idle_and_one_that_moves_is_not(synthetic: Footage) -> None:
    def frozen(i: int, picture: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(synthetic[0][0] + np.random.default_rng(i).normal(0, 3, picture.shape), 0, 255), np.uint8)

    long = synthetic * 3
    assert raised(long, frozen, after=0.2) == {"idle"} and "idle" not in raised(long)


# hands


def placed(x: float = 0.5, y: float = 0.5, size: float = 1.0, score: float = 0.9) -> SeenHand:
    """A hand whose middle is there, in shares of the picture."""
    return SeenHand((OPEN_HAND - OPEN_HAND.mean(0)) * size + (x, y), score)


@pytest.mark.parametrize(("hands", "wanted"), [
    ([placed()], set()),
    ([placed(0.3), placed(0.7)], set()),
    ([placed(0.5, 0.8)], set()),  # the wrist is outside: an arm comes in from there
    ([], {"hands"}),
    ([placed(score=0.1)], {"hands"}),
    ([placed(0.02)], {"hands-cut"}),
    ([placed(0.5), placed(1.0)], {"hands-cut"}),
    ([placed(size=3)], {"hands-near"}),
], ids=["one", "two", "low", "none", "unsure", "cut left", "one of two cut", "near"])  # fmt: skip
def test_hands_in_view(hands: list[SeenHand], wanted: set[str]) -> None:
    coach = Coach()
    for k in range(30):
        coach.hands(S + k * LOOK_NS, hands)
    assert {advice.gate for advice in coach.advice(11 * S)} == wanted


def test_hands_that_leave_the_view_now_and_then_are_no_fault() -> None:
    coach, said = Coach(), set[str]()
    for k in range(200):
        coach.hands(S + k * LOOK_NS, [placed()] if k % 10 < 6 else [])
        said |= {advice.gate for advice in coach.advice(S + k * LOOK_NS)}
    assert said == set()


def test_the_sentence_names_the_edge() -> None:
    coach = Coach()
    for k in range(30):
        coach.hands(S + k * LOOK_NS, [placed(0.02)])
    (advice,) = coach.advice(11 * S)
    assert advice.sentence == "a hand is cut by the left edge of the picture: look straight at your hands"


# gloves and gyroscope

GLOVE = StreamSpec("glove-right", "numeric", "glove", names=tuple(f"j{k}" for k in range(20)), units=("rad",) * 20, rate_hz=120)
IMU = StreamSpec("imu", "numeric", "imu", names=("ax", "ay", "az", "gx", "gy", "gz"), units=("m/s^2",) * 3 + ("rad/s",) * 3)


def glove_values(seconds: float, moving: bool = True) -> Iterator[tuple[int, np.ndarray]]:
    """Samples as the live runner takes them: the newest one, ten times a second."""
    rng = np.random.default_rng(2)
    for k in range(round(seconds * 10)):
        motion = 0.4 * np.sin(0.25 * k + np.arange(20)) if moving else np.zeros(20)
        yield 100 * S + k * S // 10, 0.5 + motion + rng.normal(0, 0.005, 20)


def dead_wire(k: int, values: np.ndarray) -> np.ndarray:
    values[3] = 0.25
    return values


def no_number(k: int, values: np.ndarray) -> np.ndarray:
    values[[3, 4]] = np.nan
    return values


@pytest.mark.parametrize(("spoil", "wanted"), [
    (lambda k, v: v, ""),
    (lambda k, v: v if k < 60 else np.full(20, 0.5), "repeats the same values: it is frozen"),
    (dead_wire, "does not move j3 while other fingers move"),
    (no_number, "gives no number for j3, j4"),
    (lambda k, v: v if k < 60 else None, "sends nothing: check its battery and plug"),
    (lambda k, v: None, "sends nothing"),
], ids=["good", "frozen", "dead wire", "no number", "silent", "never came"])  # fmt: skip
def test_gloves(spoil: Callable[[int, np.ndarray], np.ndarray | None], wanted: str) -> None:
    coach, said = Coach(streams=[GLOVE], t_ns=100 * S), set[str]()
    for k, (t_ns, values) in enumerate(glove_values(20)):
        if (shown := spoil(k, values)) is not None:
            coach.numeric("glove-right", t_ns, shown)
        coach.numeric("nobody-asked", t_ns, values)
        said |= {advice.sentence for advice in coach.advice(t_ns)}
    assert len(said) == bool(wanted) and all(sentence.startswith(f"glove-right {wanted}") for sentence in said)


def test_a_hand_at_rest_is_no_broken_glove() -> None:
    coach = Coach(streams=[GLOVE], t_ns=100 * S)
    for t_ns, values in glove_values(20, moving=False):
        coach.numeric("glove-right", t_ns, values)
        assert coach.advice(t_ns) == ()


@pytest.mark.parametrize(("rate", "wanted"), [(0.3, set()), (2.0, {"head-speed"})])
def test_the_gyroscope_tells_the_heads_speed(rate: float, wanted: set[str]) -> None:
    coach = Coach(streams=[IMU])
    for k in range(60):
        coach.numeric("imu", k * S // 10, np.array([0, 0, 9.81, 0, rate * np.sqrt(2) * np.sin(k), 0]))
    assert {advice.gate for advice in coach.advice(6 * S)} == wanted


# patience


def test_advice_is_raised_late_and_cleared_late() -> None:
    latch, since = Latch(1.0, 2.0), []
    for k, fault in enumerate([""] * 5 + ["bad"] * 20 + [""] * 15 + ["bad"] * 5 + [""] * 30):
        latch.update(k * S // 10, fault)
        since.append(latch.since_ns)
    assert since.index(5 * S // 10) == 15, "raised one second after it began, and dated back"
    assert since[44] is not None and since[64] is not None and since[65] is None, "cleared after two seconds without"


def test_a_fault_that_comes_and_goes_at_the_limit_does_not_flap() -> None:
    latch, states = Latch(1.0, 2.0), []
    for k in range(600):
        latch.update(k * S // 10, "bad" if k % 8 else "")
        states.append(latch.since_ns is not None)
    assert sum(a != b for a, b in pairwise(states)) <= 1
    latch.update(10**12, None)
    assert (latch.since_ns is not None) == states[-1], "what cannot be judged changes nothing"


def test_explanations_name_gates_and_never_run_in_a_circle() -> None:
    for cause, effects in EXPLAINS.items():
        assert all(GATES.index(effect) > GATES.index(cause) or cause not in EXPLAINS.get(effect, ()) for effect in effects)


def test_limits_can_be_set() -> None:
    coach = Coach(Gates(hands_least=0.0))
    for k in range(30):
        coach.hands(k * LOOK_NS, [])
    assert coach.advice(10 * S) == ()
