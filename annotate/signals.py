"""What the player draws beside the pictures: lanes of numbers per frame, and the hands' joints in proxy pixels. Binary for the browser."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.annotate.motion import aperture, wrist_speed
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode
from firsthand.retarget.action_track import Actions, read_actions
from firsthand.retarget.hand_track import Hands, read_hands


@dataclass(frozen=True, eq=False)
class Lane:
    """One row of the plot: a curve per hand, one value per frame."""

    name: str
    unit: str
    curves: Mapping[Any, npt.NDArray[np.float64]]
    """By side, shape (N,); NaN where not known."""
    low: float | None = None
    """What the row's lower edge stands for; the data's own minimum when None."""
    high: float | None = None


def hand_lanes(hands: Hands) -> list[Lane]:
    """Wrist speed, aperture and the tracker's confidence of each hand."""
    if not hands.tracks:
        return []
    tracks = hands.tracks.items()
    return [
        Lane("wrist speed", "m/s", {side: wrist_speed(track) for side, track in tracks}, low=0),
        Lane("thumb to index", "cm", {side: aperture(track) * 100 for side, track in tracks}, low=0),
        Lane("confidence", "", {side: np.asarray(track.score) for side, track in tracks}, low=0, high=1),
    ]


def robot_lane(actions: Actions) -> Lane:
    """What a robot's grip does: a gripper's width, or the mean angle of a hand's joints."""
    if actions.kind == "gripper":
        return Lane(actions.robot, "cm", {side: track.joints[:, 0] * 100 for side, track in actions.tracks.items()}, low=0)
    angles: dict[str, npt.NDArray[np.float64]] = {side: np.degrees(track.joints.mean(1)) for side, track in actions.tracks.items()}
    return Lane(actions.robot, "mean deg", angles)


def tracks_px(hands: Hands, scale: tuple[float, float]) -> dict[str, npt.NDArray[np.float32]]:
    """Joints of each hand as (x, y, provenance code), shape (N, 21, 3); `scale` takes camera pixels to proxy pixels in x and y.

    Pixel centres are whole numbers in the camera's image, halves in a canvas: hence the half a pixel.
    """
    return {side: np.concatenate([(track.points_px + 0.5) * np.asarray(scale), track.provenance[..., None]], 2).astype(np.float32)
            for side, track in hands.tracks.items()}


def episode_signals(episode: Episode, n_frames: int, scale: tuple[float, float]) -> bytes:
    """Everything the player draws for an episode, packed; a derived file that is missing or no longer fits leaves its part out."""
    lanes: list[Lane] = []
    joints: dict[str, npt.NDArray[np.float32]] = {}
    notes: list[str] = []
    try:
        hands = read_hands(episode.hands_path) if episode.hands_path.exists() else None
        if hands and len(hands.t_ns) == n_frames:
            lanes, joints = hand_lanes(hands), tracks_px(hands, scale)
            notes.extend(hands.findings)
        elif not hands:
            notes.append("hands not found yet: run 'firsthand process' on the library")
        elif hands:
            notes.append(f"hands.h5 has {len(hands.t_ns)} rows for {n_frames} frames; run 'firsthand process' again")
        for robot in episode.robots():
            actions = read_actions(episode.actions_path(robot))
            if actions.tracks and all(len(track.t_ns) == n_frames for track in actions.tracks.values()):
                lanes.append(robot_lane(actions))
    except FirsthandError as error:
        notes.append(str(error))
    return pack(n_frames, lanes, joints, notes)


def pack(n_frames: int, lanes: list[Lane], joints: dict[str, npt.NDArray[np.float32]], notes: list[str]) -> bytes:
    """A uint32 with the length of a JSON header, the header padded to 4 bytes, then float32 rows in the header's order; little endian."""
    arrays: list[npt.NDArray[np.float32]] = []
    header: dict[str, Any] = {"frames": n_frames, "notes": notes, "lanes": [], "joints": []}
    for lane in lanes:
        header["lanes"].append({"name": lane.name, "unit": lane.unit, "sides": list(lane.curves), "low": lane.low, "high": lane.high})
        arrays.extend(curve.astype(np.float32) for curve in lane.curves.values())
    for side, points in joints.items():
        header["joints"].append(side)
        arrays.append(points)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + b"".join(np.ascontiguousarray(a, "<f4").tobytes() for a in arrays)
