"""Gloves and vision together: how well a glove calibrates itself, and where the fingertips then are. The synthetic wearer, with the truth.

    python bench/fusion.py [--seeds 20] [--first 0] [--pictures 1] [--folder DIR]

Each seed is a wearer with gloves as wrong as real ones before they are calibrated (scale 10 %, zero 5 degrees, cross-talk 5 %), a
tracker strapped on each wrist in a world of its own, clocks and latencies of their own, 30 s of free movement. The size of the hand is
known to 2 %. What the camera tells is modelled, so that many seeds can be run: joints off by 3 to 5 mm, by 10 to 20 where the finger itself
hides them, each always 3 mm beside its place, the whole hand turned by 2.5 degrees and moved by 4 mm about each axis, all of that lasting a
third of a second; 10 % of the frames are lost. About so far off is the tracker in pictures, but for its own idea of some joints. Told are

* calibration: error of the glove's time, of how the palm sits on the tracker (turn, offset), and of the hand's size;
* fingertips relative to the wrist, in the world: by vision alone, with the glove, with glove and tracker (`tips_mm`); and the normalised
  error (error over sigma; 1 is honest);
* refusals: movements that cannot tell must end in a sentence.

With --pictures N, N more seeds go through rendered pictures, sensor depth and the hand tracker, a work take after the calibration take;
there the tracker's landmarks are what they are. That takes minutes each.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.capture.recorder import record
from firsthand.capture.recording import Recording
from firsthand.capture.skeleton import PARENTS, SIDES, TIPS, WRIST, Side
from firsthand.capture.synthetic.hand import bone_lengths_m
from firsthand.capture.synthetic.truth import Truth
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.glove_calibration import GloveCalibration, calibrate_glove, channels_at
from firsthand.retarget.glove_channels import columns_of, glove_values
from firsthand.retarget.glove_model import PALM, joints_m, shape_of
from firsthand.retarget.gloves_on import with_gloves
from firsthand.retarget.hand_fit import rotations
from firsthand.retarget.hand_sight import best_pose, turn_between
from firsthand.retarget.hand_size import HandSize
from firsthand.retarget.hand_track import ABSENT, MEASURED, METRIC, Hands, HandTrack

Floats = npt.NDArray[np.float64]

GOALS = {"time_ms": 2.0, "turn_deg": 2.0, "offset_mm": 5.0, "tips_mm": 8.0}
SIZE_SIGMA = 0.02
SECONDS, FPS = 30.0, 30.0
LASTING_S = 0.3
ACROSS_M, ALONG_M, HIDDEN_ACROSS_M, HIDDEN_NEARER_M, BESIDE_M = 0.003, 0.005, 0.010, 0.020, 0.003
TURN_RAD, MOVE_M, LOST = np.radians(2.5), 0.004, 0.1


def lasting(rng: np.random.Generator, n: int, shape: tuple[int, ...], fps: float = FPS) -> Floats:
    """Noise of unit variance that lasts, shape (n, *shape): an AR(1) process."""
    keep = np.exp(-1 / (LASTING_S * fps))
    out = rng.standard_normal((n, *shape))
    for i in range(1, n):
        out[i] = keep * out[i - 1] + np.sqrt(1 - keep**2) * out[i]
    return out


def seen(wearer: Wearer, truth: Truth, side: Side, rng: np.random.Generator) -> HandTrack:
    """One hand as a camera with depth would see it, wrong in the ways that the module tells."""
    true, T = truth.hands[side].points_m, truth.T_world_cam
    n = len(true)
    ray = true - T[:, None, :3, 3]
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    bone = true - true[:, np.maximum(PARENTS, 0)]
    away = (bone / np.maximum(np.linalg.norm(bone, axis=-1, keepdims=True), 1e-9) * ray).sum(-1)
    away[:, PALM] = -1
    hidden = np.maximum.accumulate(away[:, 1:].reshape(n, 5, 4), 2).reshape(n, 20) > 0.75
    hidden = np.concatenate([np.zeros((n, 1), np.bool_), hidden], 1)[..., None]
    across = lasting(rng, n, (21, 3)) * np.where(hidden, HIDDEN_ACROSS_M, ACROSS_M)
    along = lasting(rng, n, (21, 1)) * ALONG_M * np.where(hidden, 2, 1) - HIDDEN_NEARER_M * hidden
    R, _ = best_pose(np.tile(true[:1, PALM], (n, 1, 1)), true[:, PALM])
    points = true + np.einsum("nij,kj->nki", R, rng.normal(0, BESIDE_M, (21, 3)))
    points = points + across - (across * ray).sum(-1, keepdims=True) * ray + along * ray
    centre = points[:, PALM].mean(1, keepdims=True)
    points = np.einsum("nij,nkj->nki", rotations(lasting(rng, n, (3,)) * TURN_RAD), points - centre) + centre
    points = points + lasting(rng, n, (1, 3)) * MOVE_M
    local = np.einsum("nji,nkj->nki", T[:, :3, :3], points - T[:, None, :3, 3])
    pixels = wearer.camera.project(local)
    lost = rng.random(n) < LOST
    points[lost], pixels[lost], local[lost] = np.nan, np.nan, np.nan
    codes = np.where(lost, ABSENT, MEASURED).astype(np.uint8)[:, None].repeat(21, 1)
    sigma = np.where(hidden[..., 0], 0.025, 0.010)
    sigma[lost] = np.nan
    return HandTrack(side, truth.t_ns, points, pixels, local - local[:, :1], sigma, codes,
                     np.where(lost, 0, METRIC.index("depth")).astype(np.uint8), np.where(lost, np.nan, 0.9))  # fmt: skip


def take(seed: int, folder: Path, *, task: str = "free-motion", seconds: float = SECONDS) -> tuple[Wearer, Recording, Hands]:
    """A take of gloves and trackers, and the modelled hands on the frames of its camera."""
    rng = np.random.default_rng([seed, 77])
    latency_s = {name: float(rng.uniform(0.001, 0.04)) for name in ("glove-left", "glove-right", "wrist-left", "wrist-right")}
    wearer = Wearer(seed=seed, task=task, duration_s=seconds, fps=FPS, glove_faults=1.0, wrist_trackers=True, latency_s=latency_s)
    path = folder / f"{task}-{seed}.h5"
    path.unlink(missing_ok=True)
    record([driver for driver in wearer.drivers() if driver.name != "head"], path, source="simulation")
    truth = wearer.truth()
    tracks = {side: seen(wearer, truth, side, np.random.default_rng([seed, 78, k])) for k, side in enumerate(SIDES)}
    return wearer, Recording(path), Hands("head", truth.t_ns, "world", wearer.camera, tracks, truth.T_world_cam)


def known_size(seed: int) -> HandSize:
    """The wearer's hand as somebody measured it: 2 % off as a whole, one sigma."""
    bones = bone_lengths_m() * np.exp(np.random.default_rng([seed, 79]).normal(0, SIZE_SIGMA))
    return HandSize(bones, bones * SIZE_SIGMA, method="board")


def tip_errors(points: Floats, true: Floats) -> Floats:
    """Of the fingertips relative to the wrist, millimetres, shape (N, 5)."""
    off = (points - points[:, :1]) - (true - true[:, :1])
    return np.asarray(np.linalg.norm(off[:, list(TIPS)], axis=-1) * 1e3)


def mount_errors(wearer: Wearer, recording: Recording, hands: Hands, calibration: GloveCalibration,
                 frames: npt.NDArray[np.int64]) -> tuple[float, float]:
    """How wrongly the hand sits on the tracker, median: turned as a whole, degrees, and the wrist moved, millimetres.

    `frames`: the camera's numbers of the frames of `hands`.
    """
    side, worn = calibration.side, wearer.worn[calibration.side]
    assert calibration.T_tracker_hand is not None
    t_s = wearer.seconds("head")[frames]
    true = wearer.task.hands[side].local_m(t_s) * (1, -1, -1)
    glove = recording[calibration.stream]
    names, _, values = glove_values(glove)
    channels = channels_at(hands.t_ns, glove.t_ns - calibration.late_ns, columns_of(calibration.linear, names, values))
    mine = joints_m(calibration.linear.angles(channels), calibration.shape, side)
    known = np.isfinite(mine).all((1, 2))
    a = true[known] @ worn.T_tracker_hand[:3, :3].T + worn.T_tracker_hand[:3, 3]
    b = mine[known] @ calibration.T_tracker_hand[:3, :3].T + calibration.T_tracker_hand[:3, 3]
    R, _ = best_pose(a, b)
    turn = np.linalg.norm(turn_between(np.broadcast_to(np.eye(3), R.shape), R), axis=1)
    return float(np.degrees(np.median(turn))), float(np.median(np.linalg.norm(b[:, WRIST] - a[:, WRIST], axis=1)) * 1e3)


def outcome(wearer: Wearer, recording: Recording, hands: Hands, side: Side, size: HandSize, camera_latency_ns: int) -> dict[str, float]:
    """Calibrate one glove, put it on, and compare with the truth; NaN with the reason told where it was refused."""
    truth = wearer.truth()
    true = truth.hands[side].points_m[np.searchsorted(truth.t_ns, hands.t_ns - camera_latency_ns - 10_000_000)]
    try:
        calibration = calibrate_glove(recording, hands, side, size)
    except FirsthandError as error:
        print(f"      refused: {error}")
        return {}
    turn_deg, offset_mm = mount_errors(wearer, recording, hands, calibration, np.arange(len(hands.t_ns)))
    late_ns = truth.streams[calibration.stream].min_latency_ns - camera_latency_ns
    found = {"time_ms": abs(calibration.late_ns - late_ns) * 1e-6, "turn_deg": turn_deg, "offset_mm": offset_mm,
             "size_percent": 100 * abs(calibration.shape.palm_length_m / shape_of(bone_lengths_m()).palm_length_m - 1)}
    both = hands.tracks[side].valid
    full = with_gloves(recording, hands, {side: calibration}).tracks[side]
    bare = with_gloves(Without(recording, f"wrist-{side}"), hands, {side: calibration}).tracks[side]  # type: ignore[arg-type]
    for name, track in (("vision_mm", hands.tracks[side]), ("glove_mm", bare), ("tips_mm", full)):
        errors = tip_errors(track.points_m[both], true[both])
        found[name], found[name.replace("_mm", "_p90_mm")] = float(np.median(errors)), float(np.quantile(errors, 0.9))
    known = full.valid
    off = (full.points_m[known] - true[known]) / full.sigma_m[known][..., None]
    found["normalised"] = float(np.sqrt(np.mean(off**2)))
    found["wrist_mm"] = float(np.median(np.linalg.norm(full.points_m[known, WRIST] - true[known, WRIST], axis=1)) * 1e3)
    found["filled_share"] = float(known[~both].mean()) if (~both).any() else 1.0
    return found


class Without:
    """A recording without one of its streams."""

    def __init__(self, recording: Recording, name: str) -> None:
        self._recording, self._name = recording, name
        self.path = recording.path

    def role(self, role: Any, *, about: str | None = None) -> list[Any]:
        """As `Recording.role`."""
        return [stream for stream in self._recording.role(role, about=about) if stream.spec.name != self._name]


def refusals(folder: Path, seconds: float = SECONDS) -> dict[str, str]:
    """What is said to movements that cannot tell, by what was wrong with them; empty where nothing was said."""
    wearer, recording, hands = take(900, folder, seconds=seconds)
    track = hands.tracks["right"]

    def said(change: Callable[[], tuple[Any, Hands]]) -> str:
        try:
            calibrate_glove(*change(), "right", known_size(900))
        except FirsthandError as error:
            return str(error)
        return ""

    def hidden_after(seconds: float) -> Hands:
        late = (track.t_ns - track.t_ns[0]) * 1e-9 > seconds
        gone = {name: np.where(late.reshape(-1, *[1] * (getattr(track, name).ndim - 1)), np.nan, getattr(track, name))
                for name in ("points_m", "points_px", "local_m", "sigma_m", "score")}
        codes, metric = (np.where(late.reshape(-1, *[1] * (part.ndim - 1)), 0, part) for part in (track.provenance, track.metric))
        return with_track(hands, replace(track, provenance=codes, metric=metric, **gone))

    def still(columns: list[int]) -> Callable[[Floats], Floats]:
        def hold(rows: Floats) -> Floats:
            trembling = rows[:1] + 0.01 * np.sin(np.arange(len(rows)))[:, None]
            return np.where(np.isin(np.arange(rows.shape[1]), columns), trembling, rows)

        return hold

    def unturned(rows: Floats) -> Floats:
        return np.concatenate([rows[:, :3], np.tile(rows[:1, 3:], (len(rows), 1))], 1)

    return {
        "a finger never bent": said(lambda: (Changed(recording, "glove-right", still([12, 13, 14])), hands)),
        "the hand never turned": said(lambda: (Changed(recording, "wrist-right", unturned), unturned_hands(wearer, hands))),
        "the hand in view for 6 s": said(lambda: (recording, hidden_after(6.0))),
        "the glove of somebody else": said(lambda: (Changed(recording, "glove-right", lambda rows: rows[::-1]), hands)),
        "a glove that is not moved": said(lambda: (Changed(recording, "glove-right", still(list(range(20)))), hands)),
    }


def unturned_hands(wearer: Wearer, hands: Hands) -> Hands:
    """The right hand as if it had only been moved: every frame turned back to how it was in the first."""
    track = hands.tracks["right"]
    points = track.points_m.copy()
    rows = np.flatnonzero(np.isfinite(points).all((1, 2)))
    palm = points[rows][:, PALM]
    R, _ = best_pose(palm, np.tile(palm[:1] - palm[:1].mean(1, keepdims=True), (len(palm), 1, 1)))
    centre = palm.mean(1, keepdims=True)
    points[rows] = np.einsum("nij,nkj->nki", R, points[rows] - centre) + centre
    pixels = track.points_px.copy()
    T = hands.T_world_cam
    assert T is not None
    pixels[rows] = wearer.camera.project(np.einsum("nji,nkj->nki", T[rows, :3, :3], points[rows] - T[rows, None, :3, 3]))
    return with_track(hands, replace(track, points_m=points, points_px=pixels))


def with_track(hands: Hands, track: HandTrack) -> Hands:
    """The same with another track of one hand."""
    return replace(hands, tracks={**hands.tracks, track.side: track})


class Changed(Without):
    """A recording in which one stream says something else."""

    def __init__(self, recording: Recording, name: str, change: Callable[[Floats], Floats]) -> None:
        super().__init__(recording, "")
        self._stream, self._change = name, change

    def role(self, role: Any, *, about: str | None = None) -> list[Any]:
        """As `Recording.role`."""
        return [ChangedStream(s, self._change) if s.spec.name == self._stream else s for s in super().role(role, about=about)]


class ChangedStream:
    """A stream with other values."""

    def __init__(self, stream: Any, change: Callable[[Floats], Floats]) -> None:
        self.spec, self.t_ns, self.latency, self.values = stream.spec, stream.t_ns, stream.latency, change(np.array(stream.values))


def through_pictures(seed: int, folder: Path) -> list[dict[str, float]]:
    """The same through rendered pictures, sensor depth and the hand tracker: calibrate in one take, work in the next, both hands."""
    from firsthand.capture.synthetic.truth import read_truth
    from firsthand.retarget.hands_stage import make_hands

    found = []
    episodes = []
    for task, seconds in (("free-motion", SECONDS), ("pick-and-place", 8.0)):
        wearer = Wearer(seed=seed, task=task, duration_s=seconds, fps=FPS, glove_faults=1.0, wrist_trackers=True)
        episode = Episode(folder / f"pictures-{task}-{seed}")
        if not episode.truth_path.exists():
            record(wearer.drivers(), episode.recording_path, source="simulation")
            wearer.write_truth(episode.truth_path)
        episodes.append((wearer, episode, make_hands(episode, gloves=False)))
    (first, calibration_take, seen_first), (_, work, seen_work) = episodes
    for side in SIDES:
        with calibration_take.recording() as recording, work.recording() as later:
            try:
                calibration = calibrate_glove(recording, seen_first, side, known_size(seed))
            except FirsthandError as error:
                print(f"      refused: {error}")
                continue
            truth = read_truth(work.truth_path)
            true = truth.hands[side].points_m[later["head"].sequence]
            fused = with_gloves(later, seen_work, {side: calibration}).tracks[side]
            bare = with_gloves(Without(later, f"wrist-{side}"), seen_work, {side: calibration}).tracks[side]  # type: ignore[arg-type]
            both = seen_work.tracks[side].valid & fused.valid & bare.valid
            latency = read_truth(calibration_take.truth_path).streams
            turn_deg, offset_mm = mount_errors(first, recording, seen_first, calibration, recording["head"].sequence)
            late_ns = latency[calibration.stream].min_latency_ns - latency["head"].min_latency_ns
            found.append({"time_ms": abs(calibration.late_ns - late_ns) * 1e-6,
                          "turn_deg": turn_deg, "offset_mm": offset_mm,
                          "vision_mm": float(np.median(tip_errors(seen_work.tracks[side].points_m[both], true[both]))),
                          "glove_mm": float(np.median(tip_errors(bare.points_m[both], true[both]))),
                          "tips_mm": float(np.median(tip_errors(fused.points_m[both], true[both])))})  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        modelled, refused = [], 0
        for seed in range(options.first, options.first + options.seeds):
            wearer, recording, hands = take(seed, folder)
            with recording:
                for side in SIDES:
                    found = outcome(wearer, recording, hands, side, known_size(seed), 0)
                    refused += not found
                    modelled += [found] if found else []
                    print(f"{seed:4d} {side:<6}" + "  ".join(f"{name} {value:.2f}" for name, value in found.items()), flush=True)
        said = refusals(folder)
        for what, sentence in said.items():
            print(f"{what}: {sentence or 'NOT REFUSED'}")
        pictures = [one for seed in range(50, 50 + options.pictures) for one in through_pictures(seed, folder)]
    figures: dict[str, Any] = {"hands": len(modelled), "refused": refused, "refusals": sum(map(bool, said.values()))}
    for kind, runs in (("modelled", modelled), ("pictures", pictures)):
        names = runs[0] if runs else {}
        print(f"\n{kind}, {len(runs)} hands: median / worst")
        for name in names:
            values = [run[name] for run in runs]
            print(f"  {name:<16}{np.median(values):8.2f} / {np.max(values):.2f}")
            figures[f"{kind}_{name}"] = [round(float(np.median(values)), 3), round(float(np.max(values)), 3)]
    ok = bool(modelled) and all(figures[f"modelled_{name}"][0] <= goal for name, goal in GOALS.items()) and all(said.values())
    print(json.dumps({"bench": "fusion", "figures": figures, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
