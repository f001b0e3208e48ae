"""Measuring a wearer's hands from what was recorded of them, into the library's ``wearers/<wearer>.toml``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import HAND_COLUMNS
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import SIDES, WRIST, Side
from firsthand.retarget.anchor_sight import AnchorFinder, Sight
from firsthand.retarget.hand_board import joints_on_boards
from firsthand.retarget.hand_depth import JointDepths, sensor_depths
from firsthand.retarget.hand_frames import HandFrames
from firsthand.retarget.hand_measure import measure, measure_by_depths, with_distance
from firsthand.retarget.hand_size import HandSize, tracker_identity
from firsthand.retarget.hand_track import MEASURED, METRIC, Hands
from firsthand.retarget.hands_stage import make_hands, skin_depths
from firsthand.retarget.metric import rays
from firsthand.retarget.tracker import DEFAULT_TRACKER
from firsthand.retarget.world_frame import anchors_of

Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

BOARD_NOISE_M, DEVICE_NOISE_M = 0.002, 0.001
STEREO = METRIC.index("stereo")
NOTHING = ("one camera alone cannot tell a large hand far away from a small one near by; record some seconds with a depth camera, two "
           "calibrated cameras or a device that tracks hands, or a hand lying flat on a board that the rig file names, and use --flat")


@dataclass(frozen=True)
class Measured:
    """What was found of a wearer."""

    wearer: str
    sizes: dict[Side, HandSize]
    missing: dict[Side, str]
    """Why a hand could not be measured."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """One hand in one episode: the tracker's joints, their rays, and where they were by something other than the hand's size."""

    local_m: Floats
    xy: Floats
    depths: JointDepths | None
    joints_m: Floats | None
    """On a board, or by a device, shape (N, 21, 3)."""


def measure_wearer(episodes: Sequence[Episode], *, flat: bool = False, tracker: str = DEFAULT_TRACKER,
                   progress: Progress | None = None) -> Measured:
    """The sizes of one wearer's hands from all of these episodes together; hands are tracked where they are not yet.

    By depth, two cameras, or a device's own tracking, whichever there is first; with `flat`, by a board under the hand. Raises
    `FirsthandError` when the episodes are of several wearers, or when nothing in them shows how large the hands are.
    """
    wearers = sorted({str(episode.session().get("wearer") or "") for episode in episodes})
    if len(wearers) > 1:
        raise FirsthandError(f"these episodes are of {len(wearers)} wearers ({', '.join(wearers)}); name a session of one of them")
    seen: dict[Side, list[_Seen]] = {side: [] for side in SIDES}
    identity = ""
    for episode in episodes:
        with episode.recording() as recording:
            told = {side: stream for side in SIDES if (stream := _device(recording, side)) and not flat}
            for side, stream in told.items():
                joints = stream.values[:, [stream.spec.names.index(name) for name in HAND_COLUMNS[:63]]].reshape(-1, 21, 3)
                seen[side].append(_Seen(np.zeros((0, 21, 3)), np.zeros((0, 21, 2)), None, joints))
        if told:
            continue
        hands = make_hands(episode, tracker=tracker, progress=partial(progress, episode.id) if progress else None)
        identity = tracker_identity(hands.provenance.parameters)
        with episode.recording() as recording:
            sights = _boards(recording, hands, episode) if flat else None
            for side in SIDES:
                seen[side] += _seen(recording, hands, side, sights)
    sizes: dict[Side, HandSize] = {}
    missing: dict[Side, str] = {}
    names = tuple(episode.id for episode in episodes)
    for side in SIDES:
        try:
            sizes[side] = replace(_size(seen[side], side, identity, "the episodes given", flat), episodes=names)
        except FirsthandError as error:
            missing[side] = str(error)
    if not sizes:
        raise FirsthandError(missing["right"])
    return Measured(wearers[0], sizes, missing)


def _boards(recording: Recording, hands: Hands, episode: Episode) -> list[list[Sight]]:
    anchors = anchors_of(episode)
    if not anchors:
        raise FirsthandError("--flat needs a board under the hand: describe it as an [[anchor]] in the rig file or the library's "
                             "anchors.toml")
    finder = AnchorFinder(anchors, hands.intrinsics)
    return [finder(image) for image in recording[hands.camera].images()]


def _seen(recording: Recording, hands: Hands, side: Side, sights: list[list[Sight]] | None) -> list[_Seen]:
    """What an episode shows of one hand; nothing where nothing shows its size."""
    track = hands.tracks.get(side)
    if track is None:
        return []
    rows = (track.provenance == MEASURED).all(1)
    blank = np.where(rows, 1.0, np.nan)[:, None, None]
    frames = HandFrames(track.points_px * blank, track.local_m * blank, track.score, rows, ~rows)
    xy = rays(frames.points_px, hands.intrinsics)
    if sights is not None:
        return [_Seen(frames.local_m, xy, None, joints_on_boards(xy, sights))]
    skin = skin_depths(recording, recording[hands.camera], {side: frames}, hands.intrinsics)
    if skin:
        return [_Seen(frames.local_m, xy, sensor_depths(skin[side]), None)]
    by_pair = rows & (track.metric == STEREO)
    if not by_pair.any():
        return []
    z = np.where(by_pair[:, None], hands.in_camera(side)[..., 2], np.nan)
    return [_Seen(frames.local_m, xy, JointDepths(z, np.where(by_pair[:, None], track.sigma_m, np.nan), STEREO), None)]


def _device(recording: Recording, side: Side) -> Stream | None:
    """A stream of a device's own hand tracking, joints in metres."""
    wanted = set(HAND_COLUMNS[:63])
    return next((s for s in recording.streams.values() if s.spec.side == side and wanted <= set(s.spec.names) and len(s)), None)


def _size(seen: Sequence[_Seen], side: Side, tracker: str, what: str, flat: bool) -> HandSize:
    if not seen:
        raise FirsthandError(f"the size of the {side} hand cannot be told: {NOTHING}")
    by_depth = [one for one in seen if one.depths is not None]
    if by_depth:
        metric = min(one.depths.metric for one in by_depth if one.depths)
        depths = JointDepths(np.concatenate([one.depths.z_m for one in by_depth if one.depths]),
                             np.concatenate([one.depths.sigma_m for one in by_depth if one.depths]), metric)
        return measure_by_depths(np.concatenate([one.local_m for one in by_depth]), np.concatenate([one.xy for one in by_depth]), depths,
                                 side, tracker=tracker, what=what)
    joints = np.concatenate([one.joints_m for one in seen if one.joints_m is not None])
    if not flat:
        return measure(joints, DEVICE_NOISE_M, method="device", what=what).seen_by(tracker)
    size = measure(joints, BOARD_NOISE_M, method="board", what="the hand on the board")
    known = np.isfinite(joints[:, WRIST, 2])
    local, xy = (np.concatenate([getattr(one, name) for one in seen])[known] for name in ("local_m", "xy"))
    return with_distance(size, local, xy, joints[known, WRIST, 2], side, tracker)
