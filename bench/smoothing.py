"""Smoothing of hands, ours beside what others use: how much shaking goes, and what of the movement goes with it.

    python bench/smoothing.py [--seeds 3]

True movements of the synthetic wearer's tasks (30 Hz, both hands) are shaken as a camera with depth shakes them: each joint by 1.2 mm
across the line of sight and 3 mm along it, and the whole hand by 4 mm along it (`depth`) or 15 mm (`mono`), frame by frame. Beside us: a
Savitzky-Golay filter of 9 and of 15 frames (cubic, no lag either), and the One-Euro filter (1 Hz, beta 10; causal, hence late). Columns:

* jitter: shaking that is left, as a share of what was: root mean square of the error's second difference, wrist, thumb and index tips;
* error: root mean square position error of the 21 joints, mm;
* pinch: median error of the thumb-to-index distance where it is within 3 mm of its smallest, mm;
* stop: median wrist error in the 0.1 s after a fast movement ends, mm;
* peak: what is lost of the fastest 1 % of the wrist's true speeds, % (negative: added), in the fast scene.
"""

import argparse
import json
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.signal import savgol_filter

from firsthand.capture.skeleton import INDEX_TIP, THUMB_TIP, WRIST
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.smooth import PALM, smooth_hand

Floats = npt.NDArray[np.float64]

FPS = 30
TASKS = ("pick-and-place", "pour", "fast")
COMMON_M = {"depth": 0.004, "mono": 0.015}
JOINT_M, ALONG_M = 0.0012, 0.003
GOAL_JITTER, GOAL_PINCH_MM, GOAL_PEAK = 0.2, 2.0, 5.0


def one_euro(points_m: Floats) -> Floats:
    """Casiez, Roussel and Vogel 2012."""
    def share(cutoff_hz: Floats) -> Floats:
        return 1 / (1 + FPS / (2 * np.pi * cutoff_hz))

    out, speed = points_m.copy(), np.zeros(points_m.shape[1:])
    for i in range(1, len(out)):
        speed = speed + share(np.array(1.0)) * ((points_m[i] - out[i - 1]) * FPS - speed)
        out[i] = out[i - 1] + share(1 + 10 * np.linalg.norm(speed, axis=-1, keepdims=True)) * (points_m[i] - out[i - 1])
    return out


def shaken(true_m: Floats, sight: Floats, common_m: float, rng: np.random.Generator) -> Floats:
    n = len(true_m)
    along = rng.normal(0, common_m, (n, 1, 1)) + rng.normal(0, ALONG_M, (n, 21, 1))
    return true_m + rng.normal(0, JOINT_M, (n, 21, 3)) + along * sight[:, None]


def opening(points_m: Floats) -> Floats:
    return np.asarray(np.linalg.norm(points_m[:, THUMB_TIP] - points_m[:, INDEX_TIP], axis=1))


def measure(found_m: Floats, true_m: Floats, shaken_m: Floats, task: str) -> dict[str, float]:
    def jitter(points_m: Floats) -> float:
        error = (points_m - true_m)[:, [WRIST, THUMB_TIP, INDEX_TIP]]
        return float(np.sqrt((np.diff(error, 2, axis=0) ** 2).sum(-1).mean()))

    def speed(points_m: Floats) -> Floats:
        return np.asarray(np.linalg.norm(np.diff(points_m[:, WRIST], axis=0), axis=1) * FPS)

    true_speed, width = speed(true_m), opening(true_m)
    fast = true_speed > np.quantile(true_speed, 0.99)
    stops = np.flatnonzero((true_speed[:-1] > 0.15) & (true_speed[1:] <= 0.15)) + 1
    after = np.unique((stops[:, None] + np.arange(3)).ravel())
    after = after[after < len(true_m)]
    tight = width < width.min() + 0.003
    return {"jitter": jitter(found_m) / jitter(shaken_m), "error": float(np.sqrt(((found_m - true_m) ** 2).sum(-1).mean())) * 1e3,
            "pinch": float(np.median(np.abs(opening(found_m) - width)[tight])) * 1e3,
            "stop": float(np.median(np.linalg.norm((found_m - true_m)[after, WRIST], axis=1))) * 1e3 if len(after) else float("nan"),
            "peak": 100 * (1 - float(np.mean(speed(found_m)[fast] / true_speed[fast]))) if task == "fast" else float("nan")}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    rows: dict[str, dict[str, list[dict[str, float]]]] = {kind: {} for kind in COMMON_M}
    for seed in range(args.seeds):
        for task in TASKS:
            wearer = Wearer(seed=seed, task=task)
            truth = wearer.truth()
            for hand in truth.hands.values():
                sight = hand.points_m[:, PALM].mean(1) - truth.T_world_cam[:, :3, 3]
                sight = sight / np.linalg.norm(sight, axis=1, keepdims=True)
                all_of_them = np.ones(len(sight), np.bool_)
                for kind, common_m in COMMON_M.items():
                    points = shaken(hand.points_m, sight, common_m, np.random.default_rng(seed))
                    ways: dict[str, Callable[[Floats], Floats]] = {
                        "as it came": lambda p: p,
                        "ours": lambda p, t=truth.t_ns, s=sight, a=all_of_them: smooth_hand(p, t, a, a, s),  # type: ignore[misc]
                        "Savitzky-Golay 9": lambda p: np.asarray(savgol_filter(p, 9, 3, axis=0)),
                        "Savitzky-Golay 15": lambda p: np.asarray(savgol_filter(p, 15, 3, axis=0)),
                        "One-Euro": one_euro,
                    }  # fmt: skip
                    for name, way in ways.items():
                        rows[kind].setdefault(name, []).append(measure(way(points), hand.points_m, points, task))
    table = {kind: {name: {key: float(np.nanmean([m[key] for m in found])) for key in found[0]} for name, found in ways.items()}
             for kind, ways in rows.items()}  # fmt: skip
    for kind, found in table.items():
        print(f"{kind:6} {'':20} {'jitter':>7} {'error mm':>9} {'pinch mm':>9} {'stop mm':>8} {'peak %':>7}")
        for name, m in found.items():
            print(f"{'':6} {name:20} {m['jitter']:7.3f} {m['error']:9.2f} {m['pinch']:9.2f} {m['stop']:8.2f} {m['peak']:7.1f}")
    missed = [f"{kind}: {what}" for kind in table for what, ok in (
        ("jitter", table[kind]["ours"]["jitter"] <= GOAL_JITTER), ("pinch", table[kind]["ours"]["pinch"] <= GOAL_PINCH_MM),
        ("peak", abs(table[kind]["ours"]["peak"]) <= GOAL_PEAK),
        ("error", table[kind]["ours"]["error"] <= min(m["error"] for m in table[kind].values()))) if not ok]
    goals = {"jitter": GOAL_JITTER, "pinch": GOAL_PINCH_MM, "peak": GOAL_PEAK, "error": "least of all"}
    print(json.dumps({"bench": "smoothing", "figures": table, "goals": goals, "missed": missed, "ok": not missed}))
    return 0 if not missed else 1


if __name__ == "__main__":
    sys.exit(main())
