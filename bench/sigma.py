"""Are sigmas honest? Errors of tracked joints in units of their own sigma, on the truth of the synthetic wearer.

    python bench/sigma.py [--seeds 3] [--seconds 6] [--tracker NAME] [--keep FOLDER]

Takes of the scenes below go through the hands stage three times: with sensor depth; with the picture alone, the wearer's hands not
measured; and with the picture alone, their size measured by depth in another take. Where nothing but the picture tells, the wearer might
as well have hands larger by some share, that much further away: the same picture. So that case is counted for hands of the usual size and,
as a sixth each, for hands 1.7 sigma (12 %) larger and smaller (Gauss and Hermite's three points for people's 7 %).

Some frames are taken from the tracker, one to five in a row, so that enough is interpolated.

*spread* is the root mean square of a joint's error along each axis over its sigma: 1 when sigma is that of each coordinate. Rows
are split by where the distance comes from, by how the joint is known, and by which joint it is.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hands_accuracy import palms, take

from firsthand.capture.files import Provenance
from firsthand.capture.recording import Recording
from firsthand.capture.skeleton import KNUCKLES, SIDES, TIPS, WRIST, Side
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.retarget import hands_stage
from firsthand.retarget.hand_depth import sensor_depths
from firsthand.retarget.hand_frames import gather
from firsthand.retarget.hand_measure import size_for
from firsthand.retarget.hand_size import PEOPLE_SIGMA, HandSize, tracker_identity
from firsthand.retarget.hand_track import ABSENT, METRIC, PROVENANCE, Hands
from firsthand.retarget.tracker import DEFAULT_TRACKER, open_tracker

Floats = npt.NDArray[np.float64]

SCENES = ("plain", "pour", "fast", "leave", "cross", "dim")
GROUPS = {"wrist": (WRIST,), "knuckles": KNUCKLES, "tips": TIPS, "between": (1, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19)}
OUTSIDE = "outside the picture"
PEOPLE = ((1.0, 2 / 3), (1 + 3**0.5 * PEOPLE_SIGMA, 1 / 6), (1 - 3**0.5 * PEOPLE_SIGMA, 1 / 6))
FEWEST = 500
"""Joints in a row that is held to the goal."""
GOAL = (0.7, 1.4)


class PictureAlone:
    """A recording whose depth nobody looks at."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def role(self, role: Any, *, about: str | None = None) -> list[Any]:
        return [] if role == "depth" else self._recording.role(role, about=about)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._recording, name)

    def __getitem__(self, name: str) -> Any:
        return self._recording[name]


def errors(hands: Hands, truth: Truth, frame: npt.NDArray[np.int64], people: bool) -> list[tuple[Any, ...]]:
    """(metric, provenance, group, weight, errors along the axes (M, 3), sigmas (M,)) of each hand."""
    out = []
    for side, track in hands.tracks.items():
        true = truth.hands[side]
        on_it = palms(track.points_px, true.points_px[frame]) < 1
        camera = truth.T_world_cam[frame, None, :3, 3]
        size_px = np.array([hands.intrinsics.width_px, hands.intrinsics.height_px])
        inside = ((track.points_px >= 0) & (track.points_px < size_px)).all(2)  # (N, 21)
        for scale, weight in PEOPLE if people else PEOPLE[:1]:
            off = track.points_m - (camera + (true.points_m[frame] - camera) * (scale if people else 1.0))
            for metric in np.unique(track.metric):
                for code in np.unique(track.provenance[track.provenance != ABSENT]):
                    for group in (*GROUPS, OUTSIDE):
                        pick = (track.provenance == code) & (on_it & (track.metric == metric))[:, None]
                        pick &= ~inside if group == OUTSIDE else inside & np.isin(np.arange(21), GROUPS[group])
                        out.append((METRIC[metric], PROVENANCE[code], group, weight if people else 1.0, off[pick], track.sigma_m[pick]))
    return out


def with_gaps(detections: Any, seed: int) -> Any:
    """The same with gaps of one to five frames, so that there is enough that was filled in."""
    rng, out = np.random.default_rng(seed), [list(found) for found in detections]
    for start in np.flatnonzero(rng.random(len(out)) < 0.03):
        for frame in range(start, min(start + int(rng.integers(1, 6)), len(out))):
            out[frame] = []
    return out


def measured_sizes(recording: Recording, hands: Hands, detections: Any, tracker: str) -> dict[Side, HandSize]:
    """The sizes of both hands as 'firsthand measure-hand' finds them in a take with depth."""
    stream = recording.camera()
    identity = hands_stage.associate(detections, hands.intrinsics.width_px)
    frames = {side: gather(pieces, len(stream.t_ns)) for side, pieces in identity.hands.items()}
    skins = hands_stage.skin_depths(recording, stream, frames, hands.intrinsics)
    who = tracker_identity(open_tracker(tracker).parameters)
    return {side: size_for(side, {}, frames[side], hands.intrinsics, sensor_depths(skins[side]), who) for side in SIDES if side in frames}


def rows(found: list[tuple[Any, ...]]) -> dict[str, dict[str, float]]:
    """The table: pooled over hands, one row a class."""
    table = {}
    for key in sorted({item[:3] for item in found}):
        parts = [item for item in found if item[:3] == key and len(item[4])]
        if not parts:
            continue
        weight = np.concatenate([np.full(len(e), w) for *_, w, e, _ in parts])
        error, sigma = np.concatenate([e for *_, e, _ in parts]), np.concatenate([s for *_, s in parts])
        square = ((error / sigma[:, None]) ** 2).mean(1)
        error_m = float(np.sqrt(np.average((error**2).mean(1), weights=weight)))
        table[" ".join(key)] = {"joints": float(weight.sum()), "error_mm": error_m * 1e3, "sigma_mm": float(np.median(sigma)) * 1e3,
                                "spread": float(np.sqrt(np.average(square, weights=weight))), "middle": float(np.median(np.sqrt(square)))}
    return table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--tracker", default=DEFAULT_TRACKER)
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("--keep", type=Path, default=None)
    args = parser.parse_args()
    found: list[tuple[Any, ...]] = []
    sizes: Mapping[Side, HandSize] = {}
    detect = hands_stage.detect
    with tempfile.TemporaryDirectory() as scratch:
        for scene in args.scenes.split(","):
            for seed in range(args.seeds):
                episode, _ = take(scene, seed, args.seconds, args.keep or Path(scratch), joints=False)
                truth = read_truth(episode.truth_path)
                with episode.recording() as recording:
                    camera, _ = hands_stage.optics(recording, "head", 640, 480)
                    detections = with_gaps(detect(recording.camera(), args.tracker, camera), seed)
                    hands_stage.detect = lambda *_a, seen=detections, **_k: seen
                    frame = recording["head"].sequence - truth.first_sequence
                    blind: Any = PictureAlone(recording)
                    by_depth = hands_stage.track_hands(recording, args.tracker, Provenance())
                    sizes = sizes or measured_sizes(recording, by_depth, detections, args.tracker)
                    found += errors(by_depth, truth, frame, people=False)
                    found += errors(hands_stage.track_hands(blind, args.tracker, Provenance()), truth, frame, people=True)
                    found += errors(hands_stage.track_hands(blind, args.tracker, Provenance(), sizes=sizes), truth, frame, people=False)
    table = rows(found)
    print(f"{'distance, known, joints':36} {'joints':>7} {'error mm':>9} {'sigma mm':>9} {'spread':>7} {'middle':>7}")
    for name, row in table.items():
        print(f"{name:36} {row['joints']:7.0f} {row['error_mm']:9.1f} {row['sigma_mm']:9.1f} {row['spread']:7.2f} {row['middle']:7.2f}")
    missed = [f"{name}: {row['spread']:.2f}" for name, row in table.items()
              if row["joints"] >= FEWEST and not GOAL[0] <= row["spread"] <= GOAL[1]]
    for sentence in missed:
        print("missed:", sentence)
    print(json.dumps({"bench": "sigma", "figures": table, "goals": {"spread": GOAL}, "missed": missed, "ok": not missed}))
    return 0 if not missed else 1


if __name__ == "__main__":
    sys.exit(main())
