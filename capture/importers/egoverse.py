"""EgoVerse: an episode as one Zarr v3 group, with JPEG pictures, poses in the SLAM world, hand keypoints and texts of spans."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.foreign_zarr import Group, open_foreign
from firsthand.capture.importers.hands import hand_track
from firsthand.capture.importers.poses import POSE, POSE_UNITS, columns
from firsthand.capture.importers.tracks import Track, grid_ns, numbers, pictures, stream_name, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.skeleton import JOINTS, SIDES, Side
from firsthand.capture.source_labels import SourceLabels, Span
from firsthand.capture.stream import StreamSpec

STAGE = "import-egoverse/2"
STAMPS, SPANS, EYES, FRONT = "obs_rgb_timestamps_ns", "annotations", "obs_eye_gaze", "images.front_1"
MISSING = 1e8
"""Values beyond this are its 1e9, which stands for a pose that is not known."""
WORLD = "SLAM world"
Floats = npt.NDArray[np.float64]


def egoverse(source: Path, asked: Asked) -> Found | None:
    """A folder with a ``zarr.json`` that names an embodiment and a number of frames."""
    index = source / "zarr.json"
    if not source.is_dir() or not index.is_file():
        return None
    try:
        attributes = json.loads(index.read_text(encoding="utf-8"))["attributes"]
        known = "embodiment" in attributes and "total_frames" in attributes
    except (OSError, ValueError, KeyError, TypeError):
        known = source.suffix == ".zarr"  # damaged, which is told when it is read
    preview = source.with_suffix(".mp4")
    take = Take(source.stem, lambda intake: _write(source, intake))
    return Found((take,), files=(preview,) if preview.is_file() else ()) if known else None


def _write(source: Path, intake: Intake) -> None:
    episode = open_foreign(source)
    about = episode.attributes
    count, fps = about.get("total_frames"), about.get("fps") or 30
    if not isinstance(count, int) or count < 1 or not isinstance(fps, int | float) or not 1e-3 < fps < 10_000:
        raise DamagedError(f"cannot import {source}: total_frames is {count!r} and fps {fps!r}; both must be positive numbers")
    if FRONT not in episode.names:
        raise DamagedError(f"cannot import {source}: there is no {FRONT} in it, so there is nothing to see")
    if episode.arrays[FRONT]["shape"][0] < count:
        raise DamagedError(f"cannot import {source}: total_frames is {count} and {FRONT} has {episode.arrays[FRONT]['shape'][0]} rows")
    t_ns, stamped = grid_ns(count, fps), STAMPS in episode.names
    if stamped:
        t_ns = episode.numbers(STAMPS, count, 1)[:, 0].astype(np.int64)
    told = {"times": "UTC, of each picture" if stamped else f"row / {fps:g}: the source has no times"}
    taken: list[str] = []
    tracks = []
    for name in episode.names:
        if name in (STAMPS, SPANS) or (name == EYES and not intake.asked.keep_eyes):
            continue
        track = _track(episode, name, count, t_ns, float(fps), told, taken)
        taken.append(track.spec.name)
        tracks.append(track)
    labels = SourceLabels(str(about.get("task_description") or about.get("task_name") or ""), spans=tuple(_spans(episode, t_ns, fps)))
    human = str(about.get("embodiment", "")).startswith("human")
    said = {name: about.get(name) for name in ("embodiment", "task_name", "task_description", "fps", "extrinsics")}
    with intake.recording(STAGE, source="egocentric" if human else "teleop", task=labels.instruction,
                          calibration=_calibration(episode, tracks), said=said) as writer:
        writer.add_stream(labels.spec)
        write_tracks(writer, tracks, intake.progress)
        for sample in labels.samples(int(t_ns[0])):
            writer.append(sample)


def _track(episode: Group, name: str, count: int, t_ns: npt.NDArray[np.int64], fps: float, told: dict[str, str],
           taken: list[str]) -> Track:
    """One array as a stream: pictures, a pose, the keypoints of a hand, or plain numbers."""
    if name.startswith("images."):
        first = next(episode.payloads(name, 1))
        height, width = _size(episode.path, name, first)
        ours = "head" if name == FRONT else stream_name(name.removeprefix("images."), taken)
        spec = StreamSpec(ours, "encoded", "camera", encoding="jpeg", rate_hz=fps, width_px=width, height_px=height, clock="media",
                          extra=told)
        return pictures(spec, t_ns, episode.payloads(name, count))
    side, _, what = name.rpartition(".")
    hand: Any = side if side in SIDES else ""
    values = _known(episode.numbers(name, count))
    if what == "obs_keypoints" and values.shape[1] == 3 * len(JOINTS):
        if hand:
            return _hand(episode, hand, count, t_ns, values, fps, told)
        return numbers(stream_name(name, taken), "pose", columns(JOINTS, "xyz"), "m", t_ns, values, rate_hz=fps,
                       extra={"frame": WORLD, **told})
    if what.endswith("_pose") and values.shape[1] == len(POSE):
        ours = "head-pose" if name == "obs_head_pose" else stream_name(f"{what.removeprefix('obs_').removesuffix('_pose')}-{side}", taken)
        return numbers(ours, "pose", POSE, POSE_UNITS, t_ns, values, side=hand, about="head" if ours == "head-pose" else "", rate_hz=fps,
                       extra={"frame": WORLD if "cmd" not in what else "as in EgoVerse: the robot's base", **told})
    names = columns([what], [str(i) for i in range(values.shape[1])])
    return numbers(stream_name(name, taken), "other", names, None, t_ns, values, side=hand, rate_hz=fps, extra=told)


def _hand(episode: Group, side: Side, count: int, t_ns: npt.NDArray[np.int64], points_m: Floats, fps: float, told: dict[str, str]) -> Track:
    """Keypoints (N, 63) with the turn of the wrist's own array, where there is one."""
    wrist = f"{side}.obs_wrist_pose"
    known = wrist in episode.names and episode.arrays[wrist]["shape"][1:] == [len(POSE)]
    quat = _known(episode.numbers(wrist, count))[:, 3:] if known else np.full((count, 4), np.nan)
    extra = {"device": "EgoVerse", "axes": WORLD, "origin": "world",
             "converted": f"keypoints 0 to 20 as the 21 joints; the wrist's quaternion is {'of ' + wrist if known else 'not told'}", **told}
    return hand_track(side, t_ns, points_m.reshape(-1, len(JOINTS), 3), quat, extra=extra, rate_hz=fps)


def _known(values: npt.NDArray[Any]) -> Floats:
    """With NaN for what stands for nothing."""
    floats = values.astype(np.float64)
    return np.where(np.abs(floats) > MISSING, np.nan, floats)


def _size(path: Path, name: str, jpeg: bytes) -> tuple[int, int]:
    try:
        import cv2
    except ImportError as error:
        raise FirsthandError("reading pictures needs OpenCV; install it with: pip install 'firsthand[camera]'") from error
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg[:2] == b"\xff\xd8" else None
    if picture is None:
        raise DamagedError(f"cannot import {path}: the first picture of {name} is no JPEG")
    return picture.shape[0], picture.shape[1]


def _calibration(episode: Group, tracks: list[Track]) -> Calibration:
    """Pinhole optics of the cameras that ``intrinsics`` names, each as 3x4."""
    found = {}
    given = episode.attributes.get("intrinsics")
    for key, matrix in (given if isinstance(given, dict) else {}).items():
        name = "head" if f"images.{key}" == FRONT else stream_name(key)
        spec = next((t.spec for t in tracks if t.spec.name == name and t.spec.role == "camera"), None)
        K = np.asarray(matrix, np.float64) if _is_matrix(matrix) else np.zeros(0)
        if K.shape not in ((3, 3), (3, 4)) or not np.isfinite(K).all():
            raise DamagedError(f"cannot import {episode.path}: the intrinsics of {key} are not a 3x4 matrix")
        if spec is not None and spec.width_px and spec.height_px:
            found[name] = CameraCalibration(K[:, :3], spec.width_px, spec.height_px)
    return Calibration(found)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) and all(isinstance(x, int | float) for x in row) for row in value) \
        and len({len(row) for row in value}) == 1


def _spans(episode: Group, t_ns: npt.NDArray[np.int64], fps: float) -> Iterator[Span]:
    """Texts over frames [start_idx, end_idx)."""
    if SPANS not in episode.names:
        return
    ends = np.append(t_ns, t_ns[-1] + round(1e9 / fps))
    for number, payload in enumerate(episode.payloads(SPANS)):
        if not payload:  # padding
            continue
        try:
            span = json.loads(payload)
            a, b, said = span["start_idx"], span["end_idx"], str(span["text"])
            if not 0 <= a < b <= len(t_ns):
                raise ValueError(f"[{a}, {b}) of {len(t_ns)} frames")
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"cannot import {episode.path}: annotation {number} is no span of frames ({error})") from error
        yield Span(int(ends[a]), int(ends[b]), said)
