"""The cases of `bench/retarget.py`, each as a problem for us and a configuration for dex_retargeting. Runs nothing itself."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from parts.retarget_hands import HUMAN_MIDDLES, HUMAN_TIPS, Hand

from firsthand.retarget.free_base import base_limits, with_free_base
from firsthand.retarget.pinch_targets import pinch_targets
from firsthand.retarget.problem import WRIST, Problem

HERE = Path(__file__).parent
VENV = HERE.parents[1] / "tests" / "interop" / "dex_retargeting_venv.py"
DUMMIES = [f"dummy_{axis}_{kind}_joint" for kind in ("translation", "rotation") for axis in "xyz"]


def case_of(hand: Hand, mode: str, track: str, human: np.ndarray, urdf: Path) -> tuple[Problem, dict[str, Any]]:
    """The same problem for us and, as its own configuration, for the peer."""
    link = hand.chain.link
    tips, people = np.array([link(name) for name in hand.tips]), np.array(HUMAN_TIPS[: len(hand.tips)])
    origin, name = (WRIST, "bench_wrist") if hand.origin == "wrist" else (link(hand.origin), hand.origin)
    middles = [link(middle) for middle in hand.middles]
    config: dict[str, Any] = {"type": mode, "urdf_path": str(urdf), "target_joint_names": list(hand.joint_names)}
    joints, n = list(hand.joint_names), len(human)
    if mode == "dexpilot":
        drawn = pinch_targets(human[:, people], hand.scale)
        problem = Problem(hand.chain, hand.lower, hand.upper, tips[drawn.task], np.where(drawn.origin < 0, origin, tips[drawn.origin]),
                          drawn.d_m, drawn.weight, 0.03)  # fmt: skip
        config |= {"wrist_link_name": name, "finger_tip_link_names": list(hand.tips), "scaling_factor": hand.scale}
        told = np.where(drawn.origin < 0, 0, people[drawn.origin]), people[drawn.task]
    else:
        both = mode == "position" or hand.name == "shadow"  # as their configurations have it
        links = np.r_[tips, np.array(middles if both else [], np.int64)]
        people = np.r_[people, np.array(HUMAN_MIDDLES[: len(middles)] if both else [], np.int64)]
        names = [hand.chain.links[i] for i in links]
        m = len(links)
        if mode == "vector":
            problem = Problem(hand.chain, hand.lower, hand.upper, links, np.full(m, origin), hand.scale * human[:, people],
                              np.full((n, m), 1 / m), 0.02)  # fmt: skip
            config |= {"target_origin_link_names": [name] * m, "target_task_link_names": names, "scaling_factor": hand.scale,
                       "target_link_human_indices": [[0] * m, people.tolist()]}  # fmt: skip
            told = np.zeros(m, np.int64), people
        else:
            lower, upper = base_limits()
            problem = Problem(with_free_base(hand.chain, len(joints)), np.r_[hand.lower, lower], np.r_[hand.upper, upper], links + 6,
                              np.full(m, WRIST), human[:, people], np.full((n, m), 1 / (3 * m)), 0.02, per_axis=True)  # fmt: skip
            config |= {"target_link_names": names, "target_link_human_indices": people.tolist(), "add_dummy_free_joint": True}
            joints, told = joints + DUMMIES, (np.zeros(m, np.int64), people)
    return problem, {"name": f"{track}/{mode}/{hand.name}", "track": track, "config": config, "joints": joints,
                     "relative": mode != "position", "origin": told[0].tolist(), "task": told[1].tolist()}  # fmt: skip


def ask_peer(cases: list[dict[str, Any]], tracks: dict[str, np.ndarray], kept: Path | None) -> dict[str, np.ndarray]:
    """Courses and seconds of dex_retargeting."""
    if kept and kept.is_file():
        with np.load(kept) as file:
            return dict(file)
    python = subprocess.run([sys.executable, VENV], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        asked, points, told = (Path(folder) / name for name in ("cases.json", "points.npz", "results.npz"))
        asked.write_text(json.dumps(cases), encoding="utf-8")
        np.savez(points, **tracks)  # type: ignore[arg-type]
        subprocess.run([python, HERE / "retarget_peer.py", asked, points, told], check=True)
        if kept:
            kept.write_bytes(told.read_bytes())
        with np.load(told) as file:
            return dict(file)
