"""robomimic and Isaac Lab HDF5: ``/data/demo_<i>`` groups, each a take; pictures are packed as PNG, which loses nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.importers.foreign_hdf5 import dataset, group, leaves, open_foreign, read, text
from firsthand.capture.importers.tracks import Track, grid_ns, numbers, pictures, stream_name, write_tracks
from firsthand.capture.intake import Asked, Found, Intake, Take
from firsthand.capture.source_labels import SourceLabels, Span
from firsthand.capture.stream import StreamSpec

STAGE = "import-robomimic/1"
SUFFIXES = (".hdf5", ".h5")
ASSUMED_HZ = 20.0
"""robosuite's usual rate, where the file does not tell one."""
SIMULATED = (1, 2, 3)
"""``type`` of ``env_args``: robosuite, Gym or Isaac Lab, iGibson."""
SIGNALS = "obs/datagen_info/subtask_term_signals"
WIDEST = 4096
"""Columns; what is wider, such as a picture of depth in floats, is left out and said so."""
REST = ("next_obs/",)
"""The observations again, one step later."""


def robomimic(source: Path, asked: Asked) -> Found | None:
    """An HDF5 file with groups ``demo_<i>`` in ``data``; one that does not open is taken for one, unless it is named like EgoDex's."""
    if source.suffix.lower() not in SUFFIXES or not source.is_file():
        return None
    try:
        with h5py.File(source, "r") as file:
            if "data" not in file.keys() or not isinstance(file.get("data", getlink=True), h5py.HardLink):  # noqa: SIM118
                return None
            names = [name for name in file["data"] if re.fullmatch(r"demo_\d+", name)]
    except (OSError, RuntimeError, TypeError):
        return Found((Take(source.stem, lambda intake: _write(source, "", intake)),))
    names.sort(key=lambda name: int(name.removeprefix("demo_")))
    takes = tuple(Take(name, lambda intake, name=name: _write(source, name, intake)) for name in names)  # type: ignore[misc]
    return Found(takes) if takes else None


def _write(source: Path, name: str, intake: Intake) -> None:
    with open_foreign(source) as file:
        data = group(file, "data")
        demo = group(data, name)
        setting = _json(text(data.attrs, "env_args"))
        rate_hz = _rate_hz(setting)
        fps = rate_hz or ASSUMED_HZ
        paths = [path for path in leaves(demo) if not path.startswith(REST)]
        if "actions" not in paths:
            raise DamagedError(f"cannot import {source}: {name} has no actions")
        count = len(dataset(demo, "actions"))
        stated = demo.attrs.get("num_samples", count)
        if count == 0 or stated != count:
            raise DamagedError(f"cannot import {source}: {name} has {count} actions and says {stated} samples")
        told = {"times": f"row / {fps:g}: the source has no times" + ", and its rate is assumed" * (rate_hz is None)}
        tracks: list[Track] = []
        left_out = ["next_obs: obs of the next row"] if "next_obs" in demo else []
        for path in paths:
            made = _track(source, demo, path, count, fps, told, [track.spec.name for track in tracks])
            if isinstance(made, str):
                left_out.append(f"{path}: {made}")
            else:
                tracks.append(made)
        labels = SourceLabels(_task(setting, demo), _success(demo), spans=tuple(_spans(demo, paths, count, fps)))
        said = {"env_args": setting, **{key: text(demo.attrs, key) for key in ("seed", "success") if key in demo.attrs}}
        simulated = setting.get("type") in SIMULATED
        with intake.recording(STAGE, source="simulation" if simulated else "teleop", task=labels.instruction, said=said, demo=name,
                              left_out=left_out) as writer:
            writer.add_stream(labels.spec)
            write_tracks(writer, tracks, intake.progress)
            for sample in labels.samples(0):
                writer.append(sample)


def _track(source: Path, demo: Any, path: str, count: int, fps: float, told: dict[str, str], taken: list[str]) -> Track | str:
    """A dataset as a stream, or why it is left out."""
    found = dataset(demo, path)
    if found.ndim == 0 or len(found) != count:
        if path.startswith(("obs/", "actions")):
            raise DamagedError(f"cannot import {source}: {demo.name}/{path} has {len(found) if found.ndim else 0} rows of {count}")
        return f"{len(found) if found.ndim else 1} rows, where the take has {count}"
    ours = stream_name(path.removeprefix("obs/").removesuffix("_image"), taken)
    if found.ndim == 4 and found.dtype == np.uint8 and found.shape[3] in (1, 3):
        spec = StreamSpec(ours, "encoded", "camera", encoding="png", rate_hz=fps, width_px=found.shape[2], height_px=found.shape[1],
                          clock="media", extra={"packed": "PNG of the source's raw pictures", **told})
        return pictures(spec, grid_ns(count, fps), _pngs(found))
    width = int(np.prod(found.shape[1:]))
    if width == 0 or width > WIDEST:
        return f"{width} columns"
    values = found[()].reshape(count, width)
    names = ["".join(f"[{i}]" for i in place) or path.rpartition("/")[2] for place in np.ndindex(*found.shape[1:])]
    return numbers(ours, "other", names, None, grid_ns(count, fps), values, rate_hz=fps, extra={"from": path, **told})


def _pngs(found: Any) -> Iterator[bytes]:
    """Pictures of a dataset (N, H, W, 3) in RGB, or one channel, packed one at a time."""
    try:
        import cv2
    except ImportError as error:
        raise FirsthandError("packing pictures needs OpenCV; install it with: pip install 'firsthand[camera]'") from error
    for i in range(len(found)):
        picture = np.ascontiguousarray(found[i][..., ::-1])
        yield cv2.imencode(".png", picture)[1].tobytes()


def _json(given: str) -> dict[str, Any]:
    try:
        document = json.loads(given or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _rate_hz(setting: dict[str, Any]) -> float | None:
    """The rate of control: robosuite's ``control_freq``, or Isaac Lab's step times its decimation; None where neither is told."""
    inside = setting.get("env_kwargs")
    rate = inside.get("control_freq") if isinstance(inside, dict) else None
    sim = setting.get("sim_args")
    if rate is None and isinstance(sim, dict) and sim.get("dt"):
        steps = sim["dt"] * sim.get("decimation", 1) if all(isinstance(sim.get(k, 1), int | float) for k in ("dt", "decimation")) else 0
        rate = 1 / steps if steps > 0 else None
    return float(rate) if isinstance(rate, int | float) and 0 < rate < 100_000 else None


def _task(setting: dict[str, Any], demo: Any) -> str:
    """What it was about: a language text where there is one, else the name of the environment."""
    meta = _json(text(demo.attrs, "ep_meta"))
    return str(meta.get("lang") or setting.get("lang") or setting.get("env_lang") or setting.get("env_name") or "")


def _success(demo: Any) -> bool | None:
    given = demo.attrs.get("success")
    return bool(given) if isinstance(given, bool | int | np.bool_ | np.integer) else None


def _spans(demo: Any, paths: list[str], count: int, fps: float) -> Iterator[Span]:
    """Isaac Lab's sub-tasks: each ends where its signal first goes up, the last with the take."""
    ups = []
    for path in (p for p in paths if p.startswith(f"{SIGNALS}/")):
        signal = read(demo, path).reshape(-1)[:count] > 0.5
        up = np.flatnonzero(signal[1:] & ~signal[:-1])
        ups.append((int(up[0]) + 1 if len(up) else count, path.rpartition("/")[2]))
    edges = grid_ns(count + 1, fps)
    start = 0
    for end, name in sorted(ups):
        if end > start:
            yield Span(int(edges[start]), int(edges[end]), name)
            start = end
