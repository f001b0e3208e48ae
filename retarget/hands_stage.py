"""The hands stage: from ``recording.h5`` to ``hands.h5``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from firsthand.capture.anchor import Anchor
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import Provenance, sha256
from firsthand.capture.library import Episode
from firsthand.capture.recording import Recording, Stream
from firsthand.capture.skeleton import MIDDLE_MCP, WRIST, Side
from firsthand.retarget.association import associate
from firsthand.retarget.detect import PARAMETERS
from firsthand.retarget.detect_many import detect
from firsthand.retarget.device_hands import device_hands, hands_without_camera
from firsthand.retarget.external_hands import read_external
from firsthand.retarget.glove_file import gloves_path, read_gloves
from firsthand.retarget.gloves_on import PARAMETERS as GLOVES
from firsthand.retarget.gloves_on import with_gloves
from firsthand.retarget.hand_choice import chosen
from firsthand.retarget.hand_depth import PATCH_M, patch_depths, sensor_depths
from firsthand.retarget.hand_frames import HandFrames, gather
from firsthand.retarget.hand_measure import size_for
from firsthand.retarget.hand_place import WRIST_BEYOND, place
from firsthand.retarget.hand_size import HandSize, sizes_of, tracker_identity
from firsthand.retarget.hand_track import Hands, HandTrack, read_hands
from firsthand.retarget.hand_way import AUTO, HandWay, hand_way
from firsthand.retarget.quality import assess, told
from firsthand.retarget.smooth import smoothed
from firsthand.retarget.stereo import second_view, stereo_depths
from firsthand.retarget.world_frame import World, anchors_of, world_of

Progress = Callable[[int, int], None]

STAGE = "hands/2"
PALM_M = 0.09
"""From the wrist to the middle knuckle, roughly: turns metres into pixels for the size of a patch."""
ASSUMED_FOV_DEG = 70.0
"""Field of view along the longer side of a picture whose camera is unknown."""


def make_hands(episode: Episode, *, tracker: str = AUTO, workers: int | None = None, progress: Progress | None = None,
               force: bool = False, gloves: bool = True) -> Hands:
    """Track both hands on the reference camera's frames and write ``hands.h5``; current ones are read instead, unless `force`.

    `tracker` is ``auto`` (a device's own hands, and the pictures where it has none), ``device``, ``npz:PATH`` or one of `TRACKERS`.
    The same for any number of `workers`, the processes that look at pictures; one a core if not given. `progress` gets frames done and
    frames in all. Raises `FirsthandError` when the recording has neither pictures nor hands, does not decode, or the tracker is not
    installed. Without `gloves`, hands are as they were seen even where gloves were recorded.
    """
    sizes, anchors = sizes_of(episode), anchors_of(episode)
    with episode.recording() as recording:
        way = hand_way(tracker, recording)
    parameters = {**way.parameters, **PARAMETERS, "assumed_fov_deg": ASSUMED_FOV_DEG,
                  "hand_size": {side: size.to_json() for side, size in sizes.items()}, "anchors": [a.to_json() for a in anchors],
                  "gloves": GLOVES if gloves else None}
    inputs = {path.name: sha256(path) for path in (episode.recording_path, gloves_path(episode)) if path.exists()}
    made_from = Provenance(inputs, parameters, STAGE)
    if not force and (current := _current(episode, made_from)):
        return current
    with episode.recording() as recording:
        hands = track_hands(recording, tracker, made_from, progress, sizes, workers, anchors)
        hands = with_gloves(recording, hands, read_gloves(gloves_path(episode)), sizes) if gloves else hands
    hands.write(episode.hands_path)
    return read_hands(episode.hands_path)


def track_hands(recording: Recording, tracker: str, made_from: Provenance, progress: Progress | None = None,
                sizes: Mapping[Side, HandSize] | None = None, workers: int | None = None, anchors: Sequence[Anchor] = ()) -> Hands:
    """Both hands in an open recording, by what `tracker` means for it (`hand_way`). `sizes`: of the wearer's hands, where they were
    measured; `anchors`: boards and tags that stand still."""
    way = hand_way(tracker, recording)
    if not recording.role("camera"):
        hands = replace(hands_without_camera(recording), provenance=made_from)
        return replace(hands, findings=(*hands.findings, *told(assess(hands), len(hands.t_ns))))
    stream = recording.camera()
    height_px, width_px = stream.image(0).shape[:2]
    camera, findings = optics(recording, stream.spec.name, width_px, height_px)
    world = world_of(recording, stream, camera, anchors)
    device = device_hands(recording, stream, camera) if way.device else None
    tracks: dict[Side, HandTrack] = {}
    if device is not None:
        world, tracks = device.settled(world)
        findings = list(device.findings)
    if (way.tracker or way.file) and not (device is not None and device.suffices(tracks)):
        tracks, more = chosen(tracks, *_in_pictures(recording, stream, camera, way, world, sizes or {}, workers, progress))
        findings += more
    poses = world.T_world_cam
    hands = Hands(stream.spec.name, stream.t_ns, "camera" if poses is None else "world", camera, tracks, poses, provenance=made_from)
    return replace(hands, findings=(*findings, *world.findings, *told(assess(hands), len(hands.t_ns))))


def _in_pictures(recording: Recording, stream: Stream, camera: CameraCalibration, way: HandWay, world: World,
                 sizes: Mapping[Side, HandSize], workers: int | None, progress: Progress | None) -> tuple[dict[Side, HandTrack], list[str]]:
    """Both hands as a camera's pictures show them, and what a person should know."""
    t_ns = stream.t_ns
    external = read_external(way.file, t_ns, camera) if way.file else None
    detections = external.found(len(t_ns)) if external else detect(stream, str(way.tracker), camera, workers=workers, progress=progress)
    identity = associate(detections, camera.width_px)
    frames = {side: gather(pieces, len(t_ns)) for side, pieces in identity.hands.items()}
    depths = {side: sensor_depths(skin_m) for side, skin_m in skin_depths(recording, stream, frames, camera).items()}
    if way.tracker and frames and not depths and (pair := second_view(recording, stream, camera)):
        beside, other = pair
        seen = associate(detect(beside, way.tracker, other, workers=workers, progress=progress), other.width_px).hands
        others = {side: gather(pieces, len(beside)) for side, pieces in seen.items()}
        depths = stereo_depths(t_ns, frames, camera, beside.t_ns, others, other)
    seen_by = tracker_identity(way.parameters)
    tracks = {}
    for side, found in frames.items():
        hand = size_for(side, sizes, found, camera, depths.get(side), seen_by)
        moved = world.of_joints(t_ns, found.points_px, camera)
        track = place(side, t_ns, found, camera, depths.get(side), moved, hand, 0.0 if external else WRIST_BEYOND)
        tracks[side] = smoothed(external.as_told(track, found, world.T_world_cam) if external else track, world.T_world_cam)
    return tracks, identity.findings


def optics(recording: Recording, camera: str, width_px: int, height_px: int) -> tuple[CameraCalibration, list[str]]:
    """A camera's calibration for pictures of this size, and what a person should know of it."""
    known = recording.calibration.cameras.get(camera)
    if known and (known.width_px, known.height_px) == (width_px, height_px):
        assumed = [f"the optics of camera {camera} are assumed, so distances may be off by a third"] if known.source == "assumed" else []
        return known, assumed
    longer = max(width_px, height_px)
    hfov_deg = np.degrees(2 * np.arctan(np.tan(np.radians(ASSUMED_FOV_DEG) / 2) * width_px / longer))
    why = f"is for {known.width_px} x {known.height_px} pictures, not {width_px} x {height_px}" if known else "is not known"
    return CameraCalibration.from_hfov(width_px, height_px, float(hfov_deg)), [
        f"the calibration of camera {camera} {why}; a field of view of {ASSUMED_FOV_DEG:.0f} degrees was assumed, "
        "so distances may be off by a third"]


def _current(episode: Episode, made_from: Provenance) -> Hands | None:
    """The hands already there, if they were made from the same recording in the same way."""
    if not episode.hands_path.exists():
        return None
    try:
        hands = read_hands(episode.hands_path)
    except FirsthandError:  # something else, or cut off: made again
        return None
    return hands if hands.provenance == made_from else None


def skin_depths(recording: Recording, stream: Stream, frames: Mapping[Side, HandFrames],
                camera: CameraCalibration) -> dict[Side, npt.NDArray[np.float64]]:
    """Depth of the skin at the joints in metres, (N, 21) by side; NaN where there is none. Empty without a depth stream."""
    sensors = recording.role("depth", about=stream.spec.name)
    if not sensors or not frames:
        return {}
    depth = sensors[0]
    nearest = nearest_rows(stream.t_ns, depth.t_ns)
    out = {side: np.full((len(nearest), 21), np.nan) for side in frames}
    for i, row in enumerate(nearest):
        seen = [side for side in frames if frames[side].detected[i]]
        if row < 0 or not seen:
            continue
        image = depth.depth_m(int(row))
        shrink = np.array([image.shape[1] / camera.width_px, image.shape[0] / camera.height_px])
        for side in seen:
            points = frames[side].points_px[i]
            palm_px = float(np.linalg.norm(points[MIDDLE_MCP] - points[WRIST])) * shrink[0]
            out[side][i] = patch_depths(image, (points + 0.5) * shrink - 0.5, palm_px * PATCH_M / PALM_M)
    return out


def nearest_rows(t_ns: npt.NDArray[np.int64], other_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each time the row of the other stream nearest to it, within half a frame; -1 where there is none. Shape (N,)."""
    half_frame = np.median(np.diff(t_ns)) / 2 if len(t_ns) > 1 else 20_000_000
    after = np.clip(np.searchsorted(other_ns, t_ns), 1, len(other_ns) - 1) if len(other_ns) > 1 else np.zeros(len(t_ns), np.int64)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(other_ns[before] - t_ns) <= np.abs(other_ns[after] - t_ns), before, after)
    return np.where(np.abs(other_ns[nearest] - t_ns) <= half_frame, nearest, -1)
