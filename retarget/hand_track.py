"""Where a hand was, over time: metres, pixels, and for each joint how it is known."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from firsthand.capture.arrays import set_frozen
from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import DamagedError
from firsthand.capture.files import Provenance, reading_inside, whole_hdf5
from firsthand.capture.skeleton import SIDES, Side

Floats = npt.NDArray[np.float64]

PROVENANCE = ("absent", "measured", "glove", "fused", "interpolated", "predicted", "fixed")
"""How a joint is known; the stored code is the place in this tuple. ``fixed`` is by a person."""
ABSENT, MEASURED, GLOVE, FUSED, INTERPOLATED, PREDICTED, FIXED = range(7)

METRIC = ("none", "mono", "mono_scaled", "stereo", "depth", "device")
"""Where the distance to the hand comes from, least trusted first; the stored code is the place in this tuple."""


@dataclass(frozen=True, eq=False)
class HandTrack:
    """One hand over time; row i belongs to frame i of the reference camera. Unseen is NaN and ``absent``, never zero."""

    side: Side
    t_ns: npt.NDArray[np.int64]
    """Times on the session clock, shape (N,)."""
    points_m: Floats
    """21 joints in MediaPipe order, shape (N, 21, 3), in the frame of the `Hands` they belong to."""
    points_px: Floats
    """The same joints in the reference camera's image, shape (N, 21, 2); x right, y down."""
    local_m: Floats
    """The tracker's own joints relative to the hand, in camera axes, shape (N, 21, 3): raw, for solving depth again."""
    sigma_m: Floats
    """One standard deviation of each joint's position, shape (N, 21)."""
    provenance: npt.NDArray[np.uint8]
    """Codes of `PROVENANCE`, shape (N, 21)."""
    metric: npt.NDArray[np.uint8]
    """Codes of `METRIC`, shape (N,)."""
    score: Floats
    """The tracker's confidence in 0..1, shape (N,); NaN where absent."""
    raw_m: Floats | None = None
    """`points_m` before they were smoothed and gloves put on, shape (N, 21, 3); None where neither was done."""

    def __post_init__(self) -> None:
        n = len(self.t_ns)
        set_frozen(self, "t_ns", np.int64, (n,))
        set_frozen(self, "points_m", np.float64, (n, 21, 3))
        set_frozen(self, "points_px", np.float64, (n, 21, 2))
        set_frozen(self, "local_m", np.float64, (n, 21, 3))
        set_frozen(self, "sigma_m", np.float64, (n, 21))
        set_frozen(self, "provenance", np.uint8, (n, 21))
        set_frozen(self, "metric", np.uint8, (n,))
        set_frozen(self, "score", np.float64, (n,))
        if self.raw_m is not None:
            set_frozen(self, "raw_m", np.float64, (n, 21, 3))

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Frames in which every joint is known, shape (N,)."""
        known: npt.NDArray[np.bool_] = (self.provenance != ABSENT).all(1)
        return known


@dataclass(frozen=True, eq=False)
class Hands:
    """The content of ``hands.h5``: both hands on the frames of one camera, in one frame."""

    camera: str
    """The stream whose frames the rows are."""
    t_ns: npt.NDArray[np.int64]
    """Presentation times of the camera's frames on the session clock, shape (N,)."""
    frame: Literal["world", "camera"]
    """What `points_m` refers to. ``camera`` when the head's pose is not known."""
    intrinsics: CameraCalibration
    """The calibration that was used, assumed or measured."""
    tracks: Mapping[Side, HandTrack]
    """By side; a hand never seen is not there."""
    T_world_cam: Floats | None = None
    """Camera pose per frame, shape (N, 4, 4); None when `frame` is ``camera``."""
    findings: tuple[str, ...] = ()
    """What a person should know, one plain sentence each, such as that no hand was seen."""
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        n = len(self.t_ns)
        set_frozen(self, "t_ns", np.int64, (n,))
        if (self.frame == "world") != (self.T_world_cam is not None):
            raise ValueError("T_world_cam belongs to frame 'world', and only there")
        if self.T_world_cam is not None:
            set_frozen(self, "T_world_cam", np.float64, (n, 4, 4))

    def in_camera(self, side: Side) -> Floats:
        """A hand's joints in camera axes (x right, y down, z forward), metres, shape (N, 21, 3)."""
        points = self.tracks[side].points_m
        if self.T_world_cam is None:
            return points
        R, t = self.T_world_cam[:, :3, :3], self.T_world_cam[:, None, :3, 3]
        return np.asarray(np.einsum("nji,nkj->nki", R, points - t), np.float64)

    def write(self, path: Path) -> None:
        """Write ``hands.h5`` whole or not at all."""
        with whole_hdf5(path) as file:
            file.attrs.update(format="firsthand.hands", version=1, camera=self.camera, frame=self.frame, findings=list(self.findings),
                              provenance_codes=list(PROVENANCE), metric_codes=list(METRIC))
            self.provenance.write(file.create_group("provenance"))
            self.intrinsics.write(file.create_group("intrinsics"))
            file["t_ns"] = self.t_ns
            if self.T_world_cam is not None:
                file["T_world_cam"] = self.T_world_cam
            for side, track in self.tracks.items():
                group = file.create_group(f"tracks/{side}")
                for name in ("points_m", "points_px", "local_m", "sigma_m", "score", *(["raw_m"] if track.raw_m is not None else [])):
                    group.create_dataset(name, data=getattr(track, name).astype(np.float32), compression="gzip", shuffle=True)
                group["provenance"], group["metric"] = track.provenance, track.metric


def read_hands(path: Path) -> Hands:
    """Read a ``hands.h5``. Raises `FirsthandError` when it is missing or something else."""
    with open_derived(path, "firsthand.hands", "firsthand process") as file:
        t_ns = file["t_ns"][()]
        metric = np.array([METRIC.index(str(name)) for name in file.attrs["metric_codes"]], np.uint8)  # older files have fewer
        tracks = {}
        for side in SIDES:
            if f"tracks/{side}" in file:
                g = file[f"tracks/{side}"]
                tracks[side] = HandTrack(side, t_ns, g["points_m"][()], g["points_px"][()], g["local_m"][()], g["sigma_m"][()],
                                         g["provenance"][()], metric[g["metric"][()]], g["score"][()],
                                         g["raw_m"][()] if "raw_m" in g else None)
        return Hands(str(file.attrs["camera"]), t_ns, file.attrs["frame"], CameraCalibration.read(file["intrinsics"]), tracks,
                     file["T_world_cam"][()] if "T_world_cam" in file else None, tuple(map(str, file.attrs["findings"])),
                     Provenance.read(file["provenance"]))


@contextmanager
def open_derived(path: Path, wanted: str, made_by: str) -> Iterator[Any]:
    """Open a derived HDF5 file, check what it is, and say so in one sentence when what is read inside the block is damaged."""
    if not path.exists():
        raise DamagedError(f"{path} is not there yet; run '{made_by}' first")
    again = f"delete it and run '{made_by}' again"
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DamagedError(f"cannot read {path}: it is not HDF5, or cut off; {again}") from error
    with file, reading_inside(path, again):
        if file.attrs.get("format") != wanted:
            raise DamagedError(f"{path} is not a {wanted} file; {again}")
        yield file
