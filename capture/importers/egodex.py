"""EgoDex: ``<task>/<i>.hdf5`` with the pose of every joint beside ``<i>.mp4``, as one egocentric take a pair."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.clip import open_clip
from firsthand.capture.importers.foreign_hdf5 import dataset, group, leaves, open_foreign, read, text
from firsthand.capture.importers.poses import POSE, POSE_UNITS, as_pose, columns
from firsthand.capture.importers.tracks import Track, numbers, timed, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.skeleton import FINGERS, SIDES
from firsthand.capture.source_labels import SourceLabels

STAGE = "import-egodex/1"
SUFFIXES = (".hdf5", ".h5")
SAID = ("llm_description", "llm_description2", "which_llm_description", "llm_type", "task", "environment", "object")
"""Attributes that are kept, in the provenance."""

ARKIT = {
    "Hand": "wrist",
    **dict(zip((f"Thumb{part}" for part in ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")),
               ("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"), strict=True)),
    **{f"{finger.capitalize()}Finger{part}": f"{finger}_{joint}" for finger in FINGERS[1:]
       for part, joint in (("Metacarpal", "metacarpal"), ("Knuckle", "mcp"), ("IntermediateBase", "pip"), ("IntermediateTip", "dip"),
                           ("Tip", "tip"))},
}  # fmt: skip
"""ARKit's joint, less its side -> ours (`skeleton.JOINTS`); the four metacarpals are more than we have and keep a name like ours."""


def egodex(source: Path, asked: Asked) -> Found | None:
    """An HDF5 file with a group ``transforms`` and a video of the same name beside it."""
    film = source.with_suffix(".mp4")
    if source.suffix.lower() not in SUFFIXES or not source.is_file() or not film.is_file():
        return None
    try:
        with h5py.File(source, "r") as file:
            known = "transforms" in file.keys()  # noqa: SIM118 - `in` on a file follows links
    except OSError:
        known = bool(re.fullmatch(r"\d+", source.stem))  # damaged, which is told when it is read
    return Found((Take(source.stem, lambda intake: _write(source, film, intake)),), files=(film,)) if known else None


def _write(source: Path, film: Path, intake: Intake) -> None:
    with open_foreign(source) as file:
        joints = {name: dataset(file, f"transforms/{name}", (None, 4, 4)) for name in leaves(group(file, "transforms"))}
        if "camera" not in joints:
            raise DamagedError(f"cannot import {source}: there is no transforms/camera in it, so where the head was is not known")
        counts = {name: len(values) for name, values in joints.items()}
        if len(set(counts.values())) != 1:
            odd = next(name for name in counts if counts[name] != counts["camera"])
            raise DamagedError(f"cannot import {source}: {odd} has {counts[odd]} rows and the camera {counts['camera']}")
        poses = {name: as_pose(values[()]) for name, values in joints.items()}
        there = set(leaves(group(file, "confidences"))) if "confidences" in file.keys() else set()  # noqa: SIM118
        trust = {name: read(file, f"confidences/{name}", (counts["camera"],)) for name in joints if name in there}
        K = read(file, "camera/intrinsic", (3, 3)).astype(np.float64)
        said = {name: text(file.attrs, name) for name in SAID if name in file.attrs}
    with open_clip(film, str(film), "head", count=counts["camera"]) as head:
        picture, times = timed(head)
        assert head.spec.width_px and head.spec.height_px
        calibration = Calibration({"head": CameraCalibration(K, head.spec.width_px, head.spec.height_px, source="factory")})
        frame = {"frame": "ARKit world, y up", "joints_from": "ARKit"}
        tracks = [picture, numbers("head-pose", "pose", POSE, POSE_UNITS, times, poses.pop("camera"), about="head", extra=frame)]
        for side in SIDES:
            names = {ours: f"{side}{theirs}" for theirs, ours in ARKIT.items() if f"{side}{theirs}" in poses}
            if names:
                tracks.append(_joints(f"hand-{side}", names, poses, trust, times, frame, side))
        rest = {name: name for name in sorted(poses) if not any(name == f"{side}{joint}" for side in SIDES for joint in ARKIT)}
        if rest:
            tracks.append(_joints("body", rest, poses, trust, times, frame, ""))
        which = "llm_description2" if said.get("which_llm_description") == "2" and said.get("llm_description2") else "llm_description"
        labels = SourceLabels(said.get(which) or said.get("task", "") or source.parent.name.replace("_", " "))
        with intake.recording(STAGE, source="egocentric", task=labels.instruction, calibration=calibration, said=said) as writer:
            writer.add_stream(labels.spec)
            write_tracks(writer, tracks, intake.progress)
            for sample in labels.samples(int(times()[0])):
                writer.append(sample)


def _joints(stream: str, joints: dict[str, str], poses: dict[str, Any], trust: dict[str, Any], times: Any, frame: dict[str, str],
            side: Any) -> Track:
    """Poses of several joints in the world, and how far each is trusted (0 to 1): columns such as ``index_tip.x``."""
    names: list[str] = []
    units: list[str] = []
    values = []
    for ours, theirs in joints.items():
        names += columns([ours], POSE)
        units += POSE_UNITS
        values.append(poses[theirs])
        if theirs in trust:
            names += columns([ours], ["confidence"])
            units.append("1")
            values.append(trust[theirs][:, None].astype(np.float64))
    return numbers(stream, "pose", names, units, times, np.concatenate(values, 1), side=side, extra=frame)

