"""EgoDex: ``<task>/<i>.hdf5`` with the pose of every joint beside ``<i>.mp4``, as one egocentric take a pair."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from firsthand.capture.axes import FROM_Y_UP
from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.importers.clip import open_clip
from firsthand.capture.importers.foreign_hdf5 import dataset, group, leaves, open_foreign, read, text
from firsthand.capture.importers.hands import hand_track
from firsthand.capture.importers.poses import POSE, POSE_UNITS, as_pose
from firsthand.capture.importers.tracks import Times, Track, numbers, timed, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.skeleton import FINGERS, JOINTS, SIDES, Side
from firsthand.capture.source_labels import SourceLabels

STAGE = "import-egodex/2"
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
WORLD = {"device": "EgoDex (ARKit)", "axes": "x right, y forward, z up", "origin": "world", "up": "z",
         "converted": "from ARKit's world, whose y is up"}


def egodex(source: Path, asked: Asked) -> Found | None:
    """An HDF5 file with a group ``transforms`` and a video of the same name beside it."""
    film = source.with_suffix(".mp4")
    if source.suffix.lower() not in SUFFIXES or not source.is_file() or not film.is_file():
        return None
    try:
        with h5py.File(source, "r") as file:
            known = "transforms" in file.keys()  # noqa: SIM118 - `in` on a file follows links
    except (OSError, RuntimeError, KeyError, ValueError):
        known = bool(re.fullmatch(r"\d+", source.stem))  # damaged, which is told when it is read
    take = Take(source.stem, lambda intake: _write(source, film, intake))
    return Found((take,), identity=(source, film), files=(film,)) if known else None


def _write(source: Path, film: Path, intake: Intake) -> None:
    with open_foreign(source) as file:
        joints = {name: dataset(file, f"transforms/{name}", (None, 4, 4)) for name in leaves(group(file, "transforms"))}
        if "camera" not in joints:
            raise DamagedError(f"cannot import {source}: there is no transforms/camera in it, so where the head was is not known")
        counts = {name: len(values) for name, values in joints.items()}
        if len(set(counts.values())) != 1:
            odd = next(name for name in counts if counts[name] != counts["camera"])
            raise DamagedError(f"cannot import {source}: {odd} has {counts[odd]} rows and the camera {counts['camera']}")
        poses = {name: as_pose(_z_up(values[()], of_camera=name == "camera")) for name, values in joints.items()}
        there = set(leaves(group(file, "confidences"))) if "confidences" in file.keys() else set()  # noqa: SIM118
        trust = {name: read(file, f"confidences/{name}", (counts["camera"],)) for name in joints if name in there}
        K = read(file, "camera/intrinsic", (3, 3)).astype(np.float64)
        said = {name: text(file.attrs, name) for name in SAID if name in file.attrs}
    with open_clip(film, str(film), "head", count=counts["camera"]) as head:
        picture, times = timed(head)
        assert head.spec.width_px and head.spec.height_px
        calibration = Calibration({"head": CameraCalibration(K, head.spec.width_px, head.spec.height_px, source="factory")})
        frame = {"frame": "T_world_cam, gravity along -z", "up": "z", "converted": WORLD["converted"]}
        tracks = [picture, numbers("head-pose", "pose", POSE, POSE_UNITS, times, poses.pop("camera"), about="head", extra=frame)]
        for side in SIDES:
            found = {ours: f"{side}{theirs}" for theirs, ours in ARKIT.items() if f"{side}{theirs}" in poses}
            if found:
                tracks.append(_hand(side, found, poses, trust, times))
        rest = [name for name in sorted(poses) if not any(name == f"{side}{joint}" for side in SIDES for joint in ARKIT)]
        if rest:
            more = {column: values for name in rest for column, values in _columns(name, poses[name], trust.get(name)).items()}
            tracks.append(numbers("body", "pose", [name for name, _ in more], [unit for _, unit in more], times,
                                  np.stack(list(more.values()), 1), extra=WORLD))
        which = "llm_description2" if said.get("which_llm_description") == "2" and said.get("llm_description2") else "llm_description"
        labels = SourceLabels(said.get(which) or said.get("task", "") or source.parent.name.replace("_", " "))
        with intake.recording(STAGE, source="egocentric", task=labels.instruction, calibration=calibration, said=said) as writer:
            writer.add_stream(labels.spec)
            write_tracks(writer, tracks, intake.progress)
            for sample in labels.samples(int(times()[0])):
                writer.append(sample)


def _z_up(T: Any, *, of_camera: bool) -> Any:
    """Poses (N, 4, 4) in a world with z up. A joint's own axes change names with the world's; a camera keeps its own."""
    C = np.eye(4)
    C[:3, :3] = FROM_Y_UP
    with np.errstate(invalid="ignore"):  # a pose with something infinite in it is missing
        return C @ T.astype(np.float64) @ (np.eye(4) if of_camera else C.T)


def _hand(side: Side, found: dict[str, str], poses: dict[str, Any], trust: dict[str, Any], times: Times) -> Track:
    """The joints in canonical order and the wrist's quaternion, then each joint's turn and trust (0 to 1), and the metacarpals."""
    missing = np.full_like(next(iter(poses.values())), np.nan)
    canonical = {joint: poses[found[joint]] if joint in found else missing for joint in JOINTS}
    more: dict[tuple[str, str], Any] = {}
    for ours, theirs in found.items():
        told = _columns(ours, poses[theirs], trust.get(theirs))
        known = POSE if ours == "wrist" else POSE[:3] if ours in JOINTS else ()
        more |= {column: values for column, values in told.items() if column[0].rpartition(".")[2] not in known}
    points = np.stack([canonical[joint][:, :3] for joint in JOINTS], 1)
    return hand_track(side, times, points, canonical["wrist"][:, 3:], extra=WORLD, more=more)


def _columns(joint: str, pose: Any, trust: Any) -> dict[tuple[str, str], Any]:
    """A joint's pose (N, 7), and how far it is trusted (N,) where that is told, by column and unit."""
    told = {(f"{joint}.{name}", unit): pose[:, i] for i, (name, unit) in enumerate(zip(POSE, POSE_UNITS, strict=True))}
    return told if trust is None else told | {(f"{joint}.confidence", "1"): trust.astype(np.float64)}
