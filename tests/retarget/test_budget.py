"""The error budget: nothing for perfect hands, and exactly what was put in for wrong ones."""

from dataclasses import replace

import numpy as np
import pytest

from firsthand.capture.library import Episode, new_session
from firsthand.capture.recorder import record
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.actions_stage import make_actions
from firsthand.retarget.budget import Figure, budget, measure, procrustes_error
from firsthand.retarget.hand_track import ABSENT, MEASURED, METRIC, Hands, HandTrack

SWAP = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    wearer = Wearer(seed=4, duration_s=3, fps=10, size_px=(320, 240))
    with new_session(tmp_path_factory.mktemp("library"), "perfect") as session:
        path = Episode(session / "000").recording_path
        record(wearer.drivers(), path)
        wearer.write_truth(path.with_name("truth.h5"))
        folder = session
    (made,) = folder.parent.glob("[!.]*/000")
    return Episode(made)


def perfect(episode: Episode, truth: Truth) -> Hands:
    """The truth as a hands file: both hands, every frame recorded."""
    with episode.recording() as recording:
        head, camera = recording["head"], recording.calibration.cameras["head"]
        rows, t_ns = head.sequence, head.t_ns
    pose = truth.T_world_cam[rows]
    tracks = {}
    for side, hand in truth.hands.items():
        points, n = hand.points_m[rows], len(rows)
        in_cam = np.einsum("nji,nkj->nki", pose[:, :3, :3], points - pose[:, None, :3, 3])
        tracks[side] = HandTrack(side, t_ns, points, hand.points_px[rows], in_cam - in_cam[:, :1], np.full((n, 21), 0.01),
                                 np.full((n, 21), MEASURED), np.full(n, METRIC.index("depth")), np.ones(n))
    return Hands("head", t_ns, "world", camera, tracks, pose)


def figures(episode: Episode, hands: Hands) -> dict[str, Figure]:
    hands.write(episode.hands_path)
    make_actions(episode, "panda_gripper", force=True)
    make_actions(episode, "allegro_right", force=True)
    return {f"{f.name} {f.unit}": f for f in budget([measure(episode, ["panda_gripper"], ["allegro_right"])])}


def test_perfect_hands_have_no_error(take: Episode) -> None:
    found = figures(take, perfect(take, read_truth(take.truth_path)))
    assert found["hands found, of those in the picture "].value == 1
    assert found["hands on the wrong side frames"].value == 0
    assert found["joints, shape alone (PA-MPJPE): mean mm"].value < 0.01
    assert found["wrist in the world, with depth: median mm"].value < 0.01
    assert found["gripper width: median mm"].value < 0.01
    assert found["joints beyond their limits "].value == 0
    assert found["time, after the link's fastest delivery: p99 ms"].value < 1


def test_an_error_put_in_comes_out(take: Episode) -> None:
    truth = read_truth(take.truth_path)
    hands = perfect(take, truth)
    up_m, aside_px = np.array([0, 0, 0.03]), np.array([3.0, 4.0])
    moved = {side: replace(t, points_m=t.points_m + up_m, points_px=t.points_px + aside_px) for side, t in hands.tracks.items()}
    found = figures(take, replace(hands, tracks=moved))
    assert found["wrist in the world, with depth: median mm"].value == pytest.approx(30, abs=0.01)
    assert not found["wrist in the world, with depth: median mm"].ok
    assert found["joints in the picture: median px"].value == pytest.approx(5, abs=0.01)
    assert found["joints, shape alone (PA-MPJPE): mean mm"].value < 0.01


def test_swapped_sides_are_counted(take: Episode) -> None:
    hands = perfect(take, read_truth(take.truth_path))
    swapped = {side: replace(hands.tracks[SWAP[side]], side=side) for side in hands.tracks}
    found = figures(take, replace(hands, tracks=swapped))
    assert found["hands on the wrong side frames"].value == 2 * len(hands.t_ns)
    assert found["hands found, of those in the picture "].value == 0


def test_a_missed_hand_lowers_the_share_found(take: Episode) -> None:
    hands = perfect(take, read_truth(take.truth_path))
    track = hands.tracks["left"]
    half = len(hands.t_ns) // 2
    gone = np.arange(len(hands.t_ns)) < half

    def blank(values: np.ndarray) -> np.ndarray:
        return np.where(gone.reshape(-1, *[1] * (values.ndim - 1)), np.nan, values)

    left = replace(track, points_m=blank(track.points_m), points_px=blank(track.points_px), local_m=blank(track.local_m),
                   sigma_m=blank(track.sigma_m), score=blank(track.score), metric=np.where(gone, 0, track.metric),
                   provenance=np.where(gone[:, None], ABSENT, track.provenance))
    found = figures(take, replace(hands, tracks={"left": left, "right": hands.tracks["right"]}))
    assert found["hands found, of those in the picture "].value == pytest.approx(1 - half / (2 * len(hands.t_ns)), abs=0.03)


def test_procrustes_forgives_place_turn_and_size_but_not_mirror() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(5, 21, 3))
    Q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    Q *= np.sign(np.linalg.det(Q))
    assert procrustes_error(true @ Q * 1.7 + [1, 2, 3], true).max() < 1e-12
    assert procrustes_error(true * [-1, 1, 1], true).min() > 0.1


def test_what_was_not_measured_meets_no_goal() -> None:
    assert not Figure("x", float("nan"), "mm", 10).ok
    assert Figure("x", float("nan"), "mm").ok
    assert Figure("x", 0.995, "", 0.99, at_least=True).ok and not Figure("x", 0.98, "", 0.99, at_least=True).ok
