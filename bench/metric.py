"""How far the wrist is from where it was, in the world, by what tells its distance and where the head was.

    python bench/metric.py [--seeds 6] [--seconds 6] [--fps 15] [--keep FOLDER]

Synthetic wearers, each at two tasks, their hands of sizes from 0.92 to 1.08 of the usual, are recorded with sensor depth, a second camera,
a tracked head, an IMU, and a board and two tags on the table. The hands are tracked once; then each is placed by

* depth: the sensor's; its size found from the take itself, as the stage does it;
* stereo: the second camera;
* mono, measured: one camera and the wearer's own size, measured by depth in the wearer's take at the other task;
* mono: one camera and a middling adult's size.

The head's pose comes from the device; with "anchors", from what the pictures show of board and tags, the gyroscope, and the accelerometer.
Figures are errors of the wrist in mm, median and 95 %, and the errors of all axes over the sigma that was told, as a standard deviation.

Where the shared media are beside the checkout, a check on what was recorded: a Project Aria Gen 2 tracked hands itself while it took three
pictures (fisheye, 10 Hz). Both trackers, without depth, an adult's size, each picture for itself.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.importer import import_file
from firsthand.capture.library import Episode
from firsthand.capture.recorder import record
from firsthand.capture.skeleton import MIDDLE_MCP, SIDES, WRIST, Side
from firsthand.capture.synthetic.printed import ANCHORS
from firsthand.capture.synthetic.truth import Truth, read_truth
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.association import associate
from firsthand.retarget.detect_many import detect
from firsthand.retarget.flat_tracker import flattened
from firsthand.retarget.hand_depth import JointDepths, sensor_depths
from firsthand.retarget.hand_frames import HandFrames, gather
from firsthand.retarget.hand_measure import measure_by_depths, size_for
from firsthand.retarget.hand_place import place, place_by_size
from firsthand.retarget.hand_size import ADULT, HandSize
from firsthand.retarget.hands_stage import skin_depths
from firsthand.retarget.metric import rays
from firsthand.retarget.smooth import smoothed
from firsthand.retarget.stereo import second_view, stereo_depths
from firsthand.retarget.tracker import DEFAULT_TRACKER, open_tracker
from firsthand.retarget.world_frame import World, world_of

Floats = npt.NDArray[np.float64]

TASKS = ("pick-and-place", "pour")
SIZES = (0.92, 1.08)
GOALS = {"depth": (8.0, 20.0), "mono, measured": (30.0, None)}
"""Median and 95 %, mm."""
ARIA = Path(os.environ.get("FIRSTHAND_SHARED", Path(__file__).parents[2] / "shared")) / "data/media/aria/gen2_unit_test.vrs"


@dataclass(frozen=True, eq=False)
class Take:
    """What was recorded and tracked once, to be placed in many ways."""

    truth: Truth
    rows: npt.NDArray[np.int64]
    t_ns: npt.NDArray[np.int64]
    camera: Any
    frames: Mapping[Side, HandFrames]
    depth: Mapping[Side, JointDepths]
    stereo: Mapping[Side, JointDepths]
    device: World
    anchors: World


def recorded(folder: Path, task: str, seed: int, scale: float, seconds: float, fps: float) -> Take:
    episode = Episode(folder / f"{task}-{seed}-{seconds:g}-{fps:g}" / "000")
    if not episode.truth_path.exists():
        wearer = Wearer(seed=seed, task=task, duration_s=seconds, fps=fps, anchors=list(ANCHORS), stereo=True, hand_scale=scale)
        record([d for d in wearer.drivers() if not d.name.startswith("glove")], episode.recording_path, source="simulation")
        wearer.write_truth(episode.truth_path)
    truth = read_truth(episode.truth_path)
    with episode.recording() as recording:
        stream = recording.camera()
        camera = recording.calibration.cameras["head"]
        frames = _hands(stream, camera)
        skin = skin_depths(recording, stream, frames, camera)
        pair = second_view(recording, stream, camera)
        assert pair is not None
        stereo = stereo_depths(stream.t_ns, frames, camera, pair[0].t_ns, _hands(*pair), pair[1])
        anchors = [anchor for anchor, _ in ANCHORS.values()]
        device = world_of(recording, stream, camera)
        poses, recording.streams["head-pose"] = recording.streams["head-pose"], recording.streams["imu"]  # nobody tracks the head
        among = world_of(recording, stream, camera, anchors)
        recording.streams["head-pose"] = poses
        rows = np.asarray(stream.sequence - truth.first_sequence)
        return Take(truth, rows, stream.t_ns, camera, frames, {side: sensor_depths(skin[side]) for side in frames}, stereo, device, among)


def _hands(stream: Any, camera: Any) -> dict[Side, HandFrames]:
    found = associate(detect(stream, DEFAULT_TRACKER, camera), camera.width_px).hands
    return {side: gather(pieces, len(stream)) for side, pieces in found.items()}


def errors(take: Take, depths: Mapping[Side, JointDepths], sizes: Mapping[Side, HandSize], world: World) -> tuple[Floats, Floats]:
    """Of the wrists that could be seen and were placed: mm; and each axis over its sigma. The world of anchors is laid on the true one."""
    off, over = [], []
    assert world.T_world_cam is not None
    align = _alignment(world.T_world_cam, take.truth.T_world_cam[take.rows])
    for side, frames in take.frames.items():
        true = take.truth.hands[side]
        track = place(side, take.t_ns, frames, take.camera, depths.get(side), world.T_world_cam, sizes[side])
        track = smoothed(track, world.T_world_cam)
        there = track.points_m[:, WRIST] @ align[:3, :3].T + align[:3, 3]
        good = track.valid & true.visible[take.rows]
        gap = (there - true.points_m[take.rows, WRIST])[good]
        off.append(np.linalg.norm(gap, axis=1) * 1e3)
        over.append((gap / track.sigma_m[good, WRIST, None]).ravel())
    return np.concatenate(off), np.concatenate(over)


def _alignment(T: Floats, true: Floats) -> Floats:
    """Takes a world to the true one, over the whole take, as a person would measure it once; the identity for the true world."""
    known = np.flatnonzero(np.isfinite(T[:, 0, 0]))
    each = true[known] @ np.linalg.inv(T[known])
    out = np.eye(4)
    U, _, Vt = np.linalg.svd(each[:, :3, :3].sum(0))
    out[:3, :3] = U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt
    out[:3, 3] = np.median(true[known, :3, 3] - T[known, :3, 3] @ out[:3, :3].T, 0)
    return np.eye(4) if np.allclose(out, np.eye(4), atol=0.01) else out


def measured(take: Take) -> dict[Side, HandSize]:
    """The wearer's hands by depth."""
    return {side: measure_by_depths(found.local_m, rays(found.points_px, take.camera), take.depth[side], side, tracker="", what="the take")
            for side, found in take.frames.items()}


def aria() -> list[dict[str, Any]]:
    """Our hands against the glasses' own, a row for each picture, tracker and hand."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        episode, _ = import_file(ARIA, Path(folder))
        with episode.recording() as recording:
            stream, camera = recording.camera(), recording.calibration.cameras["head"]
            images, back = list(stream.images()), np.linalg.inv(camera.T_rig_cam)
            for side in SIDES:
                told = recording[f"hand-{side}"]
                for name in ("litert", "mediapipe"):
                    for i, t_ns in enumerate(stream.t_ns):
                        at = int(np.argmin(np.abs(told.t_ns - t_ns)))
                        values = told.values[at, [told.spec.names.index(name) for name in HAND_COLUMNS[:63]]].reshape(21, 3)
                        true = values @ back[:3, :3].T + back[:3, 3]
                        if np.isfinite(true[WRIST]).all():
                            rows.append({"hand": side, "tracker": name, "picture": i, **_against(name, camera, images[i], true, side)})
    return rows


def _against(name: str, camera: Any, image: Any, true: Floats, side: Side) -> dict[str, Any]:
    px = camera.project(true)
    with flattened(open_tracker(name), camera) as tracker:
        found = [hand for k in range(4) for hand in tracker.detect(k * 300_000_000, image)][-8:]
    near = [(float(np.nanmedian(np.linalg.norm(hand.points_px - px, axis=1))), hand) for hand in found]
    palm = float(np.linalg.norm(px[MIDDLE_MCP] - px[WRIST]))
    near = [(off, hand) for off, hand in near if off < palm]
    if not near:
        return {"found": False}
    off, hand = min(near, key=lambda one: one[0])
    placed = place_by_size(hand.local_m[None], rays(hand.points_px[None], camera), side)[0]
    far, true_far = (float(np.linalg.norm(points[WRIST])) for points in (placed, true))
    return {"found": True, "palm_percent": 100 * off / palm, "wrist_mm": 1e3 * float(np.linalg.norm(placed[WRIST] - true[WRIST])),
            "distance": far / true_far, "off_axis_deg": float(np.degrees(np.arccos(true[WRIST, 2] / true_far)))}


def main() -> int:
    """Print the table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    pooled: dict[str, list[tuple[Floats, Floats]]] = {}
    level = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(1, asked.seeds + 1):
            scale = float(np.interp(seed, (1, max(asked.seeds, 2)), SIZES))
            takes = [recorded(asked.keep or Path(scratch), task, seed, scale, asked.seconds, asked.fps) for task in TASKS]
            for take, other in (takes, takes[::-1]):
                own = {side: size_for(side, {}, f, take.camera, take.depth[side], "") for side, f in take.frames.items()}
                pair = {side: size_for(side, {}, f, take.camera, take.stereo[side], "") for side, f in take.frames.items()}
                sizes, adult = measured(other), dict.fromkeys(SIDES, ADULT)
                for name, world in (("", take.device), (", anchors", take.anchors)):
                    for how, depths, hand in (("depth", take.depth, own), ("stereo", take.stereo, pair), ("mono, measured", {}, sizes),
                                              ("mono", {}, adult)):
                        pooled.setdefault(how + name, []).append(errors(take, depths, hand, world))
                T, true = take.anchors.T_world_cam, take.truth.T_world_cam[take.rows]
                assert T is not None
                align = _alignment(T, true)
                level.append((float(np.degrees(np.arccos(np.clip(align[2, 2], -1, 1)))), float(np.isfinite(T[:, 0, 0]).mean())))
            print(f"seed {seed}: hands {scale:.2f} of the usual", file=sys.stderr)
    figures: dict[str, Any] = {}
    ok = True
    print(f"{'placed by':26}{'median mm':>10}{'95 %':>8}{'sigma':>8}")
    for name, parts in pooled.items():
        off, over = (np.concatenate(each) for each in zip(*parts, strict=True))
        median, tail, spread = float(np.median(off)), float(np.quantile(off, 0.95)), float(np.std(over))
        figures[name] = {"median_mm": round(median, 1), "p95_mm": round(tail, 1), "sigma": round(spread, 2)}
        wanted = GOALS.get(name, (None, None))
        met = all(goal is None or value <= goal for value, goal in zip((median, tail), wanted, strict=True))
        ok &= met
        print(f"{name:26}{median:10.1f}{tail:8.1f}{spread:8.2f}{'' if met else '   missed'}")
    tilts, seen = zip(*level, strict=True)
    figures["anchors' world"] = {"tilt_deg_median": round(float(np.median(tilts)), 2), "frames_posed": round(float(np.mean(seen)), 3)}
    print(f"anchors: {np.mean(seen):.1%} of the frames posed, the world tilted by {np.median(tilts):.1f} degrees (median)")
    if ARIA.exists():
        figures["aria"] = [{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in aria()]
        for row in figures["aria"]:
            print("aria", row)
    goals = {name: {"median_mm": median, "p95_mm": tail} for name, (median, tail) in GOALS.items()}
    print(json.dumps({"bench": "metric", "figures": figures, "goals": goals, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
