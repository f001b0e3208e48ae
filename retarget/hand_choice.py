"""Which of two tracks of a hand to take in each frame: the device's own where it saw the hand, else what the pictures show."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.skeleton import SIDES, Side
from firsthand.retarget.device_hands import seen_by_device
from firsthand.retarget.hand_shape import PALM
from firsthand.retarget.hand_track import ABSENT, HandTrack
from firsthand.retarget.runs import run_numbers

Floats = npt.NDArray[np.float64]

SAME_HAND = 0.5
"""Two tracks are of one hand where their palms are nearer than this share of its width in the picture."""


def chosen(device: Mapping[Side, HandTrack], pictures: Mapping[Side, HandTrack],
           findings: Sequence[str]) -> tuple[dict[Side, HandTrack], list[str]]:
    """Both hands, frame by frame from a device or from pictures, and what a person should know, beside the pictures' `findings`.

    All tracks are in the same frame. Without a device's they are the pictures'.
    """
    if not device:
        return dict(pictures), list(findings)
    pictures, swapped = _without_doubles(device, pictures)
    tracks: dict[Side, HandTrack] = {}
    told = list(findings)
    if swapped:
        told.append(f"pictures showed a hand that the device tracks as the other one in {swapped} frames; the device was believed")
    for side in SIDES:
        if side in device and side in pictures:
            tracks[side], frames = _filled(device[side], pictures[side])
        elif found := device.get(side) or pictures.get(side):
            tracks[side], frames = found, 0 if side in device else int((found.provenance != ABSENT).any(1).sum())
        else:
            continue
        if frames:
            told.append(f"the {side} hand is from the pictures in {frames} frame{'s' * (frames != 1)} in which the device did not see it")
    return {side: track for side, track in tracks.items() if (track.provenance != ABSENT).any()}, told


def _filled(device: HandTrack, pictures: HandTrack) -> tuple[HandTrack, int]:
    """The device's track with the pictures' frames where it did not see the hand; and how many these are."""
    take = ~seen_by_device(device) & (pictures.provenance != ABSENT).all(1)
    raw = pictures.points_m if pictures.raw_m is None else pictures.raw_m
    names = ("points_m", "points_px", "local_m", "sigma_m", "provenance", "metric", "score")
    rows: dict[str, Any] = {name: _rows(take, getattr(pictures, name), getattr(device, name)) for name in names}
    return replace(device, **rows, raw_m=_rows(take, raw, device.points_m) if take.any() else None), int(take.sum())


def _rows(take: npt.NDArray[np.bool_], a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Any:
    return np.where(take.reshape(-1, *[1] * (b.ndim - 1)), a, b)


def _without_doubles(device: Mapping[Side, HandTrack], pictures: Mapping[Side, HandTrack]) -> tuple[dict[Side, HandTrack], int]:
    """The pictures' tracks without the runs of frames that are the device's hand of the other side; and how many frames that were."""
    out, count = dict(pictures), 0
    for side, track in pictures.items():
        other: Side = "left" if side == "right" else "right"
        own, wrong = (_together(track, device.get(which)) for which in (side, other))
        runs = run_numbers((track.provenance != ABSENT).all(1))
        bad = [n for n in range(int(runs.max(initial=-1)) + 1) if wrong[runs == n].sum() > own[runs == n].sum()]
        if bad:
            drop = np.isin(runs, bad)
            count += int(drop.sum())
            out[side] = _blanked(track, drop)
    return out, count


def _together(a: HandTrack, b: HandTrack | None) -> npt.NDArray[np.bool_]:
    """Frames in which two tracks show the same hand in the picture, shape (N,)."""
    if b is None:
        return np.zeros(len(a.t_ns), np.bool_)
    with np.errstate(invalid="ignore"):
        apart = np.linalg.norm(a.points_px[:, list(PALM)] - b.points_px[:, list(PALM)], axis=2).mean(1)
        width = np.linalg.norm(np.ptp(a.points_px, axis=1), axis=1)
        return np.asarray(apart < SAME_HAND * width, np.bool_)


def _blanked(track: HandTrack, drop: npt.NDArray[np.bool_]) -> HandTrack:
    """A track without some of its frames."""
    names = ("points_m", "points_px", "local_m", "sigma_m", "score", *(["raw_m"] if track.raw_m is not None else []))
    values: dict[str, Any] = {name: _rows(drop, np.array(np.nan), getattr(track, name)) for name in names}
    return replace(track, **values, provenance=np.where(drop[:, None], ABSENT, track.provenance), metric=np.where(drop, 0, track.metric))
